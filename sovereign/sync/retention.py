"""How long the raw archive stays: `raw_days` of its connection, then it is removed, which the audit log says.

A run that is not over keeps its archive. Snapshots do not need it; replay does.
"""

import re
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from vault import files

if TYPE_CHECKING:
    from snapshots.repository import Repository
    from sovereign.audit import AuditLog

_RUN = re.compile(r"(\d{8}-\d{6})\d{3}-[0-9a-f]{8}")


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
