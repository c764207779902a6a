"""One delivery at a time: sent, judged, read back, probed; each result is a step in the store before anyone is told.

1. `send` is given a delivery that is already, durably, `in_flight`; it sends the writing request at most once.
2. A result that cannot be written (disk full) is written as soon as it can be; until then the delivery is `in_flight`,
   and a process that dies so leaves it `unknown`.
3. A vendor's acceptance is checked by reading back, where the operation can (a 204 has been seen to store nothing).
4. A refused credential closes the connection for all that would show it (`refusing`): the write did nothing, and waits.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from saas_connectors.connector import Applied, Operation, Writer
from saas_connectors.request import Request, Response
from sovereign.clock import Clock
from sovereign.gateway import outcome as judge
from sovereign.gateway.beside import beside
from sovereign.gateway.breaker import Breaker
from sovereign.gateway.deliveries import Deliveries, Delivery, Step
from sovereign.gateway.errors import NoSuchStep, NotWritable, StateMoved
from sovereign.gateway.intent import BY_HTTP
from sovereign.gateway.load import Load
from sovereign.gateway.outcome import Outcome
from sovereign.gateway.refusing import Refusing
from sovereign.gateway.sealing import Answer, Sealing
from sovereign.gateway.spool import Spool
from sovereign.gateway.terms import Terms
from sovereign.gateway.vendor import Sent, Vendor, Vendors, converse
from sovereign.state import StateUnsure
from sovereign.state.group import GroupCommit
from sovereign.state.refusals import CODE
from vault.errors import Fault

T = TypeVar("T")
PATIENCE: Final = 60.0
"""Seconds after which another look is taken at an acceptance that nobody read back: its process died."""
AGAIN: Final = 0.5
"""Seconds between two tries to write down a result that could not be."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends, reads back and probes."""

    deliveries: Deliveries
    breaker: Breaker
    group: GroupCommit
    sealing: Sealing
    vendors: Vendors
    terms: Terms
    clock: Clock
    chance: Callable[[], float] = random.random
    spool: Spool | None = None
    refusing: Refusing = field(default_factory=Refusing)

    async def send(self, delivery: Delivery, load: Load) -> tuple[Delivery, Answer | None]:
        """Send what is in flight; gives where it then stands, and the vendor's answer to its writing request."""
        sent, applied = Sent(), None
        operation: Operation | None = None
        maybe = bool(delivery.outcome.get("maybe"))
        again, vendor = False, None
        try:
            vendor = self.vendors(load.connection)
            if load.operation == BY_HTTP:
                result = await self._pass(vendor, load, sent, maybe=maybe)
            else:
                writer, operation = vendor.operation(load.operation)
                again = _twice_is_once(operation)
                key = load.intent if operation.key_header else None
                payload = await beside(len(load.body), load.payload)
                applied = await converse(writer.apply(load.operation, payload, key), vendor.send, sent, size=len(load.body))
                result = judge.of_applied(applied)
        except Exception as error:  # noqa: BLE001 - whatever happened, what is provable of the send decides
            result = judge.of_fault(error, sent, self.clock(), again=again, maybe=maybe)
        if result.refused and not self.refusing.credential(self.breaker, delivery, load, vendor, sent, result, self.clock()):
            result = judge.plain(result, maybe=maybe)
        answer = _answer(sent.response, applied)
        moved = await self._record(delivery, load, operation, result, answer, vendor, judge.changed(applied, sent))
        if moved.state == "delivered" and moved.next_at is not None and operation is not None and applied is not None:
            moved = await self.read_back(moved, load, applied)
        return moved, answer

    async def read_back(self, delivery: Delivery, load: Load, applied: Applied) -> Delivery:
        """Look whether the vendor holds what it accepted."""
        try:
            writer, operation = self.vendors(load.connection).operation(load.operation)
        except Fault as fault:
            return await self._look_later(delivery, fault)
        for look in range(1, self.terms.looks + 1):
            try:
                exchange = writer.read_back(load.operation, await beside(len(load.body), load.payload), applied)
                found = await converse(exchange, self.vendors(load.connection).send, size=len(load.body))
            except Exception as error:  # noqa: BLE001 - a look that fails says nothing of the write
                await self._refused_look(load.connection, error)
                return await self._look_later(delivery, error)
            if found.outcome == "confirmed":
                return await self._step(delivery, "confirmed", "read_back.confirmed")
            if found.outcome == "unsupported":
                return await self._put_off(delivery, None, {**delivery.outcome, "read_back": "unsupported"})
            if look < self.terms.looks:
                await asyncio.sleep(self.terms.look_again)
        known = {**delivery.outcome, "read_back": found.outcome, "maybe": True}
        why, body = f"read_back.{found.outcome}", {"pointers": list(found.pointers)} if found.pointers else {}
        becomes, next_at, within = self._unknown(operation, known, why)
        return await self._step(
            delivery, becomes, why, next_at=next_at, outcome=known, body=body, within=within,
            facts={"fields": len(found.pointers)} if found.pointers else {},
        )  # fmt: skip

    async def probe(self, delivery: Delivery, load: Load) -> Delivery:
        """Look at the vendor whether a write of unknown outcome, now `probing`, happened."""
        known = dict(delivery.outcome)
        known["probes"] = int(known.get("probes", 0)) + 1
        try:
            vendor = self.vendors(load.connection)
            writer, operation = vendor.operation(load.operation)
            payload = await beside(len(load.body), load.payload)
            found = await converse(writer.probe(load.operation, payload), vendor.send, size=len(load.body))
        except Exception as error:  # noqa: BLE001 - a probe that fails says nothing of the write
            await self._refused_look(load.connection, error)
            why = f"probe.{_code(error)}"
            if known["probes"] >= self.terms.probes or isinstance(error, NotWritable):
                return await self._step(delivery, "inconclusive", why, outcome=known)
            next_at = self.terms.next(self.clock(), known["probes"], self.chance(), _until(error))
            return await self._step(delivery, "unknown", why, next_at=next_at, outcome=known)
        if found.outcome == "did_not_happen":
            known["maybe"] = False
            again = _twice_is_once(operation) and int(known.get("tries", 0)) < self.terms.attempts
            if again and self.clock() < load.expires_at:
                within = (Step("did_not_happen", "probe.did_not_happen"),)
                return await self._step(delivery, "queued", "retry.safe", outcome=known, within=within, next_at=load.expires_at)
        sealed = None
        if found.outcome == "landed" and found.vendor_id is not None and delivery.sealed_outcome is None:
            answer = Answer(delivery.status or 0, found.vendor_id)
            sealed = self.sealing.seal_answer(load.intent, load.connection, load.wrapped, answer)
        return await self._step(delivery, found.outcome, f"probe.{found.outcome}", outcome=known, sealed_outcome=sealed)

    async def _refused_look(self, connection: str, error: Exception) -> None:
        """Close the connection when a look showed a credential that is refused."""
        result = judge.of_fault(error, Sent(), self.clock(), again=False, maybe=False)
        if not result.refused:
            return
        vendor, now = None, self.clock()
        with suppress(Fault):
            vendor = self.vendors(connection)
        if await self._written(lambda t: self.refusing.close(self.breaker, t, connection, vendor, result.why, now)):
            self.refusing.tell(connection, vendor)

    def repeats(self, load: Load, delivery: Delivery) -> bool:
        """Whether it may be sent again although it may have arrived."""
        if load.operation == BY_HTTP:
            return False
        try:
            _, operation = self.vendors(load.connection).operation(load.operation)
        except Fault:
            return False
        return _twice_is_once(operation) and int(delivery.outcome.get("tries", 0)) < self.terms.attempts

    async def _pass(self, vendor: Vendor, load: Load, sent: Sent, *, maybe: bool) -> Outcome:
        headers = load.headers
        if load.content_type and not any(name.lower() == "content-type" for name, _ in headers):
            headers = (*headers, ("Content-Type", load.content_type))
        request = Request(load.method, vendor.origin + load.path, headers=headers, body=load.body or None)
        upload, spool = load.write.upload, self.spool
        if upload is None:
            sent.writing = True
            sent.response = await vendor.send(request)
        elif spool is None or vendor.upload is None:
            raise NotWritable(connection=load.connection, operation=load.operation, known="-")
        else:
            await asyncio.to_thread(spool.verify, load.intent, upload)  # what was altered is closed before a byte leaves
            sent.writing = True
            sent.response = await vendor.upload(request, partial(spool.pieces, load.intent, upload), upload.size)
        return judge.of_status(sent.response.status, sent.response.headers, self.clock(), again=False, maybe=maybe)

    async def _record(
        self,
        delivery: Delivery,
        load: Load,
        operation: Operation | None,
        result: Outcome,
        answer: Answer | None,
        vendor: Vendor | None,
        changed: bool | None,
    ) -> Delivery:
        now = self.clock()
        known: dict[str, Any] = judge.witnessed(delivery.outcome, changed if result.arrived else None)
        known["tries"] = int(known.get("tries", 0)) + result.arrived
        known["failures"] = 0 if result.ends == "delivered" else int(known.get("failures", 0)) + (not result.refused)
        if result.refused:
            known["refused"] = {"times": refusals(delivery) + 1, "at": now.isoformat()}
            answer = None
        maybe = bool(known.get("maybe")) or (result.arrived and result.ends in ("to_retry", "unknown"))
        known["maybe"] = maybe
        becomes, next_at, within = self._after(load, operation, result, known, now)
        sealed = None
        if answer is not None:
            try:
                sealed = self.sealing.seal_answer(load.intent, load.connection, load.wrapped, answer)
            except Fault:
                known["answer"] = "lost"  # its key is gone: the outcome counts more

        why, new = CODE if result.refused else result.why, False

        def piece(transaction: Connection) -> Delivery:
            nonlocal new
            if result.refused:
                new = self.refusing.close(self.breaker, transaction, load.connection, vendor, result.why, now)
            else:
                self.breaker.note(transaction, load.connection, now, result.sick, result.why)
            return self.deliveries.move(
                transaction, delivery, becomes, why, now, next_at=next_at, status=result.status, outcome=known,
                sealed_outcome=sealed, within=within, facts=_facts(result, known),
            )  # fmt: skip

        moved = await self._written(piece)
        if new:
            self.refusing.tell(load.connection, vendor)
        return moved

    def _after(
        self, load: Load, operation: Operation | None, result: Outcome, known: dict[str, Any], now: datetime
    ) -> tuple[str, datetime | None, tuple[Step, ...]]:
        """Where a result leads: the state, when it wants attention, and the steps on the way."""
        if result.ends == "delivered":
            reads_back = operation is not None and operation.reads_back
            return "delivered", self.terms.later(now, PATIENCE) if reads_back else None, ()
        if result.ends == "rejected":
            return "rejected", None, ()
        if result.ends == "to_retry":
            next_at = self.terms.next(now, max(1, known["failures"]), self.chance(), result.until)
            over = result.arrived and known["tries"] >= self.terms.attempts
            if not over and next_at < load.expires_at:
                return "to_retry", next_at, ()
            if not known["maybe"]:
                return "expired", None, (Step("to_retry", CODE if result.refused else result.why),)
        elif result.ends == "failed" and not known["maybe"]:
            return "failed", None, (Step("to_retry", result.why),)
        return self._unknown(operation, known, result.why)

    def _unknown(
        self, operation: Operation | None, known: dict[str, Any], why: str
    ) -> tuple[str, datetime | None, tuple[Step, ...]]:
        if operation is not None and operation.probes:
            return "unknown", self.terms.later(self.clock(), self.terms.settle), ()
        if operation is not None and _twice_is_once(operation) and int(known.get("tries", 0)) < self.terms.attempts:
            return "unknown", self.terms.next(self.clock(), max(1, int(known.get("failures", 1))), self.chance()), ()
        return "inconclusive", None, (Step("unknown", why),)

    async def _look_later(self, delivery: Delivery, error: Exception) -> Delivery:
        looks = int(delivery.outcome.get("looks", 0)) + 1
        known = {**delivery.outcome, "looks": looks, "read_back": _code(error)}
        over = looks >= self.terms.probes
        next_at = None if over else self.terms.next(self.clock(), looks, self.chance(), _until(error))
        return await self._put_off(delivery, next_at, known)

    async def _put_off(self, delivery: Delivery, next_at: datetime | None, known: dict[str, Any]) -> Delivery:
        def piece(transaction: Connection) -> Delivery:
            self.deliveries.put_off(transaction, delivery, next_at, known)
            return self.deliveries.get(transaction, delivery.intent)

        return await self._written(piece)

    async def _step(self, delivery: Delivery, becomes: str, why: str, **more: Any) -> Delivery:  # noqa: ANN401 - of `Deliveries.move`
        now = self.clock()
        return await self._written(lambda transaction: self.deliveries.move(transaction, delivery, becomes, why, now, **more))

    async def _written(self, piece: Callable[[Connection], T]) -> T:
        """Write a result down, however long the disk or the log refuses it; what can never be is found at the next start."""
        while True:
            try:
                return await self.group.write(piece)
            except (StateMoved, NoSuchStep, StateUnsure):
                raise
            except Fault:
                await asyncio.sleep(AGAIN)


