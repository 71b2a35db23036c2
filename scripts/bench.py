"""Runs benchmarks/run.py on a PostgreSQL that it finds or starts, in a database of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.services import MissingService, Services  # noqa: E402


def main(arguments: list[str]) -> int:
    try:
        with (
            Services(["postgresql", "rabbitmq"]) as services,
            services.database("postgresql") as url,
        ):
            variables = services.environment() | {
                "CLOUDWEB_TEST_DB": "postgresql",
                "CLOUDWEB_TEST_DATABASE_URL": url,
            }
            command = [sys.executable, "benchmarks/run.py", *arguments]
            environment = os.environ | variables
            return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except MissingService as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
