"""Writes that were under way when a backup was made: since then the lost site may have sent them.

Whatever could still leave becomes `unknown`, as after a crash in flight: it is looked for at the vendor, sent again by itself
only where sending twice is sending once, and is otherwise for a person to decide. What waits for an approval waits on: nothing
of it leaves without a new voice.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from sovereign.gateway.deliveries import Deliveries, Step
from sovereign.gateway.terms import Terms
from sovereign.state.outbound import deliveries

if TYPE_CHECKING:
    from sovereign.site import Site

WHY: Final = "restored"
_MAY_LEAVE: Final = ("approved", "queued", "in_flight", "to_retry", "probing")


def settle(site: "Site") -> tuple[int, int]:
    """Make unknown what may have left; gives how many, and how many are held for an approval."""
    book, present = Deliveries(site.state, site.audit), site.clock()
    with site.state.begin() as transaction:
        chosen = transaction.execute(select(deliveries.c.intent).where(deliveries.c.state.in_(_MAY_LEAVE))).scalars().all()
        for intent in chosen:
            each = book.get(transaction, intent)
            within = (Step("queued", WHY),) if each.state == "approved" else ()
            later = present + timedelta(seconds=Terms().settle)
            outcome = {**each.outcome, "maybe": True}
            book.move(transaction, each, "unknown", WHY, present, next_at=later, outcome=outcome, within=within)
        held = transaction.execute(
            select(func.count()).select_from(deliveries).where(deliveries.c.state == "held")
        ).scalar_one()
    return len(chosen), int(held)
