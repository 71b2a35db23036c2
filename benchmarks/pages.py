"""The dashboard before sixteen clusters and 50,000 servers: how long its pages take, how large."""

import datetime as dt
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
import webtest

from benchmarks import degraded, processes, world
from benchmarks.measures import Line, counted, percentile
from cloudweb.app import make_app
from cloudweb.domain.accounts import digest
from cloudweb.models import Backend, Infrastructure, Role, WebSession, unit_of_work, utc_now
from cloudweb.settings import Secret, Settings
from tests.conftest import StatementCounter
from tests.ports import free_port

SERVERS = 50_000
CLUSTERS = 16
PAGE_MS = 200
PAGE_KB = 150
PAGE_STATEMENTS = 12

PAGES = (
    "",
    "vms",
    "vms?per_page=100",
    "vms?q=web-31337",
    "vms?filter=ram>=2048,name~99&sort=-created,name",
    "vms?owner=many@example.org&sort=name",
    "vms/{server}",
    "vms/{server}/history",
    "backends?sort=-servers",
    "backends/{backend}",
    "backends/{backend}/vms",
    "backends/{backend}/networks",
    "backends/{backend}/jobs",
    "backends/{backend}/nodes",
    "backends/{backend}/history",
    "nodes?sort=-primaries",
    "backends/{backend}/nodes/node7",
    "backends/{backend}/nodes/node7/evacuate",
    "operations?sort=-finished",
    "jobs?status=error",
    "queues",
    "queues/letters",
    "queues/letters?q=b-4",
    "reconcile",
    "reconcile/runs",
    "undo",
    "acts",
    "networks",
    "ips?sort=address",
    "pools",
    "pools/{pool}",
    "pools/{pool}/values",
    "pools/{pool}/values?sort=-number&use=held",
    "users?q=e",
    "users?sort=-servers",
    "users/{user}",
    "audit",
    "audit?outcome=refused&q=user77",
    "audit/{entry}",
    "terms",
    "terms/{terms}",
    "terms/{terms}/acceptances",
    "terms/{terms}/acceptances?q=user77",
    "terms/{draft}/publish",
    "views",
    "images",
    "flavors?show=all",
    "flavors/compute",
    "regions",
    "search?q=web-4",
)
"""What operators open all day, among 20,000 users and 100,000 entries of the audit."""

