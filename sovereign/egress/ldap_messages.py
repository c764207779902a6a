"""LDAP messages (RFC 4511), from the client's side: requests written, answers read. No I/O, no state.

1. Whatever a caller gives as a name or a value goes as one string with its length before it: it is never a part of a
   syntax, so there is nothing to escape.
2. An answer is read without recursion and holds at most `VALUES` values; what is not an answer is Malformed.
3. A server's words (`diagnosticMessage`) are kept apart, for who asks for the one thing that may be read in them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sovereign.egress import ber
from sovereign.egress.ber import Malformed

VALUES: Final = 1_000_000
"""The most values that one message may hold."""
_CONTROLS: Final = 256

BIND: Final = 0x61
SEARCH_ENTRY: Final = 0x64
SEARCH_DONE: Final = 0x65
MODIFIED: Final = 0x67
ADDED: Final = 0x69
MOVED: Final = 0x6D
REFERENCE: Final = 0x73
EXTENDED: Final = 0x78
INTERMEDIATE: Final = 0x79
"""The tags of answers."""

START_TLS: Final = "1.3.6.1.4.1.1466.20037"
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
PAGED: Final = "1.2.840.113556.1.4.319"
DIRSYNC: Final = "1.2.840.113556.1.4.841"
SHOW_DELETED: Final = "1.2.840.113556.1.4.417"
PERMISSIVE: Final = "1.2.840.113556.1.4.1413"
SCOPES: Final = {"base": 0, "one": 1, "subtree": 2}
CHANGES: Final = {"add": 0, "delete": 1, "replace": 2}

Attributes = Iterable[tuple[str, Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a server: its number, its tag, where its content stands in `data`, its controls."""

    number: int
    tag: int
    data: bytes = field(repr=False)
    start: int
    stop: int
    controls: dict[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended (RFC 4511 section 4.1.9). value: that of an extended answer."""

    code: int
    diagnostic: bytes = field(default=b"", repr=False)
    controls: dict[str, bytes] = field(default_factory=dict, repr=False)
    value: bytes = field(default=b"", repr=False)


def envelope(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    """Put an operation in a message."""
    return ber.sequence(ber.integer(number), operation, controls)


def controls(*each: tuple[str, bytes | None]) -> bytes:
    """Write controls, all critical: what a server cannot do is refused by it, not left out."""
    if not each:
        return b""
    parts = []
    for oid, value in each:
        held = b"" if value is None else ber.octets(value)
        parts.append(ber.sequence(ber.octets(oid), ber.boolean(True), held))
    return ber.sequence(*parts, tag=0xA0)


def bind(name: str, password: str) -> bytes:
    """A simple bind of version 3."""
    return ber.sequence(ber.integer(3), ber.octets(name), ber.octets(password, 0x80), tag=0x60)


def unbind() -> bytes:
    """What ends a session."""
    return b"\x42\x00"


def extended(oid: str) -> bytes:
    """An extended request without a value."""
    return ber.sequence(ber.octets(oid, 0x80), tag=0x77)


def search(base: str, scope: int, seconds: int, limit: int, tree: bytes, attributes: Iterable[str]) -> bytes:
    """A search; aliases are not followed. tree: the filter, written. limit: entries, 0 for none."""
    return ber.sequence(
        ber.octets(base), ber.integer(scope, ber.ENUMERATED), ber.integer(0, ber.ENUMERATED), ber.integer(limit),
        ber.integer(seconds), ber.boolean(False), tree, ber.sequence(*map(ber.octets, attributes)), tag=0x63,
    )  # fmt: skip


def modify(dn: str, changes: Iterable[tuple[int, str, Sequence[bytes]]]) -> bytes:
    """A change of one entry."""
    parts = [ber.sequence(ber.integer(do, ber.ENUMERATED), _attribute(name, values)) for do, name, values in changes]
    return ber.sequence(ber.octets(dn), ber.sequence(*parts), tag=0x66)


def add(dn: str, attributes: Attributes) -> bytes:
    """A new entry."""
    parts = [_attribute(name, values) for name, values in attributes]
    return ber.sequence(ber.octets(dn), ber.sequence(*parts), tag=0x68)


def move(dn: str, rdn: str, *, delete_old: bool, parent: str | None) -> bytes:
    """Another name for an entry, and another place."""
    above = b"" if parent is None else ber.octets(parent, 0x80)
    return ber.sequence(ber.octets(dn), ber.octets(rdn), ber.boolean(delete_old), above, tag=0x6C)


def paged(size: int, cookie: bytes) -> bytes:
    """The value of the paging control (RFC 2696)."""
    return ber.sequence(ber.integer(size), ber.octets(cookie))


def dirsync(flags: int, most: int, cookie: bytes) -> bytes:
    """The value of Active Directory's DirSync control; flags are a signed integer of 32 bits on the wire."""
    signed = flags - (1 << 32) if flags >= 1 << 31 else flags
    return ber.sequence(ber.integer(signed), ber.integer(most), ber.octets(cookie))


def _attribute(name: str, values: Iterable[bytes]) -> bytes:
    return ber.sequence(ber.octets(name), ber.sequence(*map(ber.octets, values), tag=ber.SET))


def message(data: bytes) -> Message:
    """Read one whole message. Errors: Malformed."""
    start, stop = ber.expect(data, 0, len(data), ber.SEQUENCE)
    at, end = ber.expect(data, start, stop, ber.INTEGER)
    number = ber.number(data, at, end)
    tag, start, end = ber.read(data, end, stop)
    found: dict[str, bytes] = {}
    if end < stop:
        at, last = ber.expect(data, end, stop, 0xA0)
        while at < last:
            one, at = ber.expect(data, at, last, ber.SEQUENCE)
            oid, one = _text(data, one, at)
            value = b""
            while one < at:
                kind, begins, one = ber.read(data, one, at)
                if kind == ber.OCTETS:
                    value = data[begins:one]
            found[oid] = value
            if len(found) > _CONTROLS:
                raise Malformed
    return Message(number, tag, data, start, end, found)


def result(said: Message) -> Result:
    """Read the end of an operation. Errors: Malformed."""
    data = said.data
    start, at = ber.expect(data, said.start, said.stop, ber.ENUMERATED)
    code = ber.number(data, start, at)
    _, at = ber.expect(data, at, said.stop, ber.OCTETS)
    start, at = ber.expect(data, at, said.stop, ber.OCTETS)
    diagnostic, value = data[start:at], b""
    while at < said.stop:
        tag, start, at = ber.read(data, at, said.stop)
        if tag == 0x8B:
            value = data[start:at]
    return Result(code, diagnostic, said.controls, value)


def entry(said: Message) -> tuple[str, dict[str, list[bytes]]]:
    """Read an entry that a search found: its name, its attributes. Errors: Malformed."""
    data, read = said.data, ber.read
    dn, at = _text(data, said.start, said.stop)
    at, end = ber.expect(data, at, said.stop, ber.SEQUENCE)
    attributes: dict[str, list[bytes]] = {}
    count = 0
    while at < end:
        inner, at = ber.expect(data, at, end, ber.SEQUENCE)
        name, inner = _text(data, inner, at)
        inner, stop = ber.expect(data, inner, at, ber.SET)
        values = attributes.setdefault(name, [])
        while inner < stop:
            tag, start, inner = read(data, inner, stop)
            count += 1
            if tag != ber.OCTETS or count > VALUES:
                raise Malformed
            values.append(data[start:inner])
        count += 1
    return dn, attributes


def page(value: bytes) -> bytes:
    """Read the cookie of the paging control's answer, empty after the last page. Errors: Malformed."""
    at, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
    _, at = ber.expect(value, at, end, ber.INTEGER)
    start, stop = ber.expect(value, at, end, ber.OCTETS)
    return value[start:stop]


def synced(value: bytes) -> tuple[bool, bytes]:
    """Read the DirSync control's answer: whether there is more, and the cookie. Errors: Malformed."""
    at, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
    start, at = ber.expect(value, at, end, ber.INTEGER)
    more = ber.number(value, start, at) != 0
    _, at = ber.expect(value, at, end, ber.INTEGER)
    start, stop = ber.expect(value, at, end, ber.OCTETS)
    return more, value[start:stop]


def _text(data: bytes, at: int, end: int) -> tuple[str, int]:
    """Read a string that must be UTF-8, and where it stops."""
    start, stop = ber.expect(data, at, end, ber.OCTETS)
    try:
        return data[start:stop].decode(), stop
    except UnicodeDecodeError:
        raise Malformed from None
