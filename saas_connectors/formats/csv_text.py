"""CSV: a table as text, read by columns when it is regular and row by row when it is not.

1. `separator` and `encoding` are the settings', else found: the separator under which the first lines have the same number of
   cells, two or more. When two separators do, or none, `Unsettled` names the setting; a file of one column needs none.
2. The quick way (Arrow) and the exact one (`csv_strict`) read a regular file alike; the quick one gives up at the first sign
   that a file is not: a quote out of its place, a row of another length, bytes that are no text, titles that come again.
3. An empty cell is null, quoted or not. All else is text, as it was written, until a column is declared to be something else.
4. What is written for a spreadsheet runs nothing: a cell that begins with = + - @, a tab or a carriage return gets an
   apostrophe first, unless it is a number.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from saas_connectors.connector import Json
from saas_connectors.formats import csv_strict, text
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import Raw, gather, named, written
from saas_connectors.formats.format import LIMITS, Limits, Reading, Rejected, Row, Truncated, Values

SEPARATORS: Final = (";", ",", "\t", "|")
_SAMPLE: Final = 200
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Some spreadsheets take the wide signs of East Asia for the narrow ones."""
_NUMBER: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_DENSE: Final = 8
"""Quotes are checked one by one where there is at most one in so many bytes; beyond, the exact way is as quick."""


def separator_of(body: str, quote: str | None = '"') -> str | None:
    """Find the separator of a text, None for one column; raises `Unsettled`."""
    sample = "".join(line for line, _ in zip(io.StringIO(body, newline=""), range(_SAMPLE), strict=False))
    whole = len(sample) == len(body)
    fits = [each for each in SEPARATORS if _fits(sample, each, quote, whole=whole)]
    if len(fits) == 1:
        return fits[0]
    first = sample.partition("\n")[0]
    likely = [each for each in SEPARATORS if each in first]
    if not fits and not likely:
        return None
    if not fits and len(likely) == 1:
        return likely[0]
    raise Unsettled(
        setting="separator",
        why_fr="plusieurs séparateurs donnent des colonnes" if fits else "aucun séparateur ne donne des lignes égales",
        why_en="several separators give columns" if fits else "no separator gives rows of one length",
    )


def _fits(sample: str, separator: str, quote: str | None, *, whole: bool) -> bool:
    try:
        found = [cells for _, cells in csv_strict.records(sample, separator, quote, LIMITS) if isinstance(cells, list)]
    except Truncated:  # a cell that goes on beyond the sample
        return False
    lengths = {len(cells) for cells in (found if whole or len(found) < 2 else found[:-1])}
    return len(lengths) == 1 and lengths.pop() > 1


