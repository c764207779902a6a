"""What the end of a run puts in order, under the lease of its connection: leftovers of crashes, quarantines that were replaced.

Each removal is entered in the audit log first, by who holds the lease (`fence`), so that nothing leaves without an entry: a
crash in between leaves an entry too many, never one too few. No published row is ever removed. Packs of documents are merged
when they are many and small, which removes no document and is not entered.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from snapshots import document_keeping, quarantine, sweeping
from snapshots.dataset import DatasetId
from snapshots.errors import BadName

if TYPE_CHECKING:
    from snapshots.quarantine import Quarantined
    from snapshots.repository import Repository
    from sovereign.audit import AuditLog
    from sovereign.sync.publishing import Book

SWEPT = "snapshot.swept"
DISCARDED = "quarantine.discarded"


def tidy(repository: "Repository", audit: "AuditLog", book: "Book", connection: str) -> None:
    """Sweep what crashes left of a connection's datasets, and drop quarantines that newer ones replaced.

    Arguments: audit: what was ever entered; book: where removals are entered, for who holds the lease alone.
    Errors: LeaseLost, and then nothing was removed; OSError.
    """
    document_keeping.settle(repository, connection)
    witnessed = audit.witnessed()
    for dataset in _datasets(repository, connection):
        entered = witnessed.get((connection, dataset.stream), ())
        found = sweeping.orphans(repository, dataset, entered[-1] if entered else None, entered)
        if found:
            book.append(SWEPT, {"connection": connection, "stream": dataset.stream}, found.counts)
            found.remove()
        for each in quarantine.superseded(repository, dataset):
            discard(repository, book, dataset, each.run, each, rule="replaced")


def _datasets(repository: "Repository", connection: str) -> list[DatasetId]:
    """Give the streams that have a folder: a crash in a first commit leaves parts and no manifest."""
    found = []
    for path in sorted((repository.root / connection).iterdir()):
        with suppress(BadName):
            found.append(DatasetId(connection, path.name))
    return found


def discard(
    repository: "Repository", book: "Book", dataset: DatasetId, run: str, told: "Quarantined | None", *, rule: str
) -> None:
    """Enter that a quarantine leaves, then remove it; told: its description, when it opens. rule: `replaced` or `hand`."""
    facts: dict[str, object] = {"rule": rule}
    if told is not None:
        facts |= {"whole": told.whole, "rows": told.rows_kept, "bytes": told.bytes}
    book.append(DISCARDED, {"connection": dataset.connection, "stream": dataset.stream, "run": run}, facts)
    quarantine.remove(repository, dataset, run)
