"""Runs the suite of tests/openstack against a real Keystone and Nova, brought up for it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LAB = [sys.executable, str(ROOT / "scripts" / "openstack_lab.py")]


def main(arguments: list[str]) -> int:
    try:
        done = subprocess.run([*LAB, "up"], stdout=subprocess.PIPE, text=True, check=True)
        variables = {"CLOUDWEB_TEST_KEYSTONE_URL": done.stdout.strip().splitlines()[-1]}
        command = [BIN / "pytest", "-q", "tests/openstack", "--openstack=real", *arguments]
        return subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=False).returncode
    except subprocess.CalledProcessError as error:
        print(f"error: OpenStack did not come up (status {error.returncode}).", file=sys.stderr)
        return 1
    finally:
        subprocess.run([*LAB, "down"], check=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
