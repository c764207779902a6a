"""How big a sheet really is, found without laying it out: a workbook of a kilobyte can ask for sixteen thousand million cells.

1. Every part that can hold cells is read element by element, nothing kept: a cell's place (`XFD1048576`), or how many times
   it is repeated, gives the rectangle that a reader would lay out. Beyond `CELLS` the workbook is refused, before any
   reader sees it.
2. Parts are UTF-8, without DTD, well formed, and of one format alone: two readers then see the same elements.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from lxml import etree

from saas_connectors.formats.columns import beyond
from saas_connectors.formats.format import Truncated, Unreadable
from saas_connectors.formats.wrapping import Archive

CELLS: Final = 10_000_000
"""The most cells of a workbook laid out."""
_BOOKS: Final = {"xlsx": "xl/workbook.xml", "ods": "content.xml", "xlsb": "xl/workbook.bin"}
"""The part by which a reader knows each format: with one of them alone, it opens what was measured and nothing else."""
_PIECE: Final = 1 << 16
_PLACE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})", re.ASCII)
_DECLARED: Final = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)[\"']")


class _Scan:
    """Counts what a part would lay out; what lxml calls a parser target."""

    def __init__(self) -> None:
        self.area = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.opened(tag.rpartition("}")[2], attributes)

    def opened(self, _name: str, _attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def doctype(self, *_: object) -> None:
        raise Unreadable(why_fr="le classeur déclare une DTD", why_en="the workbook declares a DTD")

    def close(self) -> int:
        return self.area

    def grown(self, area: int) -> None:
        self.area = max(self.area, area)
        if self.area > CELLS:
            raise beyond(f"{CELLS} cellules, vides comprises", f"{CELLS} cells, empty ones among them")


class _Xlsx(_Scan):
    def __init__(self) -> None:
        super().__init__()
        self.row = self.column = 0
        self.rows = self.columns = 0

    def opened(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self.row, self.column = _number(attributes.get("r"), self.row + 1), 0
        elif name == "c":
            place = attributes.get("r")
            if place is None:
                self.column, row = self.column + 1, self.row
            else:
                found = _PLACE.fullmatch(place)
                if found is None:
                    raise Unreadable(why_fr="une cellule n'a pas de place", why_en="a cell has no place")
                self.column, row = _letters(found[1]), int(found[2])
            if row > self.rows or self.column > self.columns:
                self.rows, self.columns = max(self.rows, row), max(self.columns, self.column)
                self.grown(self.rows * self.columns)


class _Ods(_Scan):
    def __init__(self) -> None:
        super().__init__()
        self.before = self.rows = self.columns = 0
        self.row = self.repeated = self.column = 0
        self.pending = 0

    def opened(self, name: str, attributes: Mapping[str, str]) -> None:
        held = {key.rpartition("}")[2]: value for key, value in attributes.items()}
        if name == "table":
            self.before += self.rows * self.columns
            self.row = self.repeated = self.rows = self.columns = 0
        elif name == "table-row":
            self.row += self.repeated
            self.repeated, self.column = _number(held.get("number-rows-repeated"), 1), 0
        elif name in ("table-cell", "covered-table-cell"):
            self.column += _number(held.get("number-columns-repeated"), 1)
            if any(key.endswith(("value", "value-type", "formula")) for key in held):
                self._filled()
        elif name == "p":
            self._filled()

    def _filled(self) -> None:
        self.rows, self.columns = max(self.rows, self.row + self.repeated), max(self.columns, self.column)
        self.grown(self.before + self.rows * self.columns)


def _number(value: str | None, without: int) -> int:
    if value is None:
        return without
    if not (value.isascii() and value.isdigit() and len(value) < 9):
        raise Unreadable(why_fr="un nombre du classeur n'en est pas un", why_en="a number of the workbook is not one")
    return int(value)


def _letters(column: str) -> int:
    number = 0
    for letter in column:
        number = number * 26 + ord(letter) - 64
    return number


def measure(held: Archive, *, ods: bool) -> int:
    """The most cells that a sheet of the workbook lays out; raises Truncated, Unreadable beyond `CELLS`."""
    names = {entry.filename.lower().replace("\\", "/").lstrip("/") for entry in held.entries}
    if (_BOOKS["ods" if ods else "xlsx"] not in names) or len(names & set(_BOOKS.values())) != 1:
        raise Unreadable(why_fr="ce n'est pas un classeur de ce format", why_en="it is not a workbook of this format")
    area = 0
    for entry in held.entries:
        content = held.read(entry)
        if content[:4].count(0) and content.lstrip(b"\xff\xfe\0")[:1] == b"<":
            raise _wide()
        if (b"office:" in content or b"table-row" in content) if ods else b"sheetData" in content:
            area = max(area, _scan(content, _Ods() if ods else _Xlsx()))
    return area


def _wide() -> Unreadable:
    return Unreadable(why_fr="le classeur n'est pas en UTF-8", why_en="the workbook is not in UTF-8")


def _scan(content: bytes, scan: _Scan) -> int:
    declared = _DECLARED.match(content.removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
        raise _wide()
    parser = etree.XMLParser(target=cast(Any, scan), resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        content.decode()
        for at in range(0, len(content), _PIECE):
            parser.feed(content[at : at + _PIECE])
        return int(parser.close())
    except (etree.XMLSyntaxError, UnicodeDecodeError):
        raise Truncated(
            why_fr="une partie du classeur n'est pas entière", why_en="a part of the workbook is not whole"
        ) from None
