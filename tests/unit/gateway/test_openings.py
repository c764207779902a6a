"""Requests to open a flow: one a flow, bounded by client, decided once, each act an entry, what people write sealed."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sovereign.access import Clients
from sovereign.audit import AuditLog
from sovereign.gateway.errors import BadOpening, TooManyOpenings, UnknownOpening
from sovereign.gateway.openings import A_DAY, MOST, Openings, Wanted, opens
from sovereign.state import State
from tests.servers.masters import Mortal
from vault.keys import Keys


class Town:
    def __init__(self, folder: Path) -> None:
        self.at = datetime(2026, 11, 23, 9, tzinfo=UTC)
        self.keys = Keys.create(folder / "keys", Mortal(), self.clock)
        self.state = State(folder / "state.db", self.clock)
        self.audit = AuditLog(self.state, self.keys, self.clock, actor="root")
        clients = Clients(self.state, self.audit, self.clock)
        for name in ("paie", "desk"):
            clients.add(name, owner="agathe", purpose="p", connections=["rh"])
        number = itertools.count()
        self.openings = Openings(self.state, self.audit, self.keys, self.clock, lambda size: next(number).to_bytes(size))

    def clock(self) -> datetime:
        return self.at

    def acts(self) -> list[str]:
        return [each.act for each in self.audit.entries(act="opening")]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    yield town
    town.state.close()


def wanted(operation: str = "close", client: str = "paie", *, reads: bool = False) -> Wanted:
    return Wanted(client, "rh", operation, "agathe", reads)


def test_a_flow_asked_for_twice_is_one_request_that_counts_both(town: Town) -> None:
    first, again = town.openings.file(wanted(), "canari", by="paie"), town.openings.file(wanted(), "again", by="paie")
    assert (again.id, first.times, again.times, again.reason) == (first.id, 1, 2, "canari")
    others = {town.openings.file(each, "r", by="x").id for each in (wanted("open"), wanted(reads=True), wanted(client="desk"))}
    assert len(others | {first.id}) == 4
    assert town.acts() == ["opening.filed"] * 4
    (entry, *_) = town.audit.entries(act="opening.filed")
    assert (entry.subject["opening"], entry.facts["client"], (entry.body or {})["reason"]) == (first.id, "paie", "canari")


def test_it_is_decided_once_and_may_be_asked_for_again(town: Town) -> None:
    name = town.openings.file(wanted(), "r", by="paie").id
    refused = town.openings.refused(name, "not before the audit", by="berthe")
    assert (refused.state, refused.answer, refused.decided_by) == ("refused", "not before the audit", "berthe")
    for act in (lambda: town.openings.accepted(name, "f", by="berthe"), lambda: town.openings.refused(name, "r", by="berthe")):
        with pytest.raises(BadOpening):
            act()
    again = town.openings.file(wanted(), "r", by="paie")
    assert again.id != name
    accepted = town.openings.accepted(again.id, "50-flow.cedar", by="berthe")
    assert (accepted.state, accepted.policy) == ("accepted", "50-flow.cedar")
    assert town.acts() == ["opening.filed", "opening.refused", "opening.filed", "opening.accepted"]
    assert town.openings.list() == ()
    assert [each.id for each in town.openings.list(open_only=False)] == [name, again.id]
    with pytest.raises(UnknownOpening):
        town.openings.get("o-0")


def test_a_client_that_floods_is_stopped_and_the_others_are_not(town: Town) -> None:
    for number in range(MOST):
        town.openings.file(wanted(f"op{number}"), "r", by="paie")
    with pytest.raises(TooManyOpenings):
        town.openings.file(wanted("more"), "r", by="paie")
    assert town.openings.file(wanted("op0"), "r", by="paie").times == 2
    assert town.openings.file(wanted(client="desk"), "r", by="desk").times == 1
    left = A_DAY - MOST
    for each in town.openings.list(client="paie")[:MOST]:
        town.openings.refused(each.id, "no", by="berthe")
    for number in range(left):
        name = town.openings.file(wanted(f"new{number}"), "r", by="paie").id
        town.openings.refused(name, "no", by="berthe")
    with pytest.raises(TooManyOpenings):
        town.openings.file(wanted("last"), "r", by="paie")
    town.at += timedelta(days=1, seconds=1)
    assert town.openings.file(wanted("last"), "r", by="paie").state == "open"


@pytest.mark.parametrize("reason", ["", "   ", "a" * 501, "a\nb", "a\x00b"])
def test_a_reason_is_a_short_text(town: Town, reason: str) -> None:
    with pytest.raises(BadOpening):
        town.openings.file(wanted(), reason, by="paie")
    name = town.openings.file(wanted(), "r", by="paie").id
    with pytest.raises(BadOpening):
        town.openings.refused(name, reason, by="berthe")


def test_what_people_write_is_not_readable_at_rest(town: Town, tmp_path: Path) -> None:
    name = town.openings.file(wanted(), "canari-why", by="paie").id
    town.openings.refused(name, "canari-answer", by="berthe")
    for file in tmp_path.glob("state.db*"):
        assert b"canari" not in file.read_bytes()


def test_only_the_want_of_a_policy_can_be_opened() -> None:
    assert opens(("policy.default",))
    assert opens(("policy.expired", "flow.paie"))
    for policies in ((), ("red.nir",), ("policy.error",), ("policy.none",)):
        assert not opens(policies)
