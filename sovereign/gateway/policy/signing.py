"""Who signed a set: a C2SP note beside the files, `signed.note`, that travels with them.

    sovereign-policies/1
    site NAME           of the audit log's key: a set signed for one site is none of another's
    set DIGEST          hex
    after DIGEST        the set in force when it was signed, `-` for none: a former set put back is not signed again by that
    file SHA256 NAME    one line a file, for whoever reads the note

The signer's private key never comes here: `sign` is given an unlocked one. Signing says who; the audit log says when.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sovereign.gateway.policy.errors import UnsignedSet
from sovereign.gateway.policy.load import Files
from vault import files as disk
from vault import notes
from vault.errors import Corrupt, NotSigned

NOTE: Final = "signed.note"
_LIMIT: Final = 128 * 1024


def text(files: Files, site: str, after: str) -> str:
    """What is signed. after: digest of the set in force, empty for none."""
    lines = [f"file {hashlib.sha256(body.encode()).hexdigest()} {name}\n" for name, body in sorted(files.texts.items())]
    return f"sovereign-policies/1\nsite {site}\nset {files.digest}\nafter {after or '-'}\n" + "".join(lines)


def sign(folder: Path, files: Files, site: str, after: str, signer: notes.Signer) -> str:
    """Put a signed note beside the files; signatures of the same text that are there stay. Gives the note."""
    said = text(files, site, after)
    made, former = notes.sign(said, signer), _read(folder)
    if former is not None and former.startswith(said + "\n— ") and made.removeprefix(said + "\n") not in former:
        made = former + made.removeprefix(said + "\n")
    disk.write(folder / NOTE, made.encode())
    return made


def check(folder: Path, files: Files, site: str, after: str, signers: Iterable[notes.Verifier]) -> str:
    """Give the note once an accepted signer is found to have signed this set; errors: UnsignedSet."""
    note = _read(folder)
    if note is None:
        raise _unsigned(files, f"pas de {NOTE}", f"no {NOTE}")
    try:
        said = notes.verify(note, signers, what=NOTE)
    except (NotSigned, Corrupt):
        raise _unsigned(files, "aucune signature d'un signataire accepté", "no signature of an accepted signer") from None
    if said != text(files, site, after):
        raise _unsigned(
            files, "la note signe d'autres fichiers, ou à la suite d'un autre ensemble",
            "the note signs other files, or after another set",
        )  # fmt: skip
    return note


def _read(folder: Path) -> str | None:
    try:
        return disk.read(folder / NOTE, limit=_LIMIT).decode()
    except (OSError, Corrupt, UnicodeDecodeError):
        return None


def _unsigned(files: Files, fr: str, en: str) -> UnsignedSet:
    return UnsignedSet(digest=files.digest[:12], why_fr=fr, why_en=en)
