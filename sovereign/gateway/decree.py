"""What a person decides about deliveries, from outside the process that sends: rows are moved, the dispatcher finds them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.gateway.deliveries import Deliveries, Delivery, Event, Step
from sovereign.gateway.errors import NoSuchStep
from sovereign.gateway.receipt import withdraw
from sovereign.gateway.states import after
from sovereign.state import State
from sovereign.state.schema import instant_text

DEAD: Final = ("failed", "rejected", "inconclusive", "did_not_happen")
"""What waits for a person, or was given up: the dead letters."""
WANTED: Final = timedelta(days=7)
"""How long a delivery that a person sends again is wanted."""
_OF_PEOPLE: Final = {
    ("inconclusive", "landed"), ("inconclusive", "did_not_happen"), ("inconclusive", "probing"), ("did_not_happen", "approved"),
    ("did_not_happen", "failed"), ("rejected", "approved"), ("failed", "approved"),
}  # fmt: skip
"""The edges that belong to a person."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The deliveries, as an operator handles them."""

    deliveries: Deliveries
    clock: Clock

    def list(
        self, *, states: tuple[str, ...] | None = None, connection: str | None = None, limit: int = 100
    ) -> tuple[Delivery, ...]:
        """The latest that match, newest first."""
        with self.deliveries.state.read() as reader:
            return self.deliveries.list(reader, states=states, connection=connection, limit=limit)

    def show(self, intent: str) -> tuple[Delivery, tuple[Event, ...]]:
        """One, and its steps; errors: UnknownDelivery."""
        with self.deliveries.state.read() as reader:
            return self.deliveries.get(reader, intent), self.deliveries.events(reader, intent)

    def decide(self, intent: str, becomes: str, why: str, reason: str, *, actor: str | None = None) -> Delivery:
        """Move a delivery along an edge that belongs to a person. Errors: UnknownDelivery, NoSuchStep, StateMoved.

        To look again is to be unknown and due: the process that sends makes the probe. To send again is to be approved: that
        process asks policy once more, then it takes its turn or is denied.
        """
        now = self.clock()
        with self.deliveries.state.begin() as transaction:
            delivery = self.deliveries.get(transaction, intent)
            if (delivery.state, becomes) not in _OF_PEOPLE:
                may = ", ".join(each for each in after(delivery.state) if (delivery.state, each) in _OF_PEOPLE)
                raise NoSuchStep(intent=intent, was=delivery.state, becomes=becomes, after=may or "-")
            known = {**delivery.outcome, "probes": 0}
            within: tuple[Step, ...] = ()
            next_at = None
            if becomes == "probing":
                within, becomes, next_at = (Step("probing", why),), "unknown", now
            elif becomes == "approved":
                next_at = now + WANTED
                known |= {"maybe": False, "tries": 0, "failures": 0, "wanted": instant_text(next_at)}
            return self.deliveries.move(
                transaction, delivery, becomes, why, now, actor=actor, next_at=next_at, outcome=known,
                within=within, body={"reason": reason},
            )  # fmt: skip

    def cancel(self, intent: str, reason: str, *, actor: str | None = None) -> Delivery:
        """Take back what has not left. Errors: UnknownDelivery, NoSuchStep."""
        with self.deliveries.state.begin() as transaction:
            return withdraw(self.deliveries, transaction, intent, self.clock(), actor, reason)


def desk(state: State, audit: AuditLog, clock: Clock) -> Desk:
    """The desk of a site."""
    return Desk(Deliveries(state, audit), clock)
