"""How to run each command that changes something, what it writes into the audit, what it refuses.

A new command needs a row in ``ROWS`` and one in ``REFUSED``.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import consumers, dead_letters, identity, servers
from cloudweb.domain.dead_letters import Letter
from cloudweb.models import (
    Backend,
    BackendNetwork,
    ClusterJob,
    NetworkState,
    Node,
    OperationState,
    OperState,
    Server,
    User,
    UserState,
    unit_of_work,
    utc_now,
)
from tests.functional.auditing.ledger import MOVED, Wrote, wrote
from tests.functional.processes import wait_for

EMAIL = "olga@example.org"
FIRST = "n1.alpha.ganeti.test"
SECOND = "n2.example.org"
NOBODY = ("nobody@example.org",)
NOTHING = (999_999,)

EXEMPT = {"agents install"}
"""What works on a node, which has no database."""

Arguments = Sequence[object]


@dataclasses.dataclass
class Site:
    """An installation at a terminal, and what makes things for its commands to be about."""

    cli: Any
    sessions: Any
    make: Callable[[str], Any]
    """What makes a kind of thing, by the name of its fixture."""
    folder: Path
    stdin: str | None = None

    def run(self, words: str, *arguments: object) -> str:
        """What the command prints, having done it."""
        said: str = self.cli(*words.split(), *arguments, stdin=self.stdin, **_VARIABLES)
        return said

    def refusal(self, words: str, *arguments: object) -> str:
        """Why it is not done."""
        command = (*words.split(), *arguments)
        result = self.cli.run(*command, stdin=self.stdin, **_VARIABLES)
        assert result.exit_code == 1, result.output
        return str(result.stderr)

    def json(self, *command: object) -> Any:
        """What another command prints for programs."""
        return self.cli.json(*command, **_VARIABLES)

    @property
    def simulator(self) -> Any:
        """Simulated clusters, of which ``alpha`` is one."""
        return self.make("simulator")

    def backend(self, **values: Any) -> Backend:
        """A cluster that nothing answers for."""
        backend: Backend = self.make("make_backend")(**values)
        return backend

    def alpha(self) -> Backend:
        """The simulated cluster, added."""
        added = self.make("add_alpha")()
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(Backend, added["id"])

    def user(self, **values: Any) -> tuple[str]:
        """The address of somebody."""
        self.cli("user", "add", EMAIL, "--no-password")
        if values:
            with unit_of_work(self.sessions) as session:
                session.execute(sa.update(User).where(User.email == EMAIL).values(**values))
        return (EMAIL,)

    def server(self, **values: Any) -> Server:
        """Somebody's server."""
        server: Server = self.make("make_server")(**values)
        return server

    def movable(self) -> Server:
        """A server on a node of the simulated cluster."""
        flavor = self.make("make_flavor")(disk_template="ext_vlmc", ram_mb=512)
        return self.server(backend=self.alpha(), node=FIRST, flavor=flavor)

    def operation(self, **values: Any) -> int:
        """A shutdown of a server, as far as it has come."""
        server = self.server()
        with unit_of_work(self.sessions) as session:
            row = servers.shutdown(session, identity.system("cli"), server.id)
            for name, value in values.items():
                setattr(row, name, value)
        return row.id

    def with_node(self, *, role: str) -> str:
        """A cluster that nothing answers for, with a node of this role; its name."""
        backend = self.backend()
        with unit_of_work(self.sessions) as session:
            session.add(node_of(backend, SECOND, role))
        return backend.name

    def instance(self, name: str) -> None:
        """An instance on the simulated cluster that nobody here has heard of."""
        body = create_body(
            *(),
            name=name,
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="file",
            os="noop+default",
            osparams={},
            nics=[],
        )
        url = self.simulator.url("alpha")
        with RapiClient(url, "cloudweb", "cloudweb", verify=False) as client:
            client.create_instance(body, "by hand")
            wait_for(lambda: [i for i in client.instances_bulk() if i.oper_state])

    def letter(self, body: bytes) -> int:
        """A message that nobody could apply."""
        with unit_of_work(self.sessions) as session:
            letter = Letter("0" * 36, "snf-events-op", "key", body, "It is no JSON.")
            dead_letters.keep(session, [letter])
            return dead_letters.list_recent(session)[0].id

    def file(self, text: str) -> Path:
        """A file with this text."""
        path = self.folder / "file.md"
        path.write_text(text)
        return path

    def pool(self) -> int:
        """A pool of ten bridges."""
        made = self.json("pool", "create", "bridge", "--base", "prv", "--size", 10)
        return int(made["id"])

    def network(self) -> int:
        """A public network, nowhere yet."""
        made = self.json("network", "create", "net", *_NETWORK)
        return int(made["id"])

    def image(self) -> str:
        """An image."""
        return str(self.json("image", "add", "Debian", "debian")["id"])

    def flavor(self) -> int:
        """A flavor."""
        return int(self.json("flavor", "create", *_FLAVOR)["id"])

    def draft(self) -> int:
        """A draft of the terms."""
        return int(self.json("term", "add", self.file("Be kind."), "--summary", "All")["id"])

    def published(self, *options: object) -> int:
        """Terms that were published."""
        draft = self.draft()
        self.run("term publish", draft, "--reason", "x", *options)
        return draft

    def region(self) -> str:
        """A region of the federation."""
        self.stdin = "adminpw\n"
        self.json_with_password("region", "add", "Spain2", *self.keystone())
        return "Spain2"

    def json_with_password(self, *command: object) -> Any:
        """The same with a password on standard input."""
        return self.cli.json(*command, stdin=self.stdin)

    def keystone(self) -> Arguments:
        """How the region is reached."""
        where = ("--keystone-url", self.make("cloud").keystone_url)
        return (*where, "--username", "admin", "--tenant", "admin", "--password-stdin")

    def promoted(self) -> str:
        """A promoted flavor that is nowhere."""
        self.run("promoted create", "nano", *_NANO, "--id", "nano")
        return "nano"

    def with_stdin(self, text: str, *arguments: object) -> Arguments:
        """These arguments, for a command that reads this."""
        self.stdin = text
        return arguments


