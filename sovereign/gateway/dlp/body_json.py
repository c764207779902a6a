"""JSON read member by member: members of the same name are all seen, numbers stay the text that they were.

Source: RFC 8259. Of two members of one name some readers keep the first, some the last: whichever the vendor's keeps was seen.
"""

import json
from json.encoder import encode_basestring
from typing import Any, Final

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.limits import Budget, OverBounds, Unreadable
from sovereign.gateway.dlp.naming import shown
from sovereign.gateway.dlp.visiting import Place, Visit, Walked

_MOST_LABEL: Final = 120
_NESTED: Final = 3


class Number(str):
    """A JSON number, as it was written."""

    __slots__ = ()


Tree = Any
"""A parsed value: tuple of pairs (an object), list, str, Number, bool or None."""
# Members become tuples of pairs and lists stay lists: so the two are told apart, and no member is lost.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=Number, parse_float=Number, parse_constant=Number, strict=False
)

_COUNTER: Final = json.JSONDecoder(object_pairs_hook=tuple, strict=False)


def parse(text: str) -> Tree:
    """Read a text: tuple of pairs, list, str, Number, bool or None. Errors: Unreadable, OverBounds."""
    try:
        return _DECODER.decode(text.removeprefix("\ufeff"))
    except RecursionError:
        raise OverBounds from None
    except ValueError:
        raise Unreadable from None  # the cause quotes the payload


def count(text: str) -> int:
    """Count the records of a text, without keeping its numbers. Errors: as `parse`."""
    try:
        return records(_COUNTER.decode(text.removeprefix("\ufeff")))
    except RecursionError:
        raise OverBounds from None
    except ValueError:
        raise Unreadable from None  # the cause quotes the payload


def lines(text: str) -> list[Tree]:
    """Read JSON lines. Errors: as `parse`."""
    return [parse(line) for line in text.splitlines() if line.strip()]


def records(tree: Tree, depth: int = 0) -> int:
    """Count records: the items of the list at the top, or of the longest list of objects near it; else 1."""
    if isinstance(tree, list):
        return len(tree)
    if not isinstance(tree, tuple) or depth >= _NESTED:
        return 1
    most = 1
    for _, value in tree:
        if isinstance(value, tuple):
            most = max(most, records(value, depth + 1))
        elif isinstance(value, list) and value and isinstance(value[0], tuple):
            most = max(most, len(value))
    return most


def walk(tree: Tree, visit: Visit, budget: Budget, pointer: str = "", above: str = "") -> Walked:
    """Visit each value and each name of a parsed tree. Errors: OverBounds."""
    seen = _value(tree, visit, budget, pointer, above, "", 0)
    return Walked(records(tree), _write(seen).encode("utf-8", "surrogatepass"))


def walk_lines(trees: list[Tree], visit: Visit, budget: Budget) -> Walked:
    """The same for JSON lines."""
    seen = [_write(_value(each, visit, budget, "/*", "", "", 1)) + "\n" for each in trees]
    return Walked(len(trees), "".join(seen).encode("utf-8", "surrogatepass"))


def _value(tree: Tree, visit: Visit, budget: Budget, pointer: str, name: str, above: str, depth: int) -> Tree:
    if isinstance(tree, str):
        budget.leaf()
        seen = visit(Place(pointer, fields.hints(name, above), isinstance(tree, Number)), tree)
        return tree if seen is tree else type(tree)(seen)
    if tree is None or isinstance(tree, bool):
        return tree
    if depth >= budget.limits.depth:
        raise OverBounds
    if isinstance(tree, list):
        return [_value(each, visit, budget, pointer + "/*", name, above, depth + 1) for each in tree]
    label = _label(tree) or name
    members = []
    for key, value in tree:
        budget.leaf()
        known = visit(Place(f"{pointer}/{{name}}"), key) if len(key) > 8 else key
        under = f"{pointer}/{shown(key)}"
        members.append((known, _value(value, visit, budget, under, key, label, depth + 1)))
    return tuple(members)


def _label(members: tuple[tuple[str, Tree], ...]) -> str:
    for key, value in members:
        if type(value) is str and fields.is_label(key) and len(value) <= _MOST_LABEL:
            return value
    return ""


def _write(tree: Tree) -> str:
    if isinstance(tree, Number):
        return str(tree)
    if isinstance(tree, str):
        return encode_basestring(tree)
    if isinstance(tree, tuple):
        return "{" + ",".join(f"{encode_basestring(key)}:{_write(value)}" for key, value in tree) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(_write, tree)) + "]"
    return {None: "null", True: "true", False: "false"}[tree]
