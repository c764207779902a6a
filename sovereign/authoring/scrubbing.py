"""What a vendor answered, without anything real in it; laws and limits are told in docs/formats/fixtures.md.

1. A field is personal unless the catalog says `internal`; an internal value that is also a personal one somewhere is replaced.
2. Around the records, only counts, places of pages and a closed vocabulary are kept; every other text is replaced.
3. JSON, JSON lines, CSV and XML are read as such, and so is what hides in a text: JSON, or text in base64.
4. What is none of these is refused by its place, never guessed at. Bodies of refusals are emptied, headers dropped but a few.
5. A file of the vendor is another file: nothing of it is read. A body that is no text is another of its kind (`binary`).
"""

import csv
import io
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from posixpath import splitext
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from saas_connectors.request import Headers, Response
from sovereign.authoring.binary import instead, like, plain
from sovereign.authoring.errors import Unscrubbed

HOST: Final = "vendor.example"
DEPTH: Final = 32
VOCABULARY: Final = frozenset({
    "", "self", "next", "prev", "previous", "first", "last", "alternate", "collection", "items", "data", "conformance",
    "queryables", "service-desc", "service-doc", "Feature", "FeatureCollection", "Point", "MultiPoint", "LineString",
    "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection", "object", "array", "string", "number", "integer",
    "boolean", "null", "feature", "true", "false", "ok", "OK", "success",
    "application/json", "application/geo+json", "text/html",
    "application/schema+json", "http://www.opengis.net/def/rel/ogc/1.0/conformance",
})  # fmt: skip
_STANDARD: Final = re.compile(
    r"https?://www\.opengis\.net/[\w./#-]*|https?://www\.w3\.org/[\w./#-]*|https?://json-schema\.org/[\w./#-]*"
)
_COUNT: Final = frozenset({
    "count", "counts", "total", "totals", "page", "pages", "size", "limit", "offset", "per", "number", "num", "nb", "nhits",
    "returned", "matched", "skip", "start", "more", "rows", "length", "max", "index", "items", "results", "records", "features",
    "elements", "current", "last", "first", "next", "odata", "x", "rate", "ratelimit", "remaining", "reset", "totalcount",
    "totalresults", "itemsperpage", "startindex", "pagesize",
})  # fmt: skip
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_FILE: Final = re.compile(r"([^/\\\s]{1,200})(\.(?:json|xml|csv|geojson|pdf|zip|gz|parquet))")
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,8}", re.ASCII)
_ENDINGS: Final = {"csv": ".csv", "json": ".json", "xml;": ".xml", "/xml": ".xml", "text/": ".txt"}
_SEGMENT: Final = re.compile(r"api|v\d{1,2}|collections|items|records|pages?|list")
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9_-]{4}){4,}(?:[A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?")
_DTD: Final = re.compile(
    r"\s*(?:<\?xml[^>]*>)?\s*(?:<!--(?:[^-]|-(?!->))*-->\s*)*<!(?:DOCTYPE|ENTITY)", re.IGNORECASE
)  # one way alone to end each comment: with two, thirty of them would take an hour
_LINK: Final = re.compile(r"<([^<>]*)>")
_HEADERS: Final = ("content-type", "link", "location")
_EXACT: Final = msgspec.json.Decoder(float_hook=Decimal)
_WRITE: Final = msgspec.json.Encoder(decimal_format="number")
SHORT: Final = 6
"""Signs under which a value says little by itself: it may be that of another field too."""
_OUTSIDE: Final = "around"


@dataclass(slots=True)
class Scrub:
    """One pass over answers; `replace` is given each text to be replaced and gives another (or learns it, and gives it back).

    classes: of each field; hosts: the vendor's own; segments: the words that the settings hold; known: whether a text
    is a personal value somewhere; words: those of the vendor's interface, which stay.
    """

    replace: Callable[[str], str]
    classes: Mapping[str, str]
    hosts: frozenset[str]
    segments: frozenset[str]
    known: Callable[[str], bool] = lambda _: False
    words: frozenset[str] = frozenset()

    def response(self, response: Response, place: str, file: bytes | None = None) -> Response:
        """Give another answer of the same make; file: what stands for a file. Raises `Unscrubbed`."""
        headers = []
        for name, value in response.headers.items():
            if name.lower() == "content-type":
                headers.append((name, value.partition(";")[0] + (";charset=utf-8" if "charset" in value.lower() else "")))
            elif name.lower() in _HEADERS:
                headers.append((name, self._links(value)))
            elif value.isdecimal() and counts(name) and name.lower() != "content-length":
                headers.append((name, value))
        body = b"" if not 200 <= response.status < 300 else self.body(response, place) if file is None else file
        return Response(response.status, response.url, body, Headers(headers), response.received_at)

    def body(self, response: Response, place: str) -> bytes:
        """Give another body."""
        path = urlsplit(response.url).path.lower()
        return self._body(response.body, response.headers.get("Content-Type", "").lower(), path, place)

    def _body(self, body: bytes, kind: str, path: str, place: str) -> bytes:
        text = _text(body)
        if text is None:
            name = path + next((ending for said, ending in _ENDINGS.items() if said in kind), "")
            return instead(
                body, name, place,
                lambda inner, name: self._body(inner, kind, name, place), lambda row: self.row(row, place), self.named,
            )  # fmt: skip
        start = text.lstrip()[:1]
        if not start:
            return b""
        if start in '{["' or "json" in kind:
            return self._json(text, place)
        if start == "<":
            return self._xml(text, place)
        if "csv" in kind or "text/plain" in kind or path.endswith(".csv"):
            return self._csv(text, place)
        raise _refused(place, "ni JSON, ni CSV, ni XML", "neither JSON, CSV nor XML")

    def named(self, path: str) -> str:
        """Give another name of what lies in an archive: its ending as it was, and what the settings say."""
        return "/".join(self._part(each) for each in path.split("/"))

    def _part(self, name: str) -> str:
        stem, ending = splitext(name)
        if not name or name in self.segments or name == "__MACOSX":
            return name
        return f"{self.replace(stem)}{ending}" if _ENDING.fullmatch(ending) else self.replace(name)

    def row(self, values: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        """Give another record of a table, each cell of the same kind."""
        return {
            name: like(value, self.value(plain(value), self._class(name, "personal", inside=True), name, place))
            for name, value in values.items()
        }

    def _json(self, text: str, place: str) -> bytes:
        try:
            return _WRITE.encode(self.value(_EXACT.decode(text), _OUTSIDE, "", place))
        except RecursionError:
            raise _refused(place, f"plus de {DEPTH} niveaux", f"over {DEPTH} levels") from None
        except msgspec.DecodeError:
            lines = [line for line in text.splitlines() if line.strip()]
        try:
            return b"".join(_WRITE.encode(self.value([_EXACT.decode(line)], _OUTSIDE, "", place)[0]) + b"\n" for line in lines)
        except (msgspec.DecodeError, RecursionError):
            raise _refused(place, "du JSON qui n'en est pas", "JSON that is not") from None

    def value(self, value: Any, held: str, name: str, place: str, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
        """Give another value of the same shape. held: the class it stands under, or `around` records; name: of its field."""
        if depth > DEPTH:
            raise _refused(place, f"plus de {DEPTH} niveaux", f"over {DEPTH} levels")
        if isinstance(value, dict):
            keyed = _keyed(value) and not any(key in self.classes for key in value)
            return {
                self.text(key, "personal", place) if keyed or not _named(key) or self._borne(key) else key: self.value(
                    each, self._class(key, held, inside=keyed), key, place, depth + 1
                )
                for key, each in value.items()
            }
        if isinstance(value, list):
            inner = "personal" if held == _OUTSIDE else held
            return [
                self.value(each, inner if not isinstance(each, dict) else _inside(held), name, place, depth + 1)
                for each in value
            ]
        if isinstance(value, str):
            return self.text(value, held, place)
        if value is None or isinstance(value, bool) or (held == _OUTSIDE and counts(name)):
            return value
        written = format(value, "f") if isinstance(value, Decimal) else str(value)
        if held == "internal" and not (len(written) >= SHORT and self.known(written)):
            return value
        made = self.replace(written)
        return Decimal(made) if isinstance(value, Decimal) else int(made)

    def _borne(self, key: str) -> bool:
        """Whether the name of a field is a value elsewhere: that of a column, that of a person."""
        return key not in self.words and self.known(key)

    def _class(self, key: str, held: str, *, inside: bool) -> str:
        if key in self.classes:
            return "internal" if self.classes[key] == "internal" else "personal"
        if held in ("personal", "internal"):
            return held
        return "record" if inside or held == "record" else _OUTSIDE

    def text(self, text: str, held: str, place: str) -> str:
        """Give another text; what hides in it is read first."""
        if text in VOCABULARY or text in self.words or text in self.segments or _STANDARD.fullmatch(text):
            return text
        if held == "internal" and not self.real(text) and not any(host in text for host in self.hosts):
            return text
        if re.match(r"https?://", text):
            return self._url(text)
        if text[:1] in "{[" and (inner := _decoded(text)) is not None:
            return _WRITE.encode(self.value(inner, "personal" if held != "record" else "record", "", place, 1)).decode()
        if _BASE64.fullmatch(text) and (hidden := _hidden(text)) is not None:
            made = self.text(hidden, "personal", place).encode()
            return b64encode(made, b"-_" if "-" in text or "_" in text else b"+/").decode()
        if found := _FILE.fullmatch(text):
            return f"{found[1] if found[1] in self.words else self.replace(found[1])}{found[2]}"
        return self.replace(text)

    def real(self, text: str) -> bool:
        """Whether a text, or a word of it, is a personal value somewhere."""
        words = re.findall(rf"[\w.@+-]{{{SHORT},}}", text)
        return len(text) >= SHORT and (self.known(text) or any(self.known(each.strip(".-")) for each in words))

    def _links(self, value: str) -> str:
        return _LINK.sub(lambda found: f"<{self._url(found[1])}>", value) if "<" in value else self._url(value)

    def _url(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            own = not parts.hostname or parts.hostname in self.hosts
        except ValueError:
            return self.replace(text)
        host = HOST if own else f"{self.replace(parts.hostname or '')}.example"
        path = "/".join(each if self._kept(each) else self.replace(each) for each in parts.path.split("/"))
        asked = [(name, self._parameter(name, value)) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
        query = f"?{urlencode(asked)}" if asked else ""
        return f"https://{host}{path}{query}" if parts.hostname else f"{path}{query}"

    def _parameter(self, name: str, value: str) -> str:
        plain = counts(name) and value.isdecimal() and len(value) < SHORT
        return value if plain else self.text(value, "personal", "URL")

    def _kept(self, segment: str) -> bool:
        return not segment or (
            (segment in self.segments or _SEGMENT.fullmatch(segment) is not None) and not self.known(segment)
        )

    def _csv(self, text: str, place: str) -> bytes:
        first = text.splitlines()[0]
        delimiter = max(",;\t|", key=first.count)
        try:
            rows = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
        except csv.Error:
            raise _refused(place, "du CSV mal formé", "malformed CSV") from None
        heads, made = rows[0], io.StringIO()
        if any(len(row) not in (0, len(heads)) for row in rows):
            raise _refused(place, "du CSV dont les lignes n'ont pas le même nombre de cases", "CSV whose lines differ in cells")
        writer = csv.writer(made, delimiter=delimiter, lineterminator="\n")
        writer.writerow(heads)
        for row in rows[1:]:
            writer.writerow(self.text(cell, self._class(head, "personal", inside=True), place) if cell else cell
                            for head, cell in zip(heads, row, strict=False))  # fmt: skip
        return made.getvalue().encode()

    def _xml(self, text: str, place: str) -> bytes:
        from lxml import etree

        if _DTD.match(text):
            raise _refused(place, "du XML avec DTD, ou une page HTML", "XML with a DTD, or an HTML page")
        parser = etree.XMLParser(
            resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
        )
        try:
            root = etree.fromstring(text.encode(), parser)
        except (etree.XMLSyntaxError, ValueError):
            raise _refused(place, "du XML mal formé", "malformed XML") from None
        for element in root.iter():
            name = etree.QName(element).localname
            held = self._class(name, "personal", inside=True)
            for at, value in element.attrib.items():
                bare = etree.QName(at).localname
                if not (value.isdecimal() and counts(bare)):
                    element.attrib[at] = self.text(value, self._class(bare, "personal", inside=True), place)
            if element.text and element.text.strip():
                element.text = self.text(element.text, held, place)
            if element.tail and element.tail.strip():
                element.tail = self.text(element.tail, held, place)
        return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))


def counts(name: str) -> bool:
    """Whether a name says a number of things or a place among them, in each of its words: `totalCount`, not `accountNumber`."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and all(word in _COUNT for word in words)


def _text(body: bytes) -> str | None:
    """The text that a body is; None when it is none."""
    try:
        return None if body[:4] in (b"PAR1", b"PK\x03\x04") else body.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        return None


def _inside(held: str) -> str:
    return "record" if held == _OUTSIDE else held


def _keyed(value: Mapping[str, Any]) -> bool:
    """Whether an object holds records by their name: several objects of the same fields."""
    held = list(value.values())
    return len(held) > 1 and all(isinstance(each, dict) and each and each.keys() == held[0].keys() for each in held)


def _named(key: str) -> bool:
    return re.fullmatch(r"[@$]?[^\W\d][\w.:$@ -]{0,62}", key) is not None and "@" not in key[1:]


def _decoded(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        found = _EXACT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _hidden(text: str) -> str | None:
    try:
        found = b64decode(text, b"-_" if "-" in text or "_" in text else b"+/", validate=True).decode()
    except ValueError:
        return None
    return found if found.isprintable() else None


def _refused(place: str, fr: str, en: str) -> Unscrubbed:
    return Unscrubbed(place=place, why_fr=fr, why_en=en)


def segments(values: Iterable[Any]) -> frozenset[str]:
    """The words of the settings and the parts of their paths, at any depth: the operator's own words, not the vendor's."""
    found: set[str] = set()
    left = list(values)
    while left:
        each = left.pop()
        if isinstance(each, str):
            found |= set(urlsplit(each).path.split("/")) if "/" in each else {each}
        elif isinstance(each, Mapping):
            left += each.values()
        elif isinstance(each, list | tuple):
            left += each
    return frozenset(found)