def node_of(backend: Backend, name: str, role: str) -> Node:
    """A node with some room."""
    return Node(
        backend_id=backend.id,
        name=name,
        role=role,
        node_group="default",
        drained=role == "D",
        offline=role == "O",
        vm_capable=True,
        memory_total_mb=8192,
        memory_free_mb=4096,
        disk_total_mb=100_000,
        disk_free_mb=100_000,
        cpus=8,
        primaries=0,
        secondaries=0,
    )


_VARIABLES = {"CLOUDWEB_RAPI_PASSWORD": "cloudweb"}
_FLAVOR = ("--cpu", 1, "--ram", 1024, "--disk", 5, "--disk-template", "plain")
_NETWORK = ("--public", "--subnet", "198.51.100.0/28", "--link", "br0")
_NANO = ("--vcpus", 1, "--ram", 64, "--disk", 1)


@dataclasses.dataclass(frozen=True)
class Row:
    """What a command needs and writes."""

    arguments: Callable[[Site], Arguments]
    wrote: Wrote


def _row(arguments: Callable[[Site], Arguments], *actions: str, **said: Any) -> Row:
    return Row(arguments, wrote(*actions, **said))


def _alpha_address(site: Site) -> Arguments:
    return (site.simulator.url("alpha"), "--username", "cloudweb", "--no-verify-tls")


def _adopted(site: Site) -> Arguments:
    backend, (owner,) = site.alpha(), site.user()
    site.instance("web1.example.org")
    return (backend.name, "--owner", owner)


def _imported(site: Site) -> Arguments:
    backend, *owner = _adopted(site)
    return ("web1.example.org", "--backend", backend, *owner)


