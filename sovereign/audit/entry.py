"""One entry as bytes: what is hashed for ever, and the body it commits to.

    entry       = RFC 8785 JSON {"act", "actor", "body", "facts", "subject", "time", "v": 1}
    leaf        = SHA-256(0x00 || entry)                                    RFC 9162 section 2.1.1
    commitment  = base64(HMAC-SHA256(salt, content)), with a salt of 32 random bytes an entry
    content     = RFC 8785 JSON of the body
    actor       = hex of the first 16 bytes of HMAC-SHA256(site's pseudonym key, "actor" || 0x00 || name)

Without the salt the commitment says nothing of the body, however guessable the body. This module does no input or output.
"""

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import msgspec

from sovereign.audit import canonical as json
from sovereign.audit.acts import ACTS
from sovereign.audit.errors import BadEntry, Damaged
from sovereign.audit.tree import leaf_hash
from sovereign.state.schema import instant_text

VERSION = 1
MAX_ENTRY = 2**16 - 1
"""The longest entry, in bytes of canonical JSON: what the length of a tlog-tiles bundle can say."""
MAX_BODY = 1024 * 1024
"""The longest body, in bytes of canonical JSON."""
SALT: Final = 32
_NONE: Final[Mapping[str, object]] = MappingProxyType({})

leaf = leaf_hash


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


class NewEntry(NamedTuple):
    """What is to be entered: see `AuditLog.append`."""

    act: str
    subject: Mapping[str, object] = _NONE
    facts: Mapping[str, object] = _NONE
    body: Mapping[str, object] = _NONE
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What an entry commits to: the salt (32 bytes) and the content, as canonical JSON."""

    salt: bytes
    content: bytes

    def commitment(self) -> str:
        """What the entry holds of the body."""
        return commitment(self.salt, self.content)

    def encode(self) -> bytes:
        """The bytes that are sealed as a record."""
        return self.salt + self.content

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read them back; raises ValueError."""
        if len(data) < SALT:
            raise ValueError("a body is longer")
        return cls(data[:SALT], data[SALT:])

    @classmethod
    def decode_first(cls, data: bytes) -> Self:
        """Read the plain of a body of the first form, which was JSON with the salt in it; raises ValueError."""
        try:
            value = msgspec.json.decode(data, type=_First)
            return cls(b64decode(value.salt, validate=True), json.dumps(value.content))
        except (msgspec.MsgspecError, NotBase64):
            raise ValueError("not a body of the first form") from None

    def read(self) -> dict[str, Any]:
        """The content; raises ValueError."""
        try:
            return msgspec.json.decode(self.content, type=dict[str, Any])
        except msgspec.MsgspecError:
            raise ValueError("a body is an object") from None


class _First(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: dict[str, Any]
    salt: str


def commitment(salt: bytes, content: bytes) -> str:
    """What an entry holds of a body."""
    return b2a_base64(hmac.digest(salt, content, "sha256"), newline=False).decode()


def known(act: str) -> None:
    """Raise BadEntry for an act that is not in the list."""
    if act not in ACTS:
        raise BadEntry(act=act, why_fr="acte inconnu", why_en="unknown act")


def encode(act: str, value: Mapping[str, object]) -> bytes:
    """The canonical JSON of an object; errors: BadEntry."""
    if not value:
        return b"{}"
    try:
        return json.dumps(value)
    except ValueError:
        raise BadEntry(act=act, why_fr="valeur que JSON ne porte pas", why_en="a value that JSON cannot carry") from None


def compose(act: str, time: str, actor: str, subject: bytes, facts: bytes, commitment: str | None) -> bytes:
    """Put the canonical parts of an entry together; errors: BadEntry."""
    body = f'"{commitment}"' if commitment is not None else "null"
    made = b'{"act":"%b","actor":"%b","body":%b,"facts":%b,"subject":%b,"time":"%b","v":1}' % (
        act.encode(), actor.encode(), body.encode(), facts, subject, time.encode(),
    )  # fmt: skip
    if len(made) > MAX_ENTRY:
        raise BadEntry(act=act, why_fr="entrée trop longue", why_en="entry too long")
    return made


def canonical(
    act: str, at: datetime, actor: str, subject: Mapping[str, object], facts: Mapping[str, object], body: Body | None
) -> bytes:
    """Give the canonical bytes of an entry; errors: BadEntry."""
    known(act)
    committed = None if body is None else body.commitment()
    return compose(act, instant_text(at), actor, encode(act, subject), encode(act, facts), committed)


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
