"""A witness: it cosigns a checkpoint of a log only when that continues the last one it cosigned (C2SP tlog-witness).

1. What it cosigns is on its disk, durable, before the cosignature exists: a crash at any instant cosigns no second past.
2. One request at a time decides, among all threads and processes of the folder.
3. It knows the logs that it was told to trust, by their keys, and no other; a log with its key stolen cannot have it cosign
   another past, a shorter one, or two at one size. What it refused last of a log, signed as it is, is kept as evidence.

Its folder: `witness.key` (its name and seed), `logs/*.vkey`, `seen/*.note`, `refused/*.note`; folders 0700, files 0600.
"""

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Final, Self

from sovereign.audit import tree
from sovereign.audit.checkpoint import MAX, Checkpoint
from sovereign.audit.errors import BadProof
from sovereign.clock import Clock
from vault import files, notes
from vault.cosignatures import Cosignatory, Cosigner
from vault.errors import Corrupt, NotSigned

KEY: Final = "witness.key"
LIMIT: Final = MAX + 8192
"""The longest request that is read, in bytes."""
_PROOF: Final = 63
_SEED: Final = 32
SIZE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers: an HTTP status, a body, its media type."""

    status: int
    body: str = ""
    media: str = "text/plain; charset=utf-8"


class Witness:
    """A witness, kept in `folder`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open one that `create` made; errors: Corrupt, OSError when there is none."""
        self._folder, self._clock = folder, clock
        try:
            name, seed = files.read(folder / KEY, limit=1024).decode().splitlines()
            self._key = Cosigner(name, _seed(seed))
        except ValueError:
            raise Corrupt(what=KEY) from None

    @classmethod
    def create(cls, folder: Path, name: str, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> Self:
        """Make the folder of a new witness, absent or empty before. Errors: BadName, OSError."""
        seed = entropy(_SEED)
        Cosigner(name, seed)
        with files.new_folder(folder):
            files.write(folder / KEY, f"{name}\n{b64encode(seed).decode()}\n".encode(), new=True)
        return cls(folder, clock)

    @property
    def verifier(self) -> Cosignatory:
        """Its public key."""
        return self._key.verifier

    def trust(self, log: notes.Verifier) -> None:
        """Take the checkpoints of a log from now on; a log of that name that it knows gets this key."""
        files.write(self._path("logs", log.name, "vkey"), f"{log.vkey}\n".encode())

    def seen(self, origin: str) -> Checkpoint | None:
        """The checkpoint of a log that it cosigned last; errors: Corrupt, NotSigned when its folder was altered."""
        log = self._log(origin)
        try:
            note = files.read(self._path("seen", origin, "note"), limit=MAX).decode()
        except FileNotFoundError:
            return None
        if log is None:
            raise Corrupt(what="logs")
        return Checkpoint.verify(note, log)

    def add(self, request: bytes) -> Answer:
        """Answer an `add-checkpoint`: 200 with a signature line, or why not.

        400 malformed; 403 not signed by the log; 404 not a log that it knows; 409 it holds another size, which it says; 422 the
        new tree does not continue the old one.
        """
        try:
            old, proof, note = _read(request)
        except ValueError:
            return Answer(400)
        log = self._log(note.partition("\n")[0])
        if log is None:
            return Answer(404)
        try:
            asked = Checkpoint.verify(note, log)
        except NotSigned:
            return Answer(403)
        except Corrupt:
            return Answer(400)
        if old > asked.size:
            return Answer(400)
        with files.locked(self._folder / ".lock"):
            return self._decide(old, proof, asked)

    def _decide(self, old: int, proof: tuple[bytes, ...], asked: Checkpoint) -> Answer:
        held = self.seen(asked.origin)
        size, root = (0, tree.EMPTY) if held is None else (held.size, held.root)
        if old != size:
            return Answer(409, f"{size}\n", SIZE)
        if asked.size == size and held is not None and not compare_digest(asked.root, root):
            self._refuse(asked)
            return Answer(409, f"{size}\n", SIZE)
        try:
            tree.check_consistency(size, asked.size, proof, root, asked.root)
        except BadProof:
            self._refuse(asked)
            return Answer(422)
        if held is None or asked.size > size:
            files.write(self._path("seen", asked.origin, "note"), asked.note.encode())
        text, _ = notes.split(asked.note)
        return Answer(200, self._key.cosign(text, int(self._clock().timestamp())) + "\n")

    def _refuse(self, asked: Checkpoint) -> None:
        files.write(self._path("refused", asked.origin, "note"), asked.note.encode())

    def _log(self, origin: str) -> notes.Verifier | None:
        try:
            return notes.Verifier.parse(files.read(self._path("logs", origin, "vkey"), limit=4096).decode())
        except FileNotFoundError:
            return None

    def _path(self, kind: str, origin: str, suffix: str) -> Path:
        return self._folder / kind / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.{suffix}"


def _seed(text: str) -> bytes:
    seed = b64decode(text, validate=True)
    if len(seed) != _SEED:
        raise ValueError
    return seed


def _read(request: bytes) -> tuple[int, tuple[bytes, ...], str]:
    """Read a request: the old size, the consistency proof, the checkpoint; anything else is ValueError."""
    head, mark, note = request.decode().partition("\n\n")
    first, *lines = head.split("\n")
    word, _, number = first.partition(" ")
    if len(request) > LIMIT or not mark or word != "old" or len(lines) > _PROOF or len(number) > 19:
        raise ValueError
    old, proof = int(number), tuple(b64decode(each, validate=True) for each in lines)
    if str(old) != number or old < 0 or any(len(each) != tree.HASH for each in proof):
        raise ValueError
    return old, proof, note
