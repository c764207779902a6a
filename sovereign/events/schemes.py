"""How a source signs, and whether a message was signed so. Pure: keys, headers and the present are given.

1. A scheme is data (`schemes.toml`): what is signed, where signatures stand, how they are written. None has code of its own.
2. Signatures are compared in constant time, each key with each signature, at most 16 of them.
3. A refusal never says which of source, key, signature or header was wrong.
"""

import hashlib
import hmac
import tomllib
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

from sovereign.events.errors import NotSigned, Stale

_MOST: Final = 16


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The names of the pairs of a header that holds both instant and signatures."""

    timestamp: str
    signature: str


class Scheme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way of signing; see schemes.toml."""

    title: str
    signature: str
    signed: str
    split: str = ","
    prefix: str = ""
    fields: Fields | None = None
    id: str | None = None
    timestamp: str | None = None
    instant: Literal["seconds", "iso8601"] = "seconds"
    encoding: Literal["hex", "base64"] = "hex"
    key: Literal["raw", "base64"] = "raw"
    key_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A message whose signature holds. name: what its sender calls it; at: when it was signed, None when nothing says."""

    name: str
    at: datetime | None


@cache
def schemes() -> Mapping[str, Scheme]:
    """The schemes that are known, by name."""
    text = (files("sovereign.events") / "schemes.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Scheme])


def verify(
    scheme: Scheme, keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime, window: timedelta
) -> Signed:
    """Hold a message to a scheme. headers: lower-case names. Errors: NotSigned, Stale."""
    given = headers.get(scheme.signature, "")
    stamp, texts = _parts(scheme, given, headers)
    if not texts or not keys:
        raise NotSigned
    name = headers.get(scheme.id, "") if scheme.id else ""
    if scheme.id and not name:
        raise NotSigned
    signed = _signed(scheme.signed, name, stamp, body)
    found = [each for each in (_decoded(text, scheme.encoding) for text in texts[:_MOST]) if each is not None]
    holds = False
    for key in keys:
        wanted = hmac.digest(_key(scheme, key), signed, hashlib.sha256)
        for each in found:
            holds |= hmac.compare_digest(wanted, each)
    if not holds:
        raise NotSigned
    at = _instant(scheme, stamp) if stamp else None
    if at is not None and abs(now - at) > window:
        raise Stale(window=int(window.total_seconds()))
    return Signed(name or hashlib.sha256(body).hexdigest(), at)


def _parts(scheme: Scheme, given: str, headers: Mapping[str, str]) -> tuple[str, list[str]]:
    """The instant as text, and the signatures."""
    if scheme.fields is not None:
        pairs = [each.strip().partition("=") for each in given.split(",")]
        stamps = [value for name, _, value in pairs if name == scheme.fields.timestamp]
        if len(stamps) != 1:
            return "", []
        return stamps[0], [value for name, _, value in pairs if name == scheme.fields.signature]
    stamp = headers.get(scheme.timestamp, "") if scheme.timestamp else ""
    if scheme.timestamp and not stamp:
        return "", []
    each = (text.strip() for text in given.split(scheme.split))
    return stamp, [text.removeprefix(scheme.prefix) for text in each if text and text.startswith(scheme.prefix)]


def _signed(template: str, name: str, stamp: str, body: bytes) -> bytes:
    before, _, after = template.partition("{body}")
    pieces = [piece.replace("{id}", name).replace("{timestamp}", stamp).encode() for piece in (before, after)]
    return pieces[0] + body + pieces[1]


def _decoded(text: str, encoding: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if encoding == "hex" else b64decode(text, validate=True)
    except ValueError:
        return None


def _key(scheme: Scheme, key: bytes) -> bytes:
    if scheme.key == "raw":
        return key
    try:
        return b64decode(key.removeprefix(scheme.key_prefix.encode()), validate=True)
    except ValueError:
        return key


def _instant(scheme: Scheme, text: str) -> datetime:
    try:
        if scheme.instant == "iso8601":
            told = datetime.fromisoformat(text)
            return told if told.tzinfo else told.replace(tzinfo=UTC)
        if not text.isdigit() or len(text) > 12:
            raise NotSigned
        return datetime.fromtimestamp(int(text), UTC)
    except ValueError:
        raise NotSigned from None
