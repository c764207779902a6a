"""Time-stamp tokens kept beside the published log, and held against it (RFC 3161).

    timestamps/<size>.note     the signed checkpoint of that size, as it was stamped
    timestamps/<size>.tsr      the authority's answer over the bytes of that file

1. A token counts when its checkpoint is one that this log's key signed, the tree still has that root at that size, and the
   authority's certificates say yes: then every entry below that size existed at that time, whoever held the log's key since.
2. Each token is an entry too (`audit.stamped`, with its SHA-256): one that is taken away or swapped is missed.
3. The checkpoint is written before the token, each in one step: a token is never there without what it stamps.

It asks nobody: `stamping` does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from sovereign.audit.checkpoint import MAX, Checkpoint
from sovereign.audit.errors import BadProof, BadStamp, Forked
from vault import files
from vault.errors import BadTimestamp, Corrupt, NotSigned
from vault.notes import Verifier
from vault.timestamps import LIMIT, Authority, Stamp

FOLDER: Final = "timestamps"
ACT: Final = "audit.stamped"


@dataclass(frozen=True, slots=True)
class Stamped:
    """A token that counts: how many entries it covers, and what it says of them."""

    size: int
    stamp: Stamp


def keep(folder: Path, checkpoint: Checkpoint, answer: bytes) -> None:
    """Keep a token, already verified, beside a published log. Errors: OSError."""
    note, token = _paths(folder, checkpoint.size)
    files.write(note, checkpoint.note.encode())
    files.write(token, answer)


def held(folder: Path) -> tuple[int, ...]:
    """The sizes of the log for which there is a token, smallest first."""
    found = (each.stem for each in (folder / FOLDER).glob("*.tsr"))
    return tuple(sorted(int(each) for each in found if each.isascii() and each.isdecimal() and len(each) < 20))


def copy(source: Path, target: Path, size: int) -> None:
    """Copy the tokens of a published log, up to a size, to another folder."""
    for each in held(source):
        if each <= size:
            for path, there in zip(_paths(source, each), _paths(target, each), strict=True):
                files.write(there, files.read(path, limit=max(MAX, LIMIT)))


def verify(
    folder: Path, log: Verifier, size: int, root: Callable[[int], bytes], entered: Mapping[int, str], authority: Authority
) -> tuple[Stamped, ...]:
    """Hold every token of a folder against a log of `size` entries; gives them, smallest first.

    root: gives the tree's root at a size. entered: the SHA-256 (hex) of each token that the log's entries tell of, by size.
    Errors: BadStamp, Forked.
    """
    sizes = held(folder)
    for missing in sorted(entered.keys() - set(sizes)):
        raise BadStamp(size=missing, why_fr="le jeton inscrit au journal n'est plus là", why_en="the token entered is gone")
    return tuple(Stamped(each, _stamp(folder, log, each, size, root, entered.get(each), authority)) for each in sizes)


def _stamp(
    folder: Path,
    log: Verifier,
    at: int,
    size: int,
    root: Callable[[int], bytes],
    entered: str | None,
    authority: Authority,
) -> Stamp:
    note, token = _paths(folder, at)
    try:
        message, answer = files.read(note, limit=MAX), files.read(token, limit=LIMIT)
        checkpoint = Checkpoint.verify(message.decode(), log)
    except (FileNotFoundError, UnicodeDecodeError, Corrupt, NotSigned):
        said = "ce qu'il horodate n'est pas un point de contrôle de ce journal", "what it stamps is no checkpoint of this log"
        raise _bad(at, *said) from None
    if checkpoint.size != at or (entered is not None and not compare_digest(entered.encode(), digest(answer).encode())):
        raise _bad(at, "un autre a pris sa place", "another one has taken its place")
    try:
        if at > size or not compare_digest(root(at), checkpoint.root):
            raise Forked(size=at)
    except BadProof:
        raise Forked(size=at) from None
    try:
        return authority.verify(answer, message)
    except BadTimestamp as refused:
        raise _bad(at, str(refused.fields["why_fr"]), str(refused.fields["why_en"])) from None


def digest(answer: bytes) -> str:
    """What the log's entry tells of a token."""
    return sha256(answer).hexdigest()


def _paths(folder: Path, size: int) -> tuple[Path, Path]:
    return folder / FOLDER / f"{size}.note", folder / FOLDER / f"{size}.tsr"


def _bad(size: int, fr: str, en: str) -> BadStamp:
    return BadStamp(size=size, why_fr=fr, why_en=en)
