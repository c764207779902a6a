"""What is asked of the copies, typed: questions, cuts, shapes, the past, a snapshot handed over."""

import csv
import io
import json
import stat
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow import ipc

from saas_connectors.sandbox import Sandbox

from .conftest import TOWNS, Run


def test_a_clearance_opens_its_columns_and_no_others(run: Run, pulled: Path) -> None:
    question = "SELECT code, maire FROM geo.communes WHERE code = '42001'"
    said = run("query", question, "--json")
    assert (said.code, said.errors[0]["code"], said.out) == (2, "query.unknown_name", "")
    said = run("query", question, "--json", "--clearance", "personal")
    assert said.of("row") == [{"type": "row", "values": {"code": "42001", "maire": "Personne 1"}}]
    assert said.of("answer")[0]["datasets"][0]["dataset"] == "geo.communes"
    shown = run("snapshot", "show", "geo.communes")
    assert "maire" not in shown.out
    assert "Columns sealed at this clearance: personal (--clearance personal)" in shown.err
    assert "maire" in run("snapshot", "show", "geo.communes", "--clearance", "personal").out


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
        "inserted": 1, "updated": 1, "deleted": 1, "shown": 3, "warnings": [],
    }  # fmt: skip
    shown = run("snapshot", "diff", "geo.communes", "1")
    assert "~ 42001" in shown.out
    assert "population: 10 → 11" in shown.out
    assert "maire" not in shown.out


def test_csv_in_a_file_runs_no_formula_and_says_so_and_numbers_are_never_altered(run: Run, site: Path, tmp_path: Path) -> None:
    sql = "SELECT '=1+1' AS t, -1 AS i, -0.00000010::DECIMAL(9, 8) AS d"
    file = tmp_path / "out.csv"
    assert run("query", sql, "--format", "csv", "--output", str(file)).code == 0
    assert list(csv.reader(io.StringIO(file.read_text()))) == [["t", "i", "d"], ["'=1+1", "-1", "-0.00000010"]]
    assert list(csv.reader(io.StringIO(run("query", sql, "--format", "csv").out)))[1] == ["=1+1", "-1", "-0.00000010"]
    assert "apostrophe" in run("query", "--help").out
