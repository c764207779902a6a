"""What a mail server answered, read: every untagged line becomes a list of tokens (RFC 9051 section 9), bounded.

The body is the server's own, literals inside, its last line tagged `A` (`sovereign/egress/imap.py`). A word is a `str`, a
quoted string or a literal is `bytes`, NIL is None, a parenthesis is a list. Lines of text for people (`* OK …`) give no token.
What is not whole, or too deep, or too wide, is `Malformed`: nothing of it is shown.
"""

import re
from collections.abc import Iterator
from typing import Final, TypeAlias, Union

from saas_connectors.answer import accept, malformed
from saas_connectors.errors import Malformed
from saas_connectors.request import Request, Response

Token: TypeAlias = Union[str, bytes, "list[Token]", None]

_DEPTH: Final = 512
_TOKENS: Final = 4_000_000
_WORD: Final = re.compile(rb'(?:[^\s()"\[]|\[[^\]\r\n]*\])+')
_QUOTED: Final = re.compile(rb'"([^"\\\r\n]*(?:\\.[^"\\\r\n]*)*)"')
_LITERAL: Final = re.compile(rb"~?\{(\d{1,12})\+?\}\r?\n")
_TEXT: Final = re.compile(rb"(?:\*|A) (OK|NO|BAD|BYE|PREAUTH)\b[^\n]*\n", re.IGNORECASE)
_EOL: Final = re.compile(rb"\r?\n")


class _Broken(Exception):
    """Not an answer."""


def read(request: Request, response: Response) -> list[list[Token]]:
    """Give the untagged lines of an answer, in order; errors: those of a refusal, Malformed."""
    accept(request, response)
    try:
        return list(_lines(response.body))
    except (_Broken, RecursionError, ValueError):
        raise unreadable(request, response) from None


def unreadable(request: Request, response: Response) -> Malformed:
    """Say that an answer is not what IMAP promises."""
    return malformed(request, response, "une réponse IMAP entière était attendue", "a whole IMAP answer was expected")


def _lines(body: bytes) -> Iterator[list[Token]]:
    at, left, ended = 0, _TOKENS, False
    while at < len(body):
        if ended:
            raise _Broken
        text = _TEXT.match(body, at)
        if text is not None:
            ended = body[at : at + 1] == b"A"
            if ended and text[1].upper() != b"OK":
                raise _Broken
            at = text.end()
            continue
        if not body.startswith(b"* ", at):
            raise _Broken
        line, at, left = _line(body, at + 2, left)
        yield line
    if not ended:
        raise _Broken


def _line(body: bytes, at: int, left: int) -> tuple[list[Token], int, int]:
    """Read one line from `at`: its tokens, where the next one begins, the tokens that may still come."""
    top: list[Token] = []
    open_lists = [top]
    while True:
        left -= 1
        if left < 0 or at >= len(body):
            raise _Broken
        sign = body[at : at + 1]
        if sign == b" ":
            at += 1
        elif sign == b"(":
            inner: list[Token] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
            if len(open_lists) > _DEPTH:
                raise _Broken
            at += 1
        elif sign == b")":
            if len(open_lists) == 1:
                raise _Broken
            open_lists.pop()
            at += 1
        elif (end := _EOL.match(body, at)) is not None:
            if len(open_lists) > 1:
                raise _Broken
            return top, end.end(), left
        else:
            token, at = _token(body, at)
            open_lists[-1].append(token)


def _token(body: bytes, at: int) -> tuple[Token, int]:
    if (found := _QUOTED.match(body, at)) is not None:
        return re.sub(rb"\\(.)", rb"\1", found[1]), found.end()
    if (found := _LITERAL.match(body, at)) is not None:
        end = found.end() + int(found[1])
        if end > len(body):
            raise _Broken
        return body[found.end() : end], end
    if (found := _WORD.match(body, at)) is not None:
        word = found[0].decode("latin-1")
        return (None if word.upper() == "NIL" else word), found.end()
    raise _Broken


def items(tokens: Token) -> dict[str, Token]:
    """Read a parenthesis of names and values (those of FETCH, STATUS); names in upper case."""
    if not isinstance(tokens, list):
        return {}
    names = [name.upper() for name in tokens[::2] if isinstance(name, str)]
    if len(names) != (len(tokens) + 1) // 2:
        return {}
    return dict(zip(names, tokens[1::2], strict=False))


def number(token: Token) -> int | None:
    """A number of at most 63 bits; None when it is not one."""
    if isinstance(token, str) and token.isascii() and token.isdigit() and len(token) < 20:
        value = int(token)
        return value if value < 1 << 63 else None
    return None


def text(token: Token) -> bytes | None:
    """A string, however it was written; None when it is not one."""
    return token.encode("latin-1", "replace") if isinstance(token, str) else token if isinstance(token, bytes) else None
