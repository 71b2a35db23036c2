"""Runs the contract suite against a real Ganeti, brought up for it and taken down afterwards."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LAB = ROOT / "scripts" / "ganeti-lab"
# A name, and with it a network and a port, that nobody brings up by hand.
CLUSTER = "test98"


def bring_up() -> dict[str, str]:
    """What the lab says of its cluster: url, user, password, cert..."""
    done = subprocess.run([LAB / "up", CLUSTER], stdout=subprocess.PIPE, text=True, check=True)
    line = done.stdout.strip().splitlines()[-1]
    return dict(word.split("=", 1) for word in shlex.split(line))


def main(arguments: list[str]) -> int:
    if os.geteuid() != 0:
        print("error: a real Ganeti needs root: run 'sudo make test-ganeti'.", file=sys.stderr)
        return 1
    try:
        cluster = bring_up()
        variables = {
            f"CLOUDWEB_TEST_GANETI_{name.upper()}": cluster[name]
            for name in ("url", "user", "password", "cert")
        }
        command: list[str | Path] = [BIN / "pytest", "tests/contract", "--ganeti=real", *arguments]
        return subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=False).returncode
    except subprocess.CalledProcessError as error:
        print(f"error: Ganeti did not come up (status {error.returncode}).", file=sys.stderr)
        return 1
    finally:
        subprocess.run([LAB / "down", CLUSTER], check=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
