"""A read through the gateway: asked of policy, entered, sent to the vendor live, or answered by the local copy when it is down.

1. A vendor that an operator cut off is not asked, and the copy does not answer for it: `VendorCut`.
2. Policy decides each read; a hold is a refusal here, for nobody waits at the other end of an approval.
3. The copy answers when the circuit is open, the vendor cannot be reached or says that it is down, only through `Mirror`, which
   applies the clearance of local reads; where it cannot, the answer or the fault is the vendor's.
4. Every read that policy decided is entered before its answer is given: passed, mirrored, denied or failed; its path is in the
   sealed body alone.
5. A credential that is refused to two reads in a row, or to the one that tries, closes the connection, as for writes.
6. A read takes a slot of its connection, as writes do and after them, and what came of it informs the circuit. An open circuit
   is answered for by the copy at once.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from saas_connectors.request import Headers, Pairs, Request, Response
from sovereign.egress.errors import Broken, Busy, EgressError, NoCredential, NotSent, Refused, TimedOut, Waiting
from sovereign.gateway.beside import beside
from sovereign.gateway.breaker import Breaker, Circuit
from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.errors import ReadDenied, VendorCut, VendorDown
from sovereign.gateway.intent import BY_HTTP
from sovereign.gateway.outcome import NOT_TAKEN, REFUSED
from sovereign.gateway.ports import Parts
from sovereign.gateway.slots import Slots
from sovereign.gateway.vendor import Vendor, fresh
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


@dataclass(slots=True)
class _Asked:
    """What came of asking the vendor. sick: whether it speaks against its health. trial: whether it was the one that tries."""

    response: Response | None = None
    sick: bool | None = None
    why: str = "circuit"
    trial: bool = False
    until: datetime | None = None
    """Until when the vendor asked us to wait."""
    refused: Vendor | None = None
    """The vendor, as it was when it refused its credential."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Answers reads."""

    parts: Parts
    breaker: Breaker
    group: GroupCommit
    slots: Slots

    async def answer(self, read: Read, mirror: Mirror = no_copy) -> Response:
        """Answer one read. Errors: ReadDenied, VendorCut, VendorDown, VendorBusy, Refused."""
        circuit = self._circuit(read.connection)
        if circuit.state == "cut":
            raise VendorCut(connection=read.connection)
        fresh(self.parts.vendors, self.breaker, circuit)
        vendor = self.parts.vendors(read.connection)
        decision = await self._decide(read, vendor.host)
        if decision.effect != "allow":
            await self._enter("read.denied", read, decision)
            held = "La politique demande une approbation.", "Policy asks for an approval."
            said_fr, said_en = held if decision.effect == "hold" else (decision.fr, decision.en)
            raise ReadDenied(connection=read.connection, said_fr=said_fr, said_en=said_en, by=decision.policies)
        asked = _Asked()
        try:
            act, response = await self._found(vendor, read, circuit, asked, mirror)
        except Exception:
            await self._enter("read.failed", read, decision, None, asked)
            raise
        await self._enter(act, read, decision, response.status, asked)
        return response

    async def _found(self, vendor: Vendor, read: Read, circuit: Circuit, asked: _Asked, mirror: Mirror) -> tuple[str, Response]:
        """The answer of the vendor, or of the copy where it is down, and the act to enter."""
        if circuit.reads(self.parts.clock()) != "none":
            async with self.slots.reading(read.connection, vendor.concurrency):
                await self._ask(vendor, read, asked)
        if asked.response is not None and asked.response.status not in DOWN:
            return "read.passed", asked.response
        if (kept := await mirror(vendor, read)) is not None:
            return "read.mirrored", kept
        if asked.response is None:
            raise VendorDown(connection=read.connection, retry_after=self._back(read.connection, asked.until))
        return "read.passed", asked.response

    async def _ask(self, vendor: Vendor, read: Read, asked: _Asked) -> None:
        """Send a read whose turn has come, as far as its circuit still lets it. Errors: VendorCut, Refused."""
        if not await self._may(read.connection, asked):
            return
        request = Request(read.method, vendor.origin + read.path, headers=read.headers, body=read.body, reads=True)
        try:
            asked.response = await vendor.send(request)
            asked.why = f"status.{asked.response.status}"
            asked.sick = _sick(asked.response.status)
            if asked.response.status == REFUSED and vendor.mark is not None:
                asked.sick, asked.refused = None, vendor
        except Refused:
            raise
        except EgressError as error:  # down, as far as this read can tell: the copy may answer
            asked.why = error.code
            if isinstance(error, NoCredential) and error.refused:
                asked.refused, asked.trial = vendor, True
                return
            asked.sick = True if isinstance(error, NotSent | TimedOut | Broken) and not isinstance(error, Busy) else None
            until = error.fields["until"] if isinstance(error, Waiting) else None
            asked.until = until if isinstance(until, datetime) else None

    async def _may(self, connection: str, asked: _Asked) -> bool:
        """Whether the circuit lets a read leave; where one may try, it is this one from here on. Errors: VendorCut."""
        circuit = self._circuit(connection)
        if circuit.state == "cut":
            raise VendorCut(connection=connection)
        passes = circuit.reads(self.parts.clock())
        if passes != "one":
            return passes == "all"

        def claim(transaction: Connection) -> bool:
            present, now = self.breaker.get(transaction, connection), self.parts.clock()
            if present.reads(now) != "one":
                return False
            self.breaker.trial(transaction, present, now)
            return True

        asked.trial = await self.group.write(claim)
        return asked.trial

    def _circuit(self, connection: str) -> Circuit:
        with self.parts.state.read() as reader:
            return self.breaker.get(reader, connection)

    def _back(self, connection: str, until: datetime | None) -> int | None:
        """Seconds after which a vendor that is down is asked again; None when the next may ask at once."""
        known = [each for each in (until, self._circuit(connection).until) if each is not None]
        return max(1, math.ceil((max(known) - self.parts.clock()).total_seconds())) if known else None

    async def _decide(self, read: Read, host: str) -> Decision:
        kind = next((value for name, value in read.headers if name.lower() == "content-type"), "")
        findings = (await beside(len(read.body), self.parts.scan, read.body, kind)).findings if read.body else ()
        standing, now = self.parts.standing(read.client, read.person), self.parts.clock()
        question = Question(
            read.client, read.connection, host, "http", BY_HTTP, read.method, read.path.partition("?")[0],
            now.astimezone(self.parts.zone), standing.owner, read.person, standing.roles, standing.groups,
            findings=findings, bytes=len(read.body or b""), records=0, reads=True,
        )  # fmt: skip
        return self.parts.policy.decide(question)

    async def _enter(
        self, act: str, read: Read, decision: Decision, status: int | None = None, asked: _Asked | None = None
    ) -> None:
        """Enter a read, and what it said of the vendor's health, in one transaction."""
        facts = {"client": read.client, "method": read.method, "policies": list(decision.policies)}
        told: dict[str, object] = {**facts, **({} if status is None else {"status": status})}
        body = {"path": read.path, "person": read.person}
        subject, new = {"connection": read.connection}, False

        def piece(transaction: Connection) -> None:
            nonlocal new
            if asked is not None and asked.refused is not None:
                if asked.trial or self.breaker.strike(read.connection):
                    now, breaker = self.parts.clock(), self.breaker
                    new = self.parts.refusing.close(breaker, transaction, read.connection, asked.refused, asked.why, now)
            elif asked is not None and (asked.trial or asked.sick is not None):
                now = self.parts.clock()
                self.breaker.note(transaction, read.connection, now, asked.sick, asked.why, kind="read", trial=asked.trial)
            self.parts.audit.append(act, subject, told, body, actor=read.client, within=transaction)

        await self.group.write(piece)
        if new and asked is not None:
            self.parts.refusing.tell(read.connection, asked.refused)


def _sick(status: int) -> bool | None:
    """Whether an answer speaks against the vendor's health; None when it says nothing: one page that fails is no more."""
    if status in DOWN:
        return True
    return None if status in NOT_TAKEN or status >= 500 else False
