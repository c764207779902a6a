"""A directory that a dictionary holds, for ldap.py to serve: its hooks are what a simulator overrides.

A hook is called under the directory's lock, one operation at a time, and gives an `Outcome`: a result code, and for a search
entries and referrals. It may raise `Code(n)` for a result code, `Hangup` to close the connection without an answer.
"""

import re
import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

from tests.servers import ldap_wire as wire
from tests.servers.ldap_wire import PAGED, PERMISSIVE, Add, Asked, Attributes, Bind, Modify, Move, Search

USER: Final = "cn=sovereign,dc=ville,dc=example"
PASSWORD: Final = "mot-de-passe-de-l'annuaire"
_PART: Final = re.compile(r"(?:\\.|[^,\\])+", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)


class Hangup(Exception):
    """Close the connection, without an answer."""


class Code(Exception):
    """Answer with a result code, and words."""

    def __init__(self, code: int, said: str = "") -> None:
        super().__init__(code)
        self.code, self.said = code, said


@dataclass
class Entry:
    dn: str
    attributes: Attributes


@dataclass
class Outcome:
    """What an operation comes to. controls: OID and value of each control of the answer."""

    code: int = 0
    said: str = ""
    entries: list[Entry] = field(default_factory=list)
    referrals: list[str] = field(default_factory=list)
    controls: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Session:
    """One connection. pages: cookies that were given, with what is left to give."""

    secure: bool
    dn: str = ""
    pages: dict[bytes, list[Entry]] = field(default_factory=dict)


def parts(dn: str) -> list[str]:
    """A name cut at the commas that nothing escapes (RFC 4514, section 3), each part as it is written."""
    return [part.lstrip() for part in _PART.findall(dn)]


def key(dn: str) -> str:
    """A name, compared without case or blanks around its parts, in whichever way its signs are escaped."""
    return ",".join(_read(part).lower().strip().replace("\\", "\\\\").replace(",", "\\,") for part in parts(dn))


def below(dn: str, base: str) -> bool:
    """Whether an entry is the base or under it."""
    ours, wanted = parts(key(dn)), parts(key(base))
    return not wanted or ours[-len(wanted) :] == wanted


def above(dn: str) -> str:
    """The name of the parent."""
    return ",".join(parts(dn)[1:])


def _read(part: str) -> str:
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], part.encode()).decode()


