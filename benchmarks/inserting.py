"""The floor of creating servers: a script that inserts the same rows with SQLAlchemy's ORM.

One transaction a server, as many threads as there are clients, no request, no check, no look-up.
It reads what to do as JSON from its input and writes how long each took as JSON.
"""

import datetime as dt
import json
import secrets
import sys
import threading
import time
import uuid
from typing import Any

import sqlalchemy as sa

from cloudweb.domain import states
from cloudweb.models import (
    AuditEntry,
    Backend,
    Handover,
    Nic,
    Operation,
    Server,
    ServerMetadata,
    SessionFactory,
    make_engine,
    unit_of_work,
    utc_now,
)


def insert(sessions: SessionFactory, given: dict[str, Any]) -> None:
    """A server with what belongs to it and its instance is told, its operation, the audit entry."""
    with unit_of_work(sessions) as session:
        server = Server(
            user_id=given["user_id"],
            backend_id=given["backend_id"],
            flavor_id=given["flavor_id"],
            image_ref=given["image_id"],
            name="web-1",
            nics=[Nic(index=0, network_id=given["network_id"], firewall_profile="DISABLED")],
            metadata_items=[ServerMetadata(key=k, value=v) for k, v in given["metadata"].items()],
        )
        session.add(server)
        session.flush()  # the instance is named by the server's id
        server.instance_name = f"snf-{server.id}"
        server.nics[0].name = f"snf-nic-{server.nics[0].id}"
        session.add(
            Handover(
                server_id=server.id,
                digest=secrets.token_hex(32),
                sealed=given["sealed"],
                expires=utc_now() + dt.timedelta(hours=1),
            )
        )
        operation = Operation(
            key=uuid.uuid4().hex,
            backend_id=server.backend_id,
            server_id=server.id,
            user_id=server.user_id,
            opcode=states.CREATE,
            target=server.instance_name,
            arguments=given["arguments"],
        )
        session.add(operation)
        session.flush()  # the audit entry names its id
        session.add(
            AuditEntry(
                user_id=server.user_id,
                actor="newcomer@example.org",
                role="user",
                door="api",
                action="server:create",
                target_kind="server",
                target_id=str(server.id),
                operation_id=operation.id,
            )
        )
        session.execute(
            sa.update(Backend)
            .where(Backend.id == server.backend_id)
            .values(instances=Backend.instances + 1)
            .execution_options(synchronize_session=False)
        )


def run(sessions: SessionFactory, given: dict[str, Any], took_ms: list[float]) -> None:
    insert(sessions, given)
    start = now = time.perf_counter()
    while now - start < given["seconds"]:
        before = now
        insert(sessions, given)
        now = time.perf_counter()
        took_ms.append((now - before) * 1000)


def main() -> int:
    given = json.load(sys.stdin)
    sessions = SessionFactory(make_engine(given["url"]))
    took_ms: list[float] = []
    threads = [
        threading.Thread(target=run, args=(sessions, given, took_ms))
        for _ in range(given["clients"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"took_ms": took_ms, "failed": []}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
