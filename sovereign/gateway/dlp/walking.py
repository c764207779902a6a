"""A body by its content type: the reader is chosen, then each value passes before one visitor.

1. What the type says is tried first; a type that says nothing (`text/plain`, none) is told by the first characters.
2. A body that is not what its type says, and one past a bound, is still read as text, so that what is in it is found.
3. Base64 and gzip inside a value are opened once; what is inside is read by its first characters.
"""

import re
from email.message import Message
from typing import Final

from sovereign.gateway.dlp import body_csv, body_form, body_json, body_xml, encoded, fields
from sovereign.gateway.dlp.limits import Budget, OverBounds, Unreadable
from sovereign.gateway.dlp.visiting import Place, Visit, Walked

_OPAQUE: Final = re.compile(
    r"(?:image|audio|video|font)/|application/(?:pdf|zip|octet-stream|msword|vnd\.(?:ms|openxml|oasis)|x-7z|x-tar|x-rar|vnd\.rar|x-bzip|zstd)"
)
_SVG: Final = "image/svg+xml"
_OPENED: Final = 16
_LOOKED: Final = 65_536


class Walk:
    """Walks one body. truncated, unreadable: what could not be looked at as it should."""

    def __init__(self, visit: Visit, budget: Budget) -> None:
        self._visit, self._budget = visit, budget
        self.truncated = False
        self.unreadable = False

    def read(self, body: bytes, content_type: str) -> Walked:
        """Walk a body; never raises for what the body is."""
        return self._read(body, content_type, "", "", 0)

    def beginning(self, body: bytes, content_type: str) -> Walked:
        """Walk the beginning of a longer body: parts of a form one by one, the last cut short; what is no text not at all.

        Whatever else it is, it is read as text: its form ends where it was cut.
        """
        self.truncated = True
        kind, charset = described(content_type)
        if kind.startswith("multipart/") and (end := body_form.closing(content_type)):
            return self.read(body + end, content_type)
        opaque = self._told(kind, body[:_LOOKED], charset) == "opaque"
        return Walked(1, body, ("",)) if opaque else self.read(body, "text/plain")

    def _read(self, body: bytes, content_type: str, pointer: str, name: str, nested: int) -> Walked:
        kind, charset = described(content_type)
        try:
            return self._by_type(body, kind, charset, content_type, pointer, name, nested)
        except OverBounds:
            self.truncated = True
        except Unreadable:
            self.unreadable = True
        return self._as_text(body, charset, pointer, name)

    def _by_type(self, body: bytes, kind: str, charset: str, content_type: str, pointer: str, name: str, nested: int) -> Walked:
        if not body:
            return Walked(1, body)
        plain = encoded.unzipped(body, self._budget) if nested <= 1 else None
        if plain is not None:
            inner = self._read(plain, "", pointer, name, 3)
            return inner if inner.body == plain else Walked(inner.records, _zip(inner.body), inner.opaque)
        kind = self._told(kind, body, charset)
        if kind.startswith("multipart/"):
            return body_form.walk_parts(body, content_type, self._opened, self._budget, self._read, pointer, nested)
        if kind == "application/x-www-form-urlencoded":
            return body_form.walk(body, charset, self._opened, self._budget, pointer)
        if kind == "xml":
            return body_xml.walk(body, self._opened, self._budget, pointer)
        if kind == "opaque":
            return Walked(1, body, (pointer,))
        return self._text_kind(kind, body, charset, pointer, name)

    def _text_kind(self, kind: str, body: bytes, charset: str, pointer: str, name: str) -> Walked:
        text = decoded(body, charset)
        if kind == "json":
            return body_json.walk(body_json.parse(text), self._opened, self._budget, pointer, name)
        if kind == "lines":
            return body_json.walk_lines(body_json.lines(text), self._opened, self._budget)
        if kind == "csv":
            return body_csv.walk(text, self._opened, self._budget, pointer)
        seen = self._opened(Place(pointer, fields.hints(name)), text)
        return Walked(1, body if seen is text else seen.encode(charset or "utf-8", "replace"))

    def _as_text(self, body: bytes, charset: str, pointer: str, name: str) -> Walked:
        limit = self._budget.limits.bytes
        self._visit(Place(pointer, fields.hints(name)), decoded(body[:limit], charset))
        return Walked(1, body)

    def _told(self, kind: str, body: bytes, charset: str) -> str:
        if kind.endswith(("json-seq", "ndjson", "jsonl", "json-lines", "jsonlines")):
            return "lines"
        if kind.endswith(("/json", "+json")):
            return "json"
        if kind.endswith(("/xml", "+xml")) or kind == _SVG:
            return "xml"
        if kind in ("text/csv", "application/csv", "text/tab-separated-values"):
            return "csv"
        if kind.startswith("multipart/") or kind == "application/x-www-form-urlencoded":
            return kind
        return sniffed(body, charset) if kind.startswith("text/") or not kind or encoded.readable(body) else "opaque"

    def _opened(self, place: Place, text: str) -> str:
        """Visit a value, then what it holds encoded."""
        seen = self._visit(place, text)
        if seen is not text or len(text) < _OPENED or place.number:
            return seen
        found = encoded.opened(text, self._budget)
        if found is None:
            return text
        content, alphabet = found
        inner = Walk(self._visit, self._budget)
        walked = inner._inside(content, place)
        self.truncated |= inner.truncated
        return text if walked == content else encoded.closed(walked, alphabet, text)

    def _inside(self, content: bytes, place: Place) -> bytes:
        plain = encoded.unzipped(content, self._budget)
        body = content if plain is None else plain
        kind = sniffed(body, "") if encoded.readable(body) else "opaque"
        pointer = f"{place.pointer}#"
        try:
            if kind == "json":
                walked = body_json.walk(body_json.parse(decoded(body, "")), self._visit, self._budget, pointer).body
            elif kind == "xml":
                walked = body_xml.walk(body, self._visit, self._budget, pointer).body
            else:
                text = decoded(body, "")
                seen = text if kind == "opaque" else self._visit(place._replace(pointer=pointer), text)
                walked = body if seen is text else seen.encode()
        except Unreadable:
            walked = self._as_text(body, "", pointer, "").body
        if walked == body:
            return content
        return walked if plain is None else _zip(walked)


