"""CSV in the dialects that offices export: comma, semicolon, tab or bar, with a header or without.

Source: RFC 4180, and what spreadsheets really write.
"""

import csv
import io
from typing import Final

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.limits import Budget, Unreadable
from sovereign.gateway.dlp.naming import UNSHOWN, shown
from sovereign.gateway.dlp.visiting import Place, Visit, Walked

_SEPARATORS: Final = ";,\t|"
_SAMPLE: Final = 20


def walk(text: str, visit: Visit, budget: Budget, pointer: str = "") -> Walked:
    """Visit each cell. Errors: Unreadable, OverBounds."""
    mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    separator = dialect(text)
    written, ending = io.StringIO(), "\r\n" if "\r\n" in text else "\n"
    pen = csv.writer(written, delimiter=separator, lineterminator=ending)
    header: list[str] | None = None
    count = 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator)):
            if number == 0 and is_header(row):
                header = row
                pen.writerow(row)
                continue
            count += bool(row)
            pen.writerow([_cell(cell, at, header, visit, budget, pointer) for at, cell in enumerate(row)])
    except csv.Error:
        raise Unreadable from None
    return Walked(count, (mark + written.getvalue()).encode())


def dialect(text: str) -> str:
    """Give the separator that cuts the first lines most evenly."""
    lines = [line for line in text[:65536].splitlines()[:_SAMPLE] if line]
    best, most = ",", 0
    for separator in _SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        least = min(counts, default=0)
        if least > 1 and least * (1 + counts.count(least)) > most:
            best, most = separator, least * (1 + counts.count(least))
    return best


def is_header(row: list[str]) -> bool:
    """Say whether a first row names columns: words, no cell that could itself be a value."""
    filled = [cell for cell in row if cell.strip()]
    return bool(filled) and all(shown(cell) != UNSHOWN and not cell.strip().isdecimal() for cell in filled)


def _cell(cell: str, at: int, header: list[str] | None, visit: Visit, budget: Budget, pointer: str) -> str:
    if not cell:
        return cell
    budget.leaf()
    name = header[at] if header and at < len(header) else ""
    return visit(Place(f"{pointer}/*/{shown(name) if name else at + 1}", fields.hints(name)), cell)
