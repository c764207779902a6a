"""Forms: urlencoded pairs, and multipart bodies whose parts may be multipart again.

Sources: WHATWG URL (application/x-www-form-urlencoded), RFC 7578 (form-data), RFC 2046 (boundaries). Parts that nothing changes
keep their bytes, so that a file is never rewritten by the way.
"""

import base64
import binascii
import quopri
import re
from email.message import Message
from email.parser import HeaderParser
from itertools import pairwise
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlencode

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.limits import Budget, OverBounds, Unreadable
from sovereign.gateway.dlp.naming import shown
from sovereign.gateway.dlp.visiting import Place, Visit, Walked

_NESTED: Final = 4
_HEAD: Final = 16384


class Inside(Protocol):
    """Walks the content of a part by its own type."""

    def __call__(self, body: bytes, content_type: str, pointer: str, name: str, nested: int, /) -> Walked:
        """As `walk`. Errors: OverBounds; what cannot be read is opaque."""
        ...


def walk(body: bytes, charset: str, visit: Visit, budget: Budget, pointer: str = "") -> Walked:
    """Visit urlencoded pairs. Errors: Unreadable, OverBounds."""
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise Unreadable from None
    charset = charset or "utf-8"
    if text.count("&") >= budget.leaves:
        raise OverBounds
    pairs = parse_qsl(text, keep_blank_values=True, encoding=charset, errors="surrogateescape")
    kept = []
    for name, value in pairs:
        budget.leaf()
        known = visit(Place(f"{pointer}/{{name}}"), name) if len(name) > 8 else name
        kept.append((known, visit(Place(f"{pointer}/{shown(name)}", fields.hints(name)), value)))
    same = all(a is c and b is d for (a, b), (c, d) in zip(pairs, kept, strict=True))
    return Walked(1, body if same else urlencode(kept, encoding=charset, errors="surrogateescape").encode())


def walk_parts(
    body: bytes, content_type: str, visit: Visit, budget: Budget, inside: Inside, pointer: str = "", nested: int = 0
) -> Walked:
    """Visit each part of a multipart body. Errors: Unreadable, OverBounds."""
    if nested >= _NESTED:
        raise OverBounds
    boundary = _boundary(content_type)
    if not boundary:
        raise Unreadable
    line = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("latin-1", "replace")) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    marks = list(line.finditer(body))
    if len(marks) < 2 or not marks[-1][1]:
        raise Unreadable
    written, records = [body[: marks[0].start()]], 1
    opaque: list[str] = []
    # Before the first boundary and after the last some readers look too.
    for outside in (body[: marks[0].start()], body[marks[-1].end() :]):
        if outside.strip():
            visit(Place(pointer), outside.decode("latin-1"))
    for mark, following in pairwise(marks):
        budget.leaf()
        part = _part(body[mark.end() : following.start()], visit, budget, inside, pointer, nested)
        records, opaque = max(records, part.records), opaque + list(part.opaque)
        written += [mark[0], part.body]
    written += [marks[-1][0], body[marks[-1].end() :]]
    return Walked(records, b"".join(written), tuple(opaque))


def closing(content_type: str) -> bytes:
    """The line that ends a multipart body of this type; empty when it names no boundary."""
    boundary = _boundary(content_type)
    return b"\r\n--" + boundary.encode("latin-1", "replace") + b"--\r\n" if boundary else b""


def _boundary(content_type: str) -> str:
    found = _headers(f"Content-Type: {content_type}").get_param("boundary")
    return found if isinstance(found, str) and len(found) <= 200 else ""


def _part(raw: bytes, visit: Visit, budget: Budget, inside: Inside, pointer: str, nested: int) -> Walked:
    head, gap, content = _cut(raw)
    headers = _headers(head.decode("utf-8", "surrogateescape"))
    name = headers.get_param("name", "", "content-disposition")
    name = name if isinstance(name, str) else name[2]
    known = visit(Place(f"{pointer}/{{name}}"), name) if len(name) > 8 else name
    under = f"{pointer}/{shown(name)}" if name else f"{pointer}/*"
    file = headers.get_filename()
    if file:
        budget.leaf()
        renamed = visit(Place(f"{under}/@filename"), file)
        head = head.replace(file.encode("utf-8", "surrogateescape"), renamed.encode("utf-8", "surrogateescape"))
    head = head if known is name else head.replace(name.encode(), known.encode())
    encoding = str(headers.get("content-transfer-encoding", "")).strip().lower()
    plain = _decoded(content, encoding)
    budget.decode(len(plain) if plain is not content else 0)
    kind = str(headers.get("content-type") or ("application/octet-stream" if file else "text/plain"))
    walked = inside(plain, kind, under, name, nested + 1)
    if walked.body is not plain and walked.body != plain:
        content = _encoded(walked.body, encoding)
    return Walked(walked.records, head + gap + content, walked.opaque)


def _cut(raw: bytes) -> tuple[bytes, bytes, bytes]:
    for gap in (b"\r\n\r\n", b"\n\n"):
        head, found, content = raw.partition(gap)
        if found and len(head) <= _HEAD:
            return head, found, content
    raise Unreadable


def _headers(text: str) -> Message:
    return HeaderParser().parsestr(text.lstrip("\r\n"), headersonly=True)


def _decoded(content: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        try:
            return base64.b64decode(content)
        except (binascii.Error, ValueError):
            raise Unreadable from None
    return quopri.decodestring(content) if encoding == "quoted-printable" else content


def _encoded(content: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(content).replace(b"\n", b"\r\n").rstrip(b"\r\n")
    return quopri.encodestring(content) if encoding == "quoted-printable" else content
