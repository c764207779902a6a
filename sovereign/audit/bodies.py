"""The sealed bodies: two forms are read, the second is written (docs/formats/audit-body.md).

1. An envelope each (the first form, `sovereign-envelope/1`): slow to make, still opened.
2. A record each (`vault.records`): the salt, then the content. Each is erased by deleting its row.
"""

from sovereign.audit.entry import Body
from vault import envelope
from vault.errors import VaultError
from vault.keys import Keys
from vault.records import Records

_ENVELOPE = b"sovereign-audit-body/1:%d"
_RECORDS = b"sovereign-audit-body/2"
_FIRST = b"SOVSEAL"


class Bodies:
    """Seals and opens the bodies of a site's log."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.derive("audit/body")
        self._records = Records(self._key, _RECORDS)

    def seal(self, seq: int, plain: bytes, nonce: bytes) -> bytes:
        """Seal the body of an entry. plain: salt and content, as `Body.encode` gives them; nonce: 12 random bytes."""
        return self._records.seal(seq, plain, nonce)

    def open(self, seq: int, sealed: bytes) -> Body:
        """Open it; raises ValueError for one that is damaged, or another entry's."""
        try:
            if sealed[:7] == _FIRST:
                return Body.decode_first(envelope.open(self._key, _ENVELOPE % seq, sealed))
            return Body.decode(self._records.open(seq, sealed))
        except VaultError:
            raise ValueError("a body that does not open") from None
