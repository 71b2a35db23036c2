"""Renews requirements/*.txt from setup.py: exact versions with hashes, for every platform.

Without arguments it keeps the versions that still fit; `--upgrade` takes the newest of everything.
"""

import os
import subprocess
import sys

COMPILE = [
    "-m", "uv", "pip", "compile", "--quiet",
    "--universal", "--python-version", "3.11", "--generate-hashes",
    # A lock names no index, no host and no path of the machine that made it.
    "--no-emit-index-url", "--no-emit-find-links", "--no-config",
]  # fmt: skip
INPUTS = ["setup.py", "requirements/build.in"]
BASE, DEV = "requirements/base.txt", "requirements/dev.txt"


def compile_lock(output: str, *options: str) -> None:
    environment = dict(os.environ, UV_CUSTOM_COMPILE_COMMAND="make lock")
    command = [sys.executable, *COMPILE, *options, *INPUTS, "--output-file", output]
    subprocess.run(command, check=True, env=environment)
    print(f"Wrote {output}")


def main(arguments: list[str]) -> int:
    try:
        compile_lock(BASE, "--extra", "server", "--extra", "agent", *arguments)
        # Whoever develops gets the very versions that run in production.
        compile_lock(DEV, "--all-extras", "--constraints", BASE, *arguments)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
