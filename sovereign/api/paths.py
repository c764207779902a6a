"""The path of the pass-through: what the vendor is sent is what was asked, or nothing. Pure.

Two readers of one path must not disagree on what it names. So one that could be read in two ways is refused: dot segments and
encoded dots or slashes (RFC 3986 sections 3.3 and 6.2.2.3), backslashes, empty segments, octets that are not ASCII graphics,
broken escapes, control characters behind an escape, and parameters that some servers cut off (`;`).
"""

import re
from typing import Final

from sovereign.api.errors import BadRequest, bad

LONGEST: Final = 8000
_ALLOWED: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,=:@/%]*")
_QUERY: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]|]*")
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIDDEN: Final = re.compile(r"%(?:2[eEfF5]|5[cC]|3[bB]|[01][0-9a-fA-F]|7[fF])")
_CONTROL: Final = re.compile(r"%(?:[01][0-9a-fA-F]|7[fF])")


def target(path: str, query: str) -> str:
    """What the vendor is asked for: `/path?query` under its origin. Errors: BadRequest.

    path: what follows `/http/`, without its first slash, as it was sent; query: as it was sent, without `?`.
    """
    if len(path) + len(query) > LONGEST:
        raise bad("une adresse trop longue", "an address that is too long")
    if not _ALLOWED.fullmatch(path) or _BROKEN.search(path):
        raise _ambiguous()
    if _HIDDEN.search(path):
        raise _ambiguous()
    parts = path.split("/")
    if any(part in (".", "..") for part in parts) or "" in parts[:-1]:
        raise _ambiguous()
    if not _QUERY.fullmatch(query) or _BROKEN.search(query) or _CONTROL.search(query):
        raise bad("des paramètres qui ne sont pas écrits comme une URL", "parameters that are not written as in a URL")
    return f"/{path}?{query}" if query else f"/{path}"


def _ambiguous() -> BadRequest:
    return bad(
        "un chemin qui peut se lire de deux façons (points, barres obliques codées, segments vides)",
        "a path that can be read in two ways (dots, encoded slashes, empty segments)",
    )