def _stale(site: Site) -> Arguments:
    backend = site.alpha()
    site.server(backend=backend)
    return ("--backend", backend.name, "--fix-stale")


def _missing(site: Site) -> Arguments:
    backend, network = site.alpha(), site.network()
    with unit_of_work(site.sessions) as session:
        session.add(
            BackendNetwork(
                network_id=network,
                backend_id=backend.id,
                name=f"snf-net-{network}",
                state=NetworkState.ACTIVE,
                updated=utc_now() - dt.timedelta(hours=1),
            )
        )
    return ("--backend", backend.name, "--fix-missing")


def _leaked(site: Site) -> Arguments:
    from cloudweb.domain import pools
    from cloudweb.models import PoolKind

    site.pool()
    with unit_of_work(site.sessions) as session:
        pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=7)
    return ("--fix-leaked",)


def _server_order(site: Site) -> Arguments:
    site.backend()
    site.make("public_network")
    (owner,) = site.user()
    return ("--user", owner, "--name", "web", "--flavor", site.flavor(), "--image", site.image())


def _pinned(site: Site) -> Arguments:
    (owner,), backend = site.user(), site.backend()
    site.run("backend pin", backend.id, "--user", owner)
    return ("--user", owner)


def _token(site: Site) -> Arguments:
    (owner,) = site.user()
    site.run("token add", "--user", owner, "--name", "ci")
    return ("--user", owner, "--name", "ci")


def _paused(site: Site) -> Arguments:
    with unit_of_work(site.sessions) as session:
        consumers.pause(session, identity.system("test"), reason="the rows are about it")
    return ()


def _job(status: str) -> Callable[[Site], Arguments]:
    def go(site: Site) -> Arguments:
        backend = site.backend()
        opcode = "OP_CLUSTER_REDIST_CONF"
        with unit_of_work(site.sessions) as session:
            job = ClusterJob(
                backend_id=backend.id,
                job_id=85,
                status=status,
                opcode=opcode,
                received=utc_now(),
                detail=f'{{"ops": [{{"OP_ID": "{opcode}"}}]}}',
            )
            session.add(job)
        return (85, "--backend", backend.name)

    return go


def _with_limit(site: Site) -> Arguments:
    (owner,) = site.user()
    site.run("quota set", owner, "cpu", 8)
    return (owner, "cpu")


def _second_terms(site: Site) -> Arguments:
    """Terms in force, after others."""
    site.published()
    made = site.json("term", "add", site.file("Be kinder."), "--publish", "x")
    return (made["id"],)


def _with_factor(site: Site) -> Arguments:
    return site.user(totp_sealed="x")


def _failed(site: Site) -> Arguments:
    return (site.operation(state=OperationState.ERROR, finished=utc_now(), error="No."),)


def _owner(site: Site) -> Arguments:
    (owner,) = site.user()
    return (site.image(), owner)


def _limits(site: Site) -> Arguments:
    (owner,) = site.user()
    return (site.file(f"{owner} cpu 8\n"),)


