"""Processes that take addresses of one network at once.

``CLOUDWEB_TEST_CROWD_S`` says for how many seconds, 2 if it does not.
"""

import os

from benchmarks import pools
from cloudweb.models import SessionFactory


def test_sixteen_processes_never_get_the_same_address_and_lose_none(
    sessions: SessionFactory, database_url: str
) -> None:
    report = pools.run(
        database_url, processes=16, seconds=float(os.environ.get("CLOUDWEB_TEST_CROWD_S", "2"))
    )

    assert (report.twice, report.lost) == (0, 0)
    assert report.taken > 50
