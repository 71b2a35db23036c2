"""The terms of use, from a shell."""

from collections.abc import Callable
from pathlib import Path

import webtest

from tests.functional.cli.conftest import Terminal


def test_terms_are_added_shown_compared_published_and_accepted(
    cli: Terminal, tmp_path: Path, make_user: Callable, app: webtest.TestApp
) -> None:
    person = make_user()
    first, second = tmp_path / "first.md", tmp_path / "second.html"
    first.write_text("# Rules\n\nBe kind.\n")
    second.write_text("<p>Be kinder.</p>\n")
    made = cli.json("term", "add", first, "--summary", "All of it")
    assert (made["version"], made["state"]) == (None, "draft")
    shown = cli.json("term", "show", made["id"])
    assert (shown["would_ask_users"], shown["would_refuse_tokens"]) == (1, 1)
    assert "Be kind." in cli("term", "show", made["id"])
    done = cli.json("term", "publish", made["id"], "--reason", "the lawyers")
    assert (done["version"], done["state"]) == (1, "in force")
    app.get("/api/v1.1/servers", headers=person.headers, status=401)

    sentence = cli("term", "accept", person.user.email, "--reason", "on paper")
    assert sentence == f"{person.user.email} accepts version 1.\n"
    app.get("/api/v1.1/servers", headers=person.headers, status=200)
    assert "already" in cli.refusal("term", "accept", person.user.email, "--reason", "again")
    (row,) = cli.json("term", "acceptances", made["id"])
    assert (row["user"], row["reason"], row["text"]) == (
        person.user.email,
        "on paper",
        shown["text_sha256"],
    )

    later = cli.json(*("term", "add", second, "--publish", "soon", "--at", "2027-01-01T00:00"))
    assert (later["version"], later["state"]) == (2, "scheduled")
    assert [each["state"] for each in cli.json("term", "list")] == ["scheduled", "in force"]
    assert "[-kind-]" in cli("term", "diff", made["id"], later["id"])
    again = cli.json("term", "unschedule", later["id"], "--reason", "not yet")
    assert again["version"] is None


def test_what_is_no_text_or_too_much_makes_no_terms(cli: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "terms.md"
    for content, said in (
        (b"", "There is no text"),
        (b"\xff\xff", "not UTF-8"),
        (b"a" * 50_000_000, "at most 100,000"),
        (b"a" * 100_001, "at most 100,000"),
        (b"a\x1b[0m", "control characters"),
    ):
        file.write_bytes(content)
        assert said in cli.refusal("term", "add", file)
    file.write_text("Fine.")
    assert "in the past" in cli.refusal("term", "add", file, "--publish", "x", "--at", "2020-01-01")
    assert cli.json("term", "list") == []
    assert cli.run("term", "add", file, "--at", "2027-01-01").exit_code == 2
    assert "No terms 9" in cli.refusal("term", "show", 9)
    assert "nothing" not in cli.refusal("term", "accept", "a@example.org", "--reason", "x")


def test_terms_are_written_in_another_language_and_withdrawn(cli: Terminal, tmp_path: Path) -> None:
    english, greek = tmp_path / "en.md", tmp_path / "el.md"
    english.write_text("Be kind.\n")
    greek.write_text("Φέρεστε ευγενικά.\n")
    made = cli.json("term", "add", english, "--summary", "All")["id"]
    assert "in Ελληνικά" in cli("term", "translate", made, "el", greek, "--summary", "Όλα")
    assert "Φέρεστε" in cli("term", "show", made, "--language", "el")
    assert cli.json("term", "show", made)["translations"] == "el"
    for language in ("en", "de", "x"):
        assert "settings are: el" in cli.refusal("term", "translate", made, language, greek)
    cli("term", "publish", made, "--reason", "x")
    assert "can no longer change" in cli.refusal("term", "translate", made, "el", greek)
    assert "No version before" in cli.refusal("term", "withdraw", made)

    english.write_text("Be rude.\n")
    worse = cli.json("term", "add", english, "--publish", "a mistake")["id"]
    assert "Only what is in force" in cli.refusal("term", "withdraw", made)
    draft = cli.json("term", "withdraw", worse)
    assert draft["summary"] == "Version 2 is withdrawn: version 1 holds again"
    assert "Be kind." in cli("term", "show", draft["id"])
    assert "Φέρεστε" in cli("term", "show", draft["id"], "--language", "el")
    assert "not written in de" in cli.refusal("term", "show", draft["id"], "--language", "de")
