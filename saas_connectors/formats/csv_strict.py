"""CSV row by row (RFC 4180), every row that is not one named by its line: slow, exact, for files that are not regular.

1. A quote opens a cell only at its beginning and closes it only before a separator or the end of a line. Where one does
   otherwise, the line on which its row begins is set aside, and the next line is read as a new row: a stray quote costs a line.
2. A quote that nothing closes on the very last line is a file that was cut, as is a last line without an end and with too few
   cells.
3. A row that repeats the titles is set aside: two files were put end to end.
4. A blank line is no row.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from saas_connectors.formats.columns import content, named
from saas_connectors.formats.format import Limits, Rejected, Row, Truncated, Unreadable
from saas_connectors.formats.text import shown, undecoded

MOST_QUOTES: Final = 1_000
"""Rows with a stray quote, each of which may be read twice; beyond, the file is not what its settings say."""
csv.field_size_limit(1 << 20)


class _Lines:
    """Physical lines, given to the reader one at a time, that can be taken up again from any of them."""

    def __init__(self, text: str) -> None:
        self.held = list(io.StringIO(text, newline=""))
        self.at = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at >= len(self.held):
            raise StopIteration
        self.at += 1
        return self.held[self.at - 1]


def records(text: str, separator: str, quote: str | None, limits: Limits) -> Iterator[tuple[int, list[str] | Rejected]]:
    """Give each row with its line in the text, from 0; raises `Truncated`, `Unreadable`."""
    lines = _Lines(text)
    reader = csv.reader(
        lines, delimiter=separator, quotechar=quote, quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL, strict=True
    )
    strays = 0
    while True:
        began = lines.at
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            open_ = "end of data" in str(error)
            long = max(map(len, lines.held[began : lines.at]), default=0) > limits.cell
            if open_ and began == len(lines.held) - 1 and not long:
                raise Truncated(
                    why_fr="un guillemet n'est pas fermé à la fin", why_en="a quote is not closed at its end"
                ) from None
            strays += 1
            if strays > MOST_QUOTES:
                raise Unreadable(
                    why_fr="trop de guillemets sont hors de leur place", why_en="too many quotes are out of place"
                ) from None
            lines.at = began + 1
            yield (
                began,
                Rejected(began, "too_long" if long else "quote", "", shown(lines.held[began].rstrip("\r\n"))[: limits.cell]),
            )
            continue
        if cells:
            yield began, cells


def _unclosed() -> Truncated:
    return Truncated(why_fr="un guillemet n'est pas fermé à la fin", why_en="a quote is not closed at its end")


def _strays() -> Unreadable:
    return Unreadable(why_fr="trop de guillemets sont hors de leur place", why_en="too many quotes are out of place")


def rows(
    text: str, names: Sequence[str] | None, separator: str, quote: str | None, limits: Limits, first: int
) -> Iterator[Row | Rejected]:
    """Give records under `names`, or under the first row when None. first: the number of the text's first line."""
    ended = text.endswith(("\n", "\r"))
    titles: list[str] | None = None
    waiting: tuple[int, list[str]] | None = None
    found = records(text, separator, quote, limits)
    for line, cells in found:
        if waiting is not None and titles is not None:
            yield _row(waiting, titles, titled=names is None)
            waiting = None
        if isinstance(cells, Rejected):
            if titles is None and names is None:
                raise Unreadable(why_fr="la ligne des titres n'est pas lisible", why_en="the line of titles cannot be read")
            yield Rejected(first + line, cells.reason, "", cells.content)
        elif titles is None and names is None:
            titles = titled(cells)
            named(titles[:-1] if titles[-1] == "" else titles, limits)
        else:
            titles = list(names) if titles is None and names is not None else titles
            waiting = (first + line, cells)
    if waiting is not None and titles is not None:
        if not ended and len(waiting[1]) < len(titles):
            raise Truncated(why_fr="la dernière ligne n'est pas entière", why_en="its last line is not whole")
        yield _row(waiting, titles, titled=names is None)
    elif titles is None and names is None:
        raise Truncated(why_fr="il est vide, sans ligne de titres", why_en="it is empty, without a line of titles")


def titled(cells: Sequence[str]) -> list[str]:
    """The names of columns, spaces around them apart."""
    return [cell.strip() for cell in cells]


def _row(held: tuple[int, list[str]], titles: Sequence[str], *, titled: bool) -> Row | Rejected:
    line, cells = held
    if len(cells) != len(titles):
        return Rejected(line, "columns", "", shown(content(cells)) if not _lone(cells) else content([shown(c) for c in cells]))
    if _lone(cells):
        return Rejected(line, "undecodable", "", content(dict(zip(titles, map(shown, cells), strict=True))))
    if titled and [cell.strip() for cell in cells] == list(titles):
        return Rejected(line, "titles", "", content(cells))
    return Row(line, {name: cell or None for name, cell in zip(titles, cells, strict=True)})


def _lone(cells: Sequence[str]) -> bool:
    return any(undecoded(cell) for cell in cells)
