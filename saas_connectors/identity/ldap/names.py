"""Names of entries and their keys: distinguished names (RFC 4514), GUIDs as Active Directory keeps them, UUIDs.

1. A distinguished name is compared without case, whatever its escapes, piece by piece: `A,DC=x` is not above `OU=BA,DC=x`.
2. `<GUID=…>;<SID=…>;CN=…`, as DIRSYNC writes names, is the name at its end.
3. An entry is known by its key (objectGUID, entryUUID), written as a UUID in lower case; a name changes when someone moves.
"""

import re
import unicodedata
import uuid
from typing import Final

Rdn = frozenset[tuple[str, str]]
_EXTENDED: Final = re.compile(r"(?:<[A-Z]+=[^>]*>;)+")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{2}")
_TYPE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)")
_ESCAPED: Final = frozenset('"+,;<>\\=')
_LONGEST: Final = 4096


class BadName(ValueError):
    """A text that is no distinguished name."""


def plain(name: str) -> str:
    """A distinguished name without what DIRSYNC puts before it."""
    return _EXTENDED.sub("", name, count=1) if name.startswith("<") else name


def pieces(name: str) -> list[str]:
    """Cut a distinguished name at its commas, escapes kept; raises `BadName`."""
    if len(name) > _LONGEST:
        raise BadName
    return [] if not name.strip() else _cut(name, ",")


def _cut(text: str, sign: str) -> list[str]:
    found, start, at, quoted = [], 0, 0, False
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif text[at] == sign and not quoted:
            found.append(text[start:at])
            start = at + 1
        at += 1
    if quoted or at > len(text):
        raise BadName
    return [*found, text[start:]]


def rdns(name: str) -> tuple[Rdn, ...]:
    """A distinguished name as it is compared; raises `BadName`."""
    return tuple(frozenset(_pair(part) for part in _cut(piece, "+")) for piece in pieces(plain(name)))


def _pair(text: str) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    if not equals or not _TYPE.fullmatch(kind.strip()):
        raise BadName
    return kind.strip().lower(), folded(_read(value))


def _read(value: str) -> str:
    """The value that a name writes, escapes read (RFC 4514, section 3; quotes of RFC 1779)."""
    value = value.lstrip(" ")
    while value.endswith(" ") and not value.endswith("\\ "):
        value = value[:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    made = bytearray()
    at = 0
    while at < len(value):
        if value[at] != "\\":
            made += value[at].encode("utf-8", "surrogatepass")
            at += 1
        elif _HEX.fullmatch(value[at + 1 : at + 3]):
            made.append(int(value[at + 1 : at + 3], 16))
            at += 3
        elif at + 1 < len(value):
            made += value[at + 1].encode("utf-8", "surrogatepass")
            at += 2
        else:
            raise BadName
    return made.decode("utf-8", "replace")


def folded(value: str) -> str:
    """A text as directories compare it: without case, its letters composed, its spaces one; `ß` is not `ss`."""
    return " ".join(unicodedata.normalize("NFC", value).lower().split())


def same(one: str, other: str) -> bool:
    """Whether two names are of one entry; what is no name is like nothing."""
    try:
        return rdns(one) == rdns(other)
    except BadName:
        return False


def under(name: str, base: str) -> bool:
    """Whether an entry is a base, or below it."""
    try:
        ours, above = rdns(name), rdns(base)
    except BadName:
        return False
    return len(ours) >= len(above) and ours[len(ours) - len(above) :] == above


def parent(name: str) -> str:
    """The name above, as it is written; empty at the top."""
    return ",".join(pieces(plain(name))[1:])


def first(name: str) -> str:
    """The first part of a name, as it is written; raises `BadName`."""
    found = pieces(plain(name))
    if not found:
        raise BadName
    return found[0]


def escaped(value: str) -> str:
    """Write a value in a name (RFC 4514, section 2.4)."""
    made = "".join(f"\\{sign}" if sign in _ESCAPED else "\\00" if sign == "\0" else sign for sign in value)
    if made.startswith(("#", " ")):
        made = f"\\{made}"
    return f"{made[:-1]}\\ " if made.endswith(" ") and len(value) > 1 and value.endswith(" ") else made


def guid(value: bytes | str | None) -> str | None:
    """The key in an objectGUID (16 bytes, the first fields least significant first: MS-DTYP 2.3.4); None when it is none."""
    return str(uuid.UUID(bytes_le=value)) if isinstance(value, bytes) and len(value) == 16 else None


def entry_uuid(value: bytes | str | None) -> str | None:
    """The key in an entryUUID (RFC 4530); None when it is none."""
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        return None


def guid_bytes(key: str) -> bytes:
    """The objectGUID of a key."""
    return uuid.UUID(key).bytes_le
