"""Whether what a flow did for a record is to be undone, by where each of its writes stands. Pure.

| the write | then |
|---|---|
| done at the vendor, and it changed something | it is undone |
| done at the vendor, which held already what it asked | there is nothing to undo: what it found stays |
| done at the vendor, and nothing tells what was there before | a person is asked |
| not asked for yet | it is cancelled |
| not left yet (held, approved, queued, to be tried again) | it is taken back |
| under way, or of unknown outcome | what becomes of it is waited for |
| ended without effect | there is nothing to undo |
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from sovereign.flows.kept import Kept
from sovereign.flows.ports import Outcome

Undoing = Literal["ask", "wait", "nothing", "unchanged", "unknown"]
DONE: Final = frozenset({"confirmed", "delivered", "landed"})
NOT_LEFT: Final = frozenset({"received", "held", "approved", "queued", "to_retry"})
WITHOUT_EFFECT: Final = frozenset({"denied", "refused", "expired", "cancelled", "rejected", "failed", "did_not_happen"})


def to_cancel(rows: Sequence[Kept]) -> list[Kept]:
    """The rows that were never asked for. rows: of one record and step, none that undoes."""
    return [row for row in rows if row.state in ("waiting", "held") and row.intent is None]


def to_take_back(rows: Sequence[Kept], known: Mapping[str, Outcome]) -> list[str]:
    """The writes that have not left yet."""
    named = [row.intent for row in rows if row.state == "asked" and row.intent in known]
    return [intent for intent in named if intent is not None and known[intent].state in NOT_LEFT]


def undoing(rows: Sequence[Kept], known: Mapping[str, Outcome]) -> Undoing:
    """What to do, once what could be taken back was."""
    states = [known[row.intent].state for row in rows if row.state == "asked" and row.intent and row.intent in known]
    named = any(row.state in ("waiting", "held") and row.intent is not None for row in rows)  # a crash: it will be found again
    if named or any(state not in DONE and state not in WITHOUT_EFFECT for state in states):
        return "wait"
    changed = {known[row.intent].changed for row in rows if row.intent is not None and done(row, known)}
    if not changed:
        return "nothing"
    return "ask" if True in changed else "unknown" if None in changed else "unchanged"


def done(row: Kept, known: Mapping[str, Outcome]) -> bool:
    """Whether the write of a row was done at the vendor."""
    return row.state == "asked" and row.intent is not None and row.intent in known and known[row.intent].state in DONE
