"""Who did it: programs by their name, people by the pseudonym of the audit log unless the report is to name them."""

from typing import Final

from sqlalchemy import select

from sovereign.audit import AuditEntry
from sovereign.state import State
from sovereign.state.outbound import clients

PROGRAM: Final = "sovereign"
SHOWN: Final = 12
"""Characters shown of a pseudonym."""


class Names:
    """Names for a report. clear: whether people's names are shown."""

    def __init__(self, state: State, *, clear: bool) -> None:
        """Read which applications there are."""
        self._clear = clear
        with state.read() as reader:
            self._clients = frozenset(reader.execute(select(clients.c.id)).scalars())

    def who(self, entry: AuditEntry) -> str:
        """Whoever an entry is of."""
        name = str((entry.body or {}).get("actor", ""))
        if name and (self._clear or name in self._clients or name.partition(" ")[0] == PROGRAM):
            return name
        return entry.actor[:SHOWN]
