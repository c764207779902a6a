"""A circuit a vendor: whether anything may leave for it. Kept in `circuits`, so that it outlives the process and is shown.

    closed      everything may leave
    open        the vendor failed `threshold` times in a row: nothing leaves until an instant; writes wait in their order
    half_open   that instant has come: one request is trying; it closes the circuit, or opens it for longer
    refused     the vendor refused our credential: nothing leaves that would show it, until it or the settings change, or a
                person says so; else one request is let through an hour, and closes the circuit if it is accepted
    cut         an operator cut the vendor off: nothing leaves, writes or reads, until an operator restores it

1. What an operator cut, no success and no restart opens again.
2. Failures in a row are counted in memory and forgotten by a restart; an open circuit is not. Writes and reads are counted
   apart, so that reads that go well hide no writes that fail.
3. A trial that says nothing of the vendor, or whose process died, leaves the next to try. A read tries only where no write did.
4. A clock that was set back keeps no circuit open; a refused credential waits its hour by the new one.
5. Before a refused credential is tried, the next try is put off: whatever dies meanwhile, it is shown once. It is told when it
   is first refused, and when it is accepted or changed; not at each try.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, insert, select, update

from sovereign.audit import AuditLog
from sovereign.state import State
from sovereign.state import refusals as kept
from sovereign.state.outbound import circuits, deliveries
from sovereign.state.statements import Statement

Position = Literal["closed", "open", "half_open", "refused", "cut"]
TRIAL: Final = timedelta(minutes=15)
"""How long a trial may last before another is made: longer than any timeout of a send."""
_DRIFT: Final = timedelta(seconds=60)
"""By how much two clocks of one machine's life may differ without one having been set back."""
_FRESH: Final = timedelta(minutes=10)
"""How long ago a credential may have been accepted for a refusal to be of one write alone."""
GRACE: Final = timedelta(seconds=3)
"""How long a trial is left to a write that waits, before a read makes it."""
Kind = Literal["write", "read"]
_WAITING: Final = ("approved", "queued", "to_retry", "unknown", "inconclusive", "did_not_happen", "held")


@dataclass(frozen=True, slots=True)
class Circuit:
    """Where a circuit stands. until: when it is tried again. reason: a code, or what the operator said."""

    connection: str
    state: str = "closed"
    since: datetime | None = None
    failures: int = 0
    until: datetime | None = None
    reason: str | None = None

    def passes(self, now: datetime) -> Literal["all", "one", "none"]:
        """What may leave now."""
        if self.state == "closed":
            return "all"
        if self.state == "cut" or self.until is None or self.since is None:
            return "none"
        if self.state == "refused":
            return "one" if self.until <= now else "none"
        return "one" if self.until <= now or now < self.since - _DRIFT else "none"

    def reads(self, now: datetime) -> Literal["all", "one", "none"]:
        """Whether a read may leave now."""
        return self.passes(now - GRACE) if self.state in ("open", "refused") else self.passes(now)


