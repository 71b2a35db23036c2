"""``cloudweb backend``: clusters that are asked, over HTTPS, and told apart."""

from collections.abc import Callable
from typing import Any

from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.models import AuditEntry, Backend, Mail, Server, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal

Add = Callable[..., Any]


def test_a_cluster_is_asked_before_it_is_added_and_starts_drained(
    cli: Terminal, sessions: SessionFactory, add_alpha: Add
) -> None:
    made = add_alpha()

    assert made["name"] == "alpha.ganeti.test"
    assert made["state"] == "drained"
    assert (made["nodes_up"], made["nodes_total"], made["cpu_total"]) == (2, 2, 16)
    assert made["memory_total_mb"] == 2 * 32 * 1024
    assert made["disk_total_mb"] == 2 * 100 * 1024
    assert "password" not in " ".join(made)
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Backend, made["id"]).password_sealed != "cloudweb"


def test_a_password_comes_from_standard_input(
    cli: Terminal, simulator: Simulator, add_alpha: Add
) -> None:
    command = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb")

    made = cli.json(*command, "--no-verify-tls", "--password-stdin", stdin="cloudweb\n")

    assert made["verify_tls"] is False


def test_without_a_terminal_a_password_is_not_asked_for(cli: Terminal) -> None:
    result = cli.run("backend", "add", "http://127.0.0.1:1/x", "--username", "cloudweb")

    assert result.exit_code == 2
    assert "--password-stdin" in result.stderr


def test_unverified_tls_is_warned_of(cli: Terminal, simulator: Simulator) -> None:
    result = cli.run(
        *("backend", "add", simulator.url("alpha"), "--username", "cloudweb", "--no-verify-tls"),
        CLOUDWEB_RAPI_PASSWORD="cloudweb",
    )

    assert result.exit_code == 0
    assert result.stderr.startswith("warning: The certificate of https://127.0.0.1")


def test_a_cluster_that_cannot_prove_itself_is_not_added(
    cli: Terminal, simulator: Simulator
) -> None:
    command = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb")

    sentence = cli.refusal(*command, CLOUDWEB_RAPI_PASSWORD="cloudweb")

    assert sentence.startswith("The cluster did not prove who it is")
    assert cli.json("backend", "list") == []


def test_a_wrong_password_is_told_and_not_shown(cli: Terminal, simulator: Simulator) -> None:
    command = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb")

    sentence = cli.refusal(*command, "--no-verify-tls", CLOUDWEB_RAPI_PASSWORD="geheim")

    assert sentence.startswith("The cluster refuses this user or password")
    assert "geheim" not in sentence


def test_an_address_that_does_not_answer_is_one_line(cli: Terminal) -> None:
    command = ("backend", "add", "http://127.0.0.1:1/alpha", "--username", "cloudweb")

    assert cli.refusal(*command, CLOUDWEB_RAPI_PASSWORD="x").startswith(
        "The cluster does not answer"
    )


def test_plain_http_to_another_machine_is_refused(cli: Terminal) -> None:
    command = ("backend", "add", "http://ganeti.example.org:5080", "--username", "cloudweb")

    cli.refusal(*command, CLOUDWEB_RAPI_PASSWORD="x")


def test_another_cluster_than_expected_is_not_added(cli: Terminal, simulator: Simulator) -> None:
    command = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb")

    sentence = cli.refusal(
        *(*command, "--no-verify-tls", "--name", "beta"), CLOUDWEB_RAPI_PASSWORD="cloudweb"
    )

    assert sentence == "The cluster that answers is alpha.ganeti.test, not beta."


def test_drain_and_undrain_by_id_or_name_keep_the_reason(
    cli: Terminal, sessions: SessionFactory, add_alpha: Add
) -> None:
    made = add_alpha()
    assert cli("backend", "undrain", made["id"]) == "alpha.ganeti.test takes new servers.\n"

    shown = cli.json("backend", "drain", "alpha.ganeti.test", "--reason", "New kernel")

    assert (shown["state"], shown["state_reason"], shown["changed"]) == (
        "drained",
        "New kernel",
        True,
    )
    with unit_of_work(sessions, write=False) as session:
        actions = [(entry.action, entry.reason, entry.door) for entry in session.query(AuditEntry)]
    assert ("backend:drain", "New kernel", "cli") in actions
    assert "already" in cli("backend", "drain", made["id"], "--reason", "Again")


def test_a_cluster_is_made_public_or_not_and_listed_so(
    cli: Terminal, make_backend: Callable[..., Backend]
) -> None:
    backend, other = make_backend(name="gnt.example.org"), make_backend()
    said = cli("backend", "restrict", backend.id, "--reason", "For the lab")
    assert said == "gnt.example.org is not public.\n"
    [row] = cli.json("backend", "list", "--filter", "public=no")
    assert (row["name"], row["public"], row["state"]) == ("gnt.example.org", False, "not public")
    head = cli("backend", "list").splitlines()[0]
    assert head.split()[2:4] == ["STATE", "PUBLIC"]
    assert "FREE IPS" in head
    assert cli.json("backend", "list", "--filter", "addresses=0")[0]["free_addresses"] == 0
    assert cli("backend", "publish", backend.id) == "gnt.example.org is public.\n"
    assert "already" in cli("backend", "publish", other.id)
    assert cli.run("backend", "restrict", backend.id).exit_code == 2


