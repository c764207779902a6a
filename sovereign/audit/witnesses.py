"""The witnesses of a site, asked over the network: what each answers is checked, kept and entered in the log.

1. They are the operator's own infrastructure: reached at the address of the settings and no other, through the guard of
   `egress` as their `network` table allows, without redirections, within bounds of size and time.
2. What a witness cosigned is kept in `state.db` before anything relies on it, added to the checkpoint and shown in `audit/`.
3. A change is entered in the log once: a witness that contradicts the log or declines it at once, one that is out of reach
   when that has lasted, its return, and that it forgot what it had seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from sqlalchemy import Connection, func, select

from sovereign.audit import standing
from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.cosigning import MAX_ANSWER, PATH, Cosigned, Reply, converse
from sovereign.audit.errors import Contradicted, Declined, Unreachable, Unwitnessed, WitnessError
from sovereign.audit.log import AuditLog
from sovereign.audit.standing import Standing
from sovereign.audit.tiles import sizes
from sovereign.clock import Clock
from sovereign.errors import BadSettings
from sovereign.settings import AuditSettings, Witness
from sovereign.state import State
from sovereign.state.schema import audit_entries
from vault.cosignatures import Cosignatory
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.egress import EgressPolicy, Remark

PATIENCE: Final = timedelta(seconds=30)
"""How long a witness may be out of reach before that is entered."""
_STATES: Final[Mapping[type[WitnessError], standing.Answering]] = {
    Unreachable: "unreachable", Declined: "declined", Contradicted: "contradicted"
}  # fmt: skip

_WORSE: Final = ("asked", "cosigning", "unreachable", "declined", "contradicted")


class Window(NamedTuple):
    """What whoever holds everything here could still change unseen.

    entries: how many there are; witnessed: how many of them are; seconds: how long the oldest that is not has waited.
    """

    entries: int
    witnessed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Shown:
    """The log, as it is shown to a witness."""

    audit: AuditLog

    def latest(self, at_least: int) -> Checkpoint:
        """The checkpoint signed last; one signed now when it has fewer entries."""
        found = self.audit.checkpoints.latest()
        return found if found is not None and found.size >= at_least else self.audit.publication.publish()

    def consistency(self, old: int, new: Checkpoint) -> tuple[bytes, ...]:
        """Prove that the tree of `old` entries is the beginning of the one that `new` signed."""
        return self.audit.consistency(old, new)


class Witnesses:
    """The witnesses of `[audit]` in the settings. directory: the site's folder, where relative paths start."""

    def __init__(
        self, settings: AuditSettings, directory: Path, state: State, audit: AuditLog, clock: Clock,
        patience: timedelta = PATIENCE,
    ) -> None:  # fmt: skip
        self._settings, self._directory, self._state, self._clock = settings, directory, state, clock
        self.audit, self.wanted, self._patience = audit, settings.wanted, patience
        self.keys = {name: Cosignatory.parse(each.key) for name, each in settings.witnesses.items()}

    def standings(self) -> tuple[Standing, ...]:
        """How each stands, in the order of the settings; errors: Damaged."""
        with self._state.read() as connection:
            return self._read(connection)

    def window(self) -> Window:
        """What is not witnessed yet; errors: Damaged."""
        with self._state.read() as connection:
            return self._window(connection, self._read(connection))

    def verify(self) -> Window:
        """Hold the log against what each witness saw, and what it said last.

        Errors: Contradicted, Damaged, Unwitnessed when too few ever cosigned.
        """
        with self._state.read() as connection:
            found = self._read(connection)
            standing.hold(connection, found)
            for each in found:
                if each.state == "contradicted":
                    how, _, size = each.reason.partition(" ")
                    raise Contradicted(witness=each.name, how=how, size=int(size))
            if sum(each.checkpoint is not None for each in found) < self.wanted:
                raise Unwitnessed(witness=", ".join(self.keys), wanted=self.wanted)
            return self._window(connection, found)

    def asking(self, name: str, stop: Event | None = None) -> "Asking":
        """Open the way to a witness; nothing is dialled yet. stop: set it to interrupt. Errors: BadSettings."""
        from sovereign.egress import EgressError

        try:
            return Asking(self, name, self._policy(name, self._settings.witnesses[name]), self._clock, stop)
        except EgressError as fault:
            raise _bad(f"audit.witnesses.{name}", fault) from None

    def check(self) -> "Mapping[str, tuple[Remark, ...]]":
        """Open the way to each, and close it: a wrong setting is told at once. Gives what guards each. Errors: BadSettings."""
        found = {}
        for name in self.keys:
            with self.asking(name) as asking:
                found[name] = asking.describe()
        return found

    def ask_all(self) -> tuple[WitnessError, ...]:
        """Ask each once; gives what went wrong. Errors: Damaged, Forked, Unpublished."""
        troubles = []
        for name in self.keys:
            with self.asking(name) as asking:
                try:
                    asking.ask()
                except WitnessError as fault:
                    troubles.append(fault)
        return tuple(troubles)

    def cosigned(self, name: str, found: Cosigned) -> Standing:
        """Keep what a witness cosigned, and show it; errors: Damaged, Unpublished."""
        present = self._clock()
        self.audit.checkpoints.attach(found.checkpoint.size, [found.line])
        with self._state.begin() as connection:
            former = self._one(connection, name)
            seen = found.checkpoint if found.checkpoint.size >= former.size or found.forgot is not None else former.checkpoint
            since = former.since if former.state == "cosigning" and former.since else present
            held = Standing(name, "cosigning", since, present, seen, datetime.fromtimestamp(found.time, UTC))
            standing.write(connection, self.keys[name].vkey, held)
            if former.told and former.state != "cosigning":
                facts = {"after": former.state, "entries": held.size}
                self._enter("returned", name, {**facts, "since": former.since}, connection)
            if found.forgot is not None:
                self._enter("forgot", name, {"entries": found.forgot, "now": found.checkpoint.size}, connection)
        self.audit.publication.add_cosignature(self.keys[name], found.checkpoint)
        return held

    def failed(self, name: str, fault: WitnessError) -> Standing:
        """Keep that a witness did not cosign, and enter it when it is new, or has lasted.

        What is worse stands until a cosignature: whoever rewrote the log cannot hide it by cutting the network.
        """
        present, state = self._clock(), _STATES[type(fault)]
        reason = str(fault.fields.get("reason") or f"{fault.fields['how']} {fault.fields['size']}")
        with self._state.begin() as connection:
            former = self._one(connection, name)
            held = replace(former, asked_at=present, since=former.since or present)
            if _WORSE.index(state) >= _WORSE.index(former.state):
                held = replace(held, reason=reason)
                if former.state != state or (state != "unreachable" and former.reason != reason):
                    held = replace(held, state=state, since=present, told=False)
            if not held.told and (held.state != "unreachable" or not timedelta() <= present - _at(held) < self._patience):
                held = replace(held, told=True)
                size = fault.fields.get("size", former.size)
                self._enter(held.state, name, {"reason": held.reason, "entries": size}, connection)
            standing.write(connection, self.keys[name].vkey, held)
        return held

    def _enter(self, verb: str, name: str, facts: Mapping[str, object], connection: Connection) -> None:
        self.audit.append(f"witness.{verb}", {"witness": name}, facts, within=connection)

    def _read(self, connection: Connection) -> tuple[Standing, ...]:
        return standing.read(connection, self.keys, self.audit.checkpoints.verifier)

    def _one(self, connection: Connection, name: str) -> Standing:
        return standing.read(connection, {name: self.keys[name]}, self.audit.checkpoints.verifier)[0]

    def _window(self, connection: Connection, found: tuple[Standing, ...]) -> Window:
        entries = sizes(connection)[0]
        seen = min(entries, standing.witnessed([each.size for each in found], self.wanted))
        oldest = connection.execute(select(func.min(audit_entries.c.at)).where(audit_entries.c.seq >= seen)).scalar()
        waited = 0.0 if oldest is None else max(0.0, (self._clock() - oldest).total_seconds())
        return Window(entries, seen, waited)

    def _policy(self, name: str, settings: Witness) -> "EgressPolicy":
        from sovereign.egress.policy import network_policy

        at = f"audit.witnesses.{name}"
        policy = network_policy(at, settings.url, settings.network, self._directory, str.encode, at=at)  # no secret is named
        return replace(
            policy, connect_timeout=3.0, timeout=5.0, total_timeout=8.0, patience=0.0, attempts=1, concurrency=1,
            max_bytes=MAX_ANSWER,
        )  # fmt: skip


