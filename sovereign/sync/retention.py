"""How long the raw archive stays: `raw_days` of its connection, then it is removed, which the audit log says.

An archive whose connection was removed stays as long as by default (`REMOVED`).
A run that is not over keeps its archive. Snapshots do not need it; replay does.
"""

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from vault import files

if TYPE_CHECKING:
    from snapshots.repository import Repository
    from sovereign.audit import AuditLog
    from sovereign.settings import Connection

REMOVED: Final = 30
"""Days that the archive of a connection stays which is no longer in the settings."""

_RUN = re.compile(r"(\d{8}-\d{6})\d{3}-[0-9a-f]{8}")


def sweep(repository: "Repository", audit: "AuditLog", connections: Mapping[str, "Connection"], present: datetime) -> None:
    """Remove every archive that had its time, those of removed connections too."""
    for folder in sorted(repository.root.glob("*/.raw")):
        name = folder.parent.name
        expire(repository, audit, name, days=connections[name].raw_days if name in connections else REMOVED, present=present)


def expire(repository: "Repository", audit: "AuditLog", connection: str, *, days: int, present: datetime) -> list[str]:
    """Remove the raw archives of a connection's runs that began more than `days` ago; gives those runs."""
    unfinished, removed = set(repository.drafts()), []
    for folder in sorted((repository.root / connection / ".raw").glob("*")):
        named = _RUN.fullmatch(folder.name)
        if named is None or folder.name in unfinished:
            continue
        began = datetime.strptime(named[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        if present - began > timedelta(days=days):
            shutil.rmtree(folder)
            files.flush(folder.parent)
            audit.append("raw.expired", {"connection": connection, "run": folder.name}, {"days": days})
            removed.append(folder.name)
    return removed