def test_a_cluster_may_be_added_not_public(
    cli: Terminal, simulator: Simulator, sessions: SessionFactory
) -> None:
    cli(
        *("backend", "add", simulator.url("alpha"), "--username", "cloudweb"),
        *("--no-verify-tls", "--no-public"),
        CLOUDWEB_RAPI_PASSWORD="cloudweb",
    )
    [row] = cli.json("backend", "list", "--filter", "public=no")
    assert row["name"] == "alpha.ganeti.test"


def test_a_drain_needs_a_reason_and_a_backend(cli: Terminal, add_alpha: Add) -> None:
    made = add_alpha()
    assert cli.run("backend", "drain", made["id"]).exit_code == 2
    assert "reason" in cli.refusal("backend", "drain", made["id"], "--reason", " ")
    assert cli.refusal("backend", "drain", "beta", "--reason", "x") == "No backend beta."


def test_a_drain_may_have_a_date_and_tells_owners_if_that_is_wanted(
    cli: Terminal, sessions: SessionFactory, make_server: Callable[..., Server]
) -> None:
    backend = make_server().backend_id
    why = ("--reason", "New kernel")
    assert "time to come" in cli.refusal("backend", "drain", backend, *why, "--until", "2020-01-01")
    cli("backend", "drain", backend, *why, "--until", "2099-01-01T08:00", "--mail")
    assert cli.json("backend", "show", backend)["drained_until"].startswith("2099-01-01T08:00")
    cli("backend", "drain", backend, *why, "--mail")
    with unit_of_work(sessions, write=False) as session:
        [mail] = session.query(Mail)
    assert mail.subject == "Your servers are where something will be worked on"
    cli("backend", "offline", backend, *why, "--mail")
    with unit_of_work(sessions, write=False) as session:
        assert session.query(Mail).count() == 2


def test_refresh_keeps_what_the_cluster_says_now(
    cli: Terminal, simulator: Simulator, add_alpha: Add
) -> None:
    add_alpha()
    simulator.clusters["alpha"].set_node("n2.alpha.ganeti.test", offline=True, drained=None)

    rows = cli.json("backend", "refresh")

    assert (rows[0]["nodes_up"], rows[0]["nodes_total"], rows[0]["cpu_total"]) == (1, 2, 8)
    assert rows[0]["memory_total_mb"] == 32 * 1024


def test_refresh_marks_a_cluster_that_does_not_answer(
    cli: Terminal, add_alpha: Add, make_backend: Callable[..., Backend]
) -> None:
    add_alpha()
    lost = make_backend(name="lost.example.org")

    result = cli.run("backend", "refresh", "--json")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: lost.example.org: The cluster does not answer")
    states = {row["name"]: row["state"] for row in cli.json("backend", "list")}
    assert states == {"alpha.ganeti.test": "drained", lost.name: "unreachable"}


def test_an_offline_cluster_is_not_contacted(
    cli: Terminal, make_backend: Callable[..., Backend]
) -> None:
    backend = make_backend(offline=True)

    assert cli.json("backend", "refresh") == []
    assert "is offline" in cli.refusal("backend", "refresh", backend.id)


def test_modify_changes_what_is_named_and_seals_the_password(
    cli: Terminal, sessions: SessionFactory, simulator: Simulator, add_alpha: Add
) -> None:
    made = add_alpha()
    with unit_of_work(sessions, write=False) as session:
        before = session.get_one(Backend, made["id"]).password_sealed

    changed = cli.json(
        *("backend", "modify", made["id"], "--events", "agents", "--password-stdin"),
        stdin="another\n",
    )

    assert changed["event_source"] == "agents"
    assert (changed["url"], changed["ca_file"]) == (made["url"], made["ca_file"])
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Backend, made["id"]).password_sealed != before
        entries = [e.details for e in session.query(AuditEntry) if e.action == "backend:modify"]
    assert "another" not in str(entries)
    refused = cli.refusal("backend", "refresh", made["id"])
    assert refused.startswith("alpha.ganeti.test: The cluster refuses this user")


def test_a_fingerprint_takes_the_place_of_a_ca_file(cli: Terminal, add_alpha: Add) -> None:
    made = add_alpha()

    changed = cli.json("backend", "modify", made["id"], "--fingerprint", ":".join(["ab"] * 32))

    assert changed["ca_file"] is None
    assert cli.refusal("backend", "refresh").startswith("alpha.ganeti.test: The cluster did not")


def test_modify_refuses_nothing_and_what_cannot_be(cli: Terminal, add_alpha: Add) -> None:
    made = add_alpha()

    assert cli.run("backend", "modify", made["id"]).exit_code == 2
    cli.refusal("backend", "modify", made["id"], "--fingerprint", "xyz")
    assert cli.json("backend", "list")[0]["fingerprint"] == ""
