"""An undo gives back what its writes are known to have changed; what a later attempt finds done may be its own work."""

from datetime import UTC, datetime, timedelta

import pytest

from saas_connectors.connector import Applied
from sovereign.flows.kept import Kept
from sovereign.flows.ordering import about
from sovereign.flows.ports import Outcome
from sovereign.flows.undoing import undoing
from sovereign.gateway.outcome import changed, witnessed
from sovereign.gateway.vendor import Sent

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def row(number: int, state: str, why: str | None = None, *, undo: bool = False) -> Kept:
    return Kept("depart", f"{number}", b"r", "annuaire", undo, state, NOW, NOW, f"w-{number}", why, b"")


ORDER = {("depart", f"{number}"): NOW + timedelta(seconds=number) for number in range(9)}


@pytest.mark.parametrize(
    ("told", "then"),
    [
        ([True], "ask"), ([False], "unchanged"), ([None], "unknown"), ([False, True], "ask"), ([False, None], "unknown"),
        ([], "nothing"),
    ],
)  # fmt: skip
def test_what_is_undone_is_what_changed_and_a_person_is_asked_where_nothing_tells(told: list[bool | None], then: str) -> None:
    rows = [row(number, "asked") for number in range(len(told) + 1)]
    known = {f"w-{number}": Outcome("confirmed", None, (), each) for number, each in enumerate(told)}
    assert undoing(rows, known | {f"w-{len(told)}": Outcome("rejected", None)}) == then


def test_an_undo_that_did_nothing_leaves_what_it_was_about_to_the_next() -> None:
    left, again = row(1, "asked"), row(3, "asked")
    last = row(4, "waiting", undo=True)
    for before, failed in (
        (row(2, "cancelled", "replaced", undo=True), ()), (row(2, "stopped", "undo.none", undo=True), ()),
        (row(2, "held", "undo.unknown", undo=True), ()), (row(2, "asked", undo=True), ("w-2",)),
    ):  # fmt: skip
        assert about(last, [left, before, again, last], ORDER, failed) == [left, again]
    for undone in (row(2, "asked", undo=True), row(2, "cancelled", "undo.unchanged", undo=True)):
        assert about(last, [left, undone, again, last], ORDER) == [again]


@pytest.mark.parametrize(
    ("applied", "sent", "expected"),
    [
        (Applied(200), Sent(), False), (Applied(204), Sent(writing=True), None), (None, Sent(), None),
        (Applied(204), Sent(writing=True, holds=True), False), (None, Sent(writing=True, holds=False), True),
        (Applied(404, changed=False), Sent(writing=True, holds=False), False),
    ],
    ids=["nothing sent", "no look", "nothing known", "held already", "no answer", "by the answer"],
)  # fmt: skip
def test_a_write_changed_something_by_the_vendors_answer_or_by_the_look_before_it(
    applied: Applied | None, sent: Sent, expected: bool | None
) -> None:
    assert changed(applied, sent) is expected


def test_once_an_attempt_may_have_arrived_what_a_later_one_finds_done_proves_nothing() -> None:
    assert witnessed({}, False) == {"changed": False}
    assert witnessed({"changed": True}, None) == {}, "nothing arrived, and the vendor may have changed since"
    assert witnessed({"maybe": True}, False) == {"maybe": True}
    assert witnessed({"maybe": True, "changed": True}, False) == {"maybe": True, "changed": True}
    assert witnessed({"maybe": True}, True) == {"maybe": True, "changed": True}
    assert witnessed({"maybe": True, "changed": False}, True) == {"maybe": True, "changed": False}
