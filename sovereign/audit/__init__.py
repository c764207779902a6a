"""The one book: every act of the gateway, in entries that never change, whose personal parts can still be erased.

1. An entry is appended in the transaction of the state it witnesses, when there is one: neither exists without the other.
2. Entries are numbered without a gap, from 0, across threads and processes; each has its leaf hash (RFC 9162 section 2.1.1).
3. What is personal (who asked, the text of a question) is only in the body, sealed, in a table apart; the entry holds a salted
   commitment to it and a keyed pseudonym. Erasing a body changes no entry and no hash.

4. The leaves make a Merkle tree (RFC 9162) whose tiles commit with the entries; its root is signed every few seconds and at the
   end of each command, and published in `audit/` as files that are checked without the site (C2SP tlog-tiles).

The bytes are specified in docs/formats/audit-entry.md, audit-body.md and audit-log.md.
"""

from sovereign.audit.acts import ACTS, Act
from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.entry import Entry, NewEntry
from sovereign.audit.errors import AuditError, BadEntry, BadProof, Damaged, Forked, NotDue, NotEntered, Unpublished
from sovereign.audit.log import AuditLog, LastCommit
from sovereign.audit.receipt import Receipt
from sovereign.audit.rows import AuditEntry

__all__ = [
    "ACTS",
    "Act",
    "AuditEntry",
    "AuditError",
    "AuditLog",
    "BadEntry",
    "BadProof",
    "Checkpoint",
    "Damaged",
    "Entry",
    "Forked",
    "LastCommit",
    "NewEntry",
    "NotDue",
    "NotEntered",
    "Receipt",
    "Unpublished",
]
