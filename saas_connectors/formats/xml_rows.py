"""XML: the elements at one path as rows; the setting `rows` is that path, from the root ("agents/agent").

1. A stranger's XML is read as `saas_connectors.formats.xml` reads it: no DTD, no entity, no network, libxml2's own limits.
2. A child element is a column under its local name; an attribute is one under `@name`. An element that has children is an
   object, one that comes twice a list. Text is text, until a column is declared to be something else; an empty element is
   null.
3. Namespaces are left out of the names: two that would then be the same are one list, and nothing is lost.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from lxml import etree

from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.formats.columns import Raw, beyond, gather
from saas_connectors.formats.csv_text import cell_text
from saas_connectors.formats.format import Reading, Rejected, Row, Truncated, Unreadable, Values

_NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
_CUT: Final = (
    etree.ErrorTypes.ERR_TAG_NOT_FINISHED, etree.ErrorTypes.ERR_DOCUMENT_END, etree.ErrorTypes.ERR_GT_REQUIRED,
    etree.ErrorTypes.ERR_LTSLASH_REQUIRED, etree.ErrorTypes.ERR_ATTRIBUTE_NOT_FINISHED,
    etree.ErrorTypes.ERR_CDATA_NOT_FINISHED, etree.ErrorTypes.ERR_COMMENT_NOT_FINISHED,
)  # fmt: skip
_REFUSED: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Xml:
    """See the laws above."""

    name = "xml"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        if len(body) > settings.limits.unpacked:
            raise beyond(f"{settings.limits.unpacked} octets", f"{settings.limits.unpacked} bytes")
        path = _path(settings)
        body = body.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not body:
            raise Truncated(why_fr="il est vide", why_en="it is empty")
        for element in _elements(body, path):
            value = _value(element, settings.limits.depth)
            yield Row(element.sourceline or 0, value if isinstance(value, dict) else {path[-1]: value})

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        return gather(self.rows(body, settings), settings.limits)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:
        """See `Format`: names that XML does not take are written under `field name="…"`."""
        path = _path(settings) if settings and settings.options.get("rows") else ("rows", "row")
        sink = io.BytesIO()
        with etree.xmlfile(sink, encoding="utf-8") as document:
            document.write_declaration()
            _open(document, path, columns, rows)
        return sink.getvalue()


XML: Final = _Xml()


def _path(settings: Reading) -> tuple[str, ...]:
    path = settings.options.get("rows")
    steps = tuple(path.strip("/").split("/")) if isinstance(path, str) else ()
    if len(steps) < 2 or not all(_NAME.fullmatch(step) for step in steps):
        raise SettingsError(
            field="rows",
            expected_fr="le chemin des lignes depuis la racine, comme « agents/agent »",
            expected_en="the path of the rows from the root, such as `agents/agent`",
        )
    return steps


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _elements(body: bytes, path: tuple[str, ...]) -> Iterator[etree._Element]:
    """Give the elements at the path one by one; each is emptied before the next."""
    reader = etree.iterparse(
        io.BytesIO(body), events=("start", "end"), resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    open_: list[str] = []
    try:
        for event, element in reader:
            if event == "start":
                if not open_:
                    _root(element, path[0])
                open_.append(_local(element))
                continue
            if tuple(open_) == path:
                yield element
            if len(open_) <= len(path):
                _emptied(element)
            open_.pop()
    except etree.XMLSyntaxError as refusal:
        # libxml2's messages quote the document, so only its code is looked at.
        if open_ and refusal.code in _CUT:
            raise Truncated(why_fr="le XML n'a pas sa fin", why_en="the XML lacks its end") from None
        raise Unreadable(why_fr="ce n'est pas du XML bien formé", why_en="it is not well-formed XML") from None


def _root(element: etree._Element, name: str) -> None:
    tree = element.getroottree()
    if tree.docinfo.internalDTD is not None or tree.docinfo.externalDTD is not None:
        raise Unreadable(why_fr="le XML déclare une DTD", why_en="the XML declares a DTD")
    if _local(element) != name:
        raise Unreadable(why_fr=f"la racine n'est pas « {name} »", why_en=f"the root is not `{name}`")


def _emptied(element: etree._Element) -> None:
    element.clear()
    while (parent := element.getparent()) is not None and element.getprevious() is not None:
        del parent[0]


def _value(element: etree._Element, depth: int) -> Json:
    if depth <= 0:
        raise beyond("les niveaux admis", "the levels allowed")
    text = (element.text or "").strip()
    held: dict[str, Any] = {f"@{etree.QName(name).localname}": value for name, value in element.attrib.items()}
    twice: set[str] = set()
    for child in element:
        name = _local(child)
        value = _value(child, depth - 1)
        if name in twice:
            held[name].append(value)
        elif name in held:
            held[name] = [held[name], value]
            twice.add(name)
        else:
            held[name] = value
    if not held:
        return text or None
    return held | {"#text": text} if text else held


def _open(document: Any, path: tuple[str, ...], columns: Sequence[str], rows: Iterable[Values]) -> None:  # noqa: ANN401 - lxml's writer has no public type
    head, *rest = path
    with document.element(head):
        if len(rest) > 1:
            _open(document, tuple(rest), columns, rows)
            return
        for row in rows:
            made = etree.Element(rest[0])
            for name in columns:
                value = row.get(name)
                if value is None:
                    continue
                fits = _NAME.fullmatch(name) is not None
                cell = etree.SubElement(made, name if fits else "field", {} if fits else {"name": name})
                cell.text = _REFUSED.sub("\ufffd", cell_text(value, {}))
            document.write(made)
