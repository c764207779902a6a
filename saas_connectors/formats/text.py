"""Bytes that are text: in which encoding, and what stands around the lines.

1. The encoding is what the setting `encoding` says. Without one: a byte order mark says it; bytes that are whole UTF-8 are
   UTF-8; others are cp1252, which reads as latin-1 all that latin-1 writes. A NUL every other byte without a mark, and bytes
   that stand for other signs in iso-8859-15, cannot be told apart by looking: `Unsettled` names the setting.
2. Bytes that are no text in that encoding do not stop the file: they come as lone surrogates, and their row is set aside.
3. `trailer` is what the last line must be, `{count}` standing for the number of records. A file without it was cut.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saas_connectors.connector import Json
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import beyond
from saas_connectors.formats.format import Limits, Truncated, Unreadable

ENCODINGS: Final = ("utf-8", "utf-8-sig", "cp1252", "latin-1", "iso-8859-15", "utf-16", "utf-16-le", "utf-16-be")
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
LATIN_9: Final = re.compile(rb"[\xa4\xa6\xa8\xb4\xb8\xbc\xbd\xbe]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Text:
    """A body as text. clean: no byte was left undecoded. count: what the trailer says, None without one. skipped: lines."""

    text: str
    encoding: str
    clean: bool
    count: int | None = None
    skipped: int = 0


def encoding_of(body: bytes) -> str:
    """Find the encoding of a body; raises `Unsettled`."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return name
    if body[:4096].count(0) > len(body[:4096]) // 8:
        raise Unsettled(
            setting="encoding",
            why_fr="le texte est peut-être en UTF-16, sans marque",
            why_en="the text may be UTF-16, without a mark",
        )
    try:
        body.decode()
    except UnicodeDecodeError as stopped:
        if stopped.end == len(body) and stopped.reason == "unexpected end of data" and not body[: stopped.start].isascii():
            return "utf-8"  # cut inside a character: the rest is UTF-8
        if LATIN_9.search(body):
            raise Unsettled(
                setting="encoding",
                why_fr="le texte n'est pas en UTF-8, et peut être en cp1252 ou en iso-8859-15",
                why_en="the text is not UTF-8, and may be cp1252 or iso-8859-15",
            ) from None
        return "cp1252"
    return "utf-8"


def read(body: bytes, options: Mapping[str, Json], limits: Limits) -> Text:
    """Decode a body by its settings `encoding`, `skip` (lines before the first) and `trailer`; raises Unsettled, Truncated."""
    if len(body) > limits.unpacked:
        raise beyond(f"{limits.unpacked} octets", f"{limits.unpacked} bytes")
    asked = options.get("encoding")
    encoding = asked if isinstance(asked, str) else encoding_of(body)
    if encoding == "utf-8":
        encoding = "utf-8-sig"  # a mark is never a part of the first name
    clean = True
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        if encoding.startswith("utf-16"):
            raise Truncated(why_fr="l'UTF-16 n'est pas entier", why_en="the UTF-16 is not whole") from None
        text, clean = body.decode(encoding, "surrogateescape"), False
    skip, trailer = options.get("skip", 0), options.get("trailer")
    for _ in range(skip if isinstance(skip, int) else 0):
        text = text.partition("\n")[2]
    count = None
    if isinstance(trailer, str):
        text, count = trailed(text, trailer)
    return Text(text, encoding, clean, count, skip if isinstance(skip, int) else 0)


def trailed(text: str, trailer: str) -> tuple[str, int | None]:
    """Take the trailer off, and read the count in it; raises `Truncated`."""
    whole = text.rstrip("\r\n \t\x1a")
    at = max(whole.rfind("\n"), whole.rfind("\r")) + 1
    pattern = re.escape(trailer).replace(r"\{count\}", r"[ \"]*0*(\d{1,18})[ \"]*", 1)
    found = re.fullmatch(pattern, whole[at:].strip(), re.ASCII)
    if found is None:
        raise Truncated(
            why_fr="la dernière ligne n'est pas celle qui la termine", why_en="its last line is not the one that ends it"
        )
    return whole[:at], int(found[1]) if found.groups() else None


def counted(text: Text, records: int) -> None:
    """Hold the number of records, those set aside among them, against the trailer; raises `Truncated`."""
    if text.count is not None and text.count != records:
        raise Truncated(
            why_fr=f"il compte {records} enregistrements, et sa dernière ligne en annonce {text.count}",
            why_en=f"it holds {records} records, and its last line says {text.count}",
        )


def undecoded(text: str) -> bool:
    """Whether text holds bytes that were not decoded."""
    return _SURROGATE.search(text) is not None


def shown(text: str) -> str:
    """Write text with the bytes that could not be decoded in hexadecimal."""
    return re.sub("[\udc80-\udcff]", lambda held: f"\\x{ord(held[0]) - 0xDC00:02x}", text).encode("utf-8", "replace").decode()


def encode(text: str, options: Mapping[str, Json]) -> bytes:
    """Write text in the setting's encoding, UTF-8 without one; raises `Unreadable` for signs that it does not have."""
    asked = options.get("encoding", "utf-8")
    try:
        return text.encode(asked if isinstance(asked, str) else "utf-8")
    except UnicodeEncodeError:
        raise Unreadable(why_fr=f"un signe n'existe pas en {asked}", why_en=f"a sign does not exist in {asked}") from None
