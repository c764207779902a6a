"""A checkpoint: the tree's size and root, signed by the log, in the form of C2SP tlog-checkpoint.

origin
size, in decimal
base64(root)
(an empty line)
— origin base64(key id || Ed25519 signature)
— witness base64(…)                                                     none, or one a witness
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sovereign.audit.tree import HASH
from vault import notes
from vault.errors import Corrupt

MAX: int = 64 * 1024
"""The longest checkpoint that is read, in bytes, cosignatures included."""
_MAX_SIZE = 2**62


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log said of itself once. root: 32 bytes. note: the whole signed note, with the cosignatures gathered so far."""

    origin: str
    size: int
    root: bytes
    note: str

    @classmethod
    def sign(cls, origin: str, size: int, root: bytes, signer: notes.Signer) -> Self:
        """Make and sign one."""
        text = f"{origin}\n{size}\n{b64encode(root).decode()}\n"
        return cls(origin, size, root, notes.sign(text, signer))

    @classmethod
    def verify(cls, note: str, log: notes.Verifier, *, what: str = "checkpoint") -> Self:
        """Read a signed checkpoint of the log whose key is `log`, and whose origin is the key's name.

        Errors, naming `what`: `NotSigned`, and `Corrupt` for what is no checkpoint, or another log's.
        """
        if len(note) > MAX:
            raise Corrupt(what=what)
        found = cls._parse(notes.verify(note, [log], what=what), note, what)
        if found.origin != log.name:
            raise Corrupt(what=what)
        return found

    @classmethod
    def _parse(cls, text: str, note: str, what: str) -> Self:
        lines = text.split("\n")
        try:
            origin, size, root = lines[:3]
            hashed = b64decode(root, validate=True)
            number = int(size)
        except (ValueError, NotBase64):
            raise Corrupt(what=what) from None
        canonical = str(number) == size and 0 <= number < _MAX_SIZE and b64encode(hashed).decode() == root
        if not canonical or not origin or len(hashed) != HASH or lines[-1] != "" or "" in lines[3:-1]:
            raise Corrupt(what=what)
        return cls(origin, number, hashed, note)

    def with_signatures(self, lines: Iterable[str]) -> Self:
        """The same checkpoint with more signature lines (`— name base64`), one a key, the latest; nothing is checked here."""
        text, mark, signed = self.note.rpartition("\n\n")
        held = {_signer(line): line for line in (*signed.splitlines(), *lines)}
        return type(self)(self.origin, self.size, self.root, text + mark + "\n".join(held.values()) + "\n")


def _signer(line: str) -> tuple[str, bytes]:
    """The name and the key id that a signature line gives."""
    _, name, signature = line.split(" ")
    return name, b64decode(signature)[:4]
