"""A vendor that lies, breaks, floods or changes: the right verdict or a clear fault, and the last good snapshot still
served."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sovereign.sync.outcome import RunOutcome
from tests.security.canaries.search import search
from tests.servers.sites import CANARIES, CONNECTION, SECRET, Town, agents, town

GIB = 2**30


def said(here: Town, outcome: RunOutcome) -> str:
    """Everything a person or a machine may see of a run."""
    entries = [(entry.act, dict(entry.subject), dict(entry.facts), entry.body) for entry in here.site.audit.entries()]
    return json.dumps([msgspec.to_builtins(outcome), entries], default=str, ensure_ascii=False)


def counted(here: Town) -> int:
    with here.site.query("SELECT count(*) AS n FROM rh.agents") as answer:
        return int(answer.reader.read_all().to_pylist()[0]["n"])


def evidence(outcome: RunOutcome) -> dict[str, bool | None]:
    return {noted.check: noted.holds for noted in outcome.streams[0].evidence}


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (("html", 404), "vendor.not_found"),
        (("html", 500), "vendor.rejected"),
        (("html", 401), "vendor.unauthorized"),
        (("not_json", None), "vendor.malformed"),
        (("error_in_200", None), "vendor.malformed"),
        (("cut_json", None), "vendor.malformed"),
        (("redirect", "https://elsewhere.example/login?token=abc"), "egress.redirected"),
        (("huge", 2 * GIB), "egress.too_large"),
        (("gzip_bomb", 2 * GIB), "egress.too_large"),
        (("reset", None), "egress"),
        (("truncated", None), "egress"),
    ],
    ids=lambda each: str(each[0]) + str(each[1] or "") if isinstance(each, tuple) else each,
)
def test_a_wrong_answer_is_a_fault_that_keeps_the_last_good_copy(tmp_path: Path, trouble: tuple[str, Any], code: str) -> None:
    with town(tmp_path, limits={"max_bytes": "4 MiB"}) as here:
        here.sync()
        good = here.held()
        here.table.put(*agents(500, mark="newer"))
        here.trouble(*trouble, at=5, times=0)
        outcome = here.sync()
        assert outcome.state == "failed"
        assert outcome.fault is not None
        assert outcome.fault.code.startswith(code), outcome.fault
        assert here.held() == good
        assert counted(here) == 500
        shown = said(here, outcome)
        for hidden in (SECRET, "Jeanne Martin", "token=abc", *CANARIES):
            assert hidden not in shown
        assert search([here.root], [SECRET, "Jeanne Martin", "Page not found", *CANARIES]).found == []
        here.calm()
        if code == "vendor.unauthorized":  # the secret is shown no more, until a person has it tried
            assert here.sync().state == "failed"
            here.site.check(CONNECTION)
        assert here.sync().state == "succeeded"
        assert here.held() == here.there()


def test_a_vendor_that_counts_too_many_makes_the_copy_partial_and_nothing_is_deleted(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        here.table.remove([1], [2])
        here.trouble("lying_count", 40, times=0)
        outcome = here.sync()
        assert (outcome.state, outcome.streams[0].verdict) == ("partial", "partial")
        assert evidence(outcome)["vendor_count"] is False
        assert outcome.streams[0].counts["deleted"] == 0
        assert evidence(outcome)["deletions_withheld"] is None
        assert counted(here) == 500
        here.calm()
        assert here.sync().streams[0].counts["deleted"] == 2


def test_a_vendor_that_counts_too_few_proves_nothing(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.trouble("lying_count", -40, times=0)
        outcome = here.sync()
        assert (outcome.state, outcome.streams[0].verdict) == ("succeeded", "unverified")
        assert here.held() == here.there()


def test_a_page_given_twice_in_place_of_another_is_seen(tmp_path: Path) -> None:
    with town(tmp_path, limits={"concurrency": 1}, slices=1) as here:
        here.trouble("repeated", at=6)
        outcome = here.sync()
        assert (outcome.state, outcome.streams[0].verdict) == ("partial", "partial")
        assert outcome.streams[0].counts["rows"] == 450
        assert False in evidence(outcome).values()


def test_pages_out_of_order_lose_nothing(tmp_path: Path) -> None:
    with town(tmp_path, limits={"concurrency": 1}, slices=1) as here:
        here.trouble("swapped", 3, times=0)
        outcome = here.sync()
        assert outcome.streams[0].verdict == "complete"
        assert here.held() == here.there()


def test_a_field_that_changes_type_is_drift_and_follows_the_contract(tmp_path: Path) -> None:
    schema = {"text": ["id"], "rename": {"service": "direction"}}
    with town(tmp_path) as here:
        here.sync()
        here.trouble("schema", {"rename": {"service": "direction"}}, times=0)
        outcome = here.sync()
        assert outcome.state == "succeeded"
        told = {(drift["action"], drift["class"], drift.get("field")) for drift in outcome.streams[0].drift}
        assert told == {("added", "personal", None), ("absent", "internal", "service")}  # `direction` is personal: not named
        here.calm()
        here.trouble("schema", {"text": ["id"]}, times=0)
        assert "id" in {drift.get("field") for drift in here.sync().streams[0].drift}
    with town(tmp_path / "frozen", stream={"contract": "freeze"}) as here:
        here.sync()
        good = here.held()
        here.trouble("schema", schema, times=0)
        outcome = here.sync()
        assert outcome.state == "failed"
        assert outcome.fault is not None
        assert outcome.fault.code in ("snapshot.contract", "connector.schema", "connector.settings")
        assert here.held() == good


def test_an_attempt_that_meets_the_same_wrong_answer_again_starts_from_nothing(tmp_path: Path) -> None:
    with town(tmp_path, style="cursor") as here:
        here.trouble("not_json", at=6, times=0)
        first, second = here.sync(), here.sync()
        assert (first.state, second.state, second.run == first.run) == ("failed", "failed", False)
        assert here.site.repository.drafts() == []
        here.calm()
        third = here.sync()
        assert (third.state, third.run == first.run) == ("succeeded", False)
        assert here.held() == here.there()
