"""What the record of a run promises."""

from pathlib import Path

import pytest

from sovereign.audit import AuditLog, BadEntry
from sovereign.state import Runs, State
from sovereign.sync.landing import ResumePoint
from sovereign.sync.records import Record
from tests.servers.masters import Mortal
from tests.servers.wayout import Time
from vault.keys import Keys


class Refusing(AuditLog):
    """An audit log that can be made to refuse."""

    refuses = False

    def append(self, *given: object, **named: object) -> int:
        if self.refuses:
            raise BadEntry(act="test", why_fr="refus", why_en="refusal")
        return super().append(*given, **named)  # type: ignore[arg-type] # passed on as they are


def test_a_run_and_its_entry_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    time = Time()
    with State(tmp_path / "state.db", time.clock) as state:
        audit = Refusing(state, Keys.create(tmp_path / "keys", Mortal(), time.clock), time.clock)
        runs = Runs(state, time.clock)
        record = Record(runs, audit, time.clock, "ville", "cli")
        audit.refuses = True
        with pytest.raises(BadEntry):
            record.begin(None)
        assert runs.list() == ()

        audit.refuses = False
        record.begin(None)
        audit.refuses = True
        with pytest.raises(BadEntry):
            record.finish("succeeded", ResumePoint())
        assert [run.state for run in runs.list()] == ["running"]

        audit.refuses = False
        record.finish("succeeded", ResumePoint())
        assert [run.state for run in runs.list()] == ["succeeded"]
        assert [entry.act for entry in audit.entries()] == ["sync.started", "sync.finished"]
