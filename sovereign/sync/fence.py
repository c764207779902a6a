"""The book of a run that holds a lease: nothing is entered in it once the lease was lost.

The check and the entry are one transaction (`Leases.check`), so that a process that was suspended beyond its term, and wakes
beside the new holder, cannot make its snapshot the head of a dataset.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sovereign.audit import AuditLog, LastCommit
from sovereign.state import Lease, Leases, Runs


def lease_of(connection: str) -> str:
    """Name the lease of a connection."""
    return f"connection/{connection}"


@dataclass(frozen=True, slots=True)
class Fenced:
    """The audit log, for who holds `lease` alone."""

    audit: AuditLog
    runs: Runs
    leases: Leases
    lease: Lease

    def append(self, act: str, subject: Mapping[str, object], facts: Mapping[str, object]) -> int:
        """Enter an act; gives its number. Errors: LeaseLost, and then nothing is entered."""
        with self.runs.transaction() as within:
            self.leases.check(self.lease, within)
            return self.audit.append(act, subject, facts, within=within)

    def last_commit(self, connection: str, stream: str) -> LastCommit | None:
        """Give the head of a dataset that was entered last."""
        return self.audit.last_commit(connection, stream)
