"""Entries as the database keeps them, each checked against its hash, its index and its commitment as it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any

from sqlalchemy import Connection, Select, select

from sovereign.audit import entry
from sovereign.audit.bodies import Bodies
from sovereign.audit.errors import Damaged
from sovereign.state.schema import audit_bodies, audit_entries


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


def chosen() -> Select[Any]:
    """What `read` takes: sequence, entry, leaf, sealed body, and the four columns that repeat the entry."""
    joined = audit_entries.outerjoin(audit_bodies, audit_entries.c.seq == audit_bodies.c.seq)
    kept = audit_entries.c
    index = (kept.act, kept.at, kept.connection, kept.stream)
    return select(kept.seq, kept.entry, kept.leaf, audit_bodies.c.sealed, *index).select_from(joined)


def read(bodies: Bodies, seq: int, text: str, hashed: bytes, sealed: bytes | None, *index: object) -> AuditEntry:
    """One row, checked; errors: Damaged."""
    data = text.encode()
    if not compare_digest(entry.leaf(data), hashed):
        raise Damaged(seq=seq, what="hash")
    found = entry.read(data, seq)
    if index != (found.act, found.at, found.subject.get("connection"), found.subject.get("stream")):
        raise Damaged(seq=seq, what="index")
    content = None
    if sealed is not None:
        try:
            body = bodies.open(seq, sealed)
            content = body.read()
        except ValueError:
            raise Damaged(seq=seq, what="body") from None
        if body.commitment() != found.body:
            raise Damaged(seq=seq, what="commitment")
    erased = sealed is None and found.body is not None
    return AuditEntry(seq, found.at, found.act, found.actor, found.subject, found.facts, content, erased, hashed)


def bare(connection: Connection, seq: int, limit: int) -> tuple[tuple[int, entry.Entry, bytes], ...]:
    """Entries from a number on without their bodies: number, entry, leaf; each checked against its hash. Errors: Damaged."""
    kept = audit_entries.c
    query = select(kept.seq, kept.entry, kept.leaf).where(kept.seq >= seq).order_by(kept.seq).limit(limit)
    found = []
    for at, text, hashed in connection.execute(query):
        data = text.encode()
        if not compare_digest(entry.leaf(data), hashed):
            raise Damaged(seq=at, what="hash")
        found.append((at, entry.read(data, at), hashed))
    return tuple(found)
