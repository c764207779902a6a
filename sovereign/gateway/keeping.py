"""How long what was written stays: `gateway.keep_days` after a delivery is over, its payload and its answer are erased.

1. A delivery that is not over keeps what it carries, however old: it may still leave, or waits for a person.
2. The act is entered, a count a connection, in the very transaction that erases. What was asked, decided and done stays told:
   only the sealed columns go, and their bytes with them (`State`: secure_delete, then `scrub`).
3. An idempotency key goes a day after its time is up, so that a clock set forwards by a day takes none away, and not before
   what it began is over; until its time is up it answers as before.
4. The files of long bodies (`spool`) go with their rows: their key went with the row, their bytes right after it.
5. It goes by pieces, so that writes are made in between; a delivery that moved meanwhile is left alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sovereign.audit import AuditLog
from sovereign.audit.entry import NewEntry
from sovereign.gateway.states import FINAL
from sovereign.state import State, StateBusy
from sovereign.state.schema import instant_text
from sovereign.state.statements import Statement

PIECE: Final = 500
"""Deliveries, or keys, in one transaction."""
SLACK: Final = timedelta(days=1)
"""How long a key whose time is up stays in the table."""
_FINAL: Final = ", ".join(f"'{state}'" for state in sorted(FINAL))
_OVER: Final = f"(d.state IN ({_FINAL}) OR (d.state = 'delivered' AND d.next_at IS NULL))"
"""Nothing more happens by itself; an acceptance that is not to be read back included."""


def _no_files(_: Iterable[str]) -> None:
    """Remove nothing: what a site without long bodies does."""


def sweep(
    state: State, audit: AuditLog, days: int, present: datetime, remove: Callable[[Iterable[str]], None] = _no_files
) -> int:
    """Erase payloads of deliveries over for `days`, and keys past their end; gives how many payloads. Errors: StateError.

    remove: takes away the files of intents, those that have one.
    """
    erased, after = 0, 0
    old = Statement(
        state,
        "SELECT d.intent, d.version, d.connection, d.turn FROM deliveries d JOIN intents i ON i.id = d.intent "  # noqa: S608 - names of ours
        f"WHERE d.turn > :after AND d.since <= :before AND {_OVER} "
        "AND (i.sealed IS NOT NULL OR d.sealed_outcome IS NOT NULL) ORDER BY d.turn LIMIT :most",
    )
    before = instant_text(present - timedelta(days=days))
    while True:
        with state.read() as reader:
            found = [tuple(row) for row in old(reader, after=after, before=before, most=PIECE).fetchall()]
        if not found:
            break
        gone = _erase(state, audit, [(intent, version, connection) for intent, version, connection, _ in found], days)
        remove(gone)
        erased += len(gone)
        after = found[-1][3]
    _forget(state, present)
    if erased:
        with suppress(StateBusy):  # a long reader: the log of pages is emptied after it, as always
            state.scrub()
    return erased


def _erase(state: State, audit: AuditLog, found: list[tuple[str, int, str]], days: int) -> list[str]:
    answer = Statement(state, "UPDATE deliveries SET sealed_outcome = NULL WHERE intent = :intent AND version = :version")
    payload = Statement(state, "UPDATE intents SET sealed = NULL WHERE id = :intent")
    gone, erased = Counter[str](), list[str]()
    with state.begin() as transaction:
        for intent, version, connection in found:
            if answer(transaction, intent=intent, version=version).rowcount == 1:
                payload(transaction, intent=intent)
                gone[connection] += 1
                erased.append(intent)
        audit.append_many(
            [
                NewEntry("payload.erased", {"connection": name}, {"payloads": count, "days": days}, {}, None)
                for name, count in sorted(gone.items())
            ],
            within=transaction,
        )
    return erased


def _forget(state: State, present: datetime) -> None:
    forget = Statement(
        state,
        "DELETE FROM idempotency WHERE (client, digest_of_key) IN "  # noqa: S608 - our own names
        "(SELECT k.client, k.digest_of_key FROM idempotency k JOIN deliveries d ON d.intent = k.intent "
        f"WHERE k.expires_at <= :present AND {_OVER} LIMIT :most)",
    )
    while True:
        with state.begin() as transaction:
            if forget(transaction, present=instant_text(present - SLACK), most=PIECE).rowcount < PIECE:
                return
