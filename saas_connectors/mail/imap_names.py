"""Names of folders, and sets of messages: modified UTF-7 (RFC 3501 section 5.1.3), `1:5,7`."""

import base64
import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")


def decoded(name: bytes) -> str:
    """Read a folder's name; what is not legible stays as it was written."""

    def shifted(found: re.Match[bytes]) -> bytes:
        if not found[1]:
            return b"&"
        try:
            units = base64.b64decode(found[1].replace(b",", b"/") + b"=" * (-len(found[1]) % 4), validate=True)
            return units.decode("utf-16-be").encode()
        except (binascii.Error, UnicodeDecodeError, UnicodeEncodeError):
            return found[0]

    return _SHIFTED.sub(shifted, name).decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def ranges(numbers: Iterable[int]) -> str:
    """Write numbers as a set: `1:5,7`."""
    said: list[str] = []
    first = last = None
    for number in sorted(set(numbers)):
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None:
            said.append(f"{first}" if first == last else f"{first}:{last}")
        first = last = number
    if first is not None:
        said.append(f"{first}" if first == last else f"{first}:{last}")
    return ",".join(said)


def numbers(said: str, most: int = 10_000_000) -> Iterator[int]:
    """Read a set, in its order; ValueError when it is not one, or names more than `most`."""
    for start, end in _spans(said):
        most -= end - start + 1
        if most < 0:
            raise ValueError(said[:0])
        yield from range(start, end + 1)


def among(sets: Iterable[str], known: Iterable[int]) -> set[int]:
    """Those of some numbers that some sets name, in a time that the texts bound, not what they name; ValueError: no set."""
    held = sorted(known)
    edges = [0] * (len(held) + 1)
    for said in sets:
        for start, end in _spans(said):
            edges[bisect_left(held, start)] += 1
            edges[bisect_right(held, end)] -= 1
    return {number for number, within in zip(held, accumulate(edges), strict=False) if within}


def _spans(said: str) -> Iterator[tuple[int, int]]:
    for piece in said.split(",") if said else ():
        first, colon, last = piece.partition(":")
        start, end = int(first), int(last) if colon else int(first)
        yield min(start, end), max(start, end)
