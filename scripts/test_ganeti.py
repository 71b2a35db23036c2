"""Runs the tests that need a real Ganeti against one, brought up for it and taken down afterwards.

First the contract suite, which simulated clusters pass as well, then tests/ganeti: what an operator
does behind our back, and what becomes of it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from ganeti_lab import LabFailed, clusters, is_root

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# A name, and with it a network and a port, that nobody brings up by hand.
CLUSTER = "test98"


def main(arguments: list[str]) -> int:
    if not is_root("make test-ganeti"):
        return 1
    try:
        with clusters({CLUSTER: 1}) as [cluster]:
            variables = {
                f"CLOUDWEB_TEST_GANETI_{name.upper()}": value for name, value in cluster.items()
            }
            command: list[str | Path] = [BIN / "pytest", "tests/contract", "tests/ganeti"]
            command += ["--ganeti=real", *arguments]
            environment = os.environ | variables
            return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except LabFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
