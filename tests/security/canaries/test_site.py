"""What a whole site leaves on disk, searched for what was planted in the vendor's records: nothing, in whatever it went
through."""

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from saas_connectors.sandbox import Trouble
from snapshots.refusals import QueryFault
from tests.security.canaries.search import search
from tests.servers import papers
from tests.servers.sites import CANARIES, CONNECTION, SECRET, Town, agents, town

PLANTED = [*CANARIES, SECRET]


def spilling(here: Town) -> None:
    """A question too large for its memory, so that the engine writes what it sorts."""
    question = (
        "SELECT a.mail, b.health FROM rh.agents a, rh.agents b WHERE a.id % 3 = b.id % 3 ORDER BY b.health, a.mail, b.mail"
    )
    with here.site.query(question, clearance="sensitive") as answer:
        first = answer.reader.read_next_batch()
        spilled = [path for path in (here.root / "spill").rglob("*") if path.is_file()]
        assert first.num_rows
        assert spilled, "the question was meant to spill"
        assert search([here.root], PLANTED).found == []


def test_nothing_readable_is_left_by_pulls_questions_and_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with town(tmp_path / "town", 1400, cap=350) as here:
        text = (here.root / "sovereign.toml").read_text()
        (here.root / "sovereign.toml").write_text(text.replace('memory = "512 MiB"', 'memory = "64 MiB"'))
        here.sync()
        spilling(here)
        here.table.put(*agents(100, mark="changed"))
        here.sync()
        here.table.remove(*([n] for n in range(1350)))
        assert here.sync().state == "quarantined"
        here.trouble("html", 500, at=3, times=0)
        assert here.sync().state == "failed"
        with pytest.raises(QueryFault) as refused:
            here.site.query(f"SELECT '{CANARIES[1]}'::INTEGER FROM rh.agents", clearance="personal").reader.read_all()  # noqa: S608 — planted on purpose
        here.calm()
        latest = here.site.runs.latest(CONNECTION, 1)[0]
        for shown in (str(refused.value), str(latest)):
            assert CANARIES[1] not in shown or shown == str(refused.value)  # a question's own words may come back to who asked
        here.close()
        report = search([tmp_path / "town" / "site", temporary], PLANTED)
        assert report.found == []
        assert report.files > 20
        assert report.bytes > 100_000


def test_nothing_readable_is_left_by_documents_whatever_they_went_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with papers.archive(tmp_path / "town", 40, documents_days=30) as here:
        here.sync()
        here.vendor.letters |= {100 + n: papers.content(300 + 3 * n) for n in range(20)}
        here.vendor.troubles.plan(Trouble("status", 500, "/letters", 9, 0))
        assert here.sync().state == "failed"
        here.vendor.troubles.clear()
        assert here.sync(accept="reviewed").state == "succeeded"
        for number in range(10):
            del here.vendor.letters[number]
        here.sync(accept="reviewed")
        here.clock.offset = timedelta(days=31)
        here.sync()
        assert here.site.audit.entries(act="document.destroyed")
        here.site.rotate_keys()
        document = here.rows()[20]["document"]
        assert here.site.document(papers.LETTERS, document, clearance="personal") == papers.content(20)
        assert len(list(here.site.documents(papers.CONNECTION, clearance="personal"))) > 20
        run = here.site.runs.latest(papers.CONNECTION, 1)[0].run
        here.site.syncs.replay(run)
        here.close()
        report = search([tmp_path / "town" / "site", temporary], papers.CANARIES)
        assert report.found == []
        assert report.bytes > 100_000
