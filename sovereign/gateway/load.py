"""What a delivery carries, in clear: of an intent in memory, or of one at rest that is still what was entered."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from saas_connectors.connector import Json
from saas_connectors.request import Pairs
from sovereign.gateway.deliveries import Deliveries, Delivery
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.kept import found
from sovereign.gateway.sealing import Sealing
from sovereign.gateway.terms import Terms


@dataclass(frozen=True, slots=True)
class Load:
    """What a delivery carries, in clear. expires_at: until when it makes sense."""

    intent: str
    connection: str
    operation: str
    method: str
    path: str = field(repr=False)
    headers: Pairs = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str
    wrapped: str = field(repr=False)
    expires_at: datetime
    write: WriteIntent = field(repr=False)

    def payload(self) -> Json:
        """The body of an operation, as JSON: numbers exactly as they were sent. Errors: BadPayload."""
        return self.write.payload


def load_of(intent: WriteIntent, wrapped: str, terms: Terms, again: datetime | None = None) -> Load:
    """What an intent in memory carries. again: until when whoever sends it again wants it."""
    return Load(
        intent.id, intent.connection, intent.operation, intent.method, intent.path, intent.headers, intent.body,
        intent.content_type, wrapped, terms.expiry(intent.received_at, intent.expires_at, again), intent,
    )  # fmt: skip


def load(reader: Connection, sealing: Sealing, deliveries: Deliveries, delivery: Delivery, terms: Terms) -> Load:
    """What a delivery at rest carries; errors: PayloadGone, Altered."""
    intent, wrapped = found(reader, sealing, deliveries.audit, delivery.intent)
    return load_of(intent, wrapped, terms, delivery.wanted)
