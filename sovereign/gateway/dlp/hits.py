"""A place in a text where something sensitive stands."""

import re
from typing import Final, NamedTuple

SEPARATORS: Final = " .-\u00a0\u202f\u2009/"
"""What people put between groups of digits: blanks (plain, unbreakable, narrow, thin), dot, dash, slash."""
_DROP: Final = str.maketrans("", "", SEPARATORS)
_DIGITS: Final = {0xFF10 + number: str(number) for number in range(10)}
_NOT_ASCII: Final = re.compile(r"[\uff10-\uff19]")


class Hit(NamedTuple):
    """Characters `start` to `end` of a text are of this kind."""

    kind: str
    start: int
    end: int
    sure: bool


def compact(text: str) -> str:
    """Drop what separates groups."""
    return text.translate(_DROP).upper()


def plain(text: str) -> str:
    """Give full-width digits as plain ones, character for character."""
    return text if text.isascii() or not _NOT_ASCII.search(text) else text.translate(_DIGITS)


def degenerate(digits: str) -> bool:
    """Say whether a number is filling, such as zeros alone: check digits accept it."""
    return len(set(digits)) < 2
