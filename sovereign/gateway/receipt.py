"""What became of an intent, as its asker is told; and the steps that approvers and askers cause from outside the dispatcher."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, update

from saas_connectors.request import Pairs
from sovereign.gateway.decision import Decision
from sovereign.gateway.deliveries import Deliveries, Delivery
from sovereign.gateway.sealing import Answer
from sovereign.gateway.terms import Terms
from sovereign.state.outbound import approval_requests

SETTLED: Final = timedelta(seconds=Terms().settle)
"""How long a vendor may still be at work on what was sent to it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an intent so far. entry: the number of its latest audit entry. status, headers, body: the vendor's."""

    intent: str
    state: str
    decision: Decision | None
    created_at: datetime
    why: str | None = None
    entry: int | None = None
    status: int | None = None
    vendor_id: str | None = field(default=None, repr=False)
    headers: Pairs = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    replayed: bool = False
    dry_run: bool = False


def receipt_of(delivery: Delivery, decision: Decision, answer: Answer | None, created_at: datetime) -> Receipt:
    """The receipt of a delivery as it stands."""
    status = answer.status if answer else delivery.status
    headers, body, vendor_id = (answer.headers, answer.body, answer.vendor_id) if answer else ((), None, None)
    return Receipt(
        delivery.intent, delivery.state, decision, created_at, delivery.why, delivery.entry, status, vendor_id, headers, body
    )


def heard(
    deliveries: Deliveries, transaction: Connection, intent: str, outcome: str, now: datetime, *, actor: str | None = None
) -> Delivery | None:
    """Move a held delivery by what its approvals came to, in the transaction of the last signature; None while open."""
    delivery = deliveries.get(transaction, intent)
    becomes = {"approved": "approved", "refused": "refused", "expired": "expired"}.get(outcome)
    if becomes is None or delivery.state != "held":
        return None
    return deliveries.move(transaction, delivery, becomes, f"approval.{outcome}", now, actor=actor)


def withdraw(
    deliveries: Deliveries, transaction: Connection, intent: str, now: datetime, actor: str | None, reason: str
) -> Delivery:
    """Take back what has not left; what may have arrived becomes unknown instead. Errors: NoSuchStep, UnknownDelivery."""
    delivery = deliveries.get(transaction, intent)
    maybe = bool(delivery.outcome.get("maybe")) and delivery.state in ("queued", "to_retry")
    becomes, next_at = ("unknown", now + SETTLED) if maybe else ("cancelled", None)
    if delivery.state == "held":
        asked = (approval_requests.c.intent == intent) & (approval_requests.c.state == "open")
        transaction.execute(update(approval_requests).where(asked).values(state="cancelled"))
    body = {"reason": reason} if reason else {}
    return deliveries.move(transaction, delivery, becomes, "withdrawn", now, next_at=next_at, actor=actor, body=body)
