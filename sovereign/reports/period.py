"""The entries of a period, read page by page. One that is not what was written is counted and passed over, never hidden."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from sovereign.audit import AuditEntry, AuditLog
from sovereign.audit.errors import Damaged
from sovereign.state import State
from sovereign.state.schema import audit_entries

PAGE: Final = 1000


class Entries:
    """The entries entered from `since` (in) to `until` (out), oldest first. unread: how many were passed over so far."""

    def __init__(self, state: State, audit: AuditLog, since: datetime, until: datetime) -> None:
        """Nothing is read yet."""
        self._state, self._audit, self._since, self._until = state, audit, since, until
        self.unread = 0

    def __iter__(self) -> Iterator[AuditEntry]:
        """Read; a clock that jumped back is no reason to miss an entry."""
        kept = audit_entries.c
        with self._state.read() as reader:
            query = select(func.min(kept.seq), func.max(kept.seq)).where(kept.at >= self._since, kept.at < self._until)
            first, last = reader.execute(query).one()
        if first is None:
            return
        at = first
        while at <= last:
            page, at = self._page(at, last)
            yield from (each for each in page if self._since <= each.at < self._until)

    def _page(self, at: int, last: int) -> tuple[tuple[AuditEntry, ...], int]:
        """A page from `at` on, and where the next one begins."""
        try:
            page = self._audit.following(at, limit=min(PAGE, last + 1 - at))
        except Damaged as fault:
            return self._before(at, int(str(fault.fields["seq"])))
        return page, page[-1].seq + 1 if page else last + 1

    def _before(self, at: int, damaged: int) -> tuple[tuple[AuditEntry, ...], int]:
        found: list[AuditEntry] = []
        while at < damaged:
            try:
                (one,) = self._audit.following(at, limit=1)
            except Damaged:  # those between were pruned
                break
            found.append(one)
            at = one.seq + 1
        self.unread += 1
        return tuple(found), damaged + 1
