"""A head that the audit log witnessed and that is no longer on disk: a backup put back, or files taken away.

A sync does not build over it in silence: it enters `snapshot.missed` once, reads the stream in full, and commits on what
is left. The hashes that were entered stay in the log, so a verification goes on telling what is missing.
"""

from typing import TYPE_CHECKING

from snapshots.dataset import DatasetId
from snapshots.errors import NoSnapshot

if TYPE_CHECKING:
    from snapshots.repository import Repository
    from sovereign.audit import AuditLog

ACT = "snapshot.missed"


def gone(repository: "Repository", dataset: DatasetId, manifest: str) -> bool:
    """Whether a manifest, and any that an amendment put in its place, is not on disk."""
    try:
        repository.manifest(dataset, manifest)
    except NoSnapshot:
        return True
    return False


def rolled_back(repository: "Repository", audit: "AuditLog", connection: str) -> frozenset[str]:
    """Give the streams of a connection whose last snapshot is missing, each entered once; its lease is held."""
    found = set()
    for name, stream in audit.witnessed():
        last = audit.last_commit(connection, stream) if name == connection else None
        dataset = DatasetId(name, stream)
        if last is None or not gone(repository, dataset, last.manifest):
            continue
        found.add(stream)
        said = audit.entries(act=ACT, connection=connection, stream=stream, limit=1)
        if not said or said[-1].seq < last.seq:
            left = repository.head(dataset)
            facts = {"manifest": last.manifest, "sequence": last.sequence, "left": left.sequence if left else 0}
            audit.append(ACT, {"connection": connection, "stream": stream}, facts)
    return frozenset(found)
