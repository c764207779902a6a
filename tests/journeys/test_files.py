"""A file of agents put in a folder every day: what is taken of it, what is set aside, and what is never taken."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.connector import Json
from snapshots.dataset import CLASSES, DatasetId
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome, StreamOutcome
from tests.servers.sites import credentials

TITLES = "matricule;nom;né le;salaire"
STREAM: Mapping[str, Any] = {
    "files": "agents.csv",
    "primary_key": ["matricule"],
    "types": {"né le": "date", "salaire": "decimal(10,2)"},
    "dates": "dd/mm/yyyy",
    "decimal": ",",
}
SECRET_NAME = "Canari-7d1f02"


def line(n: int, *, pay: str = "") -> str:
    return f"{n:06d};{SECRET_NAME} Zoé {n};{n % 28 + 1:02d}/{n % 12 + 1:02d}/1980;{pay or f'{2000 + n},50'}"


def written(*lines: str, titles: str = TITLES) -> bytes:
    return "".join(f"{each}\r\n" for each in (titles, *lines)).encode("latin-1")


@dataclass
class Depot:
    """A folder where files are put, and the site that pulls them."""

    folder: Path
    site: Site

    def put(self, body: bytes, name: str = "agents.csv") -> None:
        (self.folder / name).write_bytes(body)

    def pull(self, **asked: Json) -> RunOutcome:
        return self.site.syncs.run("rh", **asked)

    def held(self, stream: str = "agents") -> list[dict[str, Any]]:
        head = self.site.heads()[DatasetId("rh", stream)]
        found: list[dict[str, Any]] = []
        for batch in self.site.repository.read(head, CLASSES):
            found += batch.to_pylist()
        return found


@contextmanager
def depot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **stream: Json) -> Iterator[Depot]:
    folder = tmp_path / "depot"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
    with Site.create(tmp_path / "site", provider="systemd-cred:sovereign") as site:
        streams = {"agents": {key: value for key, value in {**STREAM, **stream}.items() if value is not None}}
        site.add_connection("rh", {"connector": "files", "url": f"folder:{folder}", "streams": streams})
        yield Depot(folder, site)


def of(outcome: RunOutcome, stream: str = "agents") -> StreamOutcome:
    return next(each for each in outcome.streams if each.stream == stream)


def whys(outcome: RunOutcome) -> list[Any]:
    return [note.detail["why"] for note in of(outcome).evidence if note.check == "not_taken"]


def test_a_file_that_changed_is_told_row_by_row_and_one_that_did_not_costs_one_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with depot(tmp_path, monkeypatch) as here:
        here.put(written(*map(line, range(100))))
        first = here.pull()
        assert (first.state, of(first).counts["rows"], first.requests) == ("succeeded", 100, 1)
        row = next(row for row in here.held() if row["matricule"] == "000007")
        assert (row["nom"], str(row["né le"]), str(row["salaire"])) == (f"{SECRET_NAME} Zoé 7", "1980-08-08", "2007.50")
        again = here.pull()
        assert (of(again).state, again.requests, of(again, "agents_rejected").state) == ("unchanged", 0, "unchanged")
        here.put(written(*map(line, range(1, 99)), line(99, pay="1,00"), line(500)))
        changed = of(here.pull()).counts
        assert changed == {"rows": 100, "inserted": 1, "updated": 1, "deleted": 1, "unchanged": 98}


def test_a_row_that_does_not_fit_is_kept_aside_with_its_line_and_nothing_is_deleted_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with depot(tmp_path, monkeypatch) as here:
        here.put(written(*map(line, range(100))))
        here.pull()
        broken = [line(n) for n in range(100)]
        broken[3] = "000003;trop court"
        broken[5] = f"000005;{SECRET_NAME};31/02/1980;1,00"
        broken[7] = f"000007;{SECRET_NAME};01/01/1980;beaucoup"
        broken[9] = '000009;"ouvert;01/01/1980;1,00'
        here.put(written(*broken))
        outcome = here.pull()
        assert (outcome.state, of(outcome).counts["rows"], of(outcome).counts["deleted"]) == ("partial", 100, 0)
        aside = {row["line"]: (row["reason"], row["field"]) for row in here.held("agents_rejected")}
        expected = {5: ("columns", None), 7: ("date", "né le"), 9: ("number", "salaire"), 11: ("quote", None)}
        assert expected == aside
        assert SECRET_NAME not in caplog.text
        assert SECRET_NAME not in str(outcome)
        here.put(written(*map(line, range(101))))
        mended = here.pull()
        assert (mended.state, of(mended, "agents_rejected").state) == ("succeeded", "committed")
        assert here.held("agents_rejected") == []


def test_a_file_that_is_cut_is_not_taken_and_the_copy_before_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot(tmp_path, monkeypatch) as here:
        whole = written(*map(line, range(100)))
        here.put(whole)
        here.pull()
        for cut in (whole[:-30], whole[:-2], b"", whole[:-20] + b'"'):
            here.put(cut)
            outcome = here.pull()
            assert (outcome.state, of(outcome).state, whys(outcome)) == ("partial", "unchanged", ["truncated"])
            assert len(here.held()) == 100


def test_a_file_emptied_of_its_rows_or_cut_between_two_is_put_in_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with depot(tmp_path, monkeypatch) as here:
        here.put(written(*map(line, range(100))))
        here.pull()
        for rows in (0, 40, 60):
            here.put(written(*map(line, range(rows))))
            assert of(here.pull()).state == "quarantined"
            assert len(here.held()) == 100


def test_a_file_put_twice_end_to_end_changes_nothing_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot(tmp_path, monkeypatch) as here:
        once = written(*map(line, range(100)))
        here.put(once)
        here.pull()
        here.put(once + once)
        outcome = here.pull()
        assert (outcome.state, of(outcome).counts["rows"], of(outcome).counts["deleted"]) == ("partial", 100, 0)
        checks = {note.check: note.detail for note in of(outcome).evidence if note.holds is False}
        assert checks["records_repeated"] == {"same": 100, "different": 0}
        assert checks["invalid_records"] == {"count": 1, "rules": {"titles": 1}}


def test_the_file_of_yesterday_is_not_taken_again_until_someone_asks_for_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with depot(tmp_path, monkeypatch) as here:
        yesterday, today = written(*map(line, range(100))), written(*map(line, range(110)))
        here.put(yesterday)
        here.pull()
        here.put(today)
        here.pull()
        here.put(yesterday)
        outcome = here.pull()
        assert (outcome.state, of(outcome).state, whys(outcome)) == ("partial", "unchanged", ["older"])
        assert len(here.held()) == 110
        assert of(here.pull(full=True)).counts["rows"] == 100


def test_of_dated_files_the_newest_that_is_finished_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot(tmp_path, monkeypatch, files="agents_{%Y%m%d}.csv", marker=".ok") as here:
        for day, rows in (("20260102", 100), ("20260103", 101), ("20260104", 102)):
            here.put(written(*map(line, range(rows))), f"agents_{day}.csv")
        here.put(b"", "agents_20260102.ok")
        here.put(b"", "agents_20260103.csv.ok")
        outcome = here.pull()
        assert (of(outcome).counts["rows"], of(outcome).verdict, whys(outcome)) == (101, "complete", ["marker"])
        here.put(b"", "agents_20260104.ok")
        assert of(here.pull()).counts["rows"] == 102
        (here.folder / "agents_20260104.csv").unlink()
        behind = here.pull()
        assert (of(behind).state, whys(behind)) == ("unchanged", ["older"])


def test_many_files_add_their_rows_and_delete_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot(tmp_path, monkeypatch, files="agents_*.csv", take="all") as here:
        here.put(written(*map(line, range(50))), "agents_a.csv")
        here.put(written(*map(line, range(40, 60))), "agents_b.csv")
        assert of(here.pull()).counts["rows"] == 60
        assert of(here.pull()).state == "unchanged"
        (here.folder / "agents_a.csv").unlink()
        here.put(written(line(7, pay="0,00"), line(70)), "agents_c.csv")
        outcome = here.pull()
        assert (outcome.requests, of(outcome).counts["rows"], of(outcome).counts["updated"]) == (1, 61, 1)


def test_a_first_file_that_is_cut_leaves_nothing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot(tmp_path, monkeypatch) as here:
        absent = here.pull()
        assert absent.fault is not None
        assert (absent.state, absent.fault.code) == ("failed", "vendor.not_taken")
        here.put(written(line(1), "000002;X"))
        here.put(written(line(1), "000002;X")[:-2])
        cut = here.pull()
        assert cut.fault is not None
        assert (cut.state, cut.fault.code) == ("failed", "vendor.format.truncated")
        assert here.site.heads() == {}


def test_a_date_that_reads_in_two_ways_is_never_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot(tmp_path, monkeypatch, dates=None) as here:
        here.put(written("1;A;03/04/2026;1,50", "2;B;05/06/2026;2,50"))
        outcome = here.pull()
        assert outcome.fault is not None
        assert (outcome.state, outcome.fault.code) == ("failed", "connector.settings")
        assert "connections.rh.streams.agents.dates" in outcome.fault.en
        here.put(written("1;A;03/04/2026;1,50", "2;B;25/06/2026;2,50"))
        assert here.pull().state == "succeeded"
        assert sorted(str(row["né le"]) for row in here.held()) == ["2026-04-03", "2026-06-25"]


def test_checking_a_connection_proposes_the_lines_that_say_how_its_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with depot(tmp_path, monkeypatch, types={}, dates=None, decimal=None) as here:
        here.put(written(*map(line, range(100))))
        proposed = "\n".join(said for _, said in here.site.check("rh").remarks)
        wanted = (
            "[connections.rh.streams.agents]",
            'encoding = "cp1252"',
            'separator = ";"',
            'dates = "dd/mm/yyyy"',
            'decimal = ","',
            'types = { "né le" = "date", "salaire" = "decimal(18,2)" }',
        )
        assert [each for each in wanted if each not in proposed.splitlines()] == []
        assert SECRET_NAME not in proposed
