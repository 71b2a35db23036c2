"""What the agents of a node are told: one file of KEY=VALUE lines, and the environment over it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path("/etc/cloudweb/agent.conf")
URLS = "CLOUDWEB_AGENT_AMQP"
SPOOL = "CLOUDWEB_AGENT_SPOOL"
DEFAULT_SPOOL = "/var/spool/cloudweb-agent"


@dataclass(frozen=True)
class AgentConfig:
    """The broker's addresses, tried at random, and where messages wait while none answers."""

    urls: tuple[str, ...]
    spool: Path


def read(path: Path = CONFIG, environ: Mapping[str, str] | None = None) -> AgentConfig:
    """The configuration; without a file, what the environment says. Raises OSError."""
    said = dict(_lines(path))
    said |= {k: v for k, v in (os.environ if environ is None else environ).items() if k in _KEYS}
    return AgentConfig(tuple(said.get(URLS, "").split()), Path(said.get(SPOOL) or DEFAULT_SPOOL))


_KEYS = frozenset({URLS, SPOOL})


def _lines(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    pairs = [line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [(key.strip(), value.strip().strip('"')) for key, equals, value in pairs if equals]
