"""The bytes of a part as text: its transfer encoding, its charset, the words of HTML. Each in a time that its length bounds.

1. What does not decode is kept as near as can be, never an error; a text that was cut in the middle of a character is read
   until there.
2. A charset that is none for texts, or slow on a text made for it (`idna`, `punycode`), is not believed.
3. Of HTML, the words without marks, scripts and styles: no parser of the library, whose time a mail can make quadratic.
"""

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from typing import Final

_MARKS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BREAKS: Final = frozenset({"p", "br", "div", "tr", "li", "h1", "h2", "h3", "h4", "blockquote"})
_QUIET: Final = frozenset({"script", "style", "head", "title"})
_NAME: Final = re.compile(r"</?([A-Za-z][A-Za-z0-9:-]{0,40})")
_UNBELIEVED: Final = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})


def untransferred(content: bytes, encoding: str) -> bytes:
    """Take the transfer encoding off (RFC 2045 section 6); what does not decode stays as it is."""
    if encoding == "base64":
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", content)
        with suppress(binascii.Error):
            return base64.b64decode(kept[: len(kept) - (len(kept) % 4 == 1)] + b"=" * (-len(kept) % 4))
    if encoding == "quoted-printable":
        return quopri.decodestring(content)
    return content


def extract(content: bytes, encoding: str, charset: str, *, html: bool, most: int) -> str:
    """Read the text of a part (bytes as they were sent) as at most `most` characters."""
    said = characters(untransferred(content, encoding), charset)
    if html:
        said = re.sub(r"[ \t]+", " ", "".join(_words(said)))
    said = _MARKS.sub(" ", said.replace("\r\n", "\n")).encode("utf-8", "replace").decode()
    return re.sub(r"\n{3,}", "\n\n", said).strip()[:most]


def characters(content: bytes, charset: str) -> str:
    """Read bytes in the charset that is said, or in UTF-8, or as near as can be."""
    for name in (charset, "utf-8"):
        with suppress(LookupError, UnicodeError, ValueError):
            if name and codecs.lookup(name).name not in _UNBELIEVED:
                return _until_cut(content, name)
    return content.decode("latin-1" if charset.lower() in ("", "us-ascii") else "utf-8", "replace")


def _until_cut(content: bytes, charset: str) -> str:
    with suppress(UnicodeError):
        return content.decode(charset)
    return codecs.getincrementaldecoder(charset)().decode(content)


def _words(page: str) -> Iterator[str]:
    """The words of a page; one pass, and one search at most for each end that is not there."""
    at, lacking = 0, set[str]()

    def after(end: str, start: int) -> int | None:
        found = None if end in lacking else re.compile(re.escape(end), re.IGNORECASE).search(page, start)
        if found is None:
            lacking.add(end)
        return found.end() if found else None

    while (mark := page.find("<", at)) >= 0:
        yield unescape(page[at:mark])
        if page.startswith("<!--", mark):
            at = after("-->", mark + 4) or len(page)
            continue
        named = _NAME.match(page, mark)
        if named is None and page[mark + 1 : mark + 2] not in ("!", "?"):
            yield "<"
            at = mark + 1
            continue
        at = after(">", mark) or len(page)
        name = named[1].lower() if named else ""
        if name in _BREAKS and page[mark + 1] != "/":
            yield "\n"
        elif name in _QUIET and page[mark + 1] != "/":
            end = after(f"</{name}", at)
            if end is not None:
                at = after(">", end) or len(page)
            elif name in ("script", "style"):
                return
    yield unescape(page[at:])
