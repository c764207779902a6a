"""JSON in its one canonical form (RFC 8785), fast where the fast way gives the same bytes.

orjson with sorted keys gives RFC 8785's bytes for text, booleans, null, whole numbers within 2**53, and objects whose keys are
ASCII (then the order by bytes is the order by UTF-16 units). For everything else (other numbers, other keys, odd text) the
reference implementation `rfc8785` is asked, after instants and the like have become plain JSON.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import orjson
import rfc8785

_SAFE: Final = 2**53 - 1
_DEPTH: Final = 32
_NESTING: Final = frozenset((dict, list, tuple))


def dumps(value: object) -> bytes:
    """Give the canonical bytes of a value; raises ValueError for what JSON cannot carry."""
    try:
        if _alike(value, _DEPTH):
            return orjson.dumps(value, None, orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # text that is not Unicode: the reference says so in its own way
        pass
    try:
        return rfc8785.dumps(plain(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        raise ValueError("a value that canonical JSON cannot carry") from None


def plain(value: object) -> Any:  # noqa: ANN401 - any value that JSON can carry
    """Give plain JSON: instants, tuples and structs are written as text, lists and objects; raises ValueError."""
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        raise ValueError("a value that JSON cannot carry") from None


def _alike(value: object, depth: int) -> bool:
    """Say whether orjson gives the canonical bytes of a value; unlike subclasses, exact types hold no surprise."""
    kind = type(value)
    if kind is dict:
        return _all_alike(value.values(), depth) and _all_ascii(value)  # type: ignore[attr-defined, arg-type]  # a dict, by its type
    if kind is list or kind is tuple:
        return _all_alike(value, depth)  # type: ignore[arg-type]  # a sequence, by its type
    return _all_alike((value,), 1)


def _all_alike(values: Iterable[object], depth: int) -> bool:
    for each in values:
        kind = type(each)
        if kind is str or kind is bool or each is None:
            continue
        if kind is int:
            if not -_SAFE <= each <= _SAFE:  # type: ignore[operator]  # an int, by its type
                return False
        elif kind not in _NESTING or not depth or not _alike(each, depth - 1):
            return False
    return True


def _all_ascii(keys: Iterable[str]) -> bool:
    try:
        return "".join(keys).isascii()
    except TypeError:  # a key that is not text
        return False
