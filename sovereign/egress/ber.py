"""BER as LDAP restricts it (RFC 4511 section 5.1): definite lengths, tags of one byte, primitive strings. No I/O.

1. An element is read where it stands, by offsets: nothing is copied, and nothing here calls itself, so depth costs nothing.
2. An element never ends beyond what holds it. An indefinite length, a length of more than four bytes and a tag of several
   bytes are Malformed.
3. What is written has the shortest lengths and integers.
"""

from typing import Final

INTEGER: Final = 0x02
OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31


class Malformed(ValueError):
    """The bytes are not the BER, or the message, that is expected."""


def element(tag: int, content: bytes) -> bytes:
    """Write an element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes, tag: int = SEQUENCE) -> bytes:
    """Write a sequence, or what is written as one."""
    return element(tag, b"".join(parts))


def octets(value: bytes | str, tag: int = OCTETS) -> bytes:
    """Write a string; text is in UTF-8."""
    return element(tag, value.encode() if isinstance(value, str) else value)


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Write an integer, or an enumerated."""
    return element(tag, value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool, tag: int = 0x01) -> bytes:
    """Write a boolean."""
    return element(tag, b"\xff" if value else b"\0")


def announced(data: bytes | bytearray) -> int | None:
    """How many bytes the element at the start of `data` has in all; None when too few came to know. Errors: Malformed."""
    if len(data) < 2:
        return None
    if data[0] & 0x1F == 0x1F:
        raise Malformed
    size = data[1]
    if size < 0x80:
        return 2 + size
    count = size & 0x7F
    if not 0 < count <= 4:
        raise Malformed
    if len(data) < 2 + count:
        return None
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")


def read(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read the element at `at`, which what holds it ends at `end`: its tag, and where its content starts and stops.

    Errors: Malformed.
    """
    if at + 2 > end or data[at] & 0x1F == 0x1F:
        raise Malformed
    size = data[at + 1]
    start = at + 2
    if size >= 0x80:
        count = size & 0x7F
        start += count
        if not 0 < count <= 4 or start > end:
            raise Malformed
        size = int.from_bytes(data[at + 2 : start], "big")
    stop = start + size
    if stop > end:
        raise Malformed
    return data[at], start, stop


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Read the element at `at`, of this tag: where its content starts and stops. Errors: Malformed."""
    found, start, stop = read(data, at, end)
    if found != tag:
        raise Malformed
    return start, stop


def number(data: bytes, start: int, stop: int) -> int:
    """Read the content of an integer of at most eight bytes. Errors: Malformed."""
    if not 0 < stop - start <= 8:
        raise Malformed
    return int.from_bytes(data[start:stop], "big", signed=True)
