"""Who is told what happens here: the subscribers that the settings declare, and what this site remembers of each.

1. Only what is entered after a subscriber was first seen is told to it.
2. A subscriber that the settings no longer declare is told nothing more: what waited is dropped, in the log too. Its sequence
   stays, so that a number never comes twice.
3. Its secret (`access.signing`) is made or given by a command, and never in the settings.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from sovereign.access.signing import OVERLAP, Signing, key_of
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.egress.policy import EgressPolicy, network_policy
from sovereign.events.errors import UnknownSubscriber
from sovereign.settings import Subscriber
from sovereign.state import State
from sovereign.state.schema import counters
from sovereign.state.telling import subscriber_messages, subscribers
from vault.errors import Finding, NoSecret
from vault.secrets import Secrets

SHELF: Final = "event-subscribers"
"""Where the secrets lie, in place of a connection: no connection has a hyphen in its name."""
CURSOR: Final = "subscribers"
"""The counter of the last audit entry that was looked at."""


@dataclass(frozen=True, slots=True)
class Told:
    """A subscriber that is told. since: the entry after which it is; policy: what a message is allowed on the network."""

    name: str
    declared: Subscriber
    since: int
    policy: EgressPolicy = field(repr=False)

    def way(self, _url: str) -> EgressPolicy:
        """What a message to it is allowed on the network."""
        return self.policy


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of a subscriber. lost: events not kept, that it was not told of yet."""

    since: int
    sequence: int
    lost: int
    counts: Mapping[str, int]
    oldest: datetime | None


class Subscribers:
    """The subscribers of a site. folder: the site's, where files that its settings name lie."""

    def __init__(
        self,
        declared: Mapping[str, Subscriber],
        state: State,
        audit: AuditLog,
        secrets: Secrets,
        clock: Clock,
        folder: Path,
        entropy: Callable[[int], bytes] | None = None,
    ) -> None:
        self.declared, self._state, self._audit, self._clock, self._folder = declared, state, audit, clock, folder
        self.signing = Signing(secrets, SHELF, clock, *(() if entropy is None else (entropy,)))
        self._told: dict[str, Told] | None = None

    def settle(self) -> None:
        """Note who is declared since the last time, and who is no longer. Errors: BadSettings."""
        for name, each in self.declared.items():
            self._policy(name, each)
        with self._state.begin() as transaction:
            known = {row.name: row for row in transaction.execute(select(subscribers))}
            live = any(row.removed_at is None for row in known.values())
            for name in sorted(known.keys() - self.declared.keys()):
                if known[name].removed_at is None:
                    self._remove(transaction, name)
            for name, each in sorted(self.declared.items()):
                digest, row = _digest(each), known.get(name)
                if row is not None and row.removed_at is None and row.digest == digest:
                    continue
                fresh = row is None or row.removed_at is not None
                act = "subscriber.added" if fresh else "subscriber.changed"
                facts = {"types": list(each.types), "changes": list(each.changes), "clearance": each.clearance}
                entry = self._audit.append(act, {"subscriber": name}, facts, {"url": each.url}, within=transaction)
                if row is None:
                    values = {"name": name, "since": entry, "sequence": 0, "lost": 0, "digest": digest}
                    transaction.execute(insert(subscribers).values(**values))
                else:
                    again: dict[str, Any] = {"digest": digest, "removed_at": None}
                    again |= {"since": entry, "lost": 0} if fresh else {}
                    transaction.execute(update(subscribers).where(subscribers.c.name == name).values(**again))
                if not live:
                    _begin(transaction, entry)
                    live = True
        self._told = None

    def all(self) -> Mapping[str, Told]:
        """Those who are told."""
        if self._told is None:
            with self._state.read() as reader:
                live = {row.name: row.since for row in reader.execute(select(subscribers)) if row.removed_at is None}
            self._told = {
                name: Told(name, each, live[name], self._policy(name, each))
                for name, each in self.declared.items()
                if name in live
            }
        return self._told

    def get(self, name: str) -> Subscriber:
        """The declaration of one; errors: UnknownSubscriber."""
        if name not in self.declared:
            raise UnknownSubscriber(subscriber=name[:64], known=", ".join(sorted(self.declared)) or "-")
        return self.declared[name]

    def standing(self, name: str) -> Standing:
        """Where one stands."""
        held = subscriber_messages.c
        with self._state.read() as reader:
            row = reader.execute(select(subscribers).where(subscribers.c.name == name)).one_or_none()
            counted = select(held.outcome, func.count()).where(held.subscriber == name).group_by(held.outcome)
            counts = {each[0]: each[1] for each in reader.execute(counted)}
            waiting = select(func.min(held.since)).where((held.subscriber == name) & (held.outcome == "waiting"))
            oldest = reader.execute(waiting).scalar()
        if row is None:
            return Standing(0, 0, 0, counts, None)
        return Standing(row.since, row.sequence, row.lost, counts, oldest)

    def awaited(self) -> int | None:
        """The first entry of the log that was not looked at for them, which is not to be pruned; None when nobody is told."""
        with self._state.read() as reader:
            live = reader.execute(select(subscribers.c.name).where(subscribers.c.removed_at.is_(None)).limit(1)).first()
            seen = reader.execute(select(counters.c.value).where(counters.c.name == CURSOR)).scalar()
        return None if live is None or seen is None else int(seen) + 1

    def keys(self, name: str) -> tuple[bytes, ...]:
        """The keys that sign at this instant, the newest first. Errors: NoSecret."""
        return self.signing.keys(name)

    def ready(self) -> frozenset[str]:
        """Those whose secret is known."""
        return self.signing.names()

    def secret(self, name: str, given: bytes | None = None) -> tuple[str, datetime | None]:
        """Make a secret, or keep the one given; gives it, and until when the former one signs beside it.

        Errors: UnknownSubscriber, BadRight.
        """
        self.get(name)
        key = None if given is None else key_of(given)
        until = self._clock() + OVERLAP
        try:
            self.signing.keys(name)
        except NoSecret:
            self._audit.append("subscriber.secret_made", {"subscriber": name})
            return self.signing.make(name, key), None
        self._audit.append("subscriber.secret_made", {"subscriber": name}, {"until": until})
        return self.signing.renew(name, until, key), until

    def _policy(self, name: str, each: Subscriber) -> EgressPolicy:
        way = network_policy(f"subscriber-{name}", each.url, each.network, self._folder, _none, at=f"subscribers.{name}")
        return replace(
            way,
            concurrency=2,
            connect_timeout=5.0,
            timeout=10.0,
            total_timeout=15.0,
            patience=0.0,
            attempts=1,
            max_bytes=65_536,
        )

    def _remove(self, transaction: Connection, name: str) -> None:
        held = subscriber_messages.c
        waiting = (held.subscriber == name) & held.next_at.is_not(None)
        ended = {"next_at": None, "outcome": "dropped", "why": "subscriber.removed", "since": self._clock()}
        dropped = transaction.execute(update(subscriber_messages).where(waiting).values(**ended)).rowcount
        gone = update(subscribers).where(subscribers.c.name == name)
        transaction.execute(gone.values(removed_at=self._clock()))
        self._audit.append("subscriber.removed", {"subscriber": name}, {"dropped": dropped}, within=transaction)