ROWS: dict[str, Row] = {
    "backend add": _row(_alpha_address, "backend:add", details="name public url"),
    "backend adopt": _row(_adopted, "server:import", details="instance owner"),
    "backend drain": _row(lambda s: (s.backend().id,), "backend:drain", details=MOVED),
    "backend modify": _row(
        lambda s: (s.backend().id, "--username", "other"), "backend:modify", details=MOVED
    ),
    "backend offline": _row(lambda s: (s.backend().id,), "backend:offline", details=MOVED),
    "backend online": _row(
        lambda s: (s.backend(offline=True).id,), "backend:online", details=MOVED
    ),
    "backend pin": _row(lambda s: (s.backend().id, "--user", *s.user()), "user:pin", details=MOVED),
    "backend publish": _row(
        lambda s: (s.backend(public=False).id,), "backend:publish", details=MOVED
    ),
    "backend refresh": _row(
        lambda s: (s.backend().id, "--later"), "backend:refresh", details="name"
    ),
    "backend restrict": _row(lambda s: (s.backend().id,), "backend:restrict", details=MOVED),
    "backend remove": _row(
        lambda s: (s.backend(drained=True).id,), "backend:remove", details="name"
    ),
    "backend undrain": _row(
        lambda s: (s.backend(drained=True).id,), "backend:undrain", details=MOVED
    ),
    "backend unpin": _row(_pinned, "user:unpin", details=MOVED),
    "flavor create": _row(lambda s: _FLAVOR, "flavor:create", details="name"),
    "flavor modify": _row(lambda s: (s.flavor(), "--set-deleted"), "flavor:delete", details="name"),
    "image add": _row(lambda s: ("Debian", "debian"), "image:register", details="name"),
    "image register": _row(lambda s: ("Debian", "debian"), "image:register", details="name"),
    "image remove": _row(lambda s: (s.image(),), "image:delete", details="name"),
    "image share": _row(_owner, "image:share", details="added removed"),
    "image update": _row(lambda s: (s.image(), "--name", "D"), "image:update", details=MOVED),
    "job cancel": _row(_job("queued"), "job:cancel", details="backend job opcode"),
    "job retry": _row(_job("error"), "job:retry", details="backend job opcode", operation=True),
    "network create": _row(lambda s: ("net", *_NETWORK), "network:create", details="name"),
    "network modify": _row(
        lambda s: (s.network(), "--name", "other"), "network:rename", details=MOVED
    ),
    "network remove": _row(
        lambda s: (s.json("network", "modify", s.network(), "--drain")["id"],),
        "network:delete",
        details="name",
    ),
    "node demote": _row(
        lambda s: (SECOND, "--backend", s.with_node(role="C")),
        "node:demote",
        operation=True,
        details=MOVED,
    ),
    "node drain": _row(
        lambda s: (SECOND, "--backend", s.with_node(role="C")),
        "node:drain",
        operation=True,
        details=MOVED,
    ),
    "node offline": _row(
        lambda s: (SECOND, "--backend", s.with_node(role="C")),
        "node:offline",
        operation=True,
        details=MOVED,
    ),
    "node online": _row(
        lambda s: (SECOND, "--backend", s.with_node(role="O")),
        "node:online",
        operation=True,
        details=MOVED,
    ),
    "node promote": _row(
        lambda s: (SECOND, "--backend", s.with_node(role="R")),
        "node:promote",
        operation=True,
        details=MOVED,
    ),
    "node undrain": _row(
        lambda s: (SECOND, "--backend", s.with_node(role="D")),
        "node:undrain",
        operation=True,
        details=MOVED,
    ),
    "node evacuate": _row(
        lambda s: (FIRST, "--backend", _host(s)),
        "node:evacuate",
        "server:migrate",
        details="servers",
    ),
    "node migrate": _row(
        lambda s: (FIRST, "--backend", _host(s)),
        "node:migrate",
        "server:migrate",
        details="servers",
    ),
    "operation cancel": _row(lambda s: (s.operation(),), "operation:cancel", operation=True),
    "operation retry": _row(_failed, "operation:retry", operation=True),
    "pool create": _row(
        lambda s: ("bridge", "--base", "prv", "--size", 5), "pool:create", details="base size"
    ),
    "pool modify": _row(lambda s: (s.pool(), "--size", 30), "pool:resize", details=MOVED),
    "pool remove": _row(lambda s: (s.pool(),), "pool:remove", details="kind base"),
    "promoted create": _row(lambda s: ("nano", *_NANO), "promoted:create", details="name"),
    "promoted delete": _row(lambda s: (s.promoted(),), "promoted:delete", details="name"),
    "promoted install": _row(
        lambda s: (s.promoted(), "--region", s.region()), "promoted:install", details="nodes"
    ),
    "queue drop": _row(
        lambda s: (s.letter(b"{"), "--yes"), "letter:drop", details="before after queue"
    ),
    "queue pause": _row(lambda _s: (), "consumer:pause", details=MOVED),
    "queue resume": _row(_paused, "consumer:resume", details=MOVED),
    "queue retry": _row(
        lambda s: (s.letter(b'{"type": "eventd-heartbeat", "cluster": "nobody"}'),),
        "letter:retry",
        details="before after queue",
    ),
    "quota load": _row(_limits, "quota:set", details=MOVED),
    "quota set": _row(lambda s: (*s.user(), "cpu", 8), "quota:set", details=MOVED),
    "quota unset": _row(_with_limit, "quota:set", details=MOVED),
    "reconcile all": _row(_stale, "reconcile:stale", details=MOVED),
    "reconcile networks": _row(_missing, "reconcile:network-missing", details=MOVED),
    "reconcile pools": _row(_leaked, "reconcile:pool-leaked", details=MOVED),
    "reconcile servers": _row(_stale, "reconcile:stale", details=MOVED),
    "region add": _row(
        lambda s: s.with_stdin("adminpw\n", "Spain2", *s.keystone()),
        "infrastructure:register",
        details="name",
    ),
    "region remove": _row(lambda s: (s.region(),), "infrastructure:unregister", details="name"),
    "secret rotate": _row(lambda s: s.alpha() and (), "secret:rotate", details="sealed"),
    "server create": _row(_server_order, "server:create", operation=True),
    "server failover": _row(lambda s: (s.movable().id,), "server:failover", operation=True),
    "server import": _row(_imported, "server:import", details="instance owner"),
    "server migrate": _row(lambda s: (s.movable().id,), "server:migrate", operation=True),
    "server mail": _row(
        lambda s: (s.server().id, "--subject", "New disks", "--text", "On Friday."),
        "notice:send",
        details="subject mails servers",
    ),
    "server modify": _row(
        lambda s: (s.server().id, "--name", "other"), "server:rename", details=MOVED
    ),
    "server reboot": _row(lambda s: (s.server().id,), "server:reboot", operation=True),
    "server remove": _row(lambda s: (s.server().id, "--yes"), "server:delete", operation=True),
    "server lock": _row(lambda s: (s.server().id,), "server:lock", details=MOVED),
    "server unlock": _row(lambda s: (s.server(locked=True).id,), "server:unlock", details=MOVED),
    "server suspend": _row(lambda s: (s.server().id,), "server:suspend", operation=True),
    "server unsuspend": _row(
        lambda s: (s.server(suspended=True).id,), "server:unsuspend", details=MOVED
    ),
    "server shutdown": _row(lambda s: (s.server().id,), "server:shutdown", operation=True),
    "server start": _row(
        lambda s: (s.server(state=OperState.STOPPED).id,), "server:start", operation=True
    ),
    "term accept": _row(
        lambda s: s.published() and s.user(), "terms:accept", details="number text"
    ),
    "term add": _row(
        lambda s: (s.file("Be kind."), "--summary", "All"), "terms:add", details="text"
    ),
    "term translate": _row(
        lambda s: (s.draft(), "el", s.file("Φέρεστε ευγενικά.")),
        "terms:translate",
        details="language before after",
    ),
    "term publish": _row(lambda s: (s.draft(),), "terms:publish", details="number text"),
    "term withdraw": _row(_second_terms, "terms:add", details="text"),
    "term unschedule": _row(
        lambda s: (s.published("--at", "2027-06-01T00:00"),), "terms:unschedule", details="number"
    ),
    "token add": _row(
        lambda s: ("--user", *s.user(), "--name", "ci"), "token:add", details="user name"
    ),
    "token revoke": _row(_token, "token:revoke", details="user name"),
    "user activate": _row(
        lambda s: s.user(state=UserState.UNVERIFIED), "user:activate", details=MOVED
    ),
    "user activation-send": _row(
        lambda s: s.user(state=UserState.UNVERIFIED), "user:activation-send", details="email"
    ),
    "user add": _row(lambda s: (EMAIL, "--no-password"), "user:create", details="email role"),
    "user deactivate": _row(lambda s: s.user(), "user:deactivate", details=MOVED),
    "user email": _row(lambda s: (*s.user(), "o@example.org"), "user:email-ask", details=MOVED),
    "user invite": _row(
        lambda s: (EMAIL,), "user:sign-up", "user:activation-send", details="email"
    ),
    "user mail": _row(
        lambda s: s.with_stdin("Hello.\n", *s.user(), "--subject", "A word"),
        "user:mail",
        details="subject characters",
    ),
    "user modify": _row(lambda s: (*s.user(), "--name", "Olga"), "user:rename", details=MOVED),
    "user password": _row(
        lambda s: s.with_stdin("correct horse battery\n", *s.user(), "--password-stdin"),
        "user:password",
        details="email",
    ),
    "user reject": _row(lambda s: s.user(state=UserState.PENDING), "user:reject", details=MOVED),
    "user role": _row(lambda s: (*s.user(), "operator"), "user:role", details=MOVED),
    "user sign-out": _row(lambda s: s.user(), "session:end-all", details="sessions tokens"),
    "user totp-reset": _row(_with_factor, "second-factor:remove", details="sessions"),
    "user verify": _row(
        lambda s: s.user(state=UserState.UNVERIFIED, verified=None), "user:verify", details=MOVED
    ),
}


