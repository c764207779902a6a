"""A whole message cut into its leaves, by section, so that an attachment whose message was fetched is not fetched again.

1. A leaf is the bytes between two boundaries, as the server would give them for that section; nothing is decoded here.
2. Whoever uses a leaf holds its type, its encoding and its number of bytes against what the server's BODYSTRUCTURE says: two
   readings of a malformed message may differ, and the server's is the one that counts.
3. Bounded: levels, leaves, the length of a header, and the bytes that are looked at, each level looking at its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Final

_LEVELS: Final = 64
_LEAVES: Final = 1_000
_HEADER: Final = 64 * 1024
_PASSES: Final = 8
_BLANK: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf's media type and encoding, in lower case, and where its bytes begin and end."""

    media_type: str
    encoding: str
    start: int
    end: int


def leaves(raw: bytes) -> Mapping[str, Leaf]:
    """Give the leaves of a message by section (`2.1`); none, or not all, of one that cannot be followed."""
    found: dict[str, Leaf] = {}
    waiting = [("", 0, len(raw), 0)]
    budget = max(_PASSES * len(raw), 1 << 20)
    while waiting and len(found) < _LEAVES:
        section, start, end, level = waiting.pop()
        budget -= end - start
        if budget < 0 or level > _LEVELS:
            continue
        opened = _header(raw, start, end)
        if opened is None:
            continue
        header, body = opened
        kind, boundary = header.get_content_type(), _boundary(header)
        if header.get_content_maintype() == "multipart":
            if boundary is not None:
                for n, (at, until) in enumerate(_between(raw, boundary, body, end), 1):
                    waiting.append((f"{section}.{n}" if section else str(n), at, until, level + 1))
                    if n == _LEAVES:
                        break
            continue
        encoding = str(header.get("content-transfer-encoding", "7bit")).strip().lower()
        found[section or "1"] = Leaf(kind, encoding, body, end)
    return found


def _header(raw: bytes, start: int, end: int) -> "tuple[Message, int] | None":
    """The header of what begins at `start`, and where its body does; None when it has no end that is near."""
    if raw.startswith((b"\r\n", b"\n"), start):
        return Message(), raw.index(b"\n", start) + 1
    blank = _BLANK.search(raw, start, min(end, start + _HEADER))
    if blank is None:
        return None
    try:
        header = message_from_bytes(raw[start : blank.end()])
        header.get_content_type()
    except Exception:  # noqa: BLE001 - a header can make the library raise anything
        return None
    return header, blank.end()


def _boundary(header: Message) -> bytes | None:
    try:
        return (header.get_boundary() or "").encode("latin-1") or None
    except Exception:  # noqa: BLE001 - as above
        return None


def _between(raw: bytes, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each part of a multipart begins and ends."""
    line = re.compile(rb"(?<![^\n])--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    at: int | None = None
    for found in line.finditer(raw, start, end):
        if at is not None:
            until = found.start() - (2 if raw[found.start() - 2 : found.start()] == b"\r\n" else 1)
            yield at, max(at, until)
        if found[1] is not None:
            return
        at = found.end()
