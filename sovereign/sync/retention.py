"""How long the raw archive stays: `raw_days` of its connection, then it is removed, which the audit log says.

1. Whether the connection runs does not matter: a run honours it when it ends, and `serve` at its start and every hour. An
   archive whose connection was removed stays as long as by default (`REMOVED`).
2. A connection's archives are removed under its lease, so never beside a run or a replay; when it is held, the next turn does.
3. The content goes, the act is entered, then the empty folder goes: a stop in between makes the next turn enter it, perhaps
   twice, never not at all.
4. A run that is not over keeps its archive. Snapshots do not need it; replay does.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sovereign.errors import Locked
from sovereign.sync.fence import Fenced, lease_of
from vault import files

if TYPE_CHECKING:
    from snapshots.repository import Repository
    from sovereign.audit import AuditLog
    from sovereign.settings import Connection
    from sovereign.state import Leases, Runs
    from sovereign.sync.publishing import Book

REMOVED: Final = 30
"""Days that the archive of a connection stays which is no longer in the settings."""

_RUN = re.compile(r"(\d{8}-\d{6})\d{3}-[0-9a-f]{8}")


def sweep(
    repository: "Repository", audit: "AuditLog", runs: "Runs", leases: "Leases",
    connections: Mapping[str, "Connection"], present: datetime, *, spared: frozenset[str] = frozenset(),
) -> list[str]:  # fmt: skip
    """Remove every archive that had its time, each connection's under its lease; gives the runs they were of.

    spared: connections that are about to take their lease.
    """
    removed = []
    for folder in sorted(repository.root.glob("*/.raw")):
        name = folder.parent.name
        days = connections[name].raw_days if name in connections else REMOVED
        if name in spared or not any(_had_its_time(repository, name, days, present)):
            continue  # nobody is kept from a lease for nothing
        try:
            with leases.hold(lease_of(name), f"retention {os.getpid()}") as lease:
                removed += expire(repository, Fenced(audit, runs, leases, lease), name, days=days, present=present)
        except Locked:
            continue
    return removed


def expire(repository: "Repository", audit: "Book", connection: str, *, days: int, present: datetime) -> list[str]:
    """Remove the raw archives of a connection's runs that began more than `days` ago; gives those runs.

    Call it with the connection's lease held.
    """
    removed = []
    for folder in _had_its_time(repository, connection, days, present):
        for inside in folder.iterdir():
            if inside.is_dir() and not inside.is_symlink():
                shutil.rmtree(inside)
            else:
                inside.unlink()
        files.flush(folder)
        audit.append("raw.expired", {"connection": connection, "run": folder.name}, {"days": days})
        folder.rmdir()
        files.flush(folder.parent)
        removed.append(folder.name)
    return removed


def _had_its_time(repository: "Repository", connection: str, days: int, present: datetime) -> Iterator[Path]:
    unfinished = set(repository.drafts())
    for folder in sorted((repository.root / connection / ".raw").glob("*")):
        named = _RUN.fullmatch(folder.name)
        if named is None or folder.name in unfinished:
            continue
        began = datetime.strptime(named[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        if present - began > timedelta(days=days):
            yield folder
