"""Puts the agents where Ganeti and systemd of a node look for them, and takes them away again."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudweb.backend.agents.config import DEFAULT_SPOOL, URLS
from cloudweb.backend.agents.hook import PATHS

UNIT = "cloudweb-eventd.service"
HOOK = "cloudweb-hook"
"""Ganeti runs only hooks whose names are letters, digits, dashes and underscores."""


@dataclass(frozen=True)
class File:
    """A file of a node: where, what is in it and who may do what with it."""

    path: Path
    content: str
    mode: int = 0o644


def files(root: Path, urls: Sequence[str]) -> list[File]:
    """What a node with agents has. Without addresses the configuration is left as it is."""
    bin_directory = Path(sys.executable).parent
    wanted = []
    if urls:
        content = f"# The broker's nodes, tried at random.\n{URLS}={' '.join(urls)}\n"
        wanted.append(File(root / "etc/cloudweb/agent.conf", content, 0o600))
    unit = _UNIT.format(eventd=bin_directory / "cloudweb-eventd", spool=DEFAULT_SPOOL)
    wanted.append(File(root / "etc/systemd/system" / UNIT, unit))
    hook = f"#!/bin/sh\nexec {bin_directory / HOOK}\n"
    wanted += [File(path, hook, 0o755) for path in _hooks(root)]
    return wanted


def _hooks(root: Path) -> Iterator[Path]:
    for path in PATHS:
        yield root / f"etc/ganeti/hooks/{path}-post.d" / HOOK


_UNIT = """\
[Unit]
Description=Tells the message bus how the jobs of this Ganeti cluster go
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={eventd}
Restart=always
RestartSec=2
ProtectSystem=strict
ReadWritePaths=-{spool}
ProtectHome=yes
PrivateTmp=yes
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def install(root: Path, urls: Sequence[str]) -> list[Path]:
    """Write what is not there yet or is otherwise; which files that were. Raises OSError."""
    changed = []
    for file in files(root, urls):
        if _is(file):
            continue
        file.path.parent.mkdir(parents=True, exist_ok=True)
        new = file.path.with_name(f".{file.path.name}.new")
        new.touch(mode=file.mode)
        new.chmod(file.mode)
        new.write_text(file.content, encoding="utf-8")
        new.rename(file.path)
        changed.append(file.path)
    (root / DEFAULT_SPOOL.lstrip("/")).mkdir(mode=0o700, parents=True, exist_ok=True)
    return changed


def pending(root: Path, urls: Sequence[str]) -> list[Path]:
    """The files that ``install`` would write."""
    return [file.path for file in files(root, urls) if not _is(file)]


def _is(file: File) -> bool:
    try:
        same = file.path.read_text(encoding="utf-8") == file.content
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    return same and file.path.stat().st_mode & 0o777 == file.mode


def uninstall(root: Path) -> list[Path]:
    """Take away all but the configuration and what waits in the spool; which files that were."""
    gone = [p for p in (root / "etc/systemd/system" / UNIT, *_hooks(root)) if p.exists()]
    for path in gone:
        path.unlink()
    return gone


def start_service() -> bool:
    """Have systemd run the event agent from now on; whether there is a systemd that did."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return False
    commands = (["daemon-reload"], ["enable", "--now", UNIT], ["try-restart", UNIT])
    return all(
        subprocess.run([systemctl, *arguments], check=False).returncode == 0  # noqa: S603
        for arguments in commands
    )
