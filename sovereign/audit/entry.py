"""One entry as bytes: what is hashed for ever, and the body it commits to.

    entry       = RFC 8785 JSON {"act", "actor", "body", "facts", "subject", "time", "v": 1}
    leaf        = SHA-256(0x00 || entry)                                    RFC 9162 section 2.1.1
    commitment  = base64(HMAC-SHA256(salt, RFC 8785 JSON of the body)), with a salt of 32 random bytes an entry
    actor       = hex of the first 16 bytes of HMAC-SHA256(site's pseudonym key, "actor" || 0x00 || name)

Without the salt the commitment says nothing of the body, however guessable the body. This module does no input or output.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import rfc8785

from sovereign.audit.acts import ACTS
from sovereign.audit.errors import BadEntry, Damaged
from sovereign.state.schema import instant_text

VERSION = 1
MAX_ENTRY = 64 * 1024
MAX_BODY = 1024 * 1024
"""The longest entry and the longest body, in bytes of canonical JSON."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the log. `subject` names what the act was on; `facts` what it did; neither is personal."""

    v: int
    time: str
    act: str
    actor: str
    subject: dict[str, Any]
    facts: dict[str, Any]
    body: str | None

    @property
    def at(self) -> datetime:
        """The instant, UTC."""
        return datetime.fromisoformat(self.time)


@dataclass(frozen=True, slots=True)
class Body:
    """What an entry commits to: the content and the salt, as canonical JSON once sealed."""

    salt: bytes
    content: Mapping[str, Any]

    def commitment(self) -> str:
        """What the entry holds of the body."""
        return base64.b64encode(hmac.digest(self.salt, rfc8785.dumps(dict(self.content)), hashlib.sha256)).decode()

    def encode(self) -> bytes:
        """The bytes that are sealed."""
        return rfc8785.dumps({"content": dict(self.content), "salt": base64.b64encode(self.salt).decode()})

    @classmethod
    def decode(cls, data: bytes) -> "Body":
        """Read them back."""
        value = msgspec.json.decode(data)
        return cls(base64.b64decode(value["salt"]), value["content"])


def canonical(
    act: str, at: datetime, actor: str, subject: Mapping[str, object], facts: Mapping[str, object], body: Body | None
) -> bytes:
    """Give the canonical bytes of an entry; errors: BadEntry."""
    if act not in ACTS:
        raise BadEntry(act=act, why_fr="acte inconnu", why_en="unknown act")
    value: dict[str, Any] = {
        "v": VERSION, "time": instant_text(at), "act": act, "actor": actor, "subject": plain(act, subject),
        "facts": plain(act, facts), "body": None if body is None else body.commitment(),
    }  # fmt: skip
    try:
        data = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        raise BadEntry(act=act, why_fr="valeur que JSON ne porte pas", why_en="a value that JSON cannot carry") from None
    if len(data) > MAX_ENTRY:
        raise BadEntry(act=act, why_fr="entrée trop longue", why_en="entry too long")
    return data


def plain(act: str, value: Mapping[str, object]) -> dict[str, Any]:
    """Plain JSON of a mapping: instants and tuples are written as text and lists; errors: BadEntry."""
    try:
        made = msgspec.to_builtins(dict(value), str_keys=True)
    except (TypeError, ValueError, msgspec.MsgspecError):
        raise BadEntry(act=act, why_fr="valeur que JSON ne porte pas", why_en="a value that JSON cannot carry") from None
    return dict(made)


def leaf(entry: bytes) -> bytes:
    """The leaf hash of an entry, 32 bytes (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\0" + entry).digest()


def pseudonym(key: bytes, name: str) -> str:
    """Stand for a name: the same name gives the same 32 hex digits at this site, and nowhere else."""
    return hmac.digest(key, b"actor\0" + name.encode(), hashlib.sha256)[:16].hex()


_DECODER = msgspec.json.Decoder(Entry)


def read(entry: bytes, seq: int) -> Entry:
    """Read an entry back; errors: Damaged."""
    try:
        return _DECODER.decode(entry)
    except msgspec.MsgspecError:
        raise Damaged(seq=seq, what="entry") from None
