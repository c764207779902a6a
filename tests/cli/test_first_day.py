"""A first day with files: what a check proposes is confirmed in one command, settings change in one, runs are found."""

from pathlib import Path

import pytest

from .conftest import Run

ROWS = "Matricule;Nom;Entrée;Salaire\r\n00001;Lefèvre;13/09/2010;2868,47\r\n00002;Nuñez;27/01/2021;3719,24\r\n"
AGENTS = ("--set", "streams.agents.files=agents.csv", "--set", "streams.agents.primary_key=Matricule")


@pytest.fixture
def staff(run: Run, site: Path, tmp_path: Path) -> Path:
    """A site that reads the file of human resources, its settings not yet confirmed; gives the settings' file."""
    depot = tmp_path / "depot"
    depot.mkdir()
    (depot / "agents.csv").write_bytes(ROWS.encode("cp1252"))
    assert run("connection", "add", "rh", "--connector", "files", "--url", f"folder:{depot}", *AGENTS).code == 0
    return site / "sovereign.toml"


def test_what_a_check_proposes_is_confirmed_in_one_command(run: Run, staff: Path) -> None:
    said = run("connection", "check", "rh")
    assert "sovereign connection check rh --confirm" in said.err
    assert "cp1252" not in staff.read_text()
    confirmed = run("connection", "check", "rh", "--confirm", "--json").of("checked")[0]
    assert confirmed["confirmed"] is True
    assert run("sync", "run", "rh").code == 0
    answer = run("query", 'SELECT sum("Salaire") AS s, min("Entrée") AS e FROM rh.agents', "--clearance", "personal", "--json")
    assert answer.of("row")[0]["values"] == {"s": 6587.71, "e": "2010-09-13"}
    again = run("connection", "check", "rh", "--json").of("checked")[0]
    assert (again["proposed"], again["confirmed"]) == ({}, False)


def test_types_confirmed_after_a_first_copy_are_said_to_come_late(run: Run, staff: Path) -> None:
    assert "stay text" not in run("connection", "check", "rh").err
    run("sync", "run", "rh")
    assert "agents has a copy already" in run("connection", "check", "rh").err


def test_lines_before_the_titles_are_found_by_the_key(run: Run, staff: Path, tmp_path: Path) -> None:
    file = tmp_path / "depot" / "agents.csv"
    file.write_bytes(b"Ville de Feurs;;;\r\nAgents;;;\r\n" + ROWS.encode("cp1252"))
    assert run("sync", "run", "rh").code != 0
    assert "skip = 2" in run("connection", "check", "rh", "--confirm").out
    assert run("sync", "run", "rh").code == 0
    assert run("query", "SELECT count(*) AS n FROM rh.agents", "--json").of("row")[0]["values"] == {"n": 2}
    run("connection", "set", "rh", "streams.agents.primary_key=Numéro")
    assert "`Numéro` is none" in run("connection", "check", "rh").out


@pytest.mark.parametrize(("kind", "url"), [("ldap", "ldaps://dc1.ville.example"), ("imap", "imaps://mail.ville.example")])
def test_a_server_that_lets_nobody_in_without_an_account_asks_for_it_when_it_is_added(
    run: Run, site: Path, kind: str, url: str
) -> None:
    said = run("connection", "add", "server", "--connector", kind, "--url", url, "--json")
    assert (said.code, said.errors[0]["field"]) == (2, "connections.server.auth")
    account = ("--set", 'auth={kind="basic",user="sovereign"}', "--set", "secret=server")
    assert run("connection", "add", "server", "--connector", kind, "--url", url, *account).code == 0


def test_settings_change_in_one_command_and_comments_stay(run: Run, staff: Path) -> None:
    before = staff.read_text()
    said = run("connection", "set", "rh", "every=15 minutes", 'streams.agents.classes.internal=["Matricule"]')
    assert (said.code, "Settings written in sovereign.toml: rh" in said.out) == (0, True)
    after = staff.read_text()
    assert [line for line in before.splitlines() if line.startswith("#")] == [
        line for line in after.splitlines() if line.startswith("#")
    ]
    assert run("connection", "list", "--json").of("connection")[0]["when"] == "every 15 minutes"
    fields = run("audit", "show", "--act", "connection.changed", "--json").of("entry")
    assert [each["subject"] for each in fields] == [{"connection": "rh"}]
    for wrong in ("streams.agents.dates=jj/mm/aaaa", "streams.agents.colour=red", "every=sometimes"):
        assert run("connection", "set", "rh", wrong).code == 2
        assert staff.read_text() == after
    assert run("connection", "set", "nobody", "every=1 day").code == 2


def test_the_latest_run_is_shown_by_default_and_says_why_nothing_proves_it_whole(run: Run, staff: Path) -> None:
    assert "No run yet" in run("sync", "show").out
    run("sync", "run", "rh")
    shown = [run("sync", "show"), run("sync", "show", "rh")]
    assert shown[0].out == shown[1].out
    assert "unverified: the source does not say how many rows it has" in shown[0].out
    assert run("sync", "show", "nothing").code == 2


def test_a_star_that_shows_a_pseudonym_alone_says_at_which_clearance_more_is_open(run: Run, staff: Path) -> None:
    run("sync", "run", "rh")
    assert "--clearance personal" in run("query", "SELECT * FROM rh.agents").err
    assert "_key" not in run("query", "SELECT count(*) AS n FROM rh.agents").err


def test_a_french_screen_takes_the_dates_that_it_shows(run: Run, staff: Path) -> None:
    run("sync", "run", "rh")
    question = "SELECT count(*) AS n FROM rh.agents"
    assert run("query", question, "--as-of", "31/12/2099", "--lang", "fr").code == 0
    assert run("query", question, "--as-of", "31/12/2099 18:30", "--lang", "fr").code == 0
    assert run("query", question, "--as-of", "31/12/2099", "--lang", "en").code == 2


def test_a_run_told_to_a_file_is_not_told_in_json_unless_asked(run: Run, staff: Path) -> None:
    assert "{" not in run("sync", "run", "rh").err
    assert '"type":"run.started"' in run("sync", "run", "rh", "--json").err
