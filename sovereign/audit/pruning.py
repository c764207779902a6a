"""Old entries let go, without breaking a proof.

1. Entries go by whole bundles of 256, the oldest first; their bodies go with them. Their hashes stay in the tiles, so every
   proof over what is kept, and every receipt given before, still holds (C2SP tlog-tiles, pruning).
2. Some entries are spared, without their bodies, because the site goes on needing what they say: heads of datasets and acts on
   keys.
3. What a receiver of events has not confirmed (`forwarding`) stays, however old.
4. The pruning is an entry: the first number kept, and how many below it were spared. Anything else that is missing is damage.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, func, select

from sovereign.audit import entry
from sovereign.audit.acts import SPARED
from sovereign.audit.errors import Awaited, Damaged, NotDue
from sovereign.audit.tree import WIDTH
from sovereign.state import State
from sovereign.state.schema import audit_bodies, audit_entries, instant_text

if TYPE_CHECKING:
    from sovereign.audit.log import AuditLog

ACT = "audit.pruned"
_seq, _act, _at = audit_entries.c.seq, audit_entries.c.act, audit_entries.c.at


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the last pruning said: the first entry kept, a multiple of 256, and how many before it were spared."""

    first: int
    spared: int


def pruned(connection: Connection) -> Pruned:
    """What the last pruning said; (0, 0) when there was none. Errors: Damaged."""
    row = connection.execute(
        select(_seq, audit_entries.c.entry).where(_act == ACT).order_by(_seq.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return Pruned(0, 0)
    facts = entry.read(row[1].encode(), row[0]).facts
    first, spared = facts.get("first"), facts.get("spared")
    if not isinstance(first, int) or not isinstance(spared, int) or not 0 <= spared <= first <= row[0]:
        raise Damaged(seq=row[0], what="pruned")
    return Pruned(first, spared)


def prune(state: State, log: "AuditLog", before: datetime, *, reason: str = "", unconfirmed: int | None = None) -> int:
    """Let go of the whole bundles whose entries are all older than `before`; returns how many entries went.

    unconfirmed: the first entry that is still awaited elsewhere. Errors: NotDue; Awaited; StateBusy when they went, but a
    long reader keeps their bytes in the write-ahead log.
    """
    with state.begin() as connection:
        former = pruned(connection)
        # Time may have gone back: the first entry that is not older ends what goes, whatever comes after it.
        kept = connection.execute(select(func.min(_seq)).where(_at >= before, _seq >= former.first)).scalar()
        end = connection.execute(select(func.max(_seq))).scalar() or 0
        due = (kept if kept is not None else end) // WIDTH * WIDTH
        first = due if unconfirmed is None else min(due, unconfirmed // WIDTH * WIDTH)
        if first <= former.first < due:
            raise Awaited(seq=unconfirmed)
        if first <= former.first:
            raise NotDue(before=f"{before:%Y-%m-%d %H:%M}")
        connection.execute(delete(audit_bodies).where(audit_bodies.c.seq < first))
        gone = connection.execute(delete(audit_entries).where(_seq < first, _act.not_in(SPARED))).rowcount
        spared = connection.execute(select(func.count()).select_from(audit_entries).where(_seq < first)).scalar_one()
        facts = {"first": first, "spared": spared, "pruned": gone, "before": instant_text(before)}
        log.append(ACT, {}, facts, {"reason": reason}, within=connection)
    state.scrub()
    return int(gone)
