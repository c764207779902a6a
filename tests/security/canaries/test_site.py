"""What a whole site leaves on disk, searched for what was planted in the vendor's records: nothing, in whatever it went
through."""

import tempfile
from pathlib import Path

import pytest

from snapshots.refusals import QueryFault
from tests.security.canaries.search import search
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
