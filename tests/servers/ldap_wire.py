"""LDAP messages from the server's side: requests read, answers written (RFC 4511).

A filter is the tree that `SEARCH` bodies have (`{"equals": [attribute, value]}`), its values bytes; substrings are
`{"parts": [attribute, initial, [any], final]}`, an extensible match `{"rule": [attribute, oid, value]}`.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from sovereign.egress import ber
from sovereign.egress.ber import Malformed

PAGED: Final = "1.2.840.113556.1.4.319"
DIRSYNC: Final = "1.2.840.113556.1.4.841"
SHOW_DELETED: Final = "1.2.840.113556.1.4.417"
PERMISSIVE: Final = "1.2.840.113556.1.4.1413"
START_TLS: Final = "1.3.6.1.4.1.1466.20037"
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"

Tree = dict[str, Any]
Attributes = dict[str, list[bytes]]


@dataclass(frozen=True)
class Control:
    """A control of a request or of an answer."""

    oid: str
    critical: bool = False
    value: bytes = b""


@dataclass(frozen=True)
class Bind:
    dn: str
    password: bytes
    simple: bool = True


@dataclass(frozen=True)
class Search:
    """scope: 0 the base, 1 one level, 2 the subtree."""

    base: str
    scope: int
    limit: int
    seconds: int
    filter: Tree
    attributes: tuple[str, ...]
    controls: dict[str, Control] = field(default_factory=dict)


@dataclass(frozen=True)
class Modify:
    """changes: `add`, `delete` or `replace`, an attribute, values."""

    dn: str
    changes: tuple[tuple[str, str, list[bytes]], ...]
    controls: dict[str, Control] = field(default_factory=dict)


@dataclass(frozen=True)
class Move:
    dn: str
    rdn: str
    delete_old: bool
    parent: str | None
    controls: dict[str, Control] = field(default_factory=dict)


@dataclass(frozen=True)
class Add:
    dn: str
    attributes: Attributes
    controls: dict[str, Control] = field(default_factory=dict)


@dataclass(frozen=True)
class Extended:
    oid: str
    value: bytes = b""


@dataclass(frozen=True)
class Other:
    """A request that is not one of these, or an unbind (0x42)."""

    tag: int


Asked = Bind | Search | Modify | Move | Add | Extended | Other
ANSWERS: Final = {Bind: 0x61, Search: 0x65, Modify: 0x67, Add: 0x69, Move: 0x6D, Extended: 0x78, Other: 0x78}


class Walk:
    """Steps through the elements of one that holds others."""

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self.data, self.at, self.stop = data, start, stop

    def __bool__(self) -> bool:
        return self.at < self.stop

    def peek(self) -> int:
        return self.data[self.at] if self else 0

    def into(self) -> tuple[int, "Walk"]:
        tag, start, stop = ber.read(self.data, self.at, self.stop)
        self.at = stop
        return tag, Walk(self.data, start, stop)

    def octets(self) -> bytes:
        _, inner = self.into()
        return self.data[inner.at : inner.stop]

    def text(self) -> str:
        return self.octets().decode()

    def number(self) -> int:
        return int.from_bytes(self.octets(), "big", signed=True)

    def all(self) -> list[bytes]:
        _, inner = self.into()
        found = []
        while inner:
            found.append(inner.octets())
        return found


def read(data: bytes) -> tuple[int, Asked]:
    """Read one message of a client: its number, and what it asks. Errors: Malformed."""
    _, whole = Walk(data, 0, len(data)).into()
    number = whole.number()
    tag, op = whole.into()
    controls: dict[str, Control] = {}
    if whole:
        _, listed = whole.into()
        while listed:
            _, one = listed.into()
            oid = one.text()
            critical = one.octets() != b"\0" if one.peek() == 0x01 else False
            controls[oid] = Control(oid, critical, one.octets() if one else b"")
    return number, _asked(tag, op, controls)


def _asked(tag: int, op: Walk, controls: dict[str, Control]) -> Asked:
    if tag == 0x60:
        op.number()
        dn = op.text()
        kind = op.peek()
        return Bind(dn, op.octets(), simple=kind == 0x80)
    if tag == 0x63:
        base, scope, _, limit, seconds, _ = op.text(), op.number(), op.number(), op.number(), op.number(), op.octets()
        tree = _tree(op)
        return Search(base, scope, limit, seconds, tree, tuple(each.decode() for each in op.all()), controls)
    if tag == 0x66:
        dn, changes = op.text(), []
        _, listed = op.into()
        while listed:
            _, one = listed.into()
            do = ("add", "delete", "replace")[one.number()]
            _, attribute = one.into()
            changes.append((do, attribute.text(), attribute.all()))
        return Modify(dn, tuple(changes), controls)
    if tag == 0x68:
        dn, attributes = op.text(), {}
        _, listed = op.into()
        while listed:
            _, one = listed.into()
            name = one.text()
            attributes[name] = one.all()
        return Add(dn, attributes, controls)
    if tag == 0x6C:
        return Move(op.text(), op.text(), op.octets() != b"\0", op.text() if op else None, controls)
    if tag == 0x77:
        return Extended(op.text(), op.octets() if op else b"")
    return Other(tag)


def _tree(walk: Walk, depth: int = 0) -> Tree:
    if depth > 100:
        raise Malformed
    tag, held = walk.into()
    if tag in (0xA0, 0xA1):
        found = []
        while held:
            found.append(_tree(held, depth + 1))
        return {"and" if tag == 0xA0 else "or": found}
    if tag == 0xA2:
        return {"not": _tree(held, depth + 1)}
    if tag == 0x87:
        return {"present": held.data[held.at : held.stop].decode()}
    if tag == 0xA4:
        return {"parts": _parts(held)}
    if tag == 0xA9:
        named = dict(_named(held))
        return {"rule": [named.get(0x82, b"").decode(), named.get(0x81, b"").decode(), named.get(0x83, b"")]}
    kind = {0xA3: "equals", 0xA5: "at_least", 0xA6: "at_most", 0xA8: "equals"}.get(tag)
    if kind is None:
        raise Malformed
    return {kind: [held.text(), held.octets()]}


def _parts(held: Walk) -> list[Any]:
    name = held.text()
    _, listed = held.into()
    parts = _named(listed)
    first, last = dict(parts).get(0x80, b""), dict(parts).get(0x82, b"")
    return [name, first, [value for tag, value in parts if tag == 0x81], last]


def _named(held: Walk) -> list[tuple[int, bytes]]:
    found = []
    while held:
        tag = held.peek()
        found.append((tag, held.octets()))
    return found


def controls(given: dict[str, bytes]) -> bytes:
    """Write the controls of an answer."""
    if not given:
        return b""
    return ber.sequence(*(ber.sequence(ber.octets(oid), ber.octets(value)) for oid, value in given.items()), tag=0xA0)


def ended(
    number: int, tag: int, code: int, said: str, given: dict[str, bytes], oid: str = "", value: bytes | None = None
) -> bytes:
    """Write the end of an operation."""
    more = (ber.octets(oid, 0x8A) if oid else b"") + (b"" if value is None else ber.octets(value, 0x8B))
    end = ber.sequence(ber.integer(code, ber.ENUMERATED), ber.octets(""), ber.octets(said), more, tag=tag)
    return ber.sequence(ber.integer(number), end, controls(given))


def entry(number: int, dn: str, attributes: Attributes) -> bytes:
    """Write an entry of a search."""
    parts = [
        ber.sequence(ber.octets(name), ber.sequence(*map(ber.octets, values), tag=ber.SET))
        for name, values in attributes.items()
    ]
    return ber.sequence(ber.integer(number), ber.sequence(ber.octets(dn), ber.sequence(*parts), tag=0x64))


def reference(number: int, url: str) -> bytes:
    """Write a referral of a search."""
    return ber.sequence(ber.integer(number), ber.sequence(ber.octets(url), tag=0x73))


def page(value: bytes) -> tuple[int, bytes]:
    """Read the value of the paging control: a size, a cookie."""
    _, held = Walk(value, 0, len(value)).into()
    return held.number(), held.octets()


def paged(cookie: bytes, size: int = 0) -> bytes:
    """Write the value of the paging control."""
    return ber.sequence(ber.integer(size), ber.octets(cookie))


def dirsync(value: bytes) -> tuple[int, int, bytes]:
    """Read the value of the DirSync control: flags (unsigned), the most bytes, a cookie."""
    _, held = Walk(value, 0, len(value)).into()
    return held.number() & 0xFFFFFFFF, held.number(), held.octets()


def synced(cookie: bytes, *, more: bool) -> bytes:
    """Write the value of the DirSync control of an answer."""
    return ber.sequence(ber.integer(int(more)), ber.integer(0), ber.octets(cookie))
