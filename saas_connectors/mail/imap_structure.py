"""BODYSTRUCTURE (RFC 9051 section 7.5.2): the parts of a message, what each is called, which one is its text.

Names of files are read as RFC 2231 writes them, in pieces or not, and as RFC 2047 where a mailer did so against it. Bounded: at
most `MOST` parts and 64 levels are looked at; the rest is counted in `more`. A structure that is not one has no part.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import collapse_rfc2231_value, decode_params
from itertools import takewhile
from typing import Final

from saas_connectors.mail.imap_answers import Token, number, text
from saas_connectors.mail.imap_headers import unfolded

MOST: Final = 64
"""Attachments of one message that are looked at."""
_LEAVES: Final = 1_000
_LEVELS: Final = 64
_NAME: Final = 255
_VALUE: Final = 4_096
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message. `section` names it at the server (`2.1`), `size` is in bytes as encoded."""

    section: str
    media_type: str
    encoding: str
    charset: str
    size: int
    filename: str | None
    attached: bool


@dataclass(frozen=True, slots=True)
class Structure:
    """A message's parts: the one to read, the attached ones; `more` attachments were left out."""

    body: Part | None
    attached: tuple[Part, ...]
    more: int = 0


def read(token: Token) -> Structure:
    """Understand a BODYSTRUCTURE."""
    leaves: list[Part] = []
    cut = 0
    for part in _leaves(token):
        if part is None or len(leaves) == _LEAVES:
            cut += 1
            if part is not None:
                break
        else:
            leaves.append(part)
    inline = [part for part in leaves if not part.attached]
    body = next((part for part in inline if part.media_type == "text/plain"), None)
    body = body or next((part for part in inline if part.media_type == "text/html"), None)
    body = body or next((part for part in inline if part.media_type.startswith("text/")), None)
    shown = {"text/plain", "text/html"}
    attached = [part for part in leaves if part.attached or (part is not body and part.media_type not in shown)]
    return Structure(body, tuple(attached[:MOST]), max(0, len(attached) - MOST) + cut)


def _leaves(token: Token) -> Iterator[Part | None]:
    """Give the leaves; None for one, or a branch, that is too deep or too far."""
    waiting: list[tuple[Token, str, int]] = [(token, "", 0)]
    steps = 0
    while waiting:
        held, section, level = waiting.pop()
        steps += 1
        if not isinstance(held, list) or not held:
            continue
        if level > _LEVELS or steps > 4 * _LEAVES:
            yield None
            if level <= _LEVELS:
                return
            continue
        if isinstance(held[0], list):
            inner = list(takewhile(lambda each: isinstance(each, list), held))
            children = [(each, f"{section}.{n}" if section else str(n), level + 1) for n, each in enumerate(inner, 1)]
            waiting.extend(reversed(children))
        else:
            part = _leaf(held, section or "1")
            if part is not None:
                yield part


def _leaf(held: list[Token], section: str) -> Part | None:
    if len(held) < 7:
        return None
    kind, under = text(held[0]), text(held[1])
    if kind is None or under is None:
        return None
    media_type = f"{kind.decode('latin-1')}/{under.decode('latin-1')}".lower()
    if _TYPE.match(media_type) is None:
        media_type = "application/octet-stream"
    params, extension = _params(held[2]), held[9:] if media_type in ("message/rfc822", "message/global") else held[7:]
    if kind.lower() == b"text":
        extension = held[8:]
    disposition = next(
        (each for each in extension if isinstance(each, list) and len(each) == 2 and isinstance(each[1], list | None)), None
    )
    said = (text(disposition[0]) or b"").lower() if isinstance(disposition, list) else b""
    given = _params(disposition[1]) if isinstance(disposition, list) else {}
    filename = given.get("filename") or params.get("name")
    attached = said == b"attachment" or (filename is not None and said != b"inline") or media_type.startswith("message/")
    if filename is not None and not media_type.startswith("text/"):
        attached = True
    return Part(
        section, media_type, (text(held[5]) or b"").decode("latin-1").lower(), params.get("charset", ""),
        number(held[6]) or 0, filename, attached,
    )  # fmt: skip


def _params(token: Token) -> dict[str, str]:
    """Parameters of a part, names in lower case."""
    if not isinstance(token, list):
        return {}
    words = [(text(each) or b"")[:_VALUE].decode("utf-8", "replace") for each in token[:200]]
    pairs = list(zip(words[::2], words[1::2], strict=False))
    found: dict[str, str] = {}
    try:
        for name, value in decode_params([("", ""), *((name.lower(), value) for name, value in pairs)])[1:]:
            plain = collapse_rfc2231_value(value).strip('"') if isinstance(value, tuple) else value.strip('"')
            found.setdefault(name, unfolded(plain)[:_NAME])
    except (ValueError, TypeError, LookupError, UnicodeError):
        found = {name.lower(): unfolded(value)[:_NAME] for name, value in pairs}
    return found
