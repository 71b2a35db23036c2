"""Real Ganeti clusters for as long as a block: brought up, told where they are, taken down."""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

LAB = Path(__file__).resolve().parent / "ganeti-lab"
Cluster = dict[str, str]
"""What the lab says of a cluster: cluster, url, user, password, cert, queue, hooks, enter."""


class LabFailed(Exception):
    """Ganeti did not come up, or a command on a node failed; the text says so."""


def bring_up(name: str, *, nodes: int = 1) -> Cluster:
    """A cluster of that name and so many nodes; needs root. Raises LabFailed."""
    done = subprocess.run(
        ["env", f"NODES={nodes}", LAB / "up", name], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise LabFailed(f"Ganeti did not come up (status {done.returncode}).")
    return dict(word.split("=", 1) for word in shlex.split(done.stdout.strip().splitlines()[-1]))


def take_down(*names: str) -> None:
    subprocess.run([LAB / "down", *names], check=False)


@contextlib.contextmanager
def clusters(wanted: Mapping[str, int]) -> Iterator[list[Cluster]]:
    """Clusters by name with their numbers of nodes, which are gone after the block."""
    try:
        yield [bring_up(name, nodes=nodes) for name, nodes in wanted.items()]
    finally:
        take_down(*wanted)


def on_master(cluster: Mapping[str, str], *command: str, given: str | None = None) -> str:
    """What a command prints on the cluster's master. Raises LabFailed."""
    done = subprocess.run(
        [cluster["enter"], *command], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise LabFailed(f"'{' '.join(command)}' on {cluster['cluster']} said: {said[-500:]}")
    return done.stdout


def is_root(command: str) -> bool:
    """Whether this is root; says what to do where it is not."""
    if os.geteuid() != 0:
        print(f"error: a real Ganeti needs root: run 'sudo {command}'.", file=sys.stderr)
        return False
    return True
