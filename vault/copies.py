"""Copies of a keyring that a backup keeps: which of their keys a later keyring of the same site shredded.

A tombstone says that a key is gone, not why. Rotation retires the former generations of a scope while a newer one is alive; a
destruction leaves none alive:

1. A scope was shredded at an instant at which one of its keys was destroyed and none of its other keys lived on.
2. What a copy still holds of that scope and that was made by then is shredded too, whatever its generation.

So a copy loses what was destroyed since it was made, and keeps what rotation alone retired: the data kept beside it need it.
Both keyrings must be the same site's, whole (`vault.whole`): the caller checks. It sees no key in clear.
"""

from collections.abc import Iterable
from datetime import datetime

from vault.keyring import Keyring, Record
from vault.scope import Scope, scope_of


def shredded(newer: Keyring, older: Keyring) -> set[str]:
    """Give the ids of the keys that `older` still holds and that `newer` says were shredded."""
    scopes: dict[Scope, list[Record]] = {}
    for record in newer.records:
        if record.kind == "kek":
            scopes.setdefault(scope_of(record), []).append(record)
    gone = {scope: _last_shred(records) for scope, records in scopes.items()}
    found = set()
    for record in older.records:
        if record.kind == "kek" and record.state != "destroyed":
            at = gone.get(scope_of(record))
            if at is not None and record.created <= at:
                found.add(record.id)
    return found


def _last_shred(records: Iterable[Record]) -> datetime | None:
    held = list(records)
    instants = [
        each.destroyed
        for each in held
        if each.destroyed is not None
        and not any(
            other.created <= each.destroyed and (other.destroyed is None or other.destroyed > each.destroyed)
            for other in held
            if other is not each
        )
    ]
    return max(instants, default=None)
