"""The consumer, killed for real at one line: ``python -m … FILE.ini acknowledge|commit``."""

import os
import signal
import sys
from typing import Any

from sqlalchemy.orm import Session

from cloudweb.backend.amqp import consumer
from cloudweb.backend.amqp.link import Link


def die(*_arguments: Any, **_options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    config, where = sys.argv[1:]
    if where == "commit":
        Session.commit = die  # type: ignore[method-assign]
    else:
        Link.acknowledge = die  # type: ignore[method-assign]
    sys.exit(consumer.main([config]))
