"""Whether a 401 is about our credential, and what then becomes of the connection.

1. A connection that shows no credential has none refused.
2. Through the pass-through, an application may call what answers 401 for reasons of its own (the login of one of its users):
   such an answer counts when it asks for credentials (`WWW-Authenticate`, which RFC 9110 section 11.6.1 wants), when the same
   write met it before, or when it is the second in a row.
3. A write that is refused again, when another was accepted under the same credential since and just now, is what the vendor
   refuses; the credential is good. So one odd write holds up no other.
4. What was sent under a credential that has been replaced meanwhile says nothing of the new one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sovereign.egress.errors import CredentialRefused
from sovereign.gateway.breaker import Breaker
from sovereign.gateway.deliveries import Delivery
from sovereign.gateway.intent import BY_HTTP
from sovereign.gateway.load import Load
from sovereign.gateway.outcome import Outcome
from sovereign.gateway.vendor import Sent, Vendor
from vault.errors import Fault

Mark = Callable[[str], str | None]
"""Says which credential a connection shows, and under which settings, without showing it; None when it shows none."""


@dataclass(frozen=True, slots=True)
class Refusing:
    """Closes connections whose credential is refused. mark: of the present credential. trouble: told of each once."""

    mark: Mark = lambda _: None
    trouble: Callable[[Fault], None] = lambda _: None

    def credential(
        self,
        breaker: Breaker,
        delivery: Delivery,
        load: Load,
        vendor: Vendor | None,
        sent: Sent,
        result: Outcome,
        now: datetime,
    ) -> bool:
        """Whether what was refused is the credential, rather than this write."""
        if self._shown(load.connection, vendor) is None:
            return False
        if result.refused == "door":
            return True
        last = delivery.outcome.get("refused", {}).get("at")
        asks = sent.response is None or "WWW-Authenticate" in sent.response.headers
        if load.operation == BY_HTTP and not asks and last is None:
            return breaker.strike(load.connection)
        return last is None or not breaker.accepted_since(load.connection, datetime.fromisoformat(last), now)

    def close(
        self, breaker: Breaker, transaction: Connection, connection: str, vendor: Vendor | None, why: str, now: datetime
    ) -> bool:
        """Close a connection; gives whether that is new."""
        shown = self._shown(connection, vendor)
        if shown is None or shown != self.mark(connection):
            return False
        return breaker.refuse(transaction, connection, now, shown, why)

    def tell(self, connection: str, vendor: Vendor | None) -> None:
        """Tell whoever runs the service, in words."""
        self.trouble(CredentialRefused(connection=connection, host=vendor.host if vendor else "?"))

    def _shown(self, connection: str, vendor: Vendor | None) -> str | None:
        return self.mark(connection) if vendor is None else vendor.mark