def _host(site: Site) -> str:
    """The cluster of a server that can be moved."""
    server = site.movable()
    with unit_of_work(site.sessions, write=False) as session:
        return session.get_one(Backend, server.backend_id).name


def _twice(words: str, *arguments: object) -> Callable[[Site], Arguments]:
    """What can be done once, done already."""

    def go(site: Site) -> Arguments:
        site.run(words, *arguments)
        return arguments

    return go


def _always(*arguments: object) -> Callable[[Site], Arguments]:
    return lambda _site: arguments


def _no_file(site: Site) -> Arguments:
    return (site.file("\0"),)


def _no_user(site: Site) -> Arguments:
    return (site.file("nobody@example.org cpu 8\n"),)


def _offline(site: Site) -> Arguments:
    return ("--backend", site.backend(offline=True).name, "--fix-all")


def _unsealed(site: Site) -> Arguments:
    site.backend(password_sealed="nobody's")
    return ()


REFUSED: dict[str, Callable[[Site], Arguments]] = {
    "backend add": _always("http://127.0.0.1:1/", "--username", "x"),
    "backend adopt": _always("nowhere", "--owner", EMAIL),
    "backend drain": _always("nowhere"),
    "backend modify": _always("nowhere", "--username", "other"),
    "backend offline": _always("nowhere"),
    "backend online": _always("nowhere"),
    "backend pin": _always("nowhere", "--user", EMAIL),
    "backend publish": _always("nowhere"),
    "backend refresh": _always("nowhere", "--later"),
    "backend restrict": _always("nowhere"),
    "backend remove": lambda s: (s.server().backend_id,),
    "backend undrain": _always("nowhere"),
    "backend unpin": _always("--user", EMAIL),
    "flavor create": _twice("flavor create", *_FLAVOR),
    "flavor modify": _always(*NOTHING, "--set-deleted"),
    "image add": _always("Debian", "ftp://nowhere"),
    "image register": _always("Debian", "ftp://nowhere"),
    "image remove": _always("nothing"),
    "image share": _always("nothing", *NOBODY),
    "image update": _always("nothing", "--name", "D"),
    "job cancel": lambda s: (999_999, "--backend", s.backend().name),
    "job retry": lambda s: (999_999, "--backend", s.backend().name),
    "network create": _always("net", "--public", "--subnet", "10.0.0.0/33", "--link", "br0"),
    "network modify": _always(*NOTHING, "--name", "other"),
    "network remove": _always(*NOTHING),
    "node demote": _always(SECOND, "--backend", "nowhere"),
    "node drain": _always(SECOND, "--backend", "nowhere"),
    "node offline": _always(SECOND, "--backend", "nowhere"),
    "node online": _always(SECOND, "--backend", "nowhere"),
    "node promote": _always(SECOND, "--backend", "nowhere"),
    "node undrain": _always(SECOND, "--backend", "nowhere"),
    "node evacuate": _always(FIRST, "--backend", "nowhere"),
    "node migrate": _always(FIRST, "--backend", "nowhere"),
    "operation cancel": _always(*NOTHING),
    "operation retry": _always(*NOTHING),
    "pool create": _twice("pool create", "bridge", "--base", "prv", "--size", 5),
    "pool modify": _always(*NOTHING, "--size", 30),
    "pool remove": _always(*NOTHING),
    "promoted create": _twice("promoted create", "nano", *_NANO),
    "promoted delete": _always("nothing"),
    "promoted install": _always("nothing"),
    "queue drop": _always(*NOTHING, "--yes"),
    "queue pause": _paused,
    "queue resume": _always(),
    "queue retry": _always(*NOTHING),
    "quota load": _no_user,
    "quota set": _always(*NOBODY, "cpu", 8),
    "quota unset": _always(*NOBODY, "cpu"),
    "reconcile all": _offline,
    "reconcile networks": _offline,
    "reconcile pools": _offline,
    "reconcile servers": _offline,
    "region add": lambda s: s.with_stdin("adminpw\n", s.region(), *s.keystone()),
    "region remove": _always("nowhere"),
    "secret rotate": _unsealed,
    "server create": _always(
        *("--user", *NOBODY, "--name", "web", "--flavor", 1, "--image", "nothing")
    ),
    "server failover": _always(*NOTHING),
    "server import": _always("web1", "--backend", "nowhere", "--owner", EMAIL),
    "server migrate": _always(*NOTHING),
    "server mail": _always(*NOTHING, "--subject", "x", "--text", "y"),
    "server modify": _always(*NOTHING, "--name", "other"),
    "server reboot": _always(*NOTHING),
    "server lock": _always(*NOTHING),
    "server unlock": _always(*NOTHING),
    "server suspend": _always(*NOTHING),
    "server unsuspend": _always(*NOTHING),
    "server remove": _always(*NOTHING, "--yes"),
    "server shutdown": _always(*NOTHING),
    "server start": _always(*NOTHING),
    "term accept": _always(*NOBODY),
    "term add": _no_file,
    "term publish": _always(*NOTHING),
    "term translate": lambda s: (s.draft(), "xx", s.file("x")),
    "term withdraw": _always(*NOTHING),
    "term unschedule": _always(*NOTHING),
    "token add": _always("--user", *NOBODY, "--name", "ci"),
    "token revoke": _always("--user", *NOBODY, "--name", "ci"),
    "user activate": _always(*NOBODY),
    "user activation-send": _always(*NOBODY),
    "user add": _twice("user add", EMAIL, "--no-password"),
    "user deactivate": _always(*NOBODY),
    "user email": lambda s: (*s.user(), "nothing"),
    "user invite": lambda s: s.user(),
    "user mail": lambda s: s.with_stdin("Hello.\n", *NOBODY, "--subject", "A word"),
    "user modify": _always(*NOBODY, "--name", "Olga"),
    "user password": lambda s: s.with_stdin("correct horse\n", *NOBODY, "--password-stdin"),
    "user reject": _always(*NOBODY),
    "user role": _always(*NOBODY, "operator"),
    "user sign-out": _always(*NOBODY),
    "user totp-reset": _always(*NOBODY),
    "user verify": _always(*NOBODY),
}
