"""Where tiles and entries stand in a published log, and how entries are bundled (C2SP tlog-tiles).

    checkpoint                     the signed checkpoint
    witnessed/<key id>             the checkpoint that a witness cosigned last, by the id of its key, in hexadecimal
    tile/<L>/<N>[.p/<W>]           tile N of level L: 256 hashes, or W of them when partial
    tile/entries/<N>[.p/<W>]       the entries of tile N of level 0, each behind its length in two bytes, big-endian

<N> is written three digits an element, all but the last behind an `x`: 1234067 is x001/x234/067.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from sovereign.audit.tree import WIDTH, widths
from vault.errors import Corrupt

CHECKPOINT: Final = "checkpoint"
ENTRIES: Final = "entries"
WITNESSED: Final = "witnessed"
BUNDLE: Final = WIDTH * (2 + 2**16 - 1)
"""The longest bundle, in bytes."""


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """The path of a tile, or of a bundle when `level` is `ENTRIES`; width: how many it holds."""
    digits = f"{number:03d}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    elements = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{each}" for each in elements[:-1]), elements[-1]])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < WIDTH else "")


def new_tiles(old: int, new: int) -> Iterator[tuple[int, int, int]]:
    """Level, number and width of each tile that a tree of `new` entries has and one of `old` had not."""
    before = dict(widths(old))
    for level, width in widths(new):
        known = before.get(level, 0)
        for number in range(known // WIDTH, -(-width // WIDTH)):
            wide = min(WIDTH, width - number * WIDTH)
            if number * WIDTH + wide > known:
                yield level, number, wide


def bundle(entries: Sequence[bytes]) -> bytes:
    """Put entries one after the other, each behind its length."""
    return b"".join([len(each).to_bytes(2, "big") + each for each in entries])


def entries_of(data: bytes, count: int, what: str) -> list[bytes]:
    """Take a bundle of `count` entries apart; raises `Corrupt`, naming `what`."""
    found, at, end = [], 0, len(data)
    while at + 1 < end:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1])
        found.append(data[start:at])
    if at != end or len(found) != count:
        raise Corrupt(what=what)
    return found


def leaves_of(entries: Sequence[bytes]) -> bytes:
    """The leaf hashes of entries, one after the other."""
    return b"".join([sha256(b"\0" + each).digest() for each in entries])
