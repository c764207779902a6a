"""What a vendor answered: accepted or refused by its status, then cut into its records and what stands around them.

1. A refusal becomes one error of `saas_connectors.errors`, made of the method, the path and the status: never of the body, nor
   of the query.
2. A page is cut without being decoded: one pass finds that it is whole JSON, bounds its depth, and gives the records as they
   were written.
3. `Document.find` decodes what stands around the records only where it is asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from saas_connectors.connector import Json
from saas_connectors.errors import Malformed, NotFound, Rejected, Unauthorized, VendorError
from saas_connectors.lumps import LUMP, NotArray, flowing, lumps
from saas_connectors.request import Request, Response
from vault.content import blocks

MISSING: Final = object()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(msgspec.Raw)
_ANY = msgspec.json.Decoder()
_EXACT = msgspec.json.Decoder(float_hook=Decimal)
ERRORS = ("error", "errors", "error_code", "errorCode", "fault", "exception")


def malformed(request: Request, response: Response, expected_fr: str, expected_en: str) -> Malformed:
    """Say that an answer cannot be read, without a byte of it."""
    path = urlsplit(request.url).path or "/"
    return Malformed(method=request.method, path=path, status=response.status, expected_fr=expected_fr, expected_en=expected_en)


def accept(request: Request, response: Response) -> None:
    """Pass a success (2xx); raise `Unauthorized`, `NotFound` or `Rejected` for the rest."""
    if 200 <= response.status < 300:
        return
    kind: type[VendorError] = {401: Unauthorized, 403: Unauthorized, 404: NotFound, 410: NotFound}.get(
        response.status, Rejected
    )
    raise kind(method=request.method, path=urlsplit(request.url).path or "/", status=response.status)


class Document:
    """One answer: its records as raw JSON, and what stands around them, decoded only where it is asked for."""

    __slots__ = ("_top", "records")

    def __init__(self, top: Mapping[str, msgspec.Raw], records: bytes) -> None:
        self._top = top
        self.records = records

    def find(self, path: str) -> Json:
        """Give the value at a dotted path around the records, or `MISSING`; a key may itself hold dots (`@odata.nextLink`)."""
        return _find(self._top, path)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names at the top of the document."""
        return tuple(self._top)


def _find(value: Json, path: str) -> Json:
    while True:
        if not isinstance(value, dict):
            return MISSING
        if path in value:
            found = value[path]
            return _ANY.decode(found) if isinstance(found, msgspec.Raw) else found
        head, dot, path = path.partition(".")
        if not dot or head not in value:
            return MISSING
        value = value[head]
        if isinstance(value, msgspec.Raw):
            value = _ANY.decode(value)


def cut(request: Request, response: Response, path: str) -> Document:
    """Cut the records out of a JSON answer; raises `Malformed`.

    `path` leads to an array, or to null for none; "" is the document itself.
    """
    body = response.body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        body.decode()
        if not path:
            if body[:1] == b"[":
                _ARRAY.decode(body)
                return Document({}, body)
            raise _no_records(request, response, _OBJECT.decode(body), "")
        top = _OBJECT.decode(body)
        level, rest = top, path
        while rest not in level:
            head, dot, rest = rest.partition(".")
            if not dot or head not in level:
                raise _no_records(request, response, top, path)
            level = _OBJECT.decode(level[head])
        records = bytes(level[rest])
        if records == b"null":
            records = b"[]"
        if records[:1] != b"[":
            raise _no_records(request, response, top, path)
        return Document(top, records)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_json(request, response, body) from None


def arrays(request: Request, response: Response, most: int = LUMP) -> Iterator[bytes]:
    """Cut the array that a JSON answer is into arrays of about `most` bytes, as it is read; raises `Malformed`.

    Whoever takes them must have taken the last one before relying on any: the answer is known to be whole only then.
    """
    try:
        yield from flowing(response.whole, most)
    except NotArray:
        cut(request, held(response), "")  # says what it is instead
        raise _no_records(request, response, {}, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise malformed(request, response, "du JSON entier était attendu", "whole JSON was expected") from None


def held(response: Response) -> Response:
    """Give the same answer with its body in memory."""
    if response.content is None:
        return response
    return replace(response, body=b"".join(blocks(response.content)), content=None)


def _not_json(request: Request, response: Response, body: bytes) -> Malformed:
    if body[:1] == b"<":
        return malformed(request, response, "une page HTML ou XML au lieu de JSON", "an HTML or XML page instead of JSON")
    if not body:
        return malformed(request, response, "une réponse vide au lieu de JSON", "an empty answer instead of JSON")
    return malformed(request, response, "du JSON entier était attendu", "whole JSON was expected")


def _no_records(request: Request, response: Response, top: Mapping[str, Any], path: str) -> Malformed:
    if any(name in top for name in ERRORS):
        return malformed(request, response, "une erreur dans une réponse 200", "an error inside a successful answer")
    where = path or "[…]"
    return malformed(request, response, f"aucun enregistrement sous « {where} »", f"no records at `{where}`")


def outline(request: Request, response: Response) -> Json:
    """Decode what a long JSON answer looks like: arrays longer than a lump by their first lump; raises `Malformed`."""
    body = response.body.removeprefix(b"\xef\xbb\xbf").strip()
    if len(body) <= LUMP:
        return decode(request, response)
    try:
        body.decode()
        return _outline(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_json(request, response, body) from None


def _outline(value: bytes) -> Json:
    if len(value) > LUMP and value[:1] == b"[":
        first = next(lumps(value))
        return _EXACT.decode(first) if len(first) <= 8 * LUMP else []
    if len(value) > LUMP and value[:1] == b"{":
        return {name: _outline(bytes(each)) for name, each in _OBJECT.decode(value).items()}
    return _EXACT.decode(value)


def decode(request: Request, response: Response) -> Json:
    """Decode a whole JSON answer exactly (fractions as Decimal), for documents that are not pages; raises `Malformed`."""
    body = response.body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        body.decode()
        return _EXACT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_json(request, response, body) from None
