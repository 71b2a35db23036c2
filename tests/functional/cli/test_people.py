"""``cloudweb user`` and ``cloudweb token``."""

from cloudweb.domain import accounts, identity, registration
from cloudweb.domain.identity import Identity
from cloudweb.models import Role, SessionFactory, unit_of_work
from cloudweb.sealing import Sealer
from tests.conftest import SECRET_KEY
from tests.functional.account_mails import links, mails
from tests.functional.cli.conftest import Terminal


def who(sessions: SessionFactory, token: str) -> Identity | None:
    with unit_of_work(sessions, write=False) as session:
        return accounts.by_token(session, token, address="", request_id="")


def signs_in(sessions: SessionFactory, email: str, password: str) -> bool:
    with unit_of_work(sessions) as session:
        user, password_hash = accounts.find_credentials(session, email)
    return accounts.matches(password_hash, password) and user is not None


def test_a_made_up_password_is_shown_once_and_signs_in(
    cli: Terminal, sessions: SessionFactory
) -> None:
    made = cli.json("user", "add", "Olga@example.org", "--role", "operator", "--name", "Olga")

    assert made["email"] == "olga@example.org"
    assert signs_in(sessions, "olga@example.org", made["password"])
    assert made["password"] not in cli("user", "list")


def test_a_password_comes_from_standard_input(cli: Terminal, sessions: SessionFactory) -> None:
    made = cli.json(
        *("user", "add", "olga@example.org", "--role", "admin", "--password-stdin"),
        stdin="correct horse battery\n",
    )

    assert "password" not in made
    assert signs_in(sessions, "olga@example.org", "correct horse battery")


def test_a_short_password_makes_no_user(cli: Terminal) -> None:
    command = ("user", "add", "olga@example.org", "--password-stdin")

    assert "at least 10" in cli.refusal(*command, stdin="short\n")
    assert cli.json("user", "list") == []


def test_an_empty_password_is_not_taken_for_none(cli: Terminal) -> None:
    cli.refusal("user", "add", "olga@example.org", "--password-stdin", stdin="")

    assert cli.json("user", "list") == []


def test_a_user_is_added_once(cli: Terminal) -> None:
    cli("user", "add", "uma@example.org", "--no-password")

    assert cli.refusal("user", "add", "UMA@example.org") == "User uma@example.org exists."


def test_users_are_listed_by_address(cli: Terminal) -> None:
    cli("user", "add", "zoe@example.org", "--no-password")
    cli("user", "add", "ada@example.org", "--role", "viewer", "--no-password")

    rows = cli.json("user", "list")

    assert [row["email"] for row in rows] == ["ada@example.org", "zoe@example.org"]
    assert rows[0]["role"] == Role.VIEWER
    assert set(rows[0]) == {"id", "email", "name", "role", "state", "created"}


def test_a_token_opens_the_door_until_it_is_revoked(
    cli: Terminal, sessions: SessionFactory
) -> None:
    cli("user", "add", "uma@example.org", "--no-password")
    made = cli.json("token", "add", "--user", "uma@example.org", "--name", "laptop")
    known = who(sessions, made["token"])
    assert known is not None
    assert known.email == "uma@example.org"

    assert "Revoked 1 token" in cli(
        "token", "revoke", "--user", "uma@example.org", "--name", "laptop"
    )

    assert who(sessions, made["token"]) is None
    rows = cli.json("token", "list", "--user", "uma@example.org")
    assert [(row["name"], row["state"]) for row in rows] == [("laptop", "revoked")]
    assert made["token"] not in str(rows)


def test_a_token_can_expire(cli: Terminal) -> None:
    cli("user", "add", "uma@example.org", "--no-password")

    made = cli.json(
        "token", "add", "--user", "uma@example.org", "--name", "ci", "--expires-days", 30
    )

    assert made["expires"].endswith("Z")
    rows = cli.json("token", "list", "--user", "uma@example.org")
    assert rows[0]["expires"] == made["expires"]
    assert rows[0]["state"] == "valid"


def test_a_token_of_nobody_and_a_token_that_is_none_are_refused(cli: Terminal) -> None:
    nobody = ("--user", "nobody@example.org", "--name", "x")
    assert cli.refusal("token", "add", *nobody) == "No user nobody@example.org."

    cli("user", "add", "uma@example.org", "--no-password")
    mine = ("--user", "uma@example.org", "--name", "x")
    assert "no token x" in cli.refusal("token", "revoke", *mine)


def test_an_account_is_shut_and_opened_again(cli: Terminal, sessions: SessionFactory) -> None:
    made = cli.json("user", "add", "olga@example.org", "--role", "operator")
    token = cli.json("token", "add", "--user", "olga@example.org", "--name", "t")["token"]

    assert "reason" in cli.run("user", "deactivate", "olga@example.org").output
    cli("user", "deactivate", "olga@example.org", "--reason", "left")
    assert who(sessions, token) is None
    assert not signs_in(sessions, "olga@example.org", made["password"])
    assert "not active" in cli.refusal("user", "deactivate", "olga@example.org", "--reason", "x")

    assert cli.json("user", "activate", "olga@example.org")["state"] == "active"
    assert who(sessions, token) is not None
    assert "is active" in cli.refusal("user", "activation-send", "olga@example.org")


