"""A site's life, typed: init, connect, pull, ask, verify. Each test reads as a transcript."""

import json
import os
import pwd
import stat
import tomllib
from pathlib import Path

import pytest

from saas_connectors.sandbox import Sandbox, Trouble

from .conftest import COMMUNES, TOWNS, Run


def test_a_city_s_first_hour(run: Run, site: Path, vendor: Sandbox) -> None:
    said = run("connection", "add", "geo", "--connector", "rest", "--url", vendor.url, *COMMUNES)
    assert (said.code, said.out) == (0, "✓ Connection added: geo\n")
    assert run("connection", "check", "geo").out.startswith("✓ geo answers: ")
    assert [each["stream"] for each in run("connection", "discover", "geo", "--json").of("stream")] == ["communes"]

    said = run("sync", "run", "geo")
    assert said.code == 0
    first, titles, communes = said.out.splitlines()
    assert first.startswith("✓ succeeded  geo · 250 rows read, ")
    assert titles.split() == ["stream", "rows", "+", "~", "−", "snapshot", "state", "verdict"]  # noqa: RUF001 - a minus
    assert communes.split() == ["communes", "250", "250", "0", "0", "1", "✓", "committed", "✓", "complete"]

    said = run("query", "SELECT count(*) AS n, sum(population) AS people FROM geo.communes")
    assert [line.split() for line in said.out.splitlines()] == [["n", "people"], ["250", "313750"]]
    assert said.err.startswith("1 row · clearance internal · geo.communes@1 (")

    assert run("snapshot", "verify").out == "✓ 1 snapshot verified, 1 dataset: nothing was altered, nothing was taken away.\n"
    acts = [entry["act"] for entry in run("audit", "show", "--json").records]
    assert [acts[0], acts[1], acts[-1]] == ["site.created", "connection.added", "snapshot.verified"]
    assert run("audit", "verify").code == 0


