"""Names of folders, and sets of messages: modified UTF-7 (RFC 3501 section 5.1.3), `1:5,7`."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

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
    for piece in said.split(",") if said else ():
        first, colon, last = piece.partition(":")
        start, end = int(first), int(last) if colon else int(first)
        if end < start:
            start, end = end, start
        most -= end - start + 1
        if most < 0:
            raise ValueError(piece[:0])
        yield from range(start, end + 1)