class Asking:
    """The way to one witness, kept open; a context manager. For one thread."""

    def __init__(self, of: Witnesses, name: str, policy: "EgressPolicy", clock: Clock, stop: Event | None) -> None:
        from sovereign.egress import open_transport

        self._of, self.name, self._url = of, name, policy.url.rstrip("/") + PATH
        self.standing = Standing(name, "asked")
        """How it stood when it was last asked."""
        self._way = open_transport(policy, None, clock, stop=stop)

    def ask(self) -> Standing:
        """Have the latest checkpoint cosigned, whatever it takes; what comes of it is kept.

        Errors: WitnessError, once kept; Interrupted; Damaged, Forked, Unpublished.
        """
        try:
            self.standing = self._of.cosigned(self.name, self._converse())
        except WitnessError as fault:
            self.standing = self._of.failed(self.name, fault)
            raise
        return self.standing

    def _converse(self) -> Cosigned:
        audit, key = self._of.audit, self._of.keys[self.name]
        seen = next(each.size for each in self._of.standings() if each.name == self.name)
        steps = converse(self.name, key, seen, Shown(audit), audit.checkpoints.verifier.vkey)
        body = next(steps)
        while True:
            reply = self._post(body)
            try:
                body = steps.send(reply)
            except StopIteration as end:
                found: Cosigned = end.value
                return found

    def _post(self, body: bytes) -> Reply:
        from saas_connectors.request import Request
        from sovereign.egress import EgressError, Interrupted

        try:
            answer = self._way.send(Request("POST", self._url, (), (("content-type", "text/plain"),), body))
        except Interrupted:
            raise
        except EgressError as fault:
            reason = fault.fields.get("rule") or fault.fields.get("reason") or fault.code
            raise Unreachable(witness=self.name, reason=str(reason)) from None
        return Reply(answer.status, answer.body)

    def describe(self) -> "tuple[Remark, ...]":
        """What guards the way, and what it cannot see."""
        return self._way.describe()

    def close(self) -> None:
        """Close the sockets."""
        self._way.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _at(held: Standing) -> datetime:
    return held.since or datetime.min.replace(tzinfo=UTC)


def _bad(field: str, fault: Fault) -> BadSettings:
    fr, en = (fault.diagnostics(language).what.rstrip(".") for language in ("fr", "en"))
    return BadSettings(field=field, expected_fr=fr, expected_en=en)
