"""Workbooks: XLSX and ODS, one sheet as a table. Formulas are never computed: what the workbook last showed is read.

1. The archive's directory, then the size of every sheet, are held to the limits before the workbook is opened
   (`sheet_bounds`).
2. `sheet` names the sheet; without it, the workbook has one. The first row that is not empty holds the titles, after `skip`
   rows.
3. Numbers are decimals of the digits shown by the file; days, instants and booleans are themselves; durations and hours are
   text. An instant of a workbook has no zone: it takes the stream's when its column is declared `timestamp`, and is text
   otherwise.
4. An empty row is no record. A row that has a cell beyond the titles is set aside.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from saas_connectors.connector import Json
from saas_connectors.formats import sheet_writing
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import Raw, content, gather
from saas_connectors.formats.format import Reading, Rejected, Row, Truncated, Unreadable, Values
from saas_connectors.formats.sheet_bounds import measure
from saas_connectors.formats.wrapping import archive

_LOCKED: Final = b"\xd0\xcf\x11\xe0"


class _Workbook:
    """See the laws above."""

    def __init__(self, name: str) -> None:
        self.name = name

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        return iter(self._read(body, settings)[1])

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        titles, rows = self._read(body, settings)
        return gather(rows, settings.limits, titles)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:
        """See `Format`: text is written as text, so that nothing is a formula."""
        sheet = settings.options.get("sheet") if settings else None
        name = sheet if isinstance(sheet, str) else "Feuille1"
        return (sheet_writing.ods if self.name == "ods" else sheet_writing.xlsx)(columns, rows, name)

    def _read(self, body: bytes, settings: Reading) -> tuple[list[str], Iterator[Row | Rejected]]:
        if body[:4] == _LOCKED:
            raise Unreadable(
                why_fr="le classeur est protégé, ou d'un ancien format", why_en="the workbook is locked, or of an old format"
            )
        measure(archive(body, settings.limits), ods=self.name == "ods")
        try:
            book = CalamineWorkbook.from_filelike(io.BytesIO(body))
            sheet = _sheet(book, settings.options.get("sheet"))
        except CalamineError:
            raise Unreadable(why_fr="le classeur n'est pas lisible", why_en="the workbook cannot be read") from None
        skip = settings.options.get("skip", 0)
        lines = _lines(sheet, skip if isinstance(skip, int) else 0)
        line, titles = next(lines, (0, []))
        if not line:
            raise Truncated(why_fr="la feuille est vide", why_en="the sheet is empty")
        while titles and titles[-1] == "":
            titles.pop()
        names = [_title(cell) for cell in titles]
        return names, _rows(lines, names)


XLSX: Final = _Workbook("xlsx")
ODS: Final = _Workbook("ods")


def _sheet(book: CalamineWorkbook, asked: Json) -> CalamineSheet:
    names = [
        each.name for each in book.sheets_metadata
        if each.typ == SheetTypeEnum.WorkSheet and each.visible == SheetVisibleEnum.Visible
    ]  # fmt: skip
    if isinstance(asked, str):
        if asked not in book.sheet_names:
            raise Unreadable(why_fr=f"aucune feuille « {asked} »", why_en=f"no sheet `{asked}`")
        return book.get_sheet_by_name(asked)
    if len(names) != 1:
        raise Unsettled(
            setting="sheet",
            why_fr=f"le classeur a {len(names)} feuilles visibles",
            why_en=f"the workbook has {len(names)} visible sheets",
        )
    return book.get_sheet_by_name(names[0])


def _lines(sheet: CalamineSheet, skip: int) -> Iterator[tuple[int, list[Any]]]:
    """The rows that are not empty, each with its number in the sheet."""
    start = sheet.start
    if start is None:
        return
    for number, cells in enumerate(sheet.to_python(skip_empty_area=True), start[0] + 1):
        if number > skip and any(cell != "" for cell in cells):
            yield number, cells


def _rows(lines: Iterable[tuple[int, list[Any]]], names: Sequence[str]) -> Iterator[Row | Rejected]:
    for line, cells in lines:
        if any(cell != "" for cell in cells[len(names) :]):
            yield Rejected(line, "columns", "", content([None if cell == "" else _value(cell) for cell in cells]))
        elif [str(cell).strip() for cell in cells[: len(names)]] == list(names):
            yield Rejected(line, "titles", "", content([str(cell) for cell in cells]))
        else:
            yield Row(line, {name: None if cell == "" else _value(cell) for name, cell in zip(names, cells, strict=False)})


def _value(cell: Any) -> Json:  # noqa: ANN401 - whatever a cell holds
    return cell.isoformat(sep=" ") if isinstance(cell, datetime) else cell


def _title(cell: Any) -> str:  # noqa: ANN401 - whatever a cell holds
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
