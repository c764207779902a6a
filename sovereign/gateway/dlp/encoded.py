"""What a field holds in base64 or gzip, opened one level deep and within bounds; a bomb meets the bound, not the memory."""

import base64
import binascii
import re
import zlib
from typing import Final

from sovereign.gateway.dlp.limits import Budget, OverBounds

_BASE64: Final = re.compile(r"(?:data:[\w.+/;=-]{1,100},)?([A-Za-z0-9+/_\-\r\n]{16,}={0,2})\s*")
_GZIP: Final = b"\x1f\x8b"


def opened(text: str, budget: Budget) -> tuple[bytes, str] | None:
    """Decode a value, and unzip it; gives the content and the value's alphabet (`+/` or `-_`). Errors: OverBounds."""
    match = _BASE64.fullmatch(text)
    if match is None:
        return None
    digits = match[1].replace("\r", "").replace("\n", "").rstrip("=")
    if len(digits) % 4 == 1:
        return None
    budget.decode(len(digits) * 3 // 4)
    safe = "-" in digits or "_" in digits
    try:
        content = base64.b64decode((digits + "=" * (-len(digits) % 4)).encode(), b"-_" if safe else b"+/", validate=True)
    except (binascii.Error, ValueError):
        return None
    return (content, "-_" if safe else "+/") if content.startswith(_GZIP) or readable(content) else None


def closed(content: bytes, alphabet: str, before: str) -> str:
    """Encode again as `before` was: its prefix, its alphabet, its padding."""
    prefix = before[: before.index(",") + 1] if before.startswith("data:") else ""
    written = base64.b64encode(content, alphabet.encode()).decode()
    return prefix + (written if before.rstrip().endswith("=") or len(before) % 4 == 0 else written.rstrip("="))


def unzipped(content: bytes, budget: Budget) -> bytes | None:
    """Unzip gzip within the budget; None when it is not gzip. Errors: OverBounds."""
    if not content.startswith(_GZIP):
        return None
    opener = zlib.decompressobj(wbits=31)
    try:
        plain = opener.decompress(content, max(budget.decoded, 1))
    except zlib.error:
        return None
    if opener.unconsumed_tail or not opener.eof:
        raise OverBounds
    budget.decode(len(plain))
    return plain


def readable(content: bytes) -> bool:
    """Say whether bytes are text."""
    try:
        text = content[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        # The cut may fall within a character.
        if len(content) <= 4096 or error.start < 4090:
            return False
        text = content[: error.start].decode("utf-8")
    return not any(char < " " and char not in "\t\r\n\f" for char in text)
