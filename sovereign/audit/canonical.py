"""JSON in its one canonical form (RFC 8785), fast where the fast way gives the same bytes.

orjson with sorted keys gives RFC 8785's bytes for text, booleans, null, whole numbers within 2**53, and objects whose keys are
ASCII (then the order by bytes is the order by UTF-16 units). For everything else (other numbers, other keys, odd text) the
reference implementation `rfc8785` is asked, after instants and the like have become plain JSON.
"""

from typing import Any, Final

import msgspec
import orjson
import rfc8785

_SAFE: Final = 2**53 - 1
_DEPTH: Final = 32


def dumps(value: object) -> bytes:
    """Give the canonical bytes of a value; raises ValueError for what JSON cannot carry."""
    try:
        if _alike(value, _DEPTH):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
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
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -_SAFE <= value <= _SAFE  # type: ignore[operator]  # an int, by its type
    if not depth:
        return False
    if kind is dict:
        for key, each in value.items():  # type: ignore[attr-defined]  # a dict, by its type
            if type(key) is not str or not key.isascii():
                return False
            if type(each) is not str and not _alike(each, depth - 1):
                return False
        return True
    if kind is list or kind is tuple:
        return all(_alike(each, depth - 1) for each in value)  # type: ignore[attr-defined]  # a sequence, by its type
    return False