class _Csv:
    """See the laws above."""

    name = "csv"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`: the exact way."""
        held = text.read(body, settings.options, settings.limits)
        separator, quote, names = manner(held, settings.options)
        count = 0
        for row in csv_strict.rows(held.text, names, separator, quote, settings.limits, held.skipped + 1):
            count += 1
            yield without_end(row)
        text.counted(held, count)

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """Read by columns; raises what `rows` raises."""
        held = text.read(body, settings.options, settings.limits)
        separator, quote, names = manner(held, settings.options)
        table = _quick(held, separator, quote, names, settings.limits)
        if table is not None:
            text.counted(held, table.num_rows)
            lines = partial(_lines, held, separator, quote, names, settings.limits)
            return Raw(table, lines)
        titles = names if names is not None else titles_of(held, separator, quote)
        if names is None and titles and not titles[-1]:
            titles = titles[:-1]
        return gather(self.rows(body, settings), settings.limits, titles)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:
        """See `Format`. settings: `separator` (comma), `encoding` (UTF-8), `decimal`, `dates`."""
        options = settings.options if settings else {}
        sink = io.StringIO(newline="")
        separator = options.get("separator", ",")
        writer = csv.writer(sink, delimiter=separator if isinstance(separator, str) else ",", lineterminator="\r\n")
        writer.writerow([guarded(name) for name in columns])
        for row in rows:
            writer.writerow([guarded(cell_text(row.get(name), options)) for name in columns])
        return text.encode(sink.getvalue(), options)


CSV: Final = _Csv()


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def cell_text(value: Json, options: Mapping[str, Json]) -> str:
    """Write a value as a cell: dates and numbers as the settings `dates` and `decimal` say, null as nothing."""
    from datetime import date, datetime
    from decimal import Decimal

    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    style = options.get("dates")
    if isinstance(value, date) and not isinstance(value, datetime) and isinstance(style, str):
        return style.replace("yyyy", f"{value:%Y}").replace("mm", f"{value:%m}").replace("dd", f"{value:%d}")
    if isinstance(value, Decimal | float | int):
        made = f"{value:f}" if isinstance(value, Decimal) else repr(value)
        return made.replace(".", ",") if options.get("decimal") == "," else made
    return written(value)


def manner(held: text.Text, options: Mapping[str, Json]) -> tuple[str, str | None, list[str] | None]:
    """The separator, the quote (None for none) and the names of the columns (None for the first row)."""
    quote = options.get("quote", '"')
    mark = quote if isinstance(quote, str) and quote != "none" else None
    asked, names = options.get("separator"), options.get("columns")
    if not held.text or held.text.isspace():
        raise Truncated(why_fr="il est vide", why_en="it is empty")
    separator = asked if isinstance(asked, str) else separator_of(held.text, mark) or ";"
    return separator, mark, [str(name) for name in names] if isinstance(names, list) else None


def titles_of(held: text.Text, separator: str, quote: str | None) -> list[str]:
    """The names of the columns, in the first row."""
    for _, cells in csv_strict.records(held.text, separator, quote, LIMITS):
        if isinstance(cells, list):
            return csv_strict.titled(cells)
        break
    return []


def _quick(held: text.Text, separator: str, quote: str | None, names: list[str] | None, limits: Limits) -> pa.Table | None:
    """Read a regular text by Arrow; None when it is not regular."""
    if not held.clean or not held.text.endswith("\n"):
        return None
    first = held.text.partition("\n")[0]
    if names is None and (not first.strip() or "\r" in first.rstrip("\r") or (quote is not None and quote in first)):
        return None
    titles = names if names is not None else csv_strict.titled(first.rstrip("\r").split(separator))
    if not titles or "" in titles or len(titles) < 2 or len(set(titles)) != len(titles):
        return None
    named(titles, limits)
    body = held.text.encode()
    marks = quote.encode() if quote is not None else b""
    quoted = bool(marks) and marks in body
    if quoted and (dense(body, marks) or not quotes_around_cells(body, separator, marks)):
        return None
    table = parsed(body, titles, separator, quote if quoted else None, limits, skip=0 if names is not None else 1)
    return None if table is None or (names is None and titled_again(table, titles)) else table


def parsed(
    body: bytes, titles: Sequence[str], separator: str, quote: str | None, limits: Limits, *, skip: int = 0
) -> pa.Table | None:
    """Read lines of UTF-8 by Arrow, all cells text; None when a line is not of the length of `titles`, or beyond the limits.

    quote: None when there is none in them. skip: lines before the first.
    """
    broken: list[int] = []

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        broken.append(row.actual_columns)
        return "error"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(body),
            pyarrow.csv.ReadOptions(
                use_threads=False, column_names=titles, skip_rows=skip, block_size=len(body) + 16
            ),
            pyarrow.csv.ParseOptions(
                delimiter=separator, quote_char=quote or False, double_quote=quote is not None, escape_char=False,
                newlines_in_values=quote is not None, ignore_empty_lines=False, invalid_row_handler=refuse,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(titles, pa.string()), null_values=[""], strings_can_be_null=True,
                quoted_strings_can_be_null=True, check_utf8=False,
            ),
        )  # fmt: skip
    except pa.ArrowInvalid:
        return None
    if broken or table.num_rows > limits.rows or _blank(table):
        return None
    longest = max((pc.max(pc.binary_length(column)).as_py() or 0 for column in table.columns), default=0)
    return None if longest > limits.cell else table


def titled_again(table: pa.Table, titles: Sequence[str]) -> bool:
    """Whether a row may repeat the titles."""
    return bool(pc.any(pc.equal(pc.utf8_trim_whitespace(table.column(0)), titles[0])).as_py())


def dense(body: bytes, quote: bytes) -> bool:
    """Whether there are so many quotes that the exact way is as quick."""
    return body.count(quote) > len(body) // _DENSE


def _blank(table: pa.Table) -> bool:
    """Whether a row is all nulls: Arrow takes a blank line, which is no row, for one."""
    if not all(column.null_count for column in table.columns):
        return False
    empty = pc.is_null(table.column(0))
    for column in table.columns[1:]:
        empty = pc.and_(empty, pc.is_null(column))
    return bool(pc.any(empty).as_py())


def quotes_around_cells(body: bytes, separator: str, quote: bytes) -> bool:
    """Whether every quote opens a cell at its beginning, is doubled inside one, or closes it at its end."""
    edge, mark = re.escape(separator.encode()) + rb"\r\n", re.escape(quote)
    cell = rb"(?:(?<=[" + edge + rb"])|\A)" + mark + rb"[^" + mark + rb"]*+(?:" + mark * 2 + rb"[^" + mark + rb"]*+)*+" + mark
    left = re.sub(cell + rb"(?=[" + edge + rb"]|\Z)", b"", body)
    return quote not in left


def _lines(held: text.Text, separator: str, quote: str | None, names: list[str] | None, limits: Limits) -> list[int]:
    if quote is None or quote not in held.text:
        start = held.skipped + (1 if names is not None else 2)
        return list(range(start, start + held.text.count("\n") + held.text.count("\r") + 1))
    found = csv_strict.rows(held.text, names, separator, quote, limits, held.skipped + 1)
    return [row.line for row in found if isinstance(row, Row)]


def without_end(row: Row | Rejected) -> Row | Rejected:
    """Drop the nameless column that a separator at the end of every line makes, when its cell is empty."""
    if isinstance(row, Rejected) or "" not in row.values:
        return row
    if row.values[""] is not None:
        return Rejected(row.line, "columns", "", written(dict(row.values)))
    return Row(row.line, {name: value for name, value in row.values.items() if name})
