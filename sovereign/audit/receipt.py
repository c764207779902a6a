"""A receipt: an entry, and the proof that it is in the log, checked with the log's public key alone (C2SP tlog-proof).

    c2sp.org/tlog-proof@v1
    extra base64(entry)
    index, in decimal
    base64(hash), one a line: the inclusion proof from the leaf's sibling up
    (an empty line)
    the signed checkpoint

The specification leaves `extra` to applications: here it is the entry's canonical bytes, which the proof itself authenticates.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Final, Self

from sovereign.audit.checkpoint import MAX, Checkpoint
from sovereign.audit.entry import MAX_ENTRY
from sovereign.audit.errors import BadProof
from sovereign.audit.tree import HASH, Proof, check_inclusion, leaf_hash
from vault.errors import Corrupt
from vault.notes import Verifier

FIRST: Final = "c2sp.org/tlog-proof@v1"
LIMIT: Final = 2 * MAX_ENTRY + 64 * 48 + MAX
"""The longest receipt that is read, in characters."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, where it stands, and the way from it to a signed root. note: the checkpoint, as signed."""

    entry: bytes
    index: int
    proof: Proof
    note: str

    def encode(self) -> str:
        """The text of the receipt."""
        lines = [FIRST, f"extra {_base64(self.entry)}", f"index {self.index}", *map(_base64, self.proof)]
        return "\n".join(lines) + "\n\n" + self.note

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a receipt; nothing is checked yet. Errors: `Corrupt`."""
        head, mark, note = text.partition("\n\n")
        lines = head.split("\n")
        try:
            first, extra, index, *path = lines
            (named, entry), (numbered, number) = extra.split(" "), index.split(" ")
            position, proof = int(number), tuple(b64decode(each, validate=True) for each in path)
            found = cls(b64decode(entry, validate=True), position, proof, note)
        except (ValueError, NotBase64):
            raise Corrupt(what="tlog-proof") from None
        said = (first, named, numbered, number) == (FIRST, "extra", "index", str(position))
        if len(text) > LIMIT or not mark or not said or position < 0 or any(len(each) != HASH for each in proof):
            raise Corrupt(what="tlog-proof")
        return found

    def verify(self, log: Verifier) -> Checkpoint:
        """Raise unless the log whose key is `log` signed a tree that has this entry at this index; gives the checkpoint.

        Errors: `BadProof`, `NotSigned`, `Corrupt`.
        """
        checkpoint = Checkpoint.verify(self.note, log)
        if self.index >= checkpoint.size:
            raise BadProof(what="inclusion")
        check_inclusion(leaf_hash(self.entry), self.index, checkpoint.size, self.proof, checkpoint.root)
        return checkpoint


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