_FILL = """
INSERT INTO flavors (cpu, ram_mb, disk_gb, disk_template, deleted)
  SELECT c, 1024 * r, 20, 'plain', false FROM generate_series(1, 4) c, generate_series(1, 4) r;
INSERT INTO users (email, name, role, state, created)
  SELECT 'user' || n || '@example.org', 'User ' || n, 'user', 'active', now()
  FROM generate_series(1, 20000) n;
INSERT INTO audit (at, user_id, actor, role, door, address, request_id, action, target_kind,
                   target_id, reason, details, outcome, seal_number, seal)
  SELECT now() - (100000 - n) * interval '1 minute', (SELECT min(id) FROM users) + n % 20000,
         'user' || n % 20000 || '@example.org', 'user', 'api', '192.0.2.7', 'r' || n,
         'server:rename', 'server', n % 50000, '', '{{"before": "a", "after": "b"}}',
         CASE WHEN n % 20 = 0 THEN 'refused' ELSE 'done' END, n, repeat('0', 64)
  FROM generate_series(1, 100000) n;
INSERT INTO audit_chain (id, number, seal, kept_number, kept_seal)
  VALUES (1, 100000, repeat('0', 64), 0, '');
INSERT INTO terms_texts (digest, text) SELECT repeat('a', 64), repeat('Be kind to all. ', 1000);
INSERT INTO terms (number, format, text_digest, summary, requires_acceptance, version, created,
                   author, published, published_by, in_force, told)
  SELECT CASE WHEN n < 3 THEN n END, 'markdown', repeat('a', 64), 'rules', n = 3, 1, now(), 'a',
         CASE WHEN n < 3 THEN now() END, CASE WHEN n < 3 THEN 'a' END,
         CASE WHEN n < 3 THEN now() END, now() FROM generate_series(1, 3) n;
INSERT INTO terms_acceptances (terms_id, user_id, text_digest, at, door, address, request_id,
                               noted_by, reason)
  SELECT (SELECT id FROM terms WHERE number = 2), id, repeat('a', 64), now(), 'dashboard',
         '192.0.2.7', '', '', '' FROM users;
INSERT INTO networks (version, name, kind, public, state, deleted, drained, dhcp, cidr, mode, link,
                      tags, created, updated)
  VALUES (1, 'wide', 'IP_LESS_ROUTED', true, 'ACTIVE', false, false, true, '10.0.0.0/16', 'routed',
          '100', '[]', now(), now());
INSERT INTO pools (kind, base, size, network_id, created)
  SELECT 'ipv4', '10.0.0.0', 65536, max(id), now() FROM networks;
INSERT INTO servers (version, user_id, backend_id, instance_name, name, flavor_id, image_ref, state,
                     deleted, build_percentage, node, created, updated, state_job_id, job_id,
                     job_opcode, job_status, job_log)
  SELECT 1, (SELECT min(id) FROM users) + n % 500, 1 + n % {clusters}, 'b-' || n, 'web-' || n,
         (SELECT min(id) FROM flavors) + n % 16, 'debian',
         (ARRAY['STARTED', 'STOPPED', 'ERROR'])[1 + (n % 20) / 18], n % 25 = 0, 100,
         'node' || n % 200, now() - n * interval '1 minute', now(), 0, n, '', '', ''
  FROM generate_series(1, {servers}) n;
INSERT INTO nics (server_id, network_id, index, state, mac, ipv4)
  SELECT id, (SELECT max(id) FROM networks), 0, 'ACTIVE', 'aa:00:00:00:00:01',
         '10.0.' || id / 250 % 250 || '.' || id % 250 FROM servers WHERE instance_name LIKE 'b-%';
INSERT INTO pool_values (pool_id, number, use, holder_kind, holder_id, reason)
  SELECT (SELECT max(id) FROM pools), n, CASE WHEN n % 4 = 0 THEN 'free' ELSE 'held' END,
         CASE WHEN n % 4 = 0 THEN NULL ELSE 'server' END, CASE WHEN n % 4 = 0 THEN NULL ELSE n END,
         '' FROM generate_series(0, 65535) n;
INSERT INTO address_uses (address, network_id, server_id, since)
  SELECT ipv4, network_id, server_id, now() FROM nics WHERE ipv4 IS NOT NULL;
INSERT INTO operations (key, backend_id, server_id, request_id, reason, opcode, target, arguments,
                        state, job_id, attempts, due, worker, error, error_class, created, updated,
                        submitted, finished)
  SELECT 'bench' || id, backend_id, id, '', '', 'OP_INSTANCE_CREATE', instance_name, '{{}}',
         CASE WHEN id % 50 = 0 THEN 'error' ELSE 'success' END, id, 1, now(), '', '',
         CASE WHEN id % 50 = 0 THEN 'wrong_state' END, created, created, created, created
  FROM servers WHERE instance_name LIKE 'b-%';
INSERT INTO cluster_jobs (backend_id, job_id, status, opcode, steps, target, tool, reason, received,
                          started, ended, took_ms, error, read_status, detail)
  SELECT b, n, CASE WHEN n % 20 = 0 THEN 'error' ELSE 'success' END, 'OP_INSTANCE_STARTUP', 1,
         'b-' || n, 'gnt-instance', '', now() - n * interval '1 minute', now(), now(), 900, '', '',
         '' FROM generate_series(1, {clusters}) b, generate_series(1, 1000) n;
INSERT INTO nodes (backend_id, name, node_group, role, drained, offline, vm_capable, cpus,
                   memory_total_mb, memory_free_mb, disk_total_mb, disk_free_mb, primaries,
                   secondaries)
  SELECT b, 'node' || n, 'default', 'C', false, false, true, 64, 524288, 65536, 8388608, 1048576,
         250, 250 FROM generate_series(1, {clusters}) b, generate_series(1, 20) n;
INSERT INTO dead_letters (letter, queue, routing_key, cluster, event, body, kind, reason, traceback,
                          state, tries, received, tried)
  SELECT 'letter' || n, 'ops', 'key', '', '', 'x', 'ImpossibleMessage', 'About b-' || n, '',
         CASE WHEN n % 2 = 0 THEN 'waiting' ELSE 'dropped' END, 1,
         now() - n * interval '1 minute', now() FROM generate_series(1, 10000) n;
INSERT INTO reconcile_runs (backend_id, created, taken, compared, took_ms, error)
  SELECT n, now(), now(), 3000, 900, '' FROM generate_series(1, {clusters}) n;
INSERT INTO reconcile_findings (run_id, kind, target, ours, theirs, remedy, fix, state)
  SELECT r.id, 'orphan', 'b-' || n, 'nothing', 'running', 'It is removed.', '{{}}', 'open'
  FROM reconcile_runs r, generate_series(1, 200) n;
INSERT INTO comparisons (backend_id, at, compared, took_ms, found, appeared, gone,
                         error)
  SELECT 1 + n % {clusters}, now() - n * interval '1 hour', 3000, 900, 200, '["b-1: orphan"]', '[]',
         ''
  FROM generate_series(1, 20000) n;
INSERT INTO undos (user_id, title, location, steps, created)
  SELECT (SELECT min(id) FROM users), 'Start b-' || n, '/admin/vms/1', '[]', now()
  FROM generate_series(1, 500) n;
"""


