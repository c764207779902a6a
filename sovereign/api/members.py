"""JSON that says a name twice is refused: of the two, one reader keeps the first, another the last (RFC 8259 section 4).

So what is scanned, what approvers are shown and what the vendor understands is one thing. What is no JSON after all is not
judged here: an operation refuses it, and the pass-through has it scanned as it is. The body of an operation is held to the same
when it is read (`arrival.parsed`), so that it is decoded once.
"""

import json
from typing import Any, Final

from sovereign.api.errors import BadRequest, bad
from sovereign.gateway.beside import beside

_BLANK: Final = " \t\r\n\x1e\ufeff"


class _Twice(Exception):
    """A name that one object says twice."""


async def once(body: bytes, content_type: str) -> None:
    """Refuse a body that its type says is JSON, or documents of it in a row, and that repeats a name. Errors: BadRequest."""
    if body and "json" in content_type.lower():
        await beside(len(body), _look, body)


def twice() -> BadRequest:
    """Refuse a body that says a name twice."""
    return bad(
        "un objet JSON y donne deux fois le même nom : chacun pourrait y lire autre chose",
        "a JSON object gives the same name twice in it: each reader could see something else",
    )


def _look(body: bytes) -> None:
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")
    except UnicodeDecodeError:
        text = body.decode("latin-1")  # the signs of JSON are the same in every such charset
    at = _start(text, 0)
    try:
        while at < len(text):
            _, at = _DECODER.raw_decode(text, at)
            at = _start(text, at)
    except _Twice:
        raise twice() from None
    except (ValueError, RecursionError):
        return


def _start(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _members(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Twice


def _unread(_number: str) -> None:
    """Numbers say nothing here, and none is too long."""


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_unread, parse_float=_unread, parse_constant=_unread, strict=False
)
