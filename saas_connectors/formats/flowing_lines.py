"""CSV and fixed width, block by block.

1. A block ends at the end of a line. Of CSV, it also ends outside of quotes: where a quote stands anywhere but around a cell, a
   block cannot be told from the inside of a cell, and the file is held whole.
2. The first line is kept, and stands before a block that is read the exact way: titles that come again are seen.
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.types as kinds

from saas_connectors.formats import csv_strict, csv_text, fixed, text
from saas_connectors.formats.columns import Raw, gather, named
from saas_connectors.formats.flowing import BLOCK, Whole
from saas_connectors.formats.format import Reading, Rejected, Row, Truncated
from vault.content import Content, blocks

_LINES: Final = ("utf-8", "cp1252", "latin-1", "iso-8859-15")
"""Encodings in which a byte 10 is the end of a line, and nothing else."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines. line: the number of the first; text: as `text.read` gives it, of these lines alone; last: none follow."""

    line: int
    held: text.Text
    last: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """A text file as blocks of lines, in their order. quote: what a line may stand between two of."""

    content: Content
    reading: Reading
    encoding: str
    quote: str | None = None

    @classmethod
    def of(cls, content: Content, reading: Reading, quote: str | None = None) -> "Lines":
        """Find the encoding; raises Whole, Unsettled."""
        asked = reading.options.get("encoding")
        encoding = asked if isinstance(asked, str) else _encoding(content)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        if encoding not in _LINES or content.size > reading.limits.unpacked or not (quote or "").isascii():
            raise Whole
        return cls(content, reading, encoding, quote)

    def blocks(self) -> Iterator[Block]:
        """Give the blocks; raises Whole, Truncated."""
        skip, trailer = self.reading.options.get("skip", 0), self.reading.options.get("trailer")
        skipped = skip if isinstance(skip, int) else 0
        line, waiting, pieces = 1, b"", self._pieces()
        waiting = next(pieces, b"")
        if self.encoding == "utf-8":
            waiting = waiting.removeprefix(codecs.BOM_UTF8)
        for _ in range(skipped):
            waiting, line = waiting.partition(b"\n")[2], line + 1
        if not waiting:
            raise Whole
        for piece in pieces:
            if len(piece) < BLOCK // 2:  # a short end goes with what is before it: a trailer is then never cut from its lines
                waiting += piece
                continue
            made = self._decoded(waiting)
            yield Block(line, made, last=False)
            line, waiting = line + _ends(made.text), piece
        made = self._decoded(waiting)
        if isinstance(trailer, str):
            lines, count = text.trailed(made.text, trailer)
            made = replace(made, text=lines, count=count)
        yield Block(line, made, last=True)

    def _pieces(self) -> Iterator[bytes]:
        """The bytes, cut at ends of lines outside of quotes."""
        mark = self.quote.encode(self.encoding) if self.quote is not None else b""
        held = b""
        for block in blocks(self.content, BLOCK):
            held += block
            at = _end(held, mark)
            if at:
                yield held[:at]
                held = held[at:]
            elif len(held) > 4 * BLOCK:
                raise Whole
        if held:
            yield held

    def _decoded(self, body: bytes) -> text.Text:
        try:
            return text.Text(body.decode(self.encoding), self.encoding, clean=True)
        except UnicodeDecodeError:
            return text.Text(body.decode(self.encoding, "surrogateescape"), self.encoding, clean=False)


def _encoding(content: Content) -> str:
    """See `text.encoding_of`, of which only the first and last bytes are ever in hand."""
    with content.open() as file:
        head = file.read(4096)
        found = text.encoding_of(head[: head.rfind(b"\n") + 1] or head) if not head.isascii() or b"\0" in head else "utf-8"
        if found not in ("utf-8", "cp1252"):
            return found
    decoder, plain = codecs.getincrementaldecoder("utf-8")(), True
    try:
        for block in blocks(content):
            plain = decoder.decode(block).isascii() and plain
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as stopped:
        if stopped.reason == "unexpected end of data" and not plain:
            return "utf-8"  # cut inside a character: the rest is UTF-8
        for block in blocks(content):
            if text.LATIN_9.search(block):
                raise Whole from None  # says what is to be settled
        return "cp1252"
    return "utf-8"


def _end(held: bytes, mark: bytes) -> int:
    """The end of the last line that ends outside of quotes; 0 for none."""
    at = held.rfind(b"\n") + 1
    if not mark or not at:
        return at
    odd = held.count(mark, 0, at) % 2
    while odd and at > 1:
        before = held.rfind(b"\n", 0, at - 1) + 1
        odd = (odd + held.count(mark, before, at)) % 2
        at = before
    return at


def _ends(held: str) -> int:
    return held.count("\n") + held.count("\r") - held.count("\r\n")


