"""Rewrites the code as ruff formats it, with what ruff check can mend by itself."""

import subprocess
import sys

if __name__ == "__main__":
    subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--fix-only", "--quiet", "."], check=False
    )
    sys.exit(subprocess.run([sys.executable, "-m", "ruff", "format", "."], check=False).returncode)