class Tree:
    """A directory that a dictionary holds. `known`: the controls it can do. `asked`: every operation that came, in order."""

    known = frozenset({PAGED, PERMISSIVE})

    def __init__(self, entries: dict[str, Attributes] | None = None, *, passwords: dict[str, str] | None = None) -> None:
        self.lock = threading.RLock()
        self.entries = {key(dn): Entry(dn, attributes) for dn, attributes in (entries or {}).items()}
        self.passwords = {USER: PASSWORD} if passwords is None else passwords
        self.asked: list[Asked] = []

    def cookie(self) -> bytes:
        """The cookie of a page; those of two sessions may be the same."""
        return secrets.token_bytes(8)

    def root(self, session: Session) -> Attributes:
        """The root DSE."""
        return {"supportedControl": [oid.encode() for oid in sorted(self.known)], "supportedLDAPVersion": [b"3"]}

    def bind(self, session: Session, asked: Bind) -> Outcome:
        if self.passwords.get(asked.dn, "").encode() != asked.password or not asked.password:
            raise Code(49)
        return Outcome()

    def search(self, session: Session, asked: Search) -> Outcome:
        if not asked.base and asked.scope == 0:
            return Outcome(entries=[Entry("", shown(self.root(session), asked.attributes))])
        self.find(asked.base)
        found = [entry for entry in self.entries.values() if self.inside(entry, asked) and self.matches(asked.filter, entry)]
        if asked.limit and len(found) > asked.limit:
            return Outcome(4, entries=found[: asked.limit])
        return Outcome(entries=[Entry(entry.dn, shown(entry.attributes, asked.attributes)) for entry in found])

    def modify(self, session: Session, asked: Modify) -> Outcome:
        entry = self.find(asked.dn)
        held = {name: list(values) for name, values in entry.attributes.items()}
        permissive = PERMISSIVE in asked.controls
        for do, name, values in asked.changes:
            name = next((each for each in held if each.lower() == name.lower()), name)  # noqa: PLW2901
            present = held.get(name, [])
            if do == "replace":
                held[name] = list(values)
            elif do == "add":
                if not permissive and set(values) & set(present):
                    raise Code(20)
                held[name] = present + [value for value in values if value not in present]
            elif not values or set(values) <= set(present) or permissive:
                if not present and not permissive:
                    raise Code(16)
                held[name] = [value for value in present if values and value not in values]
            else:
                raise Code(16)
        entry.attributes = {name: values for name, values in held.items() if values}
        return Outcome()

    def move(self, session: Session, asked: Move) -> Outcome:
        entry = self.find(asked.dn)
        parent = above(entry.dn) if asked.parent is None else self.find(asked.parent).dn
        dn = f"{asked.rdn},{parent}"
        if key(dn) in self.entries and key(dn) != key(entry.dn):
            raise Code(68)
        for old, each in list(self.entries.items()):
            if below(each.dn, entry.dn) and each is not entry:
                del self.entries[old]
                each.dn = each.dn[: len(each.dn) - len(entry.dn)] + dn
                self.entries[key(each.dn)] = each
        del self.entries[key(entry.dn)]
        entry.dn = dn
        self.entries[key(dn)] = entry
        name, _, value = asked.rdn.partition("=")
        entry.attributes[name] = [value.encode()]
        return Outcome()

    def add(self, session: Session, asked: Add) -> Outcome:
        if key(asked.dn) in self.entries:
            raise Code(68)
        self.entries[key(asked.dn)] = Entry(asked.dn, dict(asked.attributes))
        return Outcome()

    def find(self, dn: str) -> Entry:
        """An entry, or `Code(32)`."""
        found = self.entries.get(key(dn))
        if found is None:
            raise Code(32)
        return found

    def inside(self, entry: Entry, asked: Search) -> bool:
        """Whether an entry is in the scope of a search."""
        if asked.scope == 0:
            return key(entry.dn) == key(asked.base)
        return below(entry.dn, asked.base) if asked.scope == 2 else key(above(entry.dn)) == key(asked.base)

    def values(self, entry: Entry, name: str) -> list[bytes]:
        """The values that a filter compares."""
        return next((values for held, values in entry.attributes.items() if held.lower() == name.lower()), [])

    def matches(self, tree: wire.Tree, entry: Entry) -> bool:
        """Whether an entry is what a filter asks for; text is compared without case."""
        ((kind, held),) = tree.items()
        if kind in ("and", "or"):
            return (all if kind == "and" else any)(self.matches(each, entry) for each in held)
        if kind == "not":
            return not self.matches(held, entry)
        if kind == "present":
            return held.lower() == "objectclass" or bool(self.values(entry, held))
        values = [value.lower() for value in self.values(entry, held[0])]
        if kind == "rule":
            return self.rule(held[1], values, held[2])
        if kind == "parts":
            return any(_like(value, held[1].lower(), [each.lower() for each in held[2]], held[3].lower()) for value in values)
        wanted: bytes = held[1].lower()
        return any(_compared(kind, value, wanted) for value in values)

    def rule(self, oid: str, values: list[bytes], wanted: bytes) -> bool:
        """Extensible matching: Active Directory's bit rules (`and` 803, `or` 804)."""
        if oid not in ("1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804"):
            raise Code(18)
        bits = int(wanted)
        return any((int(value) & bits) == bits if oid.endswith("3") else bool(int(value) & bits) for value in values)


def shown(attributes: Attributes, wanted: tuple[str, ...]) -> Attributes:
    """The attributes that a search asked for."""
    names = {name.lower() for name in wanted}
    return {name: list(held) for name, held in attributes.items() if not names or "*" in names or name.lower() in names}


def _like(value: bytes, first: bytes, inner: list[bytes], last: bytes) -> bool:
    at = len(first)
    if not value.startswith(first):
        return False
    for each in inner:
        found = value.find(each, at)
        if found < 0:
            return False
        at = found + len(each)
    return len(value) - at >= len(last) and value.endswith(last)


def _compared(kind: str, value: bytes, wanted: bytes) -> bool:
    if kind == "equals":
        return value == wanted
    if kind == "at_most":
        value, wanted = wanted, value
    if value.lstrip(b"-").isdigit() and wanted.lstrip(b"-").isdigit():
        return int(value) >= int(wanted)
    return value >= wanted
