"""A read through the gateway: asked of policy, entered, sent to the vendor live, or answered by the local copy when it is down.

1. A vendor that an operator cut off is not asked, and the copy does not answer for it: `VendorCut`.
2. Policy decides each read; a hold is a refusal here, for nobody waits at the other end of an approval.
3. The copy answers when the circuit is open, the vendor cannot be reached or says that it is down, only through `Mirror`, which
   applies the clearance of local reads; where it cannot, the answer or the fault is the vendor's.
4. Every read that policy decided is entered before its answer is given: passed, mirrored, denied or failed; its path is in the
   sealed body alone.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from saas_connectors.request import Headers, Pairs, Request, Response
from sovereign.egress.errors import EgressError, Refused
from sovereign.gateway.breaker import Breaker
from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.errors import ReadDenied, VendorCut, VendorDown
from sovereign.gateway.intent import BY_HTTP
from sovereign.gateway.ports import Parts
from sovereign.gateway.vendor import Vendor
from sovereign.state.group import GroupCommit

DOWN: Final = frozenset({502, 503, 504})
"""Statuses by which a vendor, or what stands before it, says that it is down."""
_CACHE: Final = "sovereign; hit; detail=vendor-down"


@dataclass(frozen=True, slots=True)
class Read:
    """What is asked: `path` with its query, from the root of the vendor's origin; `headers` are end to end."""

    client: str
    connection: str
    method: str
    path: str = field(repr=False)
    headers: Pairs = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    person: str | None = field(default=None, repr=False)


Mirror = Callable[[Vendor, Read], Awaitable[Response | None]]
"""Answers a read from the local copy (`from_copy`), None when it cannot."""


async def no_copy(_: Vendor, __: Read) -> None:
    """Answer nothing: what a gateway without a local copy does."""


def from_copy(status: int, content_type: str, body: bytes, age: int) -> Response:
    """An answer of the local copy, `age` seconds old (RFC 9111 section 5.1, RFC 9211)."""
    return Response(status, "", body, Headers([("content-type", content_type), ("age", str(age)), ("cache-status", _CACHE)]))


@dataclass(frozen=True, slots=True)
class Reads:
    """Answers reads."""

    parts: Parts
    breaker: Breaker
    group: GroupCommit

    async def answer(self, read: Read, mirror: Mirror = no_copy) -> Response:
        """Answer one read. Errors: ReadDenied, VendorCut, VendorDown, Refused."""
        with self.parts.state.read() as reader:
            circuit = self.breaker.get(reader, read.connection)
        if circuit.state == "cut":
            raise VendorCut(connection=read.connection)
        vendor = self.parts.vendors(read.connection)
        decision = self._decide(read, vendor.host)
        if decision.effect != "allow":
            await self._enter("read.denied", read, decision, None)
            held = "La politique demande une approbation.", "Policy asks for an approval."
            said_fr, said_en = held if decision.effect == "hold" else (decision.fr, decision.en)
            raise ReadDenied(connection=read.connection, said_fr=said_fr, said_en=said_en)
        response = None
        if circuit.passes(self.parts.clock()) != "none":
            request = Request(read.method, vendor.origin + read.path, headers=read.headers, body=read.body, reads=True)
            try:
                response = await vendor.send(request)
            except Refused:
                await self._enter("read.failed", read, decision, None)
                raise
            except EgressError:
                pass  # down, as far as this read can tell: the copy may answer
        if response is None or response.status in DOWN:
            kept = await mirror(vendor, read)
            if kept is not None:
                await self._enter("read.mirrored", read, decision, kept.status)
                return kept
        if response is None:
            await self._enter("read.failed", read, decision, None)
            raise VendorDown(connection=read.connection)
        await self._enter("read.passed", read, decision, response.status)
        return response

    def _decide(self, read: Read, host: str) -> Decision:
        standing, now = self.parts.standing(read.client, read.person), self.parts.clock()
        kind = next((value for name, value in read.headers if name.lower() == "content-type"), "")
        findings = self.parts.scan(read.body, kind).findings if read.body else ()
        question = Question(
            read.client, read.connection, host, "http", BY_HTTP, read.method, read.path.partition("?")[0],
            now.astimezone(self.parts.zone), standing.owner, read.person, standing.roles, standing.groups,
            findings=findings, bytes=len(read.body or b""), records=0, reads=True,
        )  # fmt: skip
        return self.parts.policy.decide(question)

    async def _enter(self, act: str, read: Read, decision: Decision, status: int | None) -> int:
        facts = {"client": read.client, "method": read.method, "policies": list(decision.policies)}
        told: dict[str, object] = {**facts, **({} if status is None else {"status": status})}
        body = {"path": read.path, "person": read.person}
        subject = {"connection": read.connection}
        return await self.group.write(lambda t: self.parts.audit.append(act, subject, told, body, actor=read.client, within=t))