class Breaker:
    """The circuits of a site."""

    def __init__(
        self, state: State, audit: AuditLog, *, threshold: int = 5, first: float = 15.0, longest: float = 600.0
    ) -> None:
        """threshold: failures in a row that open. first, longest: seconds that it stays open, doubling."""
        self._state, self._audit = state, audit
        self._threshold, self._first, self._longest = threshold, first, longest
        self._failures: dict[tuple[str, Kind], int] = {}
        self._unsaid: dict[str, int] = {}
        self._accepted: dict[str, datetime] = {}
        self._shut: set[str] = set()
        self._get = Statement(state, "SELECT state, since, failures, until, reason FROM circuits WHERE connection = :name")

    def get(self, reader: Connection, name: str) -> Circuit:
        """The circuit of a connection."""
        row = self._get(reader, name=name).fetchone()
        if row is None:
            return Circuit(name)
        state, since, failures, until, reason = row
        if state == "refused":
            self._shut.add(name)
        ends = None if until is None else datetime.fromisoformat(until)
        return Circuit(name, state, datetime.fromisoformat(since), failures, ends, reason)

    def all(self, reader: Connection) -> dict[str, Circuit]:
        """Every circuit that is not closed, and those that were not once, by connection."""
        rows = reader.execute(select(circuits))
        return {
            row.connection: Circuit(row.connection, row.state, row.since, row.failures, row.until, row.reason) for row in rows
        }

    def trial(self, transaction: Connection, circuit: Circuit, now: datetime) -> None:
        """Note that one request is trying."""
        if circuit.state == "refused":
            since = min(circuit.since or now, now)
            self._put(transaction, circuit.connection, "refused", since, circuit.failures, now + kept.LOOK, circuit.reason)
            return
        self._put(transaction, circuit.connection, "half_open", now, circuit.failures, now + TRIAL, circuit.reason)

    def recover(self, transaction: Connection, now: datetime) -> None:
        """Leave to the next the trials of a process that is gone."""
        transaction.execute(update(circuits).where(circuits.c.state == "half_open").values(state="open", since=now, until=now))
        self.set_back(transaction, now)

    def set_back(self, transaction: Connection, now: datetime) -> None:
        """Have refused credentials wait no longer than they were to by an earlier clock, and no less."""
        c = circuits.c
        far = (c.state == "refused") & (c.until > now + kept.LOOK)
        transaction.execute(update(circuits).where(far).values(since=now, until=now + kept.LOOK))

    def note(
        self,
        transaction: Connection,
        name: str,
        now: datetime,
        sick: bool | None,
        why: str,
        *,
        kind: Kind = "write",
        trial: bool = True,
    ) -> None:
        """Take what a request said of the vendor's health (None: nothing). trial: whether it may be the one that was trying."""
        if sick is None:
            if trial and (circuit := self.get(transaction, name)).state == "half_open":
                self._put(transaction, name, "open", now, circuit.failures, now, circuit.reason)
            return
        count = self._failures.pop((name, kind), 0)
        circuit = self.get(transaction, name)
        if not sick:
            self._accepted[name] = now
            self._unsaid.pop(name, None)
            if trial and circuit.state == "refused":
                self._shut.discard(name)
                self.reopen(transaction, name, now, "credential.accepted")
            if trial and circuit.state in ("open", "half_open"):
                self._failures = {held: failed for held, failed in self._failures.items() if held[0] != name}
                self._put(transaction, name, "closed", now, 0, None, None)
                self._audit.append("circuit.closed", {"connection": name}, {}, within=transaction)
            return
        self._failures[name, kind] = count + 1
        if (trial and circuit.state == "half_open") or (circuit.state == "closed" and count + 1 >= self._threshold):
            failures = circuit.failures + 1
            seconds = min(self._longest, self._first * 2 ** min(failures - 1, 30))
            self._put(transaction, name, "open", now, failures, now + timedelta(seconds=seconds), why)
            facts = {"why": why, "failures": failures, "seconds": round(seconds)}
            self._audit.append("circuit.opened", {"connection": name}, facts, within=transaction)

    # The credential

    def refuse(self, transaction: Connection, name: str, now: datetime, mark: str, why: str) -> bool:
        """Close a connection whose credential the vendor refused; gives whether that is new. mark: of that credential."""
        circuit = self.get(transaction, name)
        if circuit.state == "cut":
            return False
        new = circuit.state != "refused"
        since = now if new else min(circuit.since or now, now)
        until = now + kept.LOOK if circuit.until is None or new else max(circuit.until, now + kept.LOOK)
        count = 1 if new else circuit.failures + 1
        self._shut.add(name)
        self._put(transaction, name, "refused", since, count, until, "credential")
        kept.keep(transaction, kept.Refusal(name, "write", mark, since, until, count, why))
        if new:
            facts = {"why": why, "way": "write", "seconds": round(kept.LOOK.total_seconds())}
            self._audit.append("credential.refused", {"connection": name}, facts, within=transaction)
        return new

    def reopen(self, transaction: Connection, name: str, now: datetime, act: str, *, actor: str | None = None) -> bool:
        """Open what a refused credential closed; gives whether anything was.

        act: `credential.accepted`, or `credential.changed` when it, the settings or a person's word changed.
        """
        closed = self.get(transaction, name).state == "refused"
        known = kept.forget(transaction, name, "write")  # a connection that was cut since stays cut
        if closed:
            self._put(transaction, name, "closed", now, 0, None, None)
        if closed or known:
            self._audit.append(act, {"connection": name}, {"way": "write"}, actor=actor, within=transaction)
        return closed

    def recall(self, transaction: Connection, now: datetime, mark: Callable[[str], str | None]) -> None:
        """Open what was closed for another credential, or other settings, than those of now."""
        for each in kept.standing(transaction):
            if each.way == "write" and mark(each.connection) != each.mark:
                self.reopen(transaction, each.connection, now, "credential.changed")

    def strike(self, name: str) -> bool:
        """Count a 401 that may be about something else than the credential; gives whether it is one too many in a row."""
        self._unsaid[name] = self._unsaid.get(name, 0) + 1
        return self._unsaid[name] > 1

    def accepted_since(self, name: str, refused_at: datetime, now: datetime) -> bool:
        """Whether the vendor took another write under the credential after that instant, and just now."""
        at = self._accepted.get(name)
        return at is not None and refused_at < at and now - at < _FRESH

    def renewed(self, circuit: Circuit) -> bool:
        """Whether a connection was closed for its credential and no longer is: said once, so that it is read anew."""
        if circuit.state == "refused" or circuit.connection not in self._shut:
            return False
        self._shut.discard(circuit.connection)
        return True

    def settled(self, circuit: Circuit) -> bool:
        """Whether everything may leave, and no credential is to be read anew first."""
        return circuit.state == "closed" and circuit.connection not in self._shut

    # A person

    def cut(self, transaction: Connection, name: str, now: datetime, reason: str, *, actor: str | None = None) -> None:
        """Cut a vendor off. reason: what the operator says; it stands sealed in the audit log, and in clear nowhere."""
        self._put(transaction, name, "cut", now, 0, None, "operator")
        self._audit.append("vendor.cut", {"connection": name}, {}, {"reason": reason}, actor=actor, within=transaction)

    def restore(self, transaction: Connection, name: str, now: datetime, reason: str, *, actor: str | None = None) -> None:
        """Open a vendor again."""
        kept.forget(transaction, name, "write")
        self._put(transaction, name, "closed", now, 0, None, None)
        self._audit.append("vendor.restored", {"connection": name}, {}, {"reason": reason}, actor=actor, within=transaction)

    def _put(
        self,
        transaction: Connection,
        name: str,
        state: Position,
        now: datetime,
        failures: int,
        until: datetime | None,
        reason: str | None,
    ) -> None:
        values = {"state": state, "since": now, "failures": failures, "until": until, "reason": reason, "actor": None}
        changed = transaction.execute(update(circuits).where(circuits.c.connection == name).values(**values))
        if changed.rowcount == 0:
            transaction.execute(insert(circuits).values(connection=name, **values))


def stopping(reader: Connection, connection: str) -> dict[str, int]:
    """What waits for a vendor, and stops when it is cut: how many deliveries in each state."""
    from sqlalchemy import func

    c = deliveries.c
    query = select(c.state, func.count()).where(c.connection == connection, c.state.in_(_WAITING)).group_by(c.state)
    return {row[0]: row[1] for row in reader.execute(query)}
