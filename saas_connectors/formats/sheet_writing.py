"""Workbooks written from nothing: one sheet, titles first, every cell a value of its kind and never a formula.

Text is written as text (an inline string in XLSX, a string in ODS): `=1+1` is five signs there, and needs no apostrophe.
Numbers of more than fifteen digits are text, which a spreadsheet would round. The same records give the same bytes.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from saas_connectors.connector import Json
from saas_connectors.formats.columns import beyond, written
from saas_connectors.formats.format import Values
from saas_connectors.formats.wrapping import part

_ROWS: Final = 1_048_576
_COLUMNS: Final = 16_384
_CELL: Final = 32_767
_REFUSED: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHEET: Final = re.compile(r"[\[\]:*?/\\']")
_DIGITS: Final = 15
_EPOCH: Final = date(1899, 12, 30)
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STYLE: Final = '<xf numFmtId="{}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_ODF: Final = "urn:oasis:names:tc:opendocument:xmlns"
_ODS: Final = "application/vnd.oasis.opendocument.spreadsheet"


def xlsx(columns: Sequence[str], rows: Iterable[Values], sheet: str) -> bytes:
    """Write a workbook of Office Open XML (ISO/IEC 29500), transitional."""
    names = [_letters(at) for at in range(len(columns))]
    lines = []
    for number, row in enumerate(_lines(columns, rows), 1):
        cells = (_xlsx_cell(f"{name}{number}", value) for name, value in zip(names, row, strict=True))
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    links = f'<Relationships xmlns="{_PACKAGE}/relationships">'
    rel = f'<Relationship Id="rId1" Type="{_OFFICE}/'
    formats = '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd hh:mm:ss"/></numFmts>'
    styles = "".join(_STYLE.format(each) for each in (0, 14, 164))
    return _packed({
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
        "_rels/.rels": f'{links}{rel}officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        f'<sheet name={quoteattr(_sheet(sheet))} sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{links}{rel}worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}">{formats}<fonts count="1"><font/></fonts><fills count="2"><fill/><fill>'
        '<patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="3">{styles}</cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
    })  # fmt: skip


def ods(columns: Sequence[str], rows: Iterable[Values], sheet: str) -> bytes:
    """Write a workbook of OpenDocument 1.3 (ISO/IEC 26300)."""
    lines = [f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in _lines(columns, rows)]
    spaces = " ".join(f'xmlns:{name}="{_ODF}:{name}:1.0"' for name in ("office", "table", "text"))
    return _packed({
        "mimetype": _ODS,
        "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0" manifest:version="1.3">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{_ODS}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>',
        "content.xml": f'<office:document-content {spaces} office:version="1.3"><office:body><office:spreadsheet>'
        f"<table:table table:name={quoteattr(_sheet(sheet))}>{''.join(lines)}</table:table>"
        "</office:spreadsheet></office:body></office:document-content>",
    })  # fmt: skip


def _packed(parts: dict[str, str]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as held:
        for name, text in parts.items():
            entry = part(name)
            if name == "mimetype":  # first and not compressed, by which it is recognised
                entry.compress_type = zipfile.ZIP_STORED
                held.writestr(entry, text)
            else:
                held.writestr(entry, _HEAD + text)
    return sink.getvalue()


def _lines(columns: Sequence[str], rows: Iterable[Values]) -> Iterable[list[Json]]:
    if len(columns) > _COLUMNS:
        raise beyond(f"{_COLUMNS} colonnes", f"{_COLUMNS} columns")
    yield list(columns)
    for number, row in enumerate(rows, 2):
        if number > _ROWS:
            raise beyond(f"{_ROWS} lignes", f"{_ROWS} rows")
        yield [row.get(name) for name in columns]


def _letters(at: int) -> str:
    made, at = "", at + 1
    while at:
        at, left = divmod(at - 1, 26)
        made = chr(65 + left) + made
    return made


def _sheet(name: str) -> str:
    return _SHEET.sub(" ", _REFUSED.sub("", name))[:31].strip() or "Feuille1"


def _text(value: Json) -> str:
    made = _REFUSED.sub("\ufffd", value if isinstance(value, str) else written(value))
    if len(made) > _CELL:
        raise beyond(f"{_CELL} caractères dans une cellule", f"{_CELL} characters in a cell")
    return made


def _number(value: Json) -> str | None:
    """A number that a spreadsheet keeps as it is, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return f"{number:f}" if number.is_finite() and len(number.normalize().as_tuple().digits) <= _DIGITS else None


def _xlsx_cell(place: str, value: Json) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if (number := _number(value)) is not None:
        return f'<c r="{place}"><v>{number}</v></c>'
    if isinstance(value, datetime):
        if value.tzinfo is None and value.microsecond == 0 and value.date() > date(1900, 3, 1):
            seconds = (value - datetime(_EPOCH.year, _EPOCH.month, _EPOCH.day)).total_seconds()  # noqa: DTZ001 - it has no zone
            return f'<c r="{place}" s="2"><v>{seconds / 86400!r}</v></c>'
        value = value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    elif isinstance(value, date) and value > date(1900, 3, 1):
        return f'<c r="{place}" s="1"><v>{(value - _EPOCH).days}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(_text(value))}</t></is></c>'


def _ods_cell(value: Json) -> str:
    if value is None or value == "":
        return "<table:table-cell/>"
    kind, attribute, shown = "string", "", ""
    if isinstance(value, bool):
        kind, attribute, shown = "boolean", f' office:boolean-value="{str(value).lower()}"', str(value).lower()
    elif (number := _number(value)) is not None:
        kind, attribute, shown = "float", f' office:value="{number}"', number
    elif isinstance(value, date) and not isinstance(value, datetime):
        kind, attribute, shown = "date", f' office:date-value="{value.isoformat()}"', value.isoformat()
    else:
        shown = escape(_text(value))
        attribute = f" office:string-value={quoteattr(_text(value))}"
    return f'<table:table-cell office:value-type="{kind}"{attribute}><text:p>{shown}</text:p></table:table-cell>'
