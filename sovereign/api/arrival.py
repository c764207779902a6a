"""What is read of a request once its head was judged: its fields, its preferences and its body, under caps."""

import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope

from saas_connectors.errors import BadPayload
from saas_connectors.payloads import MOST_DEPTH, read, said
from sovereign.api.errors import NoKey, TooDeep, TooLarge, bad
from sovereign.api.limits import Share
from sovereign.api.members import twice
from sovereign.api.problems import preferred
from sovereign.language import Language

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT: Final = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)
_PERSON: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """The head of a request. path: as sent, before any decoding. fields: lower-case names, of Latin-1 text. address: whence."""

    method: str
    path: str
    query: str
    pairs: list[tuple[bytes, bytes]]
    fields: Mapping[str, str]
    certificate: bytes | None
    language: Language
    address: str = ""

    @property
    def dry_run(self) -> bool:
        """Whether only the decision is wanted. Errors: BadRequest, so that a misspelt trial never writes."""
        said = self.fields.get("sovereign-dry-run")
        if said not in (None, "0", "1"):
            raise bad("Sovereign-Dry-Run vaut 0 ou 1", "Sovereign-Dry-Run is 0 or 1")
        return said == "1"

    @property
    def person(self) -> str | None:
        """On whose behalf the application says that it asks."""
        given = self.fields.get("sovereign-person")
        if given is None:
            return None
        try:
            said = given.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise bad("Sovereign-Person est en UTF-8", "Sovereign-Person is in UTF-8") from None
        if not _PERSON.fullmatch(said) or unicodedata.normalize("NFC", said) != said:
            raise bad(
                "Sovereign-Person a au plus 200 caractères, sous leur forme composée (NFC)",
                "Sovereign-Person has at most 200 characters, in their composed form (NFC)",
            )
        return said

    @property
    def key(self) -> str:
        """The idempotency key, without the quotes of a structured field. Errors: NoKey."""
        said = self.fields.get("idempotency-key", "")
        said = said[1:-1] if len(said) > 2 and said[0] == said[-1] == '"' else said
        if not _KEY.fullmatch(said):
            raise NoKey
        return said

    def patience(self, most: float) -> float | None:
        """Seconds the caller will wait for the vendor's answer (RFC 7240 section 4); None when it will not."""
        said = self.fields.get("prefer", "")
        if re.search(r"(?:^|[,\s])respond-async(?:$|[,;\s])", said, re.IGNORECASE):
            return None
        asked = _WAIT.search(said)
        return min(most, float(asked[1])) if asked else most


def arrived(scope: Scope) -> Arrival:
    """Read the head of a request."""
    pairs = scope["headers"]
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    return Arrival(
        scope["method"], scope["raw_path"].decode("ascii"), scope["query_string"].decode("latin-1"), pairs, fields,
        scope.get("state", {}).get("certificate"), preferred(fields.get("accept-language")),
        (scope.get("client") or ("",))[0],
    )  # fmt: skip


def length_of(arrival: Arrival) -> int:
    """The length that a body is said to have, in bytes; -1 when it comes in chunks. Errors: BadRequest."""
    if arrival.fields.get("content-encoding", "identity").lower() != "identity":
        raise bad("un corps compressé ne peut pas être examiné", "a compressed body cannot be examined")
    said = arrival.fields.get("content-length", "0")
    if not said.isdigit() or len(said) > 18:
        raise bad("une longueur qui n'en est pas une", "a length that is not one")
    return -1 if "transfer-encoding" in arrival.fields else int(said)


async def body_of(arrival: Arrival, receive: Receive, share: Share, most: int) -> bytes:
    """Read a body of at most `most` bytes; the caller gives its length back to `share`.

    Errors: TooLarge (before anything is read when the length was said), Full, BadRequest.
    """
    if length_of(arrival) > most:
        raise TooLarge(most=most)
    held = 0
    try:
        got = []
        async for piece in pieces(receive):
            share.take(len(piece))
            held += len(piece)
            got.append(_within(piece, held, most))
        return got[0] if len(got) == 1 else b"".join(got)
    except BaseException:
        share.give(held)
        raise


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The pieces of a body, as they come. Errors: BadRequest when the caller leaves."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise bad("l'appelant est parti", "the caller left")
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _within(piece: bytes, held: int, most: int) -> bytes:
    if held > most:
        raise TooLarge(most=most)
    return piece


def parsed(body: bytes, most: int) -> Any:  # noqa: ANN401 - JSON
    """Read a JSON object or list of at most `most` levels that says each name once, its numbers exactly as they are written.

    Errors: TooDeep, BadRequest.
    """
    try:
        found, names = read(body, most)
    except BadPayload:
        raise TooDeep(most=min(most, MOST_DEPTH)) from None
    if not isinstance(found, dict | list):
        raise TooDeep(most=min(most, MOST_DEPTH))
    if said(body) != names:
        raise twice()
    return found
