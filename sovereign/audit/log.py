"""The log over the state's tables: append, read, find the last commit of a dataset, erase a body, check it all."""

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from sovereign.audit import entry
from sovereign.audit.acts import HEADS
from sovereign.audit.entry import MAX_BODY, Body
from sovereign.audit.errors import BadEntry, Damaged
from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.schema import audit_bodies, audit_entries, counters
from vault import envelope
from vault.errors import VaultError
from vault.keys import Keys

# Made once: building a statement costs more than running it.
_TURN = update(counters).where(counters.c.name == "audit").values(value=counters.c.value + 1)
_COUNTED = select(counters.c.value).where(counters.c.name == "audit")
_ENTRY, _BODY = insert(audit_entries), insert(audit_bodies)
_CONTEXT = b"sovereign-audit-body/1:%d"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry as it is read. `actor` is the pseudonym; `body` the opened body, None when there is none, or it was erased."""

    seq: int
    at: datetime
    act: str
    actor: str
    subject: Mapping[str, Any]
    facts: Mapping[str, Any]
    body: Mapping[str, Any] | None
    erased: bool
    leaf: bytes


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The head that the log witnessed last: the manifest's hash (hex), its sequence, and the entry that says so."""

    manifest: str
    sequence: int
    seq: int


class AuditLog:
    """The site's audit log.

    actor: who acts when `append` is not told; a person's name goes to the sealed body alone, the entry has its pseudonym.
    """

    def __init__(
        self, state: State, keys: Keys, clock: Clock, *, actor: str = "sovereign", entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._state, self._clock, self._actor, self._entropy = state, clock, actor, entropy
        self._pseudonyms = keys.derive("audit/actor")
        self._bodies = keys.derive("audit/body")

    def append(
        self,
        act: str,
        subject: Mapping[str, object] | None = None,
        facts: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        actor: str | None = None,
        within: Connection | None = None,
    ) -> int:
        """Enter an act; returns its number, from 0.

        subject: what the act was on (`connection`, `stream`, `run`…); facts: what it did; neither may be personal. body: what
        is personal. within: the write transaction of the state it witnesses. Errors: BadEntry.
        """
        name = actor or self._actor
        content = entry.plain(act, {"actor": name, **(body or {})})
        sealed = Body(self._entropy(32), content)
        try:
            plain = sealed.encode()
        except ValueError:
            raise BadEntry(act=act, why_fr="valeur que JSON ne porte pas", why_en="a value that JSON cannot carry") from None
        if len(plain) > MAX_BODY:
            raise BadEntry(act=act, why_fr="corps trop long", why_en="body too long")
        with self._state.within(within) as transaction:
            # The counter's row is the writers' turn, on every engine: numbers follow commits, without a gap.
            transaction.execute(_TURN)
            seq = transaction.execute(_COUNTED).scalar_one() - 1
            at = self._clock()
            data = entry.canonical(act, at, entry.pseudonym(self._pseudonyms, name), subject or {}, facts or {}, sealed)
            found = {key: (subject or {}).get(key) for key in ("connection", "stream")}
            row = {"seq": seq, "entry": data.decode(), "leaf": entry.leaf(data), "at": at, "act": act}
            transaction.execute(_ENTRY, row | found)
            closed = envelope.seal(self._bodies, _CONTEXT % seq, plain)
            transaction.execute(_BODY, {"seq": seq, "sealed": closed})
        return int(seq)

    def entries(
        self,
        *,
        act: str | None = None,
        connection: str | None = None,
        stream: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[AuditEntry, ...]:
        """The latest entries that match, oldest first, each checked against its hash, bodies opened.

        act: an act, or its noun alone (`query`). since: an instant. limit: how many at most. Errors: Damaged.
        """
        query = self._select().order_by(audit_entries.c.seq.desc())
        if act is not None:
            query = query.where(audit_entries.c.act == act if "." in act else audit_entries.c.act.like(f"{act}.%"))
        if connection is not None:
            query = query.where(audit_entries.c.connection == connection)
        if stream is not None:
            query = query.where(audit_entries.c.stream == stream)
        if since is not None:
            query = query.where(audit_entries.c.at >= since)
        with self._state.read() as reader:
            rows = reader.execute(query.limit(limit) if limit is not None else query).all()
        return tuple(self._read(*row) for row in reversed(rows))

    def last_commit(self, connection: str, stream: str) -> LastCommit | None:
        """The head of a dataset as the log witnessed it last; None when it never did. Errors: Damaged."""
        query = (
            self._select()
            .where(audit_entries.c.connection == connection, audit_entries.c.stream == stream, audit_entries.c.act.in_(HEADS))
            .order_by(audit_entries.c.seq.desc())
            .limit(1)
        )
        with self._state.read() as reader:
            row = reader.execute(query).one_or_none()
        if row is None:
            return None
        found = self._read(*row)
        return LastCommit(str(found.facts["manifest"]), int(found.facts["sequence"]), found.seq)

    def witnessed(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """The manifests (hex) that the log ever witnessed as heads, oldest first, by connection and stream. Errors: Damaged."""
        found: dict[tuple[str, str], list[str]] = {}
        query = self._select().where(audit_entries.c.act.in_(HEADS)).order_by(audit_entries.c.seq)
        with self._state.read() as reader:
            for row in reader.execute(query):
                each = self._read(*row)
                name = str(each.subject["connection"]), str(each.subject["stream"])
                found.setdefault(name, []).append(str(each.facts["manifest"]))
        return {name: tuple(each) for name, each in found.items()}

    def erase(self, seq: int, reason: str, *, actor: str | None = None) -> int:
        """Erase the body of an entry for good, without changing a hash; returns the number of the entry that says so.

        Errors: StateBusy when it is erased, but a long reader keeps its sealed bytes in the write-ahead log: do it again.
        """
        with self._state.begin() as transaction:
            transaction.execute(delete(audit_bodies).where(audit_bodies.c.seq == seq))
            said = self.append("audit.erased", {"entry": seq}, {}, {"reason": reason}, actor=actor, within=transaction)
        self._state.scrub()
        return said

    def verify(self) -> int:
        """Check every entry, hash, body and the order; returns how many entries there are. Errors: Damaged.

        A body may only be missing when a later entry says that it was erased.
        """
        expected, absent = 0, set[int]()
        with self._state.read() as reader:
            for row in reader.execute(self._select().order_by(audit_entries.c.seq).execution_options(yield_per=1000)):
                if row[0] != expected:
                    raise Damaged(seq=expected, what="missing")
                found = self._read(*row)
                if found.erased:
                    absent.add(found.seq)
                if found.act == "audit.erased":
                    absent.discard(found.subject.get("entry"))
                expected += 1
            counted = reader.execute(_COUNTED).scalar_one()
        if counted != expected:
            raise Damaged(seq=expected, what="missing")
        if absent:
            raise Damaged(seq=min(absent), what="body")
        return expected

    @staticmethod
    def _select() -> Select[Any]:
        joined = audit_entries.outerjoin(audit_bodies, audit_entries.c.seq == audit_bodies.c.seq)
        kept = audit_entries.c
        index = (kept.act, kept.at, kept.connection, kept.stream)
        return select(kept.seq, kept.entry, kept.leaf, audit_bodies.c.sealed, *index).select_from(joined)

    def _read(self, seq: int, text: str, hashed: bytes, sealed: bytes | None, *index: object) -> AuditEntry:
        data = text.encode()
        if not hmac.compare_digest(entry.leaf(data), hashed):
            raise Damaged(seq=seq, what="hash")
        found = entry.read(data, seq)
        if index != (found.act, found.at, found.subject.get("connection"), found.subject.get("stream")):
            raise Damaged(seq=seq, what="index")
        content = None
        if sealed is not None:
            try:
                body = Body.decode(envelope.open(self._bodies, _CONTEXT % seq, sealed))
            except (VaultError, ValueError, KeyError):
                raise Damaged(seq=seq, what="body") from None
            if body.commitment() != found.body:
                raise Damaged(seq=seq, what="commitment")
            content = body.content
        erased = sealed is None and found.body is not None
        return AuditEntry(seq, found.at, found.act, found.actor, found.subject, found.facts, content, erased, hashed)
