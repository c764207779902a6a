"""Filters (RFC 4515): the text of a setting becomes a tree; the trees of searches are made of values, never of text.

1. A tree is what the way out encodes: a value in it is a value, whatever signs it holds. Nothing is ever put into a text.
2. The text is read whole and bounded: at most 4096 characters, 16 levels, 256 parts. What cannot be said as a tree is refused.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

Tree = dict[str, Any]
"""`{"and": [Tree, …]}`, `{"or": […]}`, `{"not": Tree}`, `{"equals": [attribute, value]}`, `{"present": attribute}`, `at_least`,
`at_most`, `starts`, `{"rule": [attribute, oid, value]}`; a value is text, or `{"base64": …}`."""

ATTRIBUTE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,63}|[0-2](?:\.[0-9]{1,10}){1,15})(?:;[A-Za-z0-9-]{1,32}){0,4}")
_OID: Final = re.compile(r"[0-2](?:\.[0-9]{1,10}){1,20}")
_ITEM: Final = re.compile(r"(?P<attribute>[^=~<>:()*\\]+?)(?::(?P<rule>[0-9.]+):=|(?P<sign>=|>=|<=))(?P<value>[^()]*)")
_SIGNS: Final = {"=": "equals", ">=": "at_least", "<=": "at_most"}
_LONGEST: Final = 4096
_DEEPEST: Final = 16
_MOST: Final = 256


class BadFilter(ValueError):
    """A text that is no filter, or that says what a tree cannot."""


def parse(text: str) -> Tree:
    """Read a filter; raises `BadFilter`."""
    text = text.strip()
    if len(text) > _LONGEST or text.count("(") > _MOST:
        raise BadFilter
    tree, rest = _one(text, 0)
    if rest.strip():
        raise BadFilter
    return tree


def _one(text: str, depth: int) -> tuple[Tree, str]:
    if depth > _DEEPEST or not text.startswith("("):
        raise BadFilter
    inner = text[1:].lstrip()
    if inner[:1] in ("&", "|"):
        parts, rest = _several(inner[1:], depth)
        return {"and" if inner[0] == "&" else "or": parts}, rest
    if inner[:1] == "!":
        tree, rest = _one(inner[1:].lstrip(), depth + 1)
        return {"not": tree}, _closed(rest)
    found = _ITEM.match(inner)
    if found is None:
        raise BadFilter
    return _item(found), _closed(inner[found.end() :])


def _several(text: str, depth: int) -> tuple[list[Tree], str]:
    parts: list[Tree] = []
    text = text.lstrip()
    while text.startswith("("):
        tree, text = _one(text, depth + 1)
        parts.append(tree)
        text = text.lstrip()
    if not parts:
        raise BadFilter
    return parts, _closed(text)


def _closed(text: str) -> str:
    text = text.lstrip()
    if not text.startswith(")"):
        raise BadFilter
    return text[1:]


def _item(found: re.Match[str]) -> Tree:
    attribute, value = found["attribute"].strip(), found["value"]
    if ATTRIBUTE.fullmatch(attribute) is None:
        raise BadFilter
    if found["rule"] is not None:
        if _OID.fullmatch(found["rule"]) is None:
            raise BadFilter
        return {"rule": [attribute, found["rule"], _value(value)]}
    if found["sign"] == "=" and value == "*":
        return {"present": attribute}
    if found["sign"] == "=" and value.endswith("*"):
        return {"starts": [attribute, _value(value[:-1])]}
    return {_SIGNS[found["sign"]]: [attribute, _value(value)]}


def _value(text: str) -> str | dict[str, str]:
    """A value, its escapes read (a backslash and two digits); bytes that are no UTF-8 stay bytes."""
    made = b"".join(_bytes(text))
    if not made:
        raise BadFilter
    try:
        return made.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(made).decode()}


def _bytes(text: str) -> Iterator[bytes]:
    at = 0
    while at < len(text):
        if text[at] == "\\":
            if re.fullmatch(r"[0-9A-Fa-f]{2}", text[at + 1 : at + 3]) is None:
                raise BadFilter
            yield bytes([int(text[at + 1 : at + 3], 16)])
            at += 3
            continue
        if text[at] in "*\0":
            raise BadFilter
        yield text[at].encode("utf-8", "surrogatepass")
        at += 1


def attributes(tree: Tree) -> frozenset[str]:
    """The attributes that a filter looks at."""
    ((kind, held),) = tree.items()
    if kind in ("and", "or"):
        return frozenset[str]().union(*map(attributes, held))
    if kind == "not":
        return attributes(held)
    return frozenset({held if kind == "present" else held[0]})


def equals(attribute: str, value: str | bytes) -> Tree:
    """Those that bear a value."""
    return {"equals": [attribute, value if isinstance(value, str) else {"base64": base64.b64encode(value).decode()}]}


def every(*parts: Tree) -> Tree:
    """Those that satisfy all parts."""
    return parts[0] if len(parts) == 1 else {"and": list(parts)}


def either(*parts: Tree) -> Tree:
    """Those that satisfy one part."""
    return parts[0] if len(parts) == 1 else {"or": list(parts)}
