"""How long documents stay that nothing names any more: `documents_days` of their connection, then they are destroyed.

1. A document named by a record of a current snapshot stays, whatever its age. One that none has named for `documents_days` is
   destroyed: the act is entered first, with the addresses, then the keys go (`snapshots.document_keeping`). Without the setting
   nothing is ever destroyed.
2. It is done under the connection's lease, when a run ends and when `serve` tidies up; never while a run is unfinished, nor
   while a current snapshot cannot be read.
3. Earlier snapshots keep naming it; who asks for it is told when it was destroyed.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from snapshots import document_keeping
from snapshots.dataset import DatasetId
from sovereign.sync.fence import Fenced, lease_of
from vault.errors import Fault

if TYPE_CHECKING:
    from snapshots.repository import Repository
    from sovereign.audit import AuditLog
    from sovereign.settings import Connection
    from sovereign.state import Leases, Runs
    from sovereign.sync.publishing import Book

DESTROYED = "document.destroyed"
_SOME = 100
"""Addresses in one entry at most."""


def sweep(
    repository: "Repository", audit: "AuditLog", runs: "Runs", leases: "Leases",
    connections: Mapping[str, "Connection"], present: datetime, *, spared: frozenset[str] = frozenset(),
) -> int:  # fmt: skip
    """Destroy every document that had its time, each connection's under its lease; gives how many.

    spared: connections that are about to take their lease.
    """
    gone = 0
    for name, connection in sorted(connections.items()):
        days = connection.documents_days
        if days is None or name in spared or not (repository.root / name / ".documents").is_dir():
            continue
        try:
            with leases.hold(lease_of(name), f"retention {os.getpid()}") as lease:
                gone += dispose(repository, Fenced(audit, runs, leases, lease), name, days=days, present=present)
        except Fault:  # locked, or a snapshot that cannot be read: the next turn, and `verify` tells
            continue
    return gone


def dispose(repository: "Repository", audit: "Book", connection: str, *, days: int, present: datetime) -> int:
    """Destroy the documents of a connection that had their time; gives how many. Its lease is held by the caller."""
    if any((repository.root / connection / ".drafts" / run / "checkpoint").is_file() for run in repository.drafts()):
        return 0
    heads = {}
    for dataset in repository.datasets():
        if dataset.connection == connection:
            last = audit.last_commit(connection, dataset.stream)
            head = repository.head(DatasetId(connection, dataset.stream), last.manifest if last else None)
            if head is not None:
                heads[dataset.stream] = head
    doomed = document_keeping.expired(repository, connection, heads, days=days, present=present)
    for class_name, addresses in doomed.items():
        for start in range(0, len(addresses), _SOME):
            some = addresses[start : start + _SOME]
            audit.append(DESTROYED, {"connection": connection}, {"documents": some, "class": class_name, "days": days})
        document_keeping.destroy(repository, connection, class_name, addresses, present)
    return sum(map(len, doomed.values()))
