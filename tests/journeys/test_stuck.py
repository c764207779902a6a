"""A resume point whose address answers wrongly: the command starts from nothing at once, and ends with the vendor's rows."""

from pathlib import Path

import pytest

from sovereign.sync.outcome import RunOutcome
from tests.servers.sites import Town, town


def stopped_halfway(here: Town) -> RunOutcome:
    here.trouble("not_json", at=7)
    first = here.sync()
    assert first.state == "failed"
    assert here.site.repository.drafts() == [first.run]
    here.calm()
    return first


@pytest.mark.parametrize(("kind", "value"), [("not_json", None), ("status", 404), ("status", 410)])
def test_a_resume_point_that_answers_wrongly_is_left_within_the_same_command(
    tmp_path: Path, kind: str, value: int | None
) -> None:
    with town(tmp_path, style="cursor") as here:
        first = stopped_halfway(here)
        here.trouble(kind, value)
        again = here.sync()
        assert (again.state, again.attempts) == ("succeeded", 1)
        assert again.run != first.run
        assert here.held() == here.there()
        assert here.site.repository.drafts() == []
        dropped = here.site.audit.entries(act="sync.discarded")
        assert [entry.subject["run"] for entry in dropped] == [first.run]


def test_a_vendor_that_always_answers_wrongly_ends_the_command(tmp_path: Path) -> None:
    with town(tmp_path, style="cursor") as here:
        stopped_halfway(here)
        here.trouble("not_json", times=0)
        outcome = here.sync()
        assert outcome.state == "failed"
        assert outcome.fault is not None
        assert outcome.fault.code == "vendor.malformed"
