"""Lists made from fragments are what rendering them from scratch would make, whatever happens."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import webtest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudweb import wire
from cloudweb.domain import hearing, server_views, servers, snapshots
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.domain.states import NicReport, StatusEvent
from cloudweb.models import (
    Flavor,
    ListVersion,
    Nic,
    Server,
    ServerMetadata,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.shapes.servers import SERVER, SERVER_BRIEF
from cloudweb.wire import FragmentCache, Notation

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

changes = st.lists(
    st.one_of(
        st.tuples(st.just("rename"), st.text("abcé<&", min_size=1, max_size=5)),
        st.tuples(st.just("tag"), st.sampled_from("abc"), st.text("xyz", max_size=3)),
        st.tuples(st.just("untag"), st.sampled_from("abc")),
        st.tuples(st.just("address"), st.sampled_from(("10.0.0.1", "10.0.0.2", None))),
        st.tuples(st.just("firewall"), st.sampled_from(("ENABLED", "DISABLED"))),
        st.tuples(
            st.just("hear"),
            st.sampled_from(("STARTUP", "SHUTDOWN", "REBOOT")),
            st.sampled_from(("queued", "running", "success", "error")),
            st.integers(0, 20),
        ),
        st.tuples(st.just("create")),
        st.tuples(st.just("delete")),
    ),
    max_size=12,
)


class History:
    """Servers of one owner, and every way they change."""

    def __init__(self, sessions: SessionFactory, cloud: Any, site: Any) -> None:
        self.sessions, self.cloud, self.site = sessions, cloud, site
        self.cache = FragmentCache(6)

    def apply(self, change: tuple[Any, ...], position: int) -> None:
        kind, *values = change
        with unit_of_work(self.sessions) as session:
            known = server_views.list_versions(session, self.cloud.owner.identity)
            if kind == "create":
                servers.create(
                    session,
                    self.cloud.owner.identity,
                    self.site,
                    name="new",
                    flavor_id=self.cloud.flavor.id,
                    image_ref=self.cloud.image.id,
                    metadata={"a": "b"},
                )
            elif known:
                server = session.get_one(Server, known[position % len(known)][0])
                getattr(self, f"_{kind}")(session, server, *values)

    def _rename(self, session: Any, server: Server, name: str) -> None:
        servers.rename(session, self.cloud.owner.identity, server.id, name=name)

    def _tag(self, session: Any, server: Server, key: str, value: str) -> None:
        session.merge(ServerMetadata(server_id=server.id, key=key, value=value))

    def _untag(self, session: Any, server: Server, key: str) -> None:
        item = session.get(ServerMetadata, (server.id, key))
        if item is not None:
            session.delete(item)

    def _address(self, session: Any, server: Server, address: str | None) -> None:
        card = NicReport(0, "aa:00:00:00:00:01", address)
        name = server.instance_name or ""
        told = {name: InstanceReport(name, running=None, nics=(card,))}
        snapshots.apply(session, server.backend_id, Snapshot(utc_now(), told))

    def _firewall(self, session: Any, server: Server, profile: str) -> None:
        for nic in session.query(Nic).filter_by(server_id=server.id):
            nic.firewall_profile = profile

    def _hear(self, session: Any, server: Server, verb: str, status: str, at: int) -> None:
        event = StatusEvent(
            cluster=self.cloud.backend.name,
            instance=server.instance_name or "",
            opcode=f"OP_INSTANCE_{verb}",
            status=status,
            job_id=at + 1,
            time=START + dt.timedelta(seconds=at),
        )
        hearing.apply_statuses(session, [event])

    def _delete(self, session: Any, server: Server) -> None:
        servers.delete(session, self.cloud.owner.identity, server.id)

    def lists_agree(self) -> None:
        identity = self.cloud.owner.identity
        with unit_of_work(self.sessions, write=False) as session:
            number = session.get_one(ListVersion, identity.user_id).version
            versions = server_views.list_versions(session, identity)
            fresh = server_views.load(session, [server_id for server_id, _version in versions])
            for shape in (SERVER, SERVER_BRIEF):
                for notation in (Notation.JSON, Notation.XML):
                    made = self.cache.document(
                        shape,
                        notation,
                        (identity.user_id, number),
                        lambda: server_views.list_versions(session, identity),
                        lambda ids: server_views.load(session, ids),
                    )
                    assert made == wire.render_rows(shape, fresh, notation)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=changes)
def test_a_list_from_fragments_is_the_list_from_scratch(
    sessions: SessionFactory,
    cloud: Any,
    site: Any,
    make_flavor: Callable[..., Flavor],
    history: list[tuple[Any, ...]],
) -> None:
    world = History(sessions, cloud, site)
    world.apply(("create",), 0)
    world.lists_agree()
    for position, change in enumerate(history):
        world.apply(change, position)
        world.lists_agree()


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=changes)
def test_a_tag_stands_for_one_answer_only_and_what_is_held_is_current(
    app: webtest.TestApp,
    sessions: SessionFactory,
    cloud: Any,
    site: Any,
    make_flavor: Callable[..., Flavor],
    history: list[tuple[Any, ...]],
) -> None:
    world = History(sessions, cloud, site)
    seen: dict[tuple[str, str], bytes] = {}
    held: dict[str, str] = {}
    for position, change in enumerate([("create",), *history]):
        world.apply(change, position)
        for path in _reads(sessions):
            fresh = app.get(path, headers=cloud.owner.headers)
            tag = fresh.headers["ETag"]
            assert seen.setdefault((path, tag), fresh.body) == fresh.body
            again = app.get(
                path, headers=cloud.owner.headers | {"If-None-Match": held.get(path, '"none"')}
            )
            assert (again.status_code == 304) is (held.get(path) == tag)
            held[path] = tag


def _reads(sessions: SessionFactory) -> list[str]:
    with unit_of_work(sessions, write=False) as session:
        ids = [row[0] for row in session.query(Server.id).order_by(Server.id).limit(2)]
    base = "/api/v1.1/servers"
    lists = [base, f"{base}.xml", f"{base}/detail", f"{base}/detail.xml", f"{base}/detail?limit=1"]
    return lists + [f"{base}/{n}{what}" for n in ids for what in ("", "/meta.xml")]


def test_the_cache_holds_no_more_than_it_may() -> None:
    class Row:
        def __init__(self, row_id: int) -> None:
            self.id, self.name, self.version = row_id, "x", 1

    cache = FragmentCache(10)
    for first in range(0, 100, 10):
        pairs = [(n, 1) for n in range(first, first + 10)]
        cache.document(
            SERVER_BRIEF,
            Notation.JSON,
            ("anybody", None),
            lambda pairs=pairs: pairs,  # type: ignore[misc]
            lambda ids: [Row(n) for n in ids],
        )
    assert len(cache) == 10