@dataclass(frozen=True, slots=True)
class _Csv:
    lines: Lines
    separator: str
    quote: str | None
    names: list[str] | None
    head: str
    titles: list[str]

    def blocks(self) -> Iterator[Raw]:
        """See `Flow`."""
        count, limits = 0, self.lines.reading.limits
        for block in self.lines.blocks():
            held, line = block.held, block.line
            if line == self._first and self.names is None:
                held, line = replace(held, text=held.text[len(self.head) :]), line + 1
            raw = self._raw(held, line)
            count += raw.records.num_rows + len(raw.rejected)
            if block.last:
                text.counted(held, count)
            if raw.records.num_rows or raw.rejected:
                named(raw.records.column_names, limits)
                yield raw

    @property
    def _first(self) -> int:
        skip = self.lines.reading.options.get("skip", 0)
        return 1 + (skip if isinstance(skip, int) else 0)

    def _raw(self, held: text.Text, line: int) -> Raw:
        limits = self.lines.reading.limits
        body = held.text.encode() if held.clean else held.text.encode("utf-8", "surrogatepass")
        marks = self.quote.encode() if self.quote is not None else b""
        quoted = bool(marks) and marks in body
        if quoted and not csv_text.quotes_around_cells(body, self.separator, marks):
            raise Whole
        plain = held.clean and held.text.endswith("\n") and "" not in self.titles and len(self.titles) > 1
        if plain and not (quoted and csv_text.dense(body, marks)):
            table = csv_text.parsed(body, self.titles, self.separator, self.quote if quoted else None, limits)
            if table is not None and not (self.names is None and csv_text.titled_again(table, self.titles)):
                return Raw(table, partial(self._places, held, line, quoted=quoted))
        titles = self.titles[:-1] if self.titles[-1:] == [""] else self.titles
        made = gather(self._rows(held, line), limits, titles)
        nulls = [(at, each.name) for at, each in enumerate(made.records.schema) if kinds.is_null(each.type)]
        table = made.records
        for at, name in nulls:
            table = table.set_column(at, name, table.column(at).cast(pa.string()))
        return Raw(table, made.lines, made.rejected)

    def _rows(self, held: text.Text, line: int) -> Iterator[Row | Rejected]:
        limits = self.lines.reading.limits
        if self.names is None:
            found = csv_strict.rows(self.head + held.text, None, self.separator, self.quote, limits, line - 1)
        else:
            found = csv_strict.rows(held.text, self.names, self.separator, self.quote, limits, line)
        return map(csv_text.without_end, found)

    def _places(self, held: text.Text, line: int, *, quoted: bool) -> list[int]:
        if not quoted:
            return list(range(line, line + _ends(held.text) + 1))
        return [row.line for row in self._rows(held, line) if isinstance(row, Row)]


def csv(content: Content, reading: Reading, sure: bool) -> _Csv:  # noqa: ARG001 - `Begin`
    """Look at a file; raises Whole, Unsettled."""
    asked = reading.options.get("quote", '"')
    quote = asked if isinstance(asked, str) and asked != "none" else None
    lines = Lines.of(content, reading, quote)
    first = next(lines.blocks()).held
    if first.text.isspace():
        raise Whole
    separator, _, names = csv_text.manner(first, reading.options)
    head = first.text.partition("\n")[0] + "\n"
    if names is not None:
        if len(set(names)) != len(names):
            raise Whole
        return _Csv(lines, separator, quote, names, "", names)
    if not head.strip() or "\r" in head.rstrip("\r\n") or not first.text.startswith(head):
        raise Whole
    titles = csv_text.titles_of(replace(first, text=head), separator, quote)
    if not titles or len(set(titles)) != len(titles):
        raise Whole
    named(titles[:-1] if titles[-1] == "" else titles, reading.limits)
    return _Csv(lines, separator, quote, None, head, titles)


@dataclass(frozen=True, slots=True)
class _Fixed:
    lines: Lines
    widths: dict[str, int]

    def blocks(self) -> Iterator[Raw]:
        """See `Flow`."""
        count, limits = 0, self.lines.reading.limits
        names = [name for name in self.widths if not name.startswith("_") and name]
        for block in self.lines.blocks():
            rows = list(self._rows(block))
            count += len(rows)
            if block.last:
                text.counted(block.held, count)
            made = gather(rows, limits, names)
            if made.records.num_rows or made.rejected:
                schema = pa.schema([(name, pa.string()) for name in made.records.column_names])
                yield Raw(made.records.cast(schema), made.lines, made.rejected)

    def _rows(self, block: Block) -> Iterator[Row | Rejected]:
        for number, line in enumerate(io.StringIO(block.held.text, newline=""), block.line):
            cells = line.rstrip("\r\n")
            if not cells:
                continue
            if len(cells) < sum(self.widths.values()) and cells == line:
                raise Truncated(why_fr="la dernière ligne n'est pas entière", why_en="its last line is not whole")
            yield fixed.row(number, cells, self.widths)


def fixed_width(content: Content, reading: Reading, sure: bool) -> _Fixed:  # noqa: ARG001 - `Begin`
    """Look at a file; raises Whole, SettingsError, Unsettled."""
    return _Fixed(Lines.of(content, reading), fixed.widths_of(reading.options))
