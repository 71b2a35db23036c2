"""Half a minute of chaos on a small cloud; ``make chaos`` is ten minutes of it on a large one."""

from pathlib import Path

import pytest

from tests.functional.chaos.simulated import simulated_clusters
from tests.functional.chaos.story import Options, run

# With this seed each kind of process dies, the broker and the database too, answers are lost, and
# ways are cut, slowed and held.
SHORT = Options(seed=969, seconds=25, servers=24, clients=4, brokers=1, every_s=1.6, pace_s=0.3)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_lost_and_nothing_done_twice_whatever_dies(tmp_path: Path) -> None:
    with simulated_clusters(tmp_path) as clusters:
        assert run(SHORT, tmp_path, clusters, print).wrong == []
