"""The data keys of one manifest, one draft or one raw archive, wrapped, in one small file.

1. A key file maps the name of what a key opens to that key, wrapped. The name is also the context under which the key was
   wrapped, so an entry moved to another name does not unwrap.
2. It is the only file of a snapshot that changes: rotation rewrites it in place, in one step. It is written before what points
   to it.
3. It holds no key in clear and decides nothing: losing it loses the data, altering it opens nothing.

Format: docs/formats/key-file.md.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from snapshots.durable import read_bounded
from snapshots.errors import Damaged
from vault import files
from vault.errors import UnknownVersion
from vault.keys import Keys, Wrapped

FORMAT = "sovereign-keys/1"
LIMIT = 256 << 20


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wrapped data keys by the name of what they open."""

    format: str
    keys: dict[str, Wrapped]


def encode(keys: Mapping[str, Wrapped]) -> bytes:
    """Write a key file's bytes, entries sorted by name."""
    return msgspec.json.encode(KeyFile(FORMAT, dict(sorted(keys.items())))) + b"\n"


def decode(data: bytes, name: str) -> dict[str, Wrapped]:
    """Read a key file's bytes; raises Damaged or UnknownVersion."""
    try:
        found = msgspec.json.decode(data, type=KeyFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Damaged(file=name, reason_fr="ce n'est pas un fichier de clés", reason_en="it is not a key file") from None
    if found.format != FORMAT:
        raise UnknownVersion(what=name, found=found.format)
    return found.keys


def write(path: Path, keys: Mapping[str, Wrapped]) -> None:
    """Write or replace a key file in one step."""
    files.write(path, encode(keys))


def read(path: Path) -> dict[str, Wrapped]:
    """Read a key file; raises Damaged when it is missing, cut or altered beyond reading."""
    return decode(read_bounded(path, LIMIT), path.name)


def opener(keys: Keys, path: Path) -> Callable[[str], bytes]:
    """Give what opens the entries of a key file; the file is read at the first need."""
    entries: dict[str, Wrapped] = {}
    opened: dict[str, bytes] = {}

    def open_entry(name: str) -> bytes:
        if name not in opened:
            if not entries:
                entries.update(read(path))
            if name not in entries:
                raise Damaged(
                    file=path.name, reason_fr=f"il lui manque la clé de {name}", reason_en=f"it lacks the key of {name}"
                )
            opened[name] = keys.unwrap(entries[name], name.encode())
        return opened[name]

    return open_entry


def rewrap(path: Path, keys: Keys) -> int:
    """Wrap every entry under the newest generation of its key-encryption key; gives how many changed."""
    entries = read(path)
    stale = {name: entry for name, entry in entries.items() if not keys.is_current(entry)}
    if stale:
        write(path, entries | {name: keys.rewrap(entry, name.encode()) for name, entry in stale.items()})
    return len(stale)
