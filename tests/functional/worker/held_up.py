"""The worker, held up once between writing down that it sends and sending: ``python -m … INI``."""

import sys
import time
from typing import Any

from cloudweb.backend import worker
from cloudweb.domain import operations

note_sending = operations.note_sending
held: list[bool] = []


def late(*arguments: Any) -> bool:
    noted = note_sending(*arguments)
    if not held:
        held.append(True)
        time.sleep(2.5)
    return noted


if __name__ == "__main__":
    operations.note_sending = late
    sys.exit(worker.main(sys.argv[1:]))