def pages(place: Path, *, quick: bool) -> list[Line]:
    """A line for each page: the 95th percentile of its time, and its size; then with much away."""
    times = 8 if quick else 30
    with world.filled() as made:
        cookie = _fill(made, 5_000 if quick else SERVERS)
        with made.sessions.engine.connect() as connection:
            ids = {
                "server": connection.scalar(sa.text("SELECT max(id) FROM servers")),
                "backend": 1,
                "pool": connection.scalar(sa.text("SELECT max(id) FROM pools")),
                "user": connection.scalar(sa.text("SELECT min(user_id) FROM servers")),
                "entry": connection.scalar(sa.text("SELECT max(id) FROM audit")),
                "terms": connection.scalar(sa.text("SELECT id FROM terms WHERE number = 2")),
                "draft": connection.scalar(sa.text("SELECT id FROM terms WHERE number IS NULL")),
            }
        port = free_port()
        ini = processes.cloudweb_ini(
            place, made, port, session_cookie_secure="false", totp_required_roles=""
        )
        with processes.web(place, ini, port) as web:
            lines = [
                line
                for path in PAGES
                for line in _page(web, path, path.format(**ids), cookie, times)
            ]
        lines += _statements(made, {path: path.format(**ids) for path in PAGES}, cookie)
        return lines + degraded.degraded(place, made, ids, cookie, times)


def _page(web: processes.Web, name: str, path: str, cookie: str, times: int) -> Iterator[Line]:
    headers = {"Cookie": f"cloudweb={cookie}"}
    size = len(web.get(f"/admin/{path}", headers))
    took = []
    for _ in range(times):
        began = time.perf_counter()
        web.get(f"/admin/{path}", headers)
        took.append(1000 * (time.perf_counter() - began))
    yield counted(f"page /admin/{name}, p95", percentile(took, 0.95), "ms", PAGE_MS)
    yield counted(f"page /admin/{name}, size", size / 1024, "KB", PAGE_KB)


def _statements(made: world.World, paths: dict[str, str], cookie: str) -> Iterator[Line]:
    """What each page asks of that database, by an application in this process."""
    settings = Settings(
        database_url=Secret(made.url),
        secret_key=Secret(world.SECRET_KEY),
        instance_os="noop+default",
        session_cookie_secure=False,
        totp_required_roles=(),
    )
    app = webtest.TestApp(make_app(settings, sessions=made.sessions))
    app.set_cookie("cloudweb", cookie)
    for name, path in paths.items():
        app.get(f"/admin/{path}")
        with StatementCounter(made.sessions.engines) as counter:
            app.get(f"/admin/{path}")
        count = len(counter)
        yield counted(f"page /admin/{name}, statements", count, "", PAGE_STATEMENTS)


def _fill(made: world.World, servers: int) -> str:
    """Makes the world large; the cookie of somebody who is signed in."""
    cookie, now = secrets.token_urlsafe(), utc_now()
    with unit_of_work(made.sessions) as session:
        session.add_all(world.cluster(n) for n in range(len(made.backends), CLUSTERS))
        session.add_all(Infrastructure(name=f"Region {n}", refreshed=now) for n in range(12))
        session.flush()
        first = session.scalar(sa.select(sa.func.min(Backend.id)))
        assert first == 1
        for statement in _FILL.format(servers=servers, clusters=CLUSTERS).split(";\n"):
            if statement.strip():
                session.connection().exec_driver_sql(statement.replace("%", "%%"))
        who = made.few.identity.user_id
        assert who is not None
        session.connection().exec_driver_sql(
            f"UPDATE users SET role = '{Role.ADMIN.value}' WHERE id = {who}"
        )
        session.add(
            WebSession(
                user_id=who,
                digest=digest(cookie),
                last_seen=now,
                expires=now + dt.timedelta(hours=1),
            )
        )
    with made.sessions.engine.connect() as connection:
        vacuum = connection.execution_options(isolation_level="AUTOCOMMIT")
        vacuum.exec_driver_sql("VACUUM (ANALYZE)")
    return cookie
