"""``cloudweb agents``: what a node gets, twice the same, and away again."""

import subprocess
import sys
from pathlib import Path

CLI = [sys.executable, "-c", "from cloudweb.cli import main; main()", "agents"]


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLI, *arguments], capture_output=True, text=True, check=False)


def test_a_node_gets_configuration_unit_and_hooks_once(tmp_path: Path) -> None:
    command = ("install", "--root", str(tmp_path), "--amqp", "amqp://a:secret@b1", "--amqp")
    dry = cli(*command, "amqp://b2", "--dry-run")
    assert dry.returncode == 0
    assert list(tmp_path.iterdir()) == []

    done = cli(*command, "amqp://b2")

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(dry.stdout.splitlines()) == 6
    conf = tmp_path / "etc/cloudweb/agent.conf"
    assert conf.stat().st_mode & 0o777 == 0o600
    assert "CLOUDWEB_AGENT_AMQP=amqp://a:secret@b1 amqp://b2" in conf.read_text()
    hook = tmp_path / "etc/ganeti/hooks/instance-modify-post.d/cloudweb-hook"
    assert hook.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "etc/systemd/system/cloudweb-eventd.service").exists()
    assert (tmp_path / "var/spool/cloudweb-agent").stat().st_mode & 0o777 == 0o700
    assert cli(*command, "amqp://b2").stdout == "Everything is as it should be.\n"
    assert "secret" not in done.stdout

    gone = cli("uninstall", "--root", str(tmp_path))
    assert len(gone.stdout.splitlines()) == 5
    assert conf.exists()
    assert not hook.exists()


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    done = cli("install", "--root", str(tmp_path), "--amqp", "http://b1")

    assert done.returncode == 1
    assert "amqp://" in done.stderr
