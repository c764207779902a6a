"""A long array of records, cut at the ends of records, so that only a little of it is ever Python objects at once.

A record of ten bytes becomes an object of three hundred: an answer held whole within its cap would take twenty-seven times the
cap once it is decoded. A cut is found backwards from where a lump should end, and believed only once what stands before it is
whole JSON by itself: between brackets that is so at the end of a record, and nowhere inside one. An array that was put aside is
cut as it is read (`flowing`): that it is whole is known once its last lump was given.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from vault.content import Content

LUMP: Final = 1 << 20
"""Bytes of a lump, but for records that are longer."""
_TRIES: Final = 64
"""Ends of objects that are looked at before the lump is made twice as long: those inside a record are no cut."""
_GAP: Final = re.compile(rb"\}[ \t\r\n]{0,64},[ \t\r\n]{0,64}(?=\{)")
_WHOLE: Final = msgspec.json.Decoder(msgspec.Raw)


def lumps(records: bytes, most: int = LUMP) -> Iterator[bytes]:
    """Give the arrays that an array of objects is cut into, in order; one that has no cut is given as it is.

    records: whole JSON. most: bytes.
    """
    start, end = 1, len(records) - 1
    while end - start > most and (found := _cut(records, start, end, most)) is not None:
        at, after = found
        yield b"[" + records[start:at] + b"]"
        start = after
    yield records if start == 1 else b"[" + records[start:end] + b"]"


class NotArray(ValueError):
    """What was put aside does not begin as an array."""


def flowing(content: Content, most: int = LUMP) -> Iterator[bytes]:
    """Give the arrays that an array of objects put aside is cut into, in order, of about `most` bytes each.

    Errors: NotArray; DecodeError, RecursionError, UnicodeDecodeError as soon as a lump is not whole JSON, the last one, which
    nothing may follow, among them.
    """
    with content.open() as file:
        held, given = file.read(most).removeprefix(b"\xef\xbb\xbf").lstrip(), False
        if not held.startswith(b"["):
            raise NotArray
        held = held[1:]
        while more := file.read(max(most, len(held))):
            held += more
            found = _last(held)
            if found is not None:
                lump = b"[" + held[: found[0]] + b"]"
                lump.decode()
                held, given = held[found[1] :], True
                yield lump
        last = b"[" + held.rstrip()
        last.decode()
        _WHOLE.decode(last)
        if not given or len(last) > 2:
            yield last


def _last(records: bytes) -> tuple[int, int] | None:
    """Where the last record that another one follows ends, and where that one begins."""
    at = len(records)
    for _ in range(_TRIES):
        at = records.rfind(b"}", 0, at)
        if at < 0:
            return None
        gap = _GAP.match(records, at)
        if gap is not None and _alone(records, 0, at + 1):
            return at + 1, gap.end()
    return None


def _cut(records: bytes, start: int, end: int, size: int) -> tuple[int, int] | None:
    """Where a lump ends, and where the next one begins; None when no record ends before the last."""
    while size < end - start:
        at = start + size
        for _ in range(_TRIES):
            at = records.rfind(b"}", start, at)
            if at < 0:
                break
            gap = _GAP.match(records, at, end)
            if gap is not None and _alone(records, start, at + 1):
                return at + 1, gap.end()
        size *= 2
    return None


def _alone(records: bytes, start: int, end: int) -> bool:
    try:
        _WHOLE.decode(b"[" + records[start:end] + b"]")
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