def applied_of(answer: Answer | None, status: int | None) -> Applied:
    """What the vendor answered, as a connector reads it again."""
    return Applied(answer.status if answer else status or 0, answer.vendor_id if answer else None)


def can_probe(vendors: Vendors, load: Load) -> tuple[Writer, Operation] | None:
    """The operation by which an outcome can be looked for; None when there is none."""
    if load.operation == BY_HTTP:
        return None
    try:
        writer, operation = vendors(load.connection).operation(load.operation)
    except Fault:
        return None
    return (writer, operation) if operation.probes else None


def refusals(delivery: Delivery) -> int:
    """How often the vendor refused the credential under which a delivery was sent."""
    return int(delivery.outcome.get("refused", {}).get("times", 0))


def _twice_is_once(operation: Operation) -> bool:
    return operation.idempotent or operation.key_header is not None


def _answer(response: Response | None, applied: Applied | None) -> Answer | None:
    if response is None:
        return None if applied is None else Answer(applied.status, applied.vendor_id)
    vendor_id = applied.vendor_id if applied else None
    return Answer(response.status, vendor_id, tuple(response.headers.items()), response.body)


def _facts(result: Outcome, known: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"arrived": result.arrived, **({"changed": known["changed"]} if "changed" in known else {})}
    if result.status is not None:
        facts["status"] = result.status
    return facts


def _code(error: Exception) -> str:
    return error.code if isinstance(error, Fault) else f"defect.{type(error).__name__}"


def _until(error: Exception) -> datetime | None:
    until = error.fields.get("until") if isinstance(error, Fault) else None
    return until if isinstance(until, datetime) else None
