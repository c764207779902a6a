"""An intent at rest, put together again for whoever decides on it or sends it, and held to what was entered of it.

1. What is shown, signed and sent is one thing: an intent whose rows no longer give its keyed digest is neither shown nor sent.
2. Nor is one that the audit log entered under another digest: whoever holds the site's keys would have to rewrite the log too,
   which its witnesses see. A body of the log that was erased, or pruned, says nothing: the keyed digest alone then speaks.
"""

import hmac
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Connection, select

from sovereign.audit import AuditLog
from sovereign.audit.errors import Damaged
from sovereign.audit.pruning import pruned
from sovereign.gateway.errors import Altered, UnknownDelivery
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.sealing import Sealing
from sovereign.state import State
from sovereign.state.outbound import intents
from sovereign.state.statements import Statement
from vault.errors import Corrupt, UnknownVersion, WrongKey

_ENTRIES: Final[WeakKeyDictionary[State, Statement]] = WeakKeyDictionary()


def kept(reader: Connection, sealing: Sealing, audit: AuditLog, intent: str) -> WriteIntent:
    """The intent in clear. Errors: UnknownDelivery, PayloadGone, Altered."""
    return found(reader, sealing, audit, intent)[0]


def found(reader: Connection, sealing: Sealing, audit: AuditLog, intent: str) -> tuple[WriteIntent, str]:
    """The intent in clear, and its wrapped data key as the row has it. Errors: UnknownDelivery, PayloadGone, Altered."""
    row = reader.execute(select(intents).where(intents.c.id == intent)).one_or_none()
    if row is None:
        raise UnknownDelivery(intent=intent)
    wrapped = orjson.dumps(row.wrapped, option=orjson.OPT_SORT_KEYS).decode()
    try:
        held = sealing.open(intent, row.connection, wrapped, row.sealed)
    except (Corrupt, UnknownVersion, WrongKey, TypeError):
        raise Altered(intent=intent) from None
    made = WriteIntent(
        row.id, row.client, row.connection, row.door, row.operation, held.body, held.content_type, held.entity,
        row.received_at, held.person, row.method, held.path, held.headers, row.priority, row.expires_at,
        callback=held.callback, upload=held.upload,
    )  # fmt: skip
    if not hmac.compare_digest(sealing.digests.intent(intent, made.digest), row.digest):
        raise Altered(intent=intent)
    entered = _entered(reader, audit, made)
    if entered is not None and not hmac.compare_digest(made.digest, entered):
        raise Altered(intent=intent)
    return made, wrapped


def _entered(reader: Connection, audit: AuditLog, intent: WriteIntent) -> bytes | None:
    """The digest that the log entered; None when that body was erased, or pruned. Errors: Altered."""
    row = _entry(audit.state)(reader, intent=intent.id).fetchone()
    if row is None or row[0] is None:
        raise Altered(intent=intent.id)
    named, seq, *rest = row
    if seq is None:
        if named < pruned(reader).first:
            return None
        raise Altered(intent=intent.id)
    text, leaf, sealed, act, at, connection, stream = rest
    try:
        entry = audit.checked(seq, text, leaf, sealed, act, datetime.fromisoformat(at), connection, stream)
    except (Damaged, ValueError):
        raise Altered(intent=intent.id) from None
    if entry.act != "intent.received" or dict(entry.subject) != {"connection": intent.connection, "intent": intent.id}:
        raise Altered(intent=intent.id)
    return None if entry.body is None else bytes.fromhex(str(entry.body["digest"]))


def _entry(state: State) -> Statement:
    """The question that finds the entry of an arrival, compiled once: what waits asks it each time that it leaves."""
    if state not in _ENTRIES:
        _ENTRIES[state] = Statement(
            state,
            "SELECT d.entry, e.seq, e.entry, e.leaf, b.sealed, e.act, e.at, e.connection, e.stream FROM delivery_events d "
            "LEFT JOIN audit_entries e ON e.seq = d.entry LEFT JOIN audit_bodies b ON b.seq = e.seq "
            "WHERE d.intent = :intent AND d.number = 0",
        )
    return _ENTRIES[state]
