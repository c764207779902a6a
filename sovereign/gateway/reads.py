"""Reads through the gateway: asked of policy like a write, answered by the vendor, or by the local copy while it is down.

1. Policy decides each read; a hold is a refusal here, for nobody waits at the other end of an approval.
2. Each read is one entry of the audit log, refused ones too; its path is in the sealed body alone.
3. The local copy answers only when the vendor does not, through `mirrored`, under the same decision.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from saas_connectors.request import Headers, Pairs, Request, Response
from sovereign.egress.errors import EgressError
from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.errors import VendorDown
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.intent import BY_HTTP
from sovereign.gateway.ports import Parts
from sovereign.gateway.vendor import Vendor
from vault.errors import Fault

Mirrored = Callable[[Vendor, str, str], Awaitable[Response | None]]
"""Answers a method and path of a vendor from the local copy, None when it cannot; sets Age and Cache-Status."""
CACHE: Final = "sovereign; hit; detail=vendor-down"


class ReadDenied(Fault):
    """Policy refuses a read."""

    code = "policy.denied"
    kind = "denied"
    fr = "{said_fr}"
    en = "{said_en}"
    todo_fr = "Demandez au RSSI d'ouvrir ce flux : sovereign policy open {connection} http."
    todo_en = "Ask the security officer to open this flow: sovereign policy open {connection} http."


class Reads:
    """The reads of a site's gateway."""

    def __init__(self, parts: Parts, gateway: Gateway, mirrored: Mirrored | None = None) -> None:
        self._parts, self._gateway, self._mirrored = parts, gateway, mirrored

    async def read(
        self, client: str, person: str | None, connection: str, method: str, path: str, headers: Pairs, body: bytes | None
    ) -> Response:
        """Answer a read. path: with its query, from the root of the origin. Errors: ReadDenied, VendorDown, VendorCut."""
        vendor = self._parts.vendors(connection)
        decision = self._decide(client, person, vendor, method, path, body)
        if decision.effect != "allow":
            self._tell(client, person, connection, method, path, decision, "denied")
            said = "La politique demande une approbation.", "Policy asks for an approval."
            words = said if decision.effect == "hold" else (decision.fr, decision.en)
            raise ReadDenied(connection=connection, said_fr=words[0], said_en=words[1])
        response, source = None, "vendor"
        if not self._gateway.closed(connection):
            asked = Request(method, f"{vendor.origin}{path}", headers=headers, body=body, reads=True)
            try:
                response = await vendor.send(asked)
            except EgressError:
                response = None
        if response is None or response.status in (502, 503, 504):
            kept = await self._mirrored(vendor, method, path) if self._mirrored is not None else None
            response, source = kept or response, "copy" if kept else source
        self._tell(client, person, connection, method, path, decision, source if response else "down")
        if response is None:
            raise VendorDown(connection=connection)
        return response

    def _decide(self, client: str, person: str | None, vendor: Vendor, method: str, path: str, body: bytes | None) -> Decision:
        parts = self._parts
        standing = parts.standing(client, person)
        question = Question(
            client, vendor.connection, vendor.host, "http", BY_HTTP, method, path.partition("?")[0],
            parts.clock().astimezone(parts.zone), standing.owner, person, standing.roles, standing.groups,
            bytes=len(body or b""), reads=True,
        )  # fmt: skip
        return parts.policy.decide(question)

    def _tell(
        self, client: str, person: str | None, connection: str, method: str, path: str, decision: Decision, source: str
    ) -> None:
        facts = {"client": client, "method": method, "effect": decision.effect, "policies": list(decision.policies)}
        held = {"path": path, "person": person}
        self._parts.audit.append("vendor.read", {"connection": connection}, {**facts, "source": source}, held)


def from_copy(status: int, content_type: str, body: bytes, age: int) -> Response:
    """An answer of the local copy, `age` seconds old (RFC 9111 section 5.1, RFC 9211)."""
    return Response(status, "", body, Headers([("content-type", content_type), ("age", str(age)), ("cache-status", CACHE)]))