def test_what_init_writes_is_for_its_owner_alone(site: Path) -> None:
    for path in (site, *site.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_init_never_takes_the_place_of_something(run: Run, site: Path) -> None:
    said = run("init", str(site), "--json")
    assert said.code != 0
    assert said.errors[0]["code"] == "site.exists"


def test_an_init_that_fails_leaves_nothing(run: Run, tmp_path: Path) -> None:
    said = run("init", "town", "--keys", "systemd-cred:town")
    assert (said.code, "sovereign.toml" in said.err, Path("town").exists()) == (12, False, False)
    Path("empty").mkdir()
    assert run("init", "empty").code == 12  # nobody to give a passphrase
    assert list(Path("empty").iterdir()) == []


def test_a_site_is_found_from_any_folder_below_it(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOVEREIGN_SITE")
    monkeypatch.chdir(site / "keys")
    assert run("connection", "list").code == 0


def test_a_wrong_setting_is_named_and_nothing_is_written(run: Run, site: Path) -> None:
    before = (site / "sovereign.toml").read_text()
    said = run(
        "connection", "add", "geo", "--connector", "rest", "--url", "https://example.org", "--set", "limits.rate=-1", "--json"
    )
    assert (said.code, said.errors[0]["field"]) == (2, "connections.geo.limits.rate")
    assert run("connection", "add", "geo", "--connector", "rest", "--url", "https://example.org", "--set", "nonsense").code == 2
    assert run("connection", "add", "geo", "--connector", "nothing", "--url", "https://example.org").code == 2
    assert (site / "sovereign.toml").read_text().rstrip() == before.rstrip()


@pytest.mark.parametrize(
    ("name", "url", "more", "field"),
    [
        ("geo", "https://example.org/api?key=abc", (), "connections.geo.url"),
        ("geo", "https://example.org/#abc", (), "connections.geo.url"),
        ("geo", "https://me:abc@example.org", (), "connections.geo.url"),
        ("geo", "folder:nowhere", (), "connections.geo.url"),
        ("geo", "https://example.org", ("--set", "auth.kind=bearer"), "connections.geo.secret"),
        ("temp", "https://example.org", (), "connections.temp"),
        ("main", "https://example.org", (), "connections.main"),
        ("order", "https://example.org", (), "connections.order"),
        ("geo", "https://example.org", ("--set", "pagin.kind=page"), "connections.geo.pagin"),
        ("geo", "https://example.org", ("--set", "streams.a.pth=/a"), "connections.geo.streams.a.pth"),
    ],
)  # fmt: skip
def test_a_connection_that_cannot_serve_is_refused_before_it_is_written(
    run: Run, site: Path, name: str, url: str, more: tuple[str, ...], field: str
) -> None:
    before = (site / "sovereign.toml").read_text()
    said = run("connection", "add", name, "--connector", "rest", "--url", url, *more, "--json")
    assert (said.code, said.errors[0]["field"]) == (2, field), said.errors
    assert "abc" not in said.out + said.err
    if field.endswith("secret"):
        assert "sovereign secret set geo" in said.errors[0]["what"]
    if field.endswith("pth"):
        assert "`path`" in said.errors[0]["what"]
    assert (site / "sovereign.toml").read_text() == before


def test_a_machine_is_told_the_line_of_a_wrong_setting(run: Run, site: Path) -> None:
    settings = site / "sovereign.toml"
    settings.write_text('[site]\nname = "V"\nzone = "Nowhere"\n\n[limits]\nthread = 2\n')
    assert (said := run("sync", "list", "--json").errors[0])["line"] in (3, 6), said
    settings.write_text("[site]\nname = \n")
    assert run("sync", "list", "--json").errors[0]["line"] == 2


def test_settings_are_read_as_toml_or_as_text(run: Run, pulled: Path) -> None:
    table = tomllib.loads((pulled / "sovereign.toml").read_text())["connections"]["geo"]
    assert table["network"] == {"loopback": True, "plaintext": True}
    assert table["streams"]["communes"]["path"] == "/page/communes"
    assert table["streams"]["communes"]["primary_key"] == ["code", "type"]


def test_the_log_says_which_person_acted_and_only_in_the_sealed_body(
    run: Run, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = pwd.getpwuid(os.getuid()).pw_name
    assert run("query", "SELECT 1").code == 0
    monkeypatch.setenv("SUDO_USER", "jeanne.martin")
    assert run("query", "SELECT 2").code == 0
    first, *_, plain, behind = run("audit", "show", "--json").records
    assert [each["body"]["actor"] for each in (first, plain, behind)] == [person, person, f"{person} (sudo: jeanne.martin)"]
    assert first["actor"] == plain["actor"] != behind["actor"]
    assert b"jeanne.martin" not in b"".join(path.read_bytes() for path in site.rglob("*") if path.is_file())


def test_a_person_reads_french_all_along(run: Run, pulled: Path) -> None:
    settings = pulled / "sovereign.toml"
    settings.write_text(settings.read_text().replace("[connections.geo]\n", '[connections.geo]\nevery = "15 minutes"\n', 1))
    assert "toutes les 15 minutes" in run("connection", "list", "--lang", "fr").out
    assert "toutes les 15 minutes" in run("job", "list", "--lang", "fr").out
    listed = run("sync", "list", "--lang", "fr").out
    assert "une personne" in listed
    assert " CE" in listed
    assert "every 15 minutes" in run("job", "list", "--lang", "en").out


def test_a_run_that_fails_says_so_and_leaves_the_last_copy(run: Run, pulled: Path, vendor: Sandbox) -> None:
    vendor.vendor.troubles.plan(Trouble("html", 404, times=0))
    said = run("sync", "run", "geo", "--json")
    assert said.code == 1
    assert said.errors[0]["code"].startswith("vendor")
    assert [run["state"] for run in run("sync", "list", "--json").records] == ["failed", "succeeded"]
    assert run("query", "SELECT 1 FROM geo.communes", "--json").of("answer")[0]["rows"] == 250


def test_partial_success_never_exits_0(run: Run, pulled: Path, vendor: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "nowhere").mkdir()
    assert run("connection", "add", "lost", "--connector", "decp", "--url", f"folder:{tmp_path}/nowhere").code == 0
    (tmp_path / "nowhere").rmdir()
    assert run("sync", "run").code == 3
    assert run("sync", "run", "lost").code == 1


def test_a_fall_is_put_in_quarantine_and_exits_3(run: Run, pulled: Path, vendor: Sandbox) -> None:
    communes = vendor.vendor.datasets["communes"]
    communes.remove(*((row["code"], row["type"]) for row in TOWNS[:200]))  # type: ignore[attr-defined]  # a table
    said = run("sync", "run", "geo")
    assert said.code == 3
    assert said.out.startswith("! quarantined  geo")
    assert run("query", "SELECT 1 FROM geo.communes", "--json").of("answer")[0]["rows"] == 250


def test_a_vendor_that_makes_us_wait_exits_3_and_says_until_when(shell: Run, pulled: Path, vendor: Sandbox) -> None:
    vendor.vendor.troubles.plan(Trouble("throttle", 7200, times=0))
    said = shell("sync", "run", "geo")  # in a process of its own: the vendor stays closed to the one that was told
    assert said.code == 3
    assert "… waiting for the vendor until " in said.out
    vendor.vendor.troubles.clear()
    for words in (("sync", "run", "geo"), ("sync", "run")):
        said = shell(*words, "--json")
        assert (said.code, said.errors[0]["code"]) == (3, "sync.still_waiting")
    assert shell("sync", "run", "geo", "--now").code == 0


def test_doctor_says_what_is_wrong_and_is_a_check_that_can_fail(run: Run, pulled: Path) -> None:
    assert run("doctor").code == 0
    (pulled / "sovereign.toml").chmod(0o644)
    said = run("doctor", "--json")
    assert (said.code, [check["state"] for check in said.of("check") if check["check"] == "modes"]) == (0, ["warning"])
    (pulled / "keys" / "keyring.json").write_text("{}")
    assert run("doctor").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("connection", "list"), ("connection", "check", "geo"), ("connection", "discover", "geo"), ("secret", "list"),
        ("sync", "run"), ("sync", "list"), ("snapshot", "list"), ("snapshot", "show", "geo.communes"), ("snapshot", "verify"),
        ("query", "SELECT 1"), ("keys", "list"), ("keys", "check"), ("audit", "show"), ("audit", "verify"), ("job", "list"),
        ("job", "history"), ("doctor",), ("completion", "zsh"),
    ],
)  # fmt: skip
def test_json_is_json_lines_with_a_type_everywhere(run: Run, pulled: Path, arguments: tuple[str, ...]) -> None:
    said = run(*arguments, "--json")
    assert all(record["type"] for record in said.records)
    assert all(json.loads(line)["type"] for line in said.err.splitlines())


def test_names_are_completed_without_opening_a_key(shell: Run, pulled: Path) -> None:
    def completed(*words: str) -> set[str]:
        said = shell(
            COMP_WORDS=" ".join(["sovereign", *words]), COMP_CWORD=str(len(words)), _SOVEREIGN_COMPLETE="bash_complete",
            CREDENTIALS_DIRECTORY="",
        )  # fmt: skip
        return {line.partition(",")[2] for line in said.out.splitlines()}

    assert completed("sync", "run", "g") == {"geo"}
    assert completed("snapshot", "show", "g") == {"geo.communes"}
    assert {"run", "list", "show", "replay"} <= completed("sync", "")
