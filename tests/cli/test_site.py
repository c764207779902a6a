"""A site's life, typed: init, connect, pull, ask, verify. Each test reads as a transcript."""

import json
import os
import pwd
import shutil
import stat
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

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


def test_a_passphrase_that_is_not_the_right_one_exits_12(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "right").write_text("the right passphrase\n")
    (tmp_path / "wrong").write_text("the wrong passphrase\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "right"))
    assert run("init", "town").code == 0
    assert run("--site", "town", "keys", "list").code == 0
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "wrong"))
    said = run("--site", "town", "keys", "list")
    assert said.code == 12
    assert "right passphrase" not in said.err
    said = run("--site", "town", "doctor")
    assert (said.code, said.out.count("master.json")) == (12, 1)
    monkeypatch.delenv("SOVEREIGN_PASSPHRASE_FILE")
    assert run("--site", "town", "keys", "list", "--json").errors[0]["code"] == "passphrase.none"
    Path("town/keys/master.json").unlink()
    said = run("--site", "town", "keys", "list")
    assert (said.code, "keys restore-recovery" in said.err) == (12, True)


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


def test_a_secret_is_sealed_and_never_shown_again(run: Run, site: Path, vendor: Sandbox, tmp_path: Path) -> None:
    from saas_connectors.sandbox.vendor import SECRET

    (tmp_path / "token").write_text(f"{SECRET}\n")
    settings = [each.replace("/page/", "/auth/bearer/page/") for each in COMMUNES]
    said = run("connection", "add", "geo", "--connector", "rest", "--url", vendor.url, *settings,
               "--set", "auth.kind=bearer", "--secret-file", str(tmp_path / "token"))  # fmt: skip
    assert said.code == 0
    assert run("sync", "run", "geo").code == 0
    assert run("secret", "list").out.splitlines()[1].split() == ["geo", "geo"]
    (tmp_path / "token").write_text("another\n")
    assert run("secret", "set", "geo", "--file", str(tmp_path / "token")).code == 0
    said = run("sync", "run", "geo", "--json")
    assert (said.code, said.errors[0]["code"]) == (1, "vendor.unauthorized")
    everything = said.out + said.err + run("audit", "show").out
    assert SECRET not in everything
    assert not [path for path in site.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert run("secret", "remove", "geo", "geo").code == 0
    assert run("doctor").code == 1


def test_a_clearance_opens_its_columns_and_no_others(run: Run, pulled: Path) -> None:
    question = "SELECT code, maire FROM geo.communes WHERE code = '42001'"
    said = run("query", question, "--json")
    assert (said.code, said.errors[0]["code"], said.out) == (2, "query.unknown_name", "")
    said = run("query", question, "--json", "--clearance", "personal")
    assert said.of("row") == [{"type": "row", "values": {"code": "42001", "maire": "Personne 1"}}]
    assert said.of("answer")[0]["datasets"][0]["dataset"] == "geo.communes"
    shown = run("snapshot", "show", "geo.communes")
    assert "maire" not in shown.out
    assert "Columns sealed at this clearance: personal." in shown.err
    assert "maire" in run("snapshot", "show", "geo.communes", "--clearance", "personal").out


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


def test_a_cut_is_always_announced(run: Run, pulled: Path) -> None:
    said = run("query", "SELECT code FROM geo.communes")
    assert (len(said.out.splitlines()), said.code) == (51, 0)
    assert "! cut at 50 rows; --limit 0 gives them all" in said.err
    assert len(run("query", "SELECT code FROM geo.communes", "--limit", "0").out.splitlines()) == 251
    said = run("query", "SELECT code FROM geo.communes", "--json")
    assert (len(said.of("row")), said.of("answer")[0]["cut"]) == (250, False)
    said = run("query", "SELECT code FROM geo.communes", "--json", "--limit", "250")
    assert (len(said.of("row")), said.of("answer")[0]["cut"]) == (250, False)
    said = run("query", "SELECT code FROM geo.communes", "--json", "--limit", "7", "--format", "csv", "--output", "x.csv")
    assert (said.of("answer")[0]["rows"], said.of("answer")[0]["cut"]) == (7, True)


def test_answers_come_in_the_shape_asked_for(run: Run, shell: Run, pulled: Path, tmp_path: Path) -> None:
    question = "SELECT code, population FROM geo.communes ORDER BY code"
    for kind in ("csv", "json", "jsonl", "arrow", "parquet"):
        assert run("query", question, "--format", kind, "--output", f"out.{kind}").code == 0
        assert stat.S_IMODE((tmp_path / f"out.{kind}").stat().st_mode) == 0o600
    expected = [{"code": row["code"], "population": row["population"]} for row in TOWNS]
    assert json.loads(Path("out.json").read_text()) == expected
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == expected
    assert pq.read_table("out.parquet").to_pylist() == expected
    assert ipc.open_stream(Path("out.arrow").read_bytes()).read_all().to_pylist() == expected
    csv = Path("out.csv").read_bytes()
    assert csv.splitlines()[:2] == [b'"code","population"', b'"42001",10']
    # On standard output the same bytes, and what is said beside them in JSON on the other channel.
    said = shell("query", question, "--format", "csv", "--json")
    assert said.out.encode() == csv.replace(b"\r\n", b"\n")
    assert json.loads(said.err)["rows"] == 250


def test_a_question_that_cannot_be_asked_or_answered_is_refused_as_usage(run: Run, pulled: Path) -> None:
    for words in (("SELECT 1", "--output", "nowhere/x.csv"), ("",), (" ",), ("SELECT 1", "--as-of", "")):
        assert run("query", *words).code == 2, words
    assert not Path("nowhere").exists()
    assert run("snapshot", "show", "geo.communes", "--as-of", "").code == 2
    assert run("audit", "show", "--act", "query", "--json").records == []


def test_a_stream_that_is_not_there_is_said_with_those_that_are(run: Run, pulled: Path) -> None:
    said = run("query", "SELECT * FROM geo.comunes", "--json").errors[0]
    assert (said["code"], said["stream"], said["todo"]) == (
        "query.unknown_name", "comunes", "Streams that have a copy: communes.",
    )  # fmt: skip


def test_a_person_reads_french_all_along(run: Run, pulled: Path) -> None:
    settings = pulled / "sovereign.toml"
    settings.write_text(settings.read_text().replace("[connections.geo]\n", '[connections.geo]\nevery = "15 minutes"\n', 1))
    assert "toutes les 15 minutes" in run("connection", "list", "--lang", "fr").out
    assert "toutes les 15 minutes" in run("job", "list", "--lang", "fr").out
    listed = run("sync", "list", "--lang", "fr").out
    assert "une personne" in listed
    assert " CE" in listed
    assert "every 15 minutes" in run("job", "list", "--lang", "en").out


def test_a_snapshot_is_handed_over_in_clear_or_sealed(run: Run, pulled: Path) -> None:
    said = run("snapshot", "export", "geo.communes", "--output", "clear", "--clearance", "personal")
    assert said.code == 0
    assert "no longer protects them" in said.err
    mayors = sorted(row["maire"] for row in TOWNS)
    assert sorted(pq.read_table("clear/communes.parquet").column("maire").to_pylist()) == mayors
    assert run("snapshot", "export", "geo.communes", "--output", "clear").code == 2

    assert run("snapshot", "export", "geo.communes", "--output", "kept", "--clearance", "personal", "--sealed").code == 0
    assert b"PAR1" not in Path("kept/communes.parquet.sealed").read_bytes()
    assert run("snapshot", "open", "kept", "communes.parquet", "--output", "back.parquet").code == 0
    assert sorted(pq.read_table("back.parquet").column("maire").to_pylist()) == mayors
    said = run("snapshot", "open", "kept", "comunes.parquet", "--output", "back.parquet")
    assert (said.code, "communes.parquet" in said.err) == (2, True)
    assert run("snapshot", "open", "kept", "communes.parquet", "--output", "nowhere/back.parquet").code == 2
    exported = run("audit", "show", "--json", "--act", "snapshot.exported").records
    assert [entry["facts"]["sealed"] for entry in exported] == [False, True]


def test_the_past_can_be_asked(run: Run, pulled: Path, vendor: Sandbox) -> None:
    communes = vendor.vendor.datasets["communes"]
    communes.put({**TOWNS[0], "population": 11})  # type: ignore[attr-defined]  # a table
    communes.remove(("42250", "commune-actuelle"))  # type: ignore[attr-defined]  # a table
    said = run("sync", "run", "geo", "--json")
    (outcome,) = said.of("run")
    assert outcome["streams"][0]["counts"] == {"rows": 249, "inserted": 0, "updated": 1, "deleted": 1, "unchanged": 248}
    question = "SELECT population AS n FROM geo.communes WHERE code = '42001'"

    def asked(*more: str) -> list[int]:
        return [row["values"]["n"] for row in run("query", question, "--json", *more).of("row")]

    assert [asked("--as-of", "1"), asked("--as-of", "@2"), asked(), asked("--as-of", "2999-01-01")] == [[10], [11], [11], [11]]
    assert run("query", question, "--as-of", "2001-01-01").code == 1
    assert run("query", question, "--as-of", "yesterday").code == 2
    assert [row["sequence"] for row in run("snapshot", "list", "geo.communes", "--json").records] == [1, 2]
    assert [row["sequence"] for row in run("snapshot", "list", "--json").records] == [2]


def test_two_snapshots_are_compared_row_by_row(run: Run, pulled: Path, vendor: Sandbox) -> None:
    communes = vendor.vendor.datasets["communes"]
    communes.put({**TOWNS[0], "population": 11}, {**TOWNS[1], "code": "42999"})  # type: ignore[attr-defined]  # a table
    communes.remove(("42250", "commune-actuelle"))  # type: ignore[attr-defined]  # a table
    assert run("sync", "run").code == 0
    said = run("snapshot", "diff", "geo.communes", "1", "2", "--json")
    changes = {(each["op"], each["key"]["code"]): each for each in said.of("change")}
    assert set(changes) == {("u", "42001"), ("i", "42999"), ("d", "42250")}
    assert changes["u", "42001"]["changed"] == {"population": [10, 11]}
    assert said.of("diff")[0] == {
        "type": "diff", "dataset": "geo.communes", "from": 1, "to": 2, "clearance": "internal",
        "inserted": 1, "updated": 1, "deleted": 1, "shown": 3,
    }  # fmt: skip
    shown = run("snapshot", "diff", "geo.communes", "1")
    assert "~ 42001" in shown.out
    assert "population: 10 → 11" in shown.out
    assert "maire" not in shown.out


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


def test_what_was_altered_is_found_and_exits_20(run: Run, pulled: Path) -> None:
    (part,) = pulled.glob("snapshots/geo/communes/parts/*.internal.parquet")
    held = bytearray(part.read_bytes())
    held[len(held) // 2] ^= 1
    part.write_bytes(held)
    said = run("snapshot", "verify", "--json")
    assert said.code == 20
    assert said.of("verdict")[0]["ok"] is False
    assert run("snapshot", "verify").out.splitlines()[-1].startswith("✗ ")


def test_a_manifest_that_was_taken_away_is_missed(run: Run, pulled: Path, vendor: Sandbox) -> None:
    vendor.vendor.datasets["communes"].put({**TOWNS[0], "population": 11})  # type: ignore[attr-defined]  # a table
    assert run("sync", "run").code == 0
    newest = run("snapshot", "list", "geo.communes", "--json").records[-1]["hash"]
    next(pulled.rglob(f"{newest}.manifest")).unlink()
    assert run("snapshot", "verify").code == 20
    said = run("query", "SELECT population FROM geo.communes WHERE nom = 'Saint-Étienne'", "--json")
    assert (said.code, said.of("answer")[0]["datasets"][0]["sequence"]) == (0, 1)
    assert "snapshot 2" in said.of("answer")[0]["warnings"][0]
    assert run("sync", "run").code == 0
    assert run("snapshot", "verify").code == 20  # a later sync does not hide what is missing


def test_destroying_keys_asks_for_the_scope_s_name(run: Run, pulled: Path) -> None:
    period = run("keys", "list", "--json").records[0]["period"]
    said = run("keys", "destroy", "geo", "personal", period, "--json")
    assert (said.code, said.errors[0]["code"], said.errors[0]["scope"]) == (2, "keys.not_confirmed", f"geo/personal/{period}")
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code == 0
    assert run("keys", "destroy", "geo", "personal", period, "--yes", "--reason", "end of retention").code == 0
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code != 0
    said = run("query", "SELECT maire FROM geo.communes", "--clearance", "personal")
    assert ("keys of class personal were destroyed" in said.err, "--clearance" in said.err) == (True, False)
    assert run("query", "SELECT code FROM geo.communes").code == 0
    states = {record["key_class"]: record["state"] for record in run("keys", "list", "--json").of("key")}
    assert (states["personal"], states["internal"]) == ("destroyed", "active")


def test_a_destruction_that_did_not_happen_is_not_entered(run: Run, pulled: Path) -> None:
    period = run("keys", "list", "--json").records[0]["period"]
    for scope in (("nowhere", "personal", period), ("geo", "personal", "1999")):
        said = run("keys", "destroy", *scope, "--yes", "--json")
        assert (said.code, said.errors[0]["code"]) == (12, "vault.no_key")
    assert run("audit", "show", "--act", "keys.destroyed", "--json").records == []


def test_rotation_keeps_everything_readable(run: Run, pulled: Path) -> None:
    said = run("keys", "rotate", "--json")
    assert said.code == 0
    assert said.records[0]["keys"] > 0
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code == 0
    assert run("snapshot", "verify").code == 0


def test_a_lost_master_is_replaced_with_the_shares(
    run: Run, pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("keys", "check").out.splitlines()[-1] == "✓ no fault, 1 to look at"
    said = run("keys", "export-recovery", "--threshold", "2", "--shares", "3", "--output", "shares")
    assert said.code == 0
    shares = sorted(Path("shares").iterdir())
    assert [stat.S_IMODE(share.stat().st_mode) for share in shares] == [0o600] * 3
    assert shares[0].read_text().strip() not in said.out + said.err
    assert run("keys", "check").code == 0
    assert run("keys", "export-recovery", "--output", "shares", "--json").errors[0]["code"] == "output.exists"

    shutil.rmtree(tmp_path / "credentials")
    assert run("keys", "list").code != 0
    (tmp_path / "passphrase").write_text("a new beginning\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    restore = ("keys", "restore-recovery", "--keys", "file:keys/new.json")
    assert run(*restore, "--share", str(shares[0])).code != 0
    assert run(*restore, "--share", str(shares[0]), "--share", str(shares[2])).code == 0
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code == 0


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
