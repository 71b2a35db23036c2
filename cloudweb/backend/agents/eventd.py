"""cloudweb-eventd: watches the job queue of a Ganeti master and publishes how each job goes.

Ganeti replaces a job's file in one rename. inotify says when; what there is to tell is then read
from the directory itself, so an event that is lost, or an overflow, costs nothing but time. Where
there is no inotify the directory is looked at ten times a second.

Ganeti copies its queue to every master candidate; only the master's own agent publishes.
"""

import argparse
import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cloudweb.backend.agents import config
from cloudweb.backend.agents.alarm import Alarm
from cloudweb.backend.agents.messages import Message, message_of
from cloudweb.backend.agents.publisher import Publisher
from cloudweb.backend.agents.spool import Spool, try_flush
from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.ganeti.jobs import Job, job_from_file
from cloudweb.backend.ganeti.reading import mapping

log = logging.getLogger(__name__)
DEFAULT_QUEUE = "/var/lib/ganeti/queue"
LOOK_EVERY_S = 0.1
"""Without inotify."""
WAKE_EVERY_S = 0.5
"""With it: a stop, and a change of master, are noticed so soon."""
REST_S = 0.02
"""A busy queue is looked at no more often than this."""
SPOOL_EVERY_S = 5.0
# A directory changed so recently may have changed again within one tick of its clock.
CLOCK_TICK_NS = 1_000_000_000
# Whatever happens, everything is looked at so often.
LOOK_ANYWAY_S = 30.0
_JOB_FILE = re.compile(r"job-([0-9]+)")


class QueueWatch:
    """Tells of every status that an opcode in the queue comes into, once.

    Everything in the queue is new when the watch begins: what was missed meanwhile is made up for,
    and saying a thing twice is harmless.
    """

    def __init__(self, queue: Path, cluster: str, publish: Callable[[Message], None]) -> None:
        self._queue = queue
        self._cluster = cluster
        self._publish = publish
        self._files: dict[int, tuple[int, int]] = {}
        self._told: dict[int, list[str]] = {}
        self._directory_ns = 0
        self._looked_s = -LOOK_ANYWAY_S

    def look(self) -> int:
        """Looks at what has changed, and tells; how many messages that made."""
        if not self._may_have_changed():
            return 0
        self._looked_s = time.monotonic()
        found: dict[int, tuple[int, int]] = {}
        with os.scandir(self._queue) as entries:
            for entry in entries:
                match = _JOB_FILE.fullmatch(entry.name)
                if not match:
                    continue
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                found[int(match[1])] = (stat.st_ino, stat.st_mtime_ns)
        changed = sorted(job_id for job_id in found if self._files.get(job_id) != found[job_id])
        told = sum(self._tell(job_id) for job_id in changed)
        self._files = found
        self._told = {job_id: self._told.get(job_id, []) for job_id in found}
        return told

    def forget(self) -> None:
        """Makes everything new again."""
        self._files, self._told = {}, {}
        self._directory_ns, self._looked_s = 0, -LOOK_ANYWAY_S

    def _may_have_changed(self) -> bool:
        changed_ns = self._queue.stat().st_mtime_ns
        settled = time.time_ns() - changed_ns > CLOCK_TICK_NS
        recent = time.monotonic() - self._looked_s < LOOK_ANYWAY_S
        if changed_ns == self._directory_ns and settled and recent:
            return False
        self._directory_ns = changed_ns
        return True

    def _tell(self, job_id: int) -> int:
        job = self._read(job_id)
        if job is None:
            return 0
        before = self._told.get(job_id, [])
        told = 0
        for index, op in enumerate(job.ops):
            if op.status != (before[index] if index < len(before) else None):
                message = message_of(job, op, self._cluster)
                if message is not None:
                    self._publish(message)
                    told += 1
        self._told[job_id] = [op.status for op in job.ops]
        return told

    def _read(self, job_id: int) -> Job | None:
        """A job from its file; None if the file is gone or no job, which the log says."""
        path = self._queue / f"job-{job_id}"
        try:
            return job_from_file(mapping(json.loads(path.read_bytes()), "job"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, RapiError) as error:
            log.warning("%s is no job: %s", path, error)
            return None


class MasterCheck:
    """Whether this node is the cluster's master, as the files beside the queue say."""

    def __init__(self, queue: Path, node: str) -> None:
        self._path = queue.parent / "ssconf_master_node"
        self._node = node

    def __call__(self) -> bool:
        try:
            return self._path.read_text(encoding="ascii").strip() == self._node
        except FileNotFoundError:
            return True


def watch(
    queue: QueueWatch,
    is_master: Callable[[], bool],
    alarm: Alarm,
    stop: threading.Event,
) -> None:
    """Looks whenever something has changed, until it is to stop; what cannot be read is retried."""
    was_master: bool | None = None
    while not stop.is_set():
        try:
            master = is_master()
            if master != was_master:
                log.info("this node is %s", "the master" if master else "not the master: waiting")
                queue.forget()
                was_master = master
            if master:
                queue.look()
        except OSError as error:
            log.error("the queue cannot be read: %s", error)
            stop.wait(5)
        alarm.wait(WAKE_EVERY_S)
        stop.wait(REST_S)


def flush_spool(waiting: Spool, urls: Sequence[str], stop: threading.Event) -> None:
    """Now and then publishes what hooks on this node could not."""
    while not stop.wait(SPOOL_EVERY_S):
        try_flush(waiting, urls, older_than_s=SPOOL_EVERY_S)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    told = config.read(Path(options.config))
    urls = options.amqp or told.urls
    queue = Path(options.queue)
    cluster = options.cluster or _cluster_name(queue)
    if not urls or not cluster or not queue.is_dir():
        _parser().error("a queue directory, a cluster's name and a broker's address are needed")
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    publisher = Publisher(urls)
    publisher.start()
    log.info("watching %s of %s", queue, cluster)
    spooled = threading.Thread(
        target=flush_spool, args=(Spool(told.spool), urls, stop), name="spool", daemon=True
    )
    spooled.start()
    with Alarm(queue, without_inotify_s=LOOK_EVERY_S) as alarm:
        watch(
            QueueWatch(queue, cluster, publisher.put),
            MasterCheck(queue, options.node or socket.getfqdn()),
            alarm,
            stop,
        )
    return 0 if publisher.stop() else 1


def _cluster_name(queue: Path) -> str:
    """What Ganeti itself calls the cluster, from beside the queue."""
    path = queue.parent / "ssconf_cluster_name"
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cloudweb-eventd", description="Publishes how the jobs of a Ganeti cluster go."
    )
    parser.add_argument("--queue", default=DEFAULT_QUEUE, help=f"default {DEFAULT_QUEUE}")
    parser.add_argument("--cluster", help="the cluster's name; by default Ganeti's own files say")
    parser.add_argument(
        "--amqp",
        action="append",
        metavar="URL",
        help="a broker; again for more. Without it, those of the file or of the environment's"
        f" {config.URLS}, where no list of processes shows the password",
    )
    parser.add_argument("--config", default=str(config.CONFIG), help=f"default {config.CONFIG}")
    parser.add_argument("--node", help="this node's name, if its host name is another")
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
