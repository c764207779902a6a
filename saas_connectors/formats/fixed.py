"""Fixed width: each column at its place in the line.

1. `widths` names the columns in order, with the characters of each; the name "" or one that begins with "_" fills a gap.
2. A line is as long as its columns together. One that is not is set aside; the last one, when it has no end and is shorter,
   is a file that was cut.
3. Spaces around a cell are filling. An empty cell is null; all else is text until a column is declared to be something
   else.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.formats import text
from saas_connectors.formats.columns import Raw, content, gather
from saas_connectors.formats.csv_text import cell_text
from saas_connectors.formats.format import Reading, Rejected, Row, Truncated, Unreadable, Values


class _Fixed:
    """See the laws above."""

    name = "fixed"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        held, widths = text.read(body, settings.options, settings.limits), widths_of(settings.options)
        if not held.text.strip():
            raise Truncated(why_fr="il est vide", why_en="it is empty")
        count, number = 0, held.skipped
        for line in io.StringIO(held.text, newline=""):
            number += 1
            cells = line.rstrip("\r\n")
            if not cells:
                continue
            count += 1
            if len(cells) < sum(widths.values()) and cells == line:
                raise Truncated(why_fr="la dernière ligne n'est pas entière", why_en="its last line is not whole")
            yield row(number, cells, widths)
        text.counted(held, count)

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        names = [name for name in widths_of(settings.options) if not name.startswith("_") and name]
        return gather(self.rows(body, settings), settings.limits, names)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:
        """See `Format`: numbers to the right, the rest to the left; a value longer than its column is refused."""
        options = settings.options if settings else {}
        widths = widths_of(options)
        lines = []
        for each in rows:
            cells = []
            for name, width in widths.items():
                value = each.get(name) if name in columns else None
                cell = cell_text(value, options)
                if len(cell) > width or "\n" in cell or "\r" in cell:
                    raise Unreadable(
                        why_fr=f"une valeur ne tient pas dans les {width} caractères de « {name} »",
                        why_en=f"a value does not fit the {width} characters of `{name}`",
                    )
                right = not isinstance(value, str) and value is not None
                cells.append(cell.rjust(width) if right else cell.ljust(width))
            lines.append("".join(cells))
        return text.encode("".join(f"{line}\r\n" for line in lines), options)


FIXED: Final = _Fixed()


def widths_of(options: Mapping[str, Json]) -> dict[str, int]:
    """The characters of each column; raises `SettingsError`."""
    held = options.get("widths")
    if not isinstance(held, dict) or not held:
        raise SettingsError(
            field="widths",
            expected_fr="une table « colonne = nombre de caractères », dans l'ordre des lignes",
            expected_en="a table `column = number of characters`, in the order of the lines",
        )
    return held


def row(number: int, line: str, widths: Mapping[str, int]) -> Row | Rejected:
    """Read one line, its end taken off."""
    if len(line) != sum(widths.values()):
        return Rejected(number, "columns", "", text.shown(line))
    if text.undecoded(line):
        return Rejected(number, "undecodable", "", text.shown(line))
    values: dict[str, Json] = {}
    at = 0
    for name, width in widths.items():
        if name and not name.startswith("_"):
            values[name] = line[at : at + width].strip() or None
        at += width
    return Row(number, values) if values else Rejected(number, "columns", "", content(line))
