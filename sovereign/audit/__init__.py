"""The one book: every act of the gateway, in entries that never change, whose personal parts can still be erased.

1. An entry is appended in the transaction of the state it witnesses, when there is one: neither exists without the other.
2. Entries are numbered without a gap, from 0, across threads and processes; each has its leaf hash (RFC 9162 section 2.1.1).
3. What is personal (who asked, the text of a question) is only in the body, sealed, in a table apart; the entry holds a salted
   commitment to it and a keyed pseudonym. Erasing a body changes no entry and no hash.

The bytes are specified in docs/formats/audit-entry.md. The Merkle tree over the leaves, its checkpoints and witnesses, stand on
these entries and are not here.
"""

from sovereign.audit.acts import ACTS, Act
from sovereign.audit.entry import Entry
from sovereign.audit.errors import AuditError, BadEntry, Damaged
from sovereign.audit.log import AuditEntry, AuditLog, LastCommit

__all__ = ["ACTS", "Act", "AuditEntry", "AuditError", "AuditLog", "BadEntry", "Damaged", "Entry", "LastCommit"]