def findings(known: Subscribers) -> Iterator[Finding]:
    """Say which subscribers cannot be told, or were not; none is asked now."""
    ready = known.ready() if known.declared else frozenset()
    for name in sorted(known.declared):
        standing = known.standing(name)
        if name not in ready:
            yield Finding(
                "error", "doctor.subscriber", name, f"son secret manque : sovereign subscriber secret {name}",
                f"its secret is missing: sovereign subscriber secret {name}",
            )  # fmt: skip
        dead, lost = standing.counts.get("given_up", 0), standing.lost
        if dead or lost:
            yield Finding(
                "warning", "doctor.subscriber", name,
                f"{dead} événements jamais pris, {lost} perdus : voyez avec son responsable, puis « sovereign subscriber "
                f"replay {name} »",
                f"{dead} events never taken, {lost} lost: see with its owner, then `sovereign subscriber replay {name}`",
            )  # fmt: skip


def _begin(transaction: Connection, entry: int) -> None:
    """Look at the log from an entry on: nobody was told of what came before."""
    moved = update(counters).where(counters.c.name == CURSOR).values(value=entry)
    if not transaction.execute(moved).rowcount:
        transaction.execute(insert(counters).values(name=CURSOR, value=entry))


def _digest(declared: Subscriber) -> str:
    return hashlib.sha256(msgspec.json.encode(declared)).hexdigest()


def _none(name: str) -> bytes:
    """Subscribers have no secret but the one that signs: the settings refuse the fields that would name others."""
    raise NoSecret(connection=SHELF, name=name)