def described(content_type: str) -> tuple[str, str]:
    """Give the type in small letters and the charset (empty when none is named, or none is known by that name)."""
    if ";" not in content_type:
        return content_type.strip().lower(), ""
    message = Message()
    message["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    charset = str(message.get_content_charset("") or "")
    try:
        "".encode(charset or "utf-8")
    except LookupError:
        charset = ""
    return message["content-type"].partition(";")[0].strip().lower(), charset


def sniffed(body: bytes, charset: str) -> str:
    """Tell JSON, XML and CSV by their beginning; else text."""
    start = decoded(body[:512], charset).lstrip("\ufeff \t\r\n")
    if start[:1] in ("{", "["):
        try:
            body_json.parse(decoded(body, charset))
        except (Unreadable, OverBounds):
            return "text"
        return "json"
    if start.startswith("<"):
        return "xml"
    first = start.partition("\n")[0]
    return "csv" if "\n" in start and max(map(first.count, ";,\t|")) >= 2 and ". " not in first else "text"


def decoded(body: bytes, charset: str) -> str:
    """Give the text of bytes: by their mark, by their charset, as UTF-8, else byte for byte."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8")):
        if body.startswith(mark):
            return body.decode(name, "replace")
    if not charset and b"\x00" in body[:4]:
        charset = "utf-16-be" if body[:1] == b"\x00" else "utf-16-le"
    try:
        return body.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return body.decode("latin-1")


def _zip(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, mtime=0)