def test_the_last_admin_stays_one(cli: Terminal) -> None:
    cli("user", "add", "ada@example.org", "--role", "admin")
    only = "ada@example.org is the only active admin."

    assert cli.refusal("user", "role", "ada@example.org", "viewer") == only
    assert cli.refusal("user", "deactivate", "ada@example.org", "--reason", "x") == only
    cli("user", "add", "bob@example.org", "--role", "admin")
    assert cli.json("user", "role", "ada@example.org", "viewer")["role"] == "viewer"


def test_a_password_is_set_and_the_old_one_is_none(cli: Terminal, sessions: SessionFactory) -> None:
    old = cli.json("user", "add", "olga@example.org", "--role", "operator")["password"]

    new = cli.json("user", "password", "olga@example.org")["password"]

    assert signs_in(sessions, "olga@example.org", new)
    assert not signs_in(sessions, "olga@example.org", old)


def test_who_is_rejected_can_be_sent_a_link_later(cli: Terminal, sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        rules = registration.Rules(Sealer(SECRET_KEY), "http://localhost")
        stranger = identity.stranger("dashboard", "", "")
        registration.sign_up(session, stranger, rules, email="nora@example.org", name="")

    cli("user", "reject", "nora@example.org", "--reason", "who is that?")
    assert cli.json("user", "show", "nora@example.org")["state"] == "rejected"
    assert "on its way" in cli("user", "activation-send", "nora@example.org")
    assert "does not wait" in cli.refusal("user", "reject", "nora@example.org", "--reason", "x")


def test_another_address_is_theirs_once_the_mailed_link_is_followed(
    cli: Terminal, sessions: SessionFactory
) -> None:
    for name in ("olga", "uma"):
        cli("user", "add", f"{name}@example.org", "--no-password")
    why = ("--reason", "married")

    assert "on its way" in cli("user", "email", "olga@example.org", "olga.b@example.org", *why)
    assert {row["email"] for row in cli.json("user", "list")} == {
        "olga@example.org",
        "uma@example.org",
    }
    sealer = Sealer(SECRET_KEY)
    assert len(links(sessions, sealer, "olga.b@example.org")) == 1
    for wrong in ("uma@example.org", "olga@example.org", "x\nBcc: y@example.org", "no address"):
        cli.refusal("user", "email", "olga@example.org", wrong, *why)
    assert [to for to, *_ in mails(sessions, sealer)] == ["olga.b@example.org"]


def test_an_address_is_vouched_for_once(cli: Terminal) -> None:
    cli("user", "invite", "olga@example.org")

    assert cli.json("user", "show", "olga@example.org")["verified"] is None
    cli("user", "verify", "olga@example.org", "--reason", "we know her")
    shown = cli.json("user", "show", "olga@example.org")
    assert shown["verified"] is not None
    assert "already" in cli.refusal("user", "verify", "olga@example.org", "--reason", "again")


def test_sessions_end_everywhere_and_tokens_if_asked(
    cli: Terminal, sessions: SessionFactory
) -> None:
    cli("user", "add", "olga@example.org", "--no-password")
    token = cli.json("token", "add", "--user", "olga@example.org", "--name", "ci")["token"]
    with unit_of_work(sessions) as session:
        owner = accounts.get(session, "olga@example.org")
        me = Identity(owner.id, owner.email, owner.role, "dashboard")
        for _ in range(2):
            accounts.open_session(session, me, absolute_s=60, agent="")
    why = ("--reason", "a stolen laptop")

    assert "Ended 2 sessions" in cli("user", "sign-out", "olga@example.org", *why)
    assert who(sessions, token) is not None
    assert "Ended 0 sessions" in cli("user", "sign-out", "olga@example.org", "--tokens", *why)
    assert who(sessions, token) is None


def test_one_session_is_shown_and_ended(cli: Terminal, sessions: SessionFactory) -> None:
    for email in ("olga@example.org", "otto@example.org"):
        cli("user", "add", email, "--role", "viewer", "--no-password")
        with unit_of_work(sessions) as session:
            person = accounts.get(session, email)
            me = Identity(person.id, person.email, person.role, "dashboard", address="192.0.2.7")
            for agent in ("Firefox", "Opera\x1b[2J"):
                accounts.open_session(session, me, absolute_s=60, agent=agent)
    why = ("--reason", "a stolen laptop")
    shown = cli.json("user", "sessions", "olga@example.org")
    assert {row["agent"] for row in shown} == {"Firefox", "Opera\x1b[2J"}
    assert {row["address"] for row in shown} == {"192.0.2.7"}
    table = cli("user", "sessions", "olga@example.org")
    assert "Firefox" in table
    assert "\x1b" not in table
    [firefox] = [str(row["id"]) for row in shown if row["agent"] == "Firefox"]
    [theirs, _] = [str(row["id"]) for row in cli.json("user", "sessions", "otto@example.org")]
    sign_out = ("user", "sign-out", "olga@example.org", *why, "--session")
    assert "Ended 1 session of" in cli(*sign_out, firefox)
    assert "no session" in cli.refusal(*sign_out, firefox)
    assert "no session" in cli.refusal(*sign_out, theirs)
    [left] = cli.json("user", "sessions", "olga@example.org")
    assert left["agent"] != "Firefox"
    assert len(cli.json("user", "sessions", "otto@example.org")) == 2
    entries = cli.json("audit", "list", "--filter", "action=session:end")
    assert [entry["reason"] for entry in entries] == ["a stolen laptop"]
