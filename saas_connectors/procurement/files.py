"""One published DECP file, JSON or XML, read contract by contract.

1. The format is found from the first character, not from a name or a content type. UTF-8 with or without a byte order mark in
   JSON; whatever its declaration says in XML.
2. JSON is cut into its contracts without being decoded: each is decoded alone, so memory is the file and one contract.
3. Several files are held together while the last publication of each contract is looked for: they are held compressed.
4. A contract that is not valid raises `Unfit` with the broken rule; the file goes on. A file that is not DECP is `Malformed`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import msgspec
import pyarrow as pa
from lxml import etree

from saas_connectors.answer import malformed
from saas_connectors.connector import Json
from saas_connectors.errors import Malformed
from saas_connectors.formats.xml import UnsafeXml, elements
from saas_connectors.procurement.contracts import Kind, Row, kinds
from saas_connectors.procurement.shapes import Remarks, Unfit
from saas_connectors.procurement.validation import broken_json_rule, broken_xml_rule
from saas_connectors.request import Request, Response

_PUBLISHED = "datePublicationDonnees"


class Contract(Protocol):
    """A contract as it was published."""

    @property
    def kind(self) -> Kind:
        """What it is: a marche or a concession."""
        ...

    def key(self) -> str | None:
        """What names it; None when it is too broken to have a name."""
        ...

    def published(self) -> str:
        """When it was published last, as text that sorts; only of one that has a key."""
        ...

    def record(self, remarks: Remarks) -> Row:
        """Its values; raises `Unfit` when it is not valid."""
        ...


def _exact(digits: str) -> int | Decimal:
    """Take 12.0 for the whole number 12, as draft-07 does."""
    number = Decimal(digits)
    return int(number) if number.adjusted() < 30 and number == number.to_integral_value() else number


class _Named(msgspec.Struct):
    id: str


class _Key(msgspec.Struct):
    id: str
    buyer: _Named | None = msgspec.field(default=None, name="acheteur")
    conceding: _Named | None = msgspec.field(default=None, name="autoriteConcedante")


_KEY = msgspec.json.Decoder(_Key)
_DECODER = msgspec.json.Decoder(float_hook=_exact)


@dataclass(frozen=True, slots=True)
class _JsonContract:
    kind: Kind
    raw: msgspec.Raw

    def key(self) -> str | None:
        try:
            found = _KEY.decode(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        buyer = found.buyer if found.conceding is None else found.conceding
        return None if buyer is None else f"{self.kind.name} {buyer.id} {found.id}"

    def published(self) -> str:
        record = self._decoded()
        return _when(str(record.get(_PUBLISHED)), _dates(record))

    def record(self, remarks: Remarks) -> Row:
        record = self._decoded()
        self.kind.shape.tidy_json(record)
        if rule := broken_json_rule(self.kind.tag, record):
            raise Unfit(rule)
        row: Row = self.kind.shape.json(record, remarks)
        return row

    def _decoded(self) -> Json:
        try:
            return _DECODER.decode(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unfit(f"{self.kind.tag}:json") from None


def _dates(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _dates(item)
    elif isinstance(value, dict):
        for name, held in value.items():
            if name.startswith(_PUBLISHED) and isinstance(held, str):
                yield held
            elif isinstance(held, list | dict):
                yield from _dates(held)


@dataclass(frozen=True, slots=True)
class _XmlContract:
    kind: Kind
    element: etree._Element

    def key(self) -> str | None:
        buyer, own = self.element.findtext(f"{self.kind.buyer}/id"), self.element.findtext("id")
        return None if buyer is None or own is None else f"{self.kind.name} {buyer} {own}"

    def published(self) -> str:
        dates = (e.text or "" for e in self.element.iter() if isinstance(e.tag, str) and e.tag.startswith(_PUBLISHED))
        return _when(self.element.findtext(_PUBLISHED) or "", dates)

    def record(self, remarks: Remarks) -> Row:
        self.kind.shape.tidy_xml(self.element)
        if rule := broken_xml_rule(self.element):
            raise Unfit(rule)
        row: Row = self.kind.shape.xml(self.element, remarks)
        return row


def _when(published: str, every: Iterator[str]) -> str:
    """The date of publication, then, as it does not move when a contract is modified, the latest of its parts."""
    return f"{published:.10s} {max(every, default=''):.10s}"


@dataclass(frozen=True, slots=True)
class File:
    """A published file, held in memory (compressed when others are held beside it)."""

    request: Request
    response: Response
    packed: bytes
    size: int | None

    @classmethod
    def hold(cls, request: Request, response: Response, *, alone: bool) -> "File":
        """Keep a response; `alone` when no other file is held."""
        if alone:
            return cls(request, response, response.body, None)
        packed = pa.Codec("zstd", compression_level=1).compress(response.body, asbytes=True)
        return cls(request, Response(response.status, response.url, b"", response.headers), packed, len(response.body))

    def contracts(self) -> Iterator[Contract]:
        """Give its contracts, in order; raises `Malformed`. Each is valid until the next one is asked for."""
        body = self.packed if self.size is None else pa.Codec("zstd").decompress(self.packed, self.size, asbytes=True)
        start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:2]
        yield from self._xml(body) if start[:1] == b"<" or start in (b"\xff\xfe", b"\xfe\xff") else self._json(body)

    def _xml(self, body: bytes) -> Iterator[Contract]:
        of = {kind.tag: kind for kind in kinds()}
        try:
            for element in elements(body.removeprefix(b"\xef\xbb\xbf").lstrip(), "marches", tuple(of)):
                yield _XmlContract(of[str(element.tag)], element)
        except UnsafeXml as refusal:
            why_fr, why_en = refusal.fields["why_fr"], refusal.fields["why_en"]
            raise self._not_decp(f"XML, {why_fr}", f"XML, {why_en}") from None

    def _json(self, body: bytes) -> Iterator[Contract]:
        try:
            document = _BODY.decode(body.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._not_decp("JSON {« marches »: {…}}", 'JSON {"marches": {…}}') from None
        if document.marches is None and "json-schema.org" in (document.schema or ""):
            return  # the official schema lies beside the examples: it is no data
        held = document.marches or _Marches()
        if held.marche is held.concession is msgspec.UNSET:
            raise self._not_decp("JSON {« marches »: {« marche »: […]}}", 'JSON {"marches": {"marche": […]}}')
        for kind, listed in zip(kinds(), (held.marche, held.concession), strict=True):
            for raw in listed or ():
                yield _JsonContract(kind, raw)

    def _not_decp(self, fr: str, en: str) -> Malformed:
        return malformed(
            self.request, self.response, f"un fichier DECP était attendu ({fr})", f"a DECP file was expected ({en})"
        )


class _Marches(msgspec.Struct):
    marche: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    concession: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.field(default=msgspec.UNSET, name="contrat-concession")


class _Body(msgspec.Struct):
    marches: _Marches | None = None
    schema: str | None = msgspec.field(default=None, name="$schema")


_BODY = msgspec.json.Decoder(_Body)
