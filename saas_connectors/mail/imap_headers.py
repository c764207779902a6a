"""The header of a message, read by the standard library, whatever it holds.

1. Words are decoded (RFC 2047); what is not legible is kept as near as can be, never an error.
2. Addresses are lists of bare addresses in lower case of their domain, at most `MOST_ADDRESSES` of each kind.
3. A date without a zone is taken in UTC; one that is no date is None.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header
from email.policy import default
from email.utils import getaddresses, parsedate_to_datetime
from inspect import signature
from typing import Any, Final

from saas_connectors.mail.imap_text import characters

MOST_ADDRESSES: Final = 500
_LONGEST: Final = 4_000
_MARKS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LOOSE: Final[dict[str, bool]] = {"strict": False} if "strict" in signature(getaddresses).parameters else {}
"""Later versions of Python refuse a whole list for one odd address, unless they are told not to."""
_HEADERS: Final = re.compile(rb"^([A-Za-z0-9-]{1,76}):((?:[^\r\n]|\r?\n[ \t])*)", re.MULTILINE)


def header(raw: bytes) -> Mapping[str, Any]:
    """Give the fields of `messages` that the header holds."""
    found = _parsed(raw)
    return {
        "message_id": _one(found, "message-id"),
        "in_reply_to": _one(found, "in-reply-to"),
        "references": re.findall(r"<[^<>\s]{1,998}>", _raw(found, "references"))[:100],
        "subject": _one(found, "subject"),
        "date": _date(_raw(found, "date")),
        "from_addresses": _addresses(found, "from"),
        "to_addresses": _addresses(found, "to"),
        "cc_addresses": _addresses(found, "cc"),
        "from_name": _display(found),
    }


def unfolded(said: str) -> str:
    """Read encoded words wherever they stand, and drop folds and control characters."""
    with suppress(Exception):  # the library raises whatever it meets: LookupError, ValueError, its own errors
        if "=?" in said[:_LONGEST]:
            pieces = decode_header(re.sub(r"\r?\n[ \t]+", " ", said[:_LONGEST]))
            said = "".join(characters(piece, charset or "") if isinstance(piece, bytes) else piece for piece, charset in pieces)
    return _MARKS.sub(" ", re.sub(r"[\r\n\t]+", " ", said)).encode("utf-8", "replace").decode()[:_LONGEST].strip()


def _parsed(raw: bytes) -> Mapping[str, str]:
    """The first of each header, names in lower case: the library's reading, ours where it gives up."""
    found: dict[str, str] = {}
    with suppress(Exception):  # a header can make the library raise anything
        for name, value in message_from_bytes(raw, policy=default.clone(max_line_length=None)).raw_items():
            found.setdefault(name.lower(), _legible(str(value)))
        return found
    for name, held in _HEADERS.findall(raw):
        found.setdefault(name.decode().lower(), characters(held, "").strip())
    return found


def _legible(value: str) -> str:
    """Bytes that stood raw in a header, as UTF-8 or Latin-1."""
    try:
        return value.encode("ascii", "surrogateescape").decode()
    except UnicodeDecodeError:
        return value.encode("ascii", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()


def _raw(found: Mapping[str, str], name: str) -> str:
    return found.get(name, "")[: 64 * 1024]


def _one(found: Mapping[str, str], name: str) -> str | None:
    return unfolded(_raw(found, name)) or None


def _addresses(found: Mapping[str, str], name: str) -> list[str]:
    return [address for _, address in _pairs(_raw(found, name)) if address][:MOST_ADDRESSES]


def _display(found: Mapping[str, str]) -> str | None:
    return next((unfolded(name) for name, _ in _pairs(_raw(found, "from")) if name), None)


def _pairs(said: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    with suppress(Exception):  # as above
        pairs = getaddresses([re.sub(r"[\r\n]+[ \t]*", " ", said)], **_LOOSE)
    made = []
    for name, address in pairs:
        local, at, domain = address.rpartition("@")
        made.append((name, unfolded(f"{local}{at}{domain.lower()}")))
    return made


def _date(said: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(said)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
