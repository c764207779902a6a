"""What may be asked of a directory: the bodies of requests, read strictly, made into LDAP operations. No I/O.

1. A body is a JSON object with the fields of its method alone; its size, its depth and the number of its terms are bounded.
2. Names and values are given apart from any syntax: a filter is a tree, never a text, so no value can become a part of one.
   The name of an attribute, which a server may parse, is of letters, digits, `.`, `-`, `_` and options.
3. Entries are searched, added, changed, moved. Nothing here deletes an entry.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal

import msgspec

from sovereign.egress import ber
from sovereign.egress import ldap_messages as ldap

BODY: Final = 32 * 1024 * 1024
_DEPTH: Final = 32
_TERMS: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}(?:;[A-Za-z0-9=*-]{1,64}){0,8}\Z")
_LISTED: Final = frozenset({"*", "+", "1.1"})
_RULE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,250}\Z")
_MOST: Final = 2**31 - 1

_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
_Dn = Annotated[str, msgspec.Meta(max_length=65536)]
_Entry = Annotated[str, msgspec.Meta(min_length=1, max_length=65536)]


class Misasked(ValueError):
    """The body is not one of this method."""


class _Bytes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    base64: str


_Value = str | _Bytes


class _DirSync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    flags: Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**32)] = 0
    max: _Count = 0
    cookie: str = ""


class _Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    base: _Dn
    scope: Literal["base", "one", "subtree"]
    filter: dict[str, Any]
    attributes: Annotated[list[str], msgspec.Meta(max_length=_TERMS)] = []
    binary: Annotated[list[str], msgspec.Meta(max_length=_TERMS)] = []
    page: Annotated[int, msgspec.Meta(ge=1, le=_MOST)] | None = None
    cookie: str | None = None
    limit: _Count | None = None
    dirsync: _DirSync | None = None
    show_deleted: bool | None = None


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    do: Literal["add", "delete", "replace"]
    attribute: str
    values: list[_Value] = []


class _Modify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dn: _Entry
    changes: Annotated[list[_Change], msgspec.Meta(min_length=1, max_length=_TERMS)]
    permissive: bool | None = None


class _Several(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    several: Annotated[list[_Modify], msgspec.Meta(min_length=1, max_length=_TERMS)]


class _Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dn: _Entry
    rdn: _Entry
    delete_old: bool
    parent: _Dn | None = None


class _Add(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dn: _Entry
    attributes: dict[str, list[_Value]]


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


@dataclass(frozen=True, slots=True)
class Order:
    """An operation to carry out. answer: the tag that ends it. binary: attributes whose values are bytes, in lower case.

    cookie: the page to go on from, None at the start. search: what the pages of one search have in common.
    more: what follows, on the same session, while each succeeds.
    """

    operation: bytes = field(repr=False)
    answer: int
    controls: bytes = field(default=b"", repr=False)
    writes: bool = False
    paged: bool = False
    cookie: bytes | None = field(default=None, repr=False)
    search: bytes = field(default=b"", repr=False)
    binary: frozenset[str] = frozenset()
    more: tuple["Order", ...] = ()


def order(method: str, body: bytes, seconds: int) -> Order | None:
    """Understand a request; None for a method that is not offered. seconds: what the server may take. Errors: Misasked."""
    read = _METHODS.get(method)
    if read is None:
        return None
    if len(body) > BODY:
        raise Misasked
    try:
        return read(body, seconds)
    except (msgspec.MsgspecError, binascii.Error, UnicodeError, RecursionError):
        raise Misasked from None


def _search(body: bytes, seconds: int) -> Order:
    asked = msgspec.json.decode(body, type=_Search)
    if asked.cookie is not None and asked.page is None:
        raise Misasked
    names = [name if name in _LISTED else _name(name) for name in asked.attributes]
    operation = ldap.search(
        asked.base, ldap.SCOPES[asked.scope], seconds, asked.limit or 0, _Filter().written(asked.filter), names
    )
    cookie = _decoded(asked.cookie) if asked.cookie else None
    each: list[tuple[str, bytes | None]] = []
    if asked.dirsync is not None:
        sync = asked.dirsync
        each.append((ldap.DIRSYNC, ldap.dirsync(sync.flags, sync.max, _decoded(sync.cookie))))
    if asked.show_deleted:
        each.append((ldap.SHOW_DELETED, None))
    search = operation + ldap.controls(*each)
    if asked.page is not None:
        each.append((ldap.PAGED, ldap.paged(asked.page, cookie or b"")))
    binary = frozenset(name.lower() for name in asked.binary)
    return Order(
        operation, ldap.SEARCH_DONE, ldap.controls(*each), paged=asked.page is not None, cookie=cookie, search=search,
        binary=binary,
    )  # fmt: skip


def _modify(body: bytes, _: int) -> Order:
    try:
        return _modified(msgspec.json.decode(body, type=_Modify))
    except msgspec.ValidationError:
        first, *others = [_modified(each) for each in msgspec.json.decode(body, type=_Several).several]
        return replace(first, more=tuple(others))


def _modified(asked: _Modify) -> Order:
    changes = [(ldap.CHANGES[each.do], _name(each.attribute), list(map(_value, each.values))) for each in asked.changes]
    controls = ldap.controls((ldap.PERMISSIVE, None)) if asked.permissive else b""
    return Order(ldap.modify(asked.dn, changes), ldap.MODIFIED, controls, writes=True)


def _move(body: bytes, _: int) -> Order:
    asked = msgspec.json.decode(body, type=_Move)
    operation = ldap.move(asked.dn, asked.rdn, delete_old=asked.delete_old, parent=asked.parent)
    return Order(operation, ldap.MOVED, writes=True)


def _add(body: bytes, _: int) -> Order:
    asked = msgspec.json.decode(body, type=_Add)
    attributes = [(_name(name), list(map(_value, values))) for name, values in asked.attributes.items()]
    return Order(ldap.add(asked.dn, attributes), ldap.ADDED, writes=True)


def _who_am_i(body: bytes, _: int) -> Order:
    msgspec.json.decode(body or b"{}", type=_Nothing)
    return Order(ldap.extended(ldap.WHO_AM_I), ldap.EXTENDED)


_METHODS: Final[dict[str, Callable[[bytes, int], Order]]] = {
    "SEARCH": _search,
    "MODIFY": _modify,
    "MOVE": _move,
    "ADD": _add,
    "WHOAMI": _who_am_i,
}


class _Filter:
    """Writes a tree as a filter (RFC 4511 section 4.5.1.7), counting its terms."""

    def __init__(self) -> None:
        self._terms = 0

    def written(self, tree: object, depth: int = 0) -> bytes:
        self._terms += 1
        if not isinstance(tree, dict) or len(tree) != 1 or depth > _DEPTH or self._terms > _TERMS:
            raise Misasked
        ((kind, held),) = tree.items()
        if kind in ("and", "or"):
            if not isinstance(held, list):
                raise Misasked
            return ber.sequence(*(self.written(each, depth + 1) for each in held), tag=0xA0 if kind == "and" else 0xA1)
        if kind == "not":
            return ber.sequence(self.written(held, depth + 1), tag=0xA2)
        if kind == "present":
            return ber.octets(_name(held), 0x87)
        if kind == "rule":
            name, oid, value = _listed(held, 3)
            if not isinstance(oid, str) or not _RULE.match(oid):
                raise Misasked
            return ber.sequence(ber.octets(oid, 0x81), ber.octets(_name(name), 0x82), ber.octets(_held(value), 0x83), tag=0xA9)
        name, value = _listed(held, 2)
        if kind == "starts" and value != "":  # what starts with nothing would be everything
            return ber.sequence(ber.octets(_name(name)), ber.sequence(ber.octets(_held(value), 0x80)), tag=0xA4)
        tag = {"equals": 0xA3, "at_least": 0xA5, "at_most": 0xA6}.get(kind)
        if tag is None:
            raise Misasked
        return ber.sequence(ber.octets(_name(name)), ber.octets(_held(value)), tag=tag)


def _listed(held: object, count: int) -> list[object]:
    if not isinstance(held, list) or len(held) != count:
        raise Misasked
    return held


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise Misasked
    return name


def _held(value: object) -> bytes:
    return _value(msgspec.convert(value, _Value))


def _value(value: _Value) -> bytes:
    return value.encode() if isinstance(value, str) else _decoded(value.base64)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.encode(), validate=True)
