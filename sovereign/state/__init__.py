"""What the gateway remembers of its own work: runs, leases, jobs and the audit log's tables, in one database.

1. Nothing here is needed to decrypt a snapshot, and nothing here is personal in clear: the audit log's bodies are sealed before
   they come.
2. A write is durable when its transaction returns (SQLite: WAL, synchronous=FULL). Several processes may share the file.
3. The schema and the queries are those of PostgreSQL too; migrations are numbered files, applied once, in order.
"""

from sovereign.state.errors import (
    LeaseHeld,
    LeaseLost,
    StateBusy,
    StateDamaged,
    StateError,
    StateFull,
    StateReadOnly,
    StateTooNew,
    StateUnreadable,
    StateUnsure,
)
from sovereign.state.identity import new_id
from sovereign.state.jobs import Job, Jobs, Occurrence
from sovereign.state.leases import Lease, Leases
from sovereign.state.runs import Run, Runs
from sovereign.state.store import State

__all__ = [
    "Job",
    "Jobs",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "Leases",
    "Occurrence",
    "Run",
    "Runs",
    "State",
    "StateBusy",
    "StateDamaged",
    "StateError",
    "StateFull",
    "StateReadOnly",
    "StateTooNew",
    "StateUnreadable",
    "StateUnsure",
    "new_id",
]
