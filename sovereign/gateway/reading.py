"""A read through the gateway: asked of policy, entered, sent to the vendor live, or answered by the local copy when it is down.

1. A vendor that an operator cut off is not asked, and the copy does not answer for it: `VendorCut`.
2. The copy answers when the circuit is open or the vendor cannot be reached, only through `mirror`, which applies the clearance
   of local reads; where it cannot, the fault is the vendor's.
3. Every read is entered before its answer is given: passed, mirrored or denied.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from saas_connectors.request import Pairs, Request, Response
from sovereign.egress.errors import EgressError, Refused
from sovereign.gateway.breaker import Breaker
from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.errors import VendorCut, VendorDown
from sovereign.gateway.ports import Parts
from sovereign.state.group import GroupCommit

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What came: the vendor's `response`, or what the local copy gave; neither when policy denied. entry: its audit entry."""

    decision: Decision
    entry: int
    response: Response | None = field(default=None, repr=False)
    mirrored: T | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reads:
    """Answers reads."""

    parts: Parts
    breaker: Breaker
    group: GroupCommit

    async def answer(self, read: Read, mirror: Callable[[Read], Awaitable[T | None]]) -> Answered[T]:
        """Answer one read. mirror: gives what the local copy answers, None when it cannot. Errors: VendorCut, VendorDown."""
        with self.parts.state.read() as reader:
            circuit = self.breaker.get(reader, read.connection)
        if circuit.state == "cut":
            raise VendorCut(connection=read.connection)
        vendor = self.parts.vendors(read.connection)
        decision = self._decide(read, vendor.host)
        if decision.effect != "allow":
            entry = await self._enter("read.denied", read, decision, None)
            return Answered(replace(decision, effect="deny"), entry)
        if circuit.passes(self.parts.clock()) != "none":
            try:
                request = Request(read.method, vendor.origin + read.path, headers=read.headers, body=read.body, reads=True)
                response = await vendor.send(request)
            except Refused:
                raise
            except EgressError:
                pass  # down, as far as this read can tell: the copy may answer
            else:
                entry = await self._enter("read.passed", read, decision, response.status)
                return Answered(decision, entry, response=response)
        found = await mirror(read)
        if found is None:
            raise VendorDown(connection=read.connection)
        entry = await self._enter("read.mirrored", read, decision, None)
        return Answered(decision, entry, mirrored=found)

    def _decide(self, read: Read, host: str) -> Decision:
        standing, now = self.parts.standing(read.client, read.person), self.parts.clock()
        question = Question(
            read.client, read.connection, host, "http", "http", read.method, read.path.partition("?")[0],
            now.astimezone(self.parts.zone), standing.owner, read.person, standing.roles, standing.groups,
            bytes=len(read.body or b""), records=0, reads=True,
        )  # fmt: skip
        return self.parts.policy.decide(question)

    async def _enter(self, act: str, read: Read, decision: Decision, status: int | None) -> int:
        facts = {"client": read.client, "method": read.method, "policies": list(decision.policies)}
        told: dict[str, object] = {**facts, **({} if status is None else {"status": status})}
        body = {"path": read.path, "person": read.person}
        subject = {"connection": read.connection}
        return await self.group.write(lambda t: self.parts.audit.append(act, subject, told, body, actor=read.client, within=t))
