"""``cloudweb flavor|image|server|operation``, and how rows are printed."""

from collections.abc import Callable

from cloudweb.cli import printing
from cloudweb.domain import identity, operations
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    Operation,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.functional.cli.conftest import Terminal

MakeServer = Callable[..., Server]
FLAVOR = ("flavor", "create", "--ram", 2048, "--disk", 20, "--disk-template", "drbd")


def enqueue(sessions: SessionFactory, server: Server, opcode: str) -> Operation:
    with unit_of_work(sessions) as session:
        return operations.enqueue(session, identity.system("cli"), server, opcode)


def test_a_flavor_is_made_once_and_listed(cli: Terminal) -> None:
    assert cli(*FLAVOR, "--cpu", 2).startswith("Flavor C2R2048D20drbd has id ")

    rows = cli.json("flavor", "list")
    assert [(row["name"], row["ram_mb"]) for row in rows] == [("C2R2048D20drbd", 2048)]
    assert "exists" in cli.refusal(*FLAVOR, "--cpu", 2)


def test_an_impossible_flavor_is_refused(cli: Terminal) -> None:
    assert "at least 1 CPU" in cli.refusal(*FLAVOR, "--cpu", 0)


def test_an_image_is_registered_with_properties(cli: Terminal) -> None:
    made = cli.json("image", "add", "Debian 12", "debian-12", "--property", "os=debian")

    rows = cli.json("image", "list")

    assert [row["id"] for row in rows] == [made["id"]]
    assert rows[0]["properties"] == {"os": "debian"}
    assert cli.run("image", "add", "x", "y", "--property", "os").exit_code == 2


def test_servers_are_found_by_filter(cli: Terminal, make_server: MakeServer) -> None:
    web, db = make_server(name="web-1"), make_server(name="db-1", state=OperState.STOPPED)
    gone = make_server(name="old", deleted=True, state=OperState.DESTROYED)

    def ids(*options: object) -> list[int]:
        return [row["id"] for row in cli.json("server", "list", *options)]

    assert ids() == [web.id, db.id]
    assert ids("--text", "WEB") == [web.id]
    assert ids("--state", "STOPPED") == [db.id]
    assert ids("--backend", web.backend_id) == [web.id]
    assert ids("--owner", cli.json("server", "list")[1]["owner"]) == [db.id]
    assert ids("--deleted") == [gone.id]
    assert ids("--after", web.id) == [db.id]
    assert ids("--limit", 1) == [web.id]


def test_a_server_is_shown_with_its_operations(
    cli: Terminal, sessions: SessionFactory, make_server: MakeServer
) -> None:
    server = make_server(metadata={"role": "web"})
    enqueue(sessions, server, "OP_INSTANCE_SHUTDOWN")

    shown = cli.json("server", "show", server.id)

    assert shown["status"] == "ACTIVE"
    assert shown["metadata"] == {"role": "web"}
    assert shown["open_operation"] == "OP_INSTANCE_SHUTDOWN"
    assert [each["state"] for each in shown["operations"]] == ["pending"]
    text = cli("server", "show", server.id)
    assert "metadata        role=web" in text
    assert "OP_INSTANCE_SHUTDOWN" in text


def test_operations_are_listed_newest_first_and_filtered(
    cli: Terminal, sessions: SessionFactory, make_server: MakeServer
) -> None:
    web, db = make_server(), make_server()
    first = enqueue(sessions, web, "OP_INSTANCE_SHUTDOWN")
    second = enqueue(sessions, db, "OP_INSTANCE_STARTUP")

    def ids(*options: object) -> list[int]:
        return [row["id"] for row in cli.json("operation", "list", *options)]

    assert ids() == [second.id, first.id]
    assert ids("--server", web.id) == [first.id]
    assert ids("--backend", db.backend_id) == [second.id]
    assert ids("--state", "error") == []
    assert ids("--before", second.id) == [first.id]


def test_a_name_cannot_move_the_cursor_or_add_lines(cli: Terminal, make_server: MakeServer) -> None:
    name = "a\x1b[2Jb\nc\u202ed"
    make_server(name=name)

    lines = cli("server", "list").splitlines()

    assert len(lines) == 2
    assert r"a\x1b[2Jb\x0ac\u202ed" in lines[1]
    assert cli.json("server", "list")[0]["name"] == name


def test_columns_are_aligned_whatever_the_letters(cli: Terminal, make_server: MakeServer) -> None:
    make_server(name="猫猫")
    make_server(name="e\u0301te")

    lines = cli("server", "list").splitlines()

    # The CJK name takes 4 columns and is 2 letters long, the accent takes none.
    place = lines[0].index("STATUS")
    assert lines[1][place - 2 :].startswith("ACTIVE")
    assert lines[2][place + 1 :].startswith("ACTIVE")


def test_escaping_leaves_letters_alone() -> None:
    assert printing.escape("Ünïcode 猫 \\x41") == "Ünïcode 猫 \\x41"


def test_an_operation_on_a_network_is_listed_without_a_server(
    cli: Terminal,
    sessions: SessionFactory,
    make_backend: Callable[..., Backend],
    public_network: Network,
) -> None:
    backend = make_backend()
    with unit_of_work(sessions) as session:
        made = BackendNetwork(network_id=public_network.id, backend_id=backend.id, name="snf-net-1")
        session.add(made)
        operations.enqueue_network(session, identity.system("cli"), made, "OP_NETWORK_ADD")
    [row] = cli.json("operation", "list")
    assert (row["server"], row["backend"], row["opcode"]) == (None, backend.name, "OP_NETWORK_ADD")
    assert row["target"] == "snf-net-1"
