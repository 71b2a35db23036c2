"""Tries the APIs with what nobody would send, on PostgreSQL: fuzz.py [seconds], 900 by default.

Two thirds of the time go to what the OpenAPI document allows and forbids, the rest to XML bodies.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.services import MissingService, Services  # noqa: E402

TESTS = {"test_document.py": 2 / 3, "test_xml.py": 1 / 3}


def main(seconds: int) -> int:
    failed = 0
    with Services(["postgresql"]) as services, services.database("postgresql") as url:
        for name, share in TESTS.items():
            environment = {
                "CLOUDWEB_TEST_DATABASE_URL": url,
                "CLOUDWEB_FUZZ_SECONDS": str(max(1, round(seconds * share))),
            }
            command = [sys.executable, "-m", "pytest", "-q", "-s", f"tests/functional/fuzz/{name}"]
            done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
            failed |= done.returncode
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 900))
    except ValueError:
        sys.exit("usage: fuzz.py [seconds]")
    except MissingService as error:
        sys.exit(f"error: {error}")
