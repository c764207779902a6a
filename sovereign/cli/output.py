"""What a command says: to a person, aligned and in plain words; to a machine, JSON lines that each carry a `type`.

1. Answers go to standard output, everything else (progress, remarks, errors) to standard error.
2. A state is shown by a glyph and a word, never by a colour alone. NO_COLOR is honoured.
3. Nothing that came from a vendor reaches a terminal with its control characters: they are shown, not obeyed.
4. rich is loaded on the first table shown to a person, never for JSON.
"""

import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from sovereign.cli.marks import escape, mark, number, size, when
from sovereign.language import language, say
from vault.errors import Diagnostics, Fault

if TYPE_CHECKING:
    from rich.console import Console

Kind = Literal["text", "number", "bytes", "time", "state", "write", "reason"]
NOT_A_TERMINAL_WIDTH: Final = 4000
"""Columns given to a table that no terminal shows: lines are then never folded."""

NARROWEST: Final = 12
"""Columns of a terminal that a column of a table needs on average, before rows are shown one below the other."""

A_DATE: Final = 10
"""Columns that a column of words or dates is given at least."""

LONGEST_NAME: Final = 32
"""Characters of a name (a run, a delivery, a dataset) that a table never cuts in two."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the key of its value in a row, its title in both languages, how its values are shown."""

    key: str
    fr: str
    en: str
    kind: Kind = "text"


def plain(value: object) -> object:
    """Give a value that JSON can carry: instants in ISO 8601, decimals as text, bytes in base64."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case bytes():
            return b64encode(value).decode()
        case set() | frozenset():
            return sorted(value)
        case _ if hasattr(value, "__struct_fields__"):
            return {name: getattr(value, name) for name in value.__struct_fields__}
        case _:
            return str(value)


def line(record: Mapping[str, Any]) -> str:
    """One JSON line."""
    return json.dumps(record, ensure_ascii=False, default=plain, separators=(",", ":"))


def shown(value: object, kind: Kind = "text") -> str:
    """Say a value to a person."""
    if value is None:
        return "·"
    if kind != "text" and isinstance(value, int | str) and not isinstance(value, bool):
        return _OF_KIND[kind](value)
    match value:
        case bool():
            return say("oui", "yes") if value else say("non", "no")
        case datetime():
            return when(value)
        case Decimal():
            return f"{value.normalize():f}" if value.is_finite() else str(value)
        case list() | tuple():
            return escape(", ".join(each if isinstance(each, str) else shown(each) for each in value))
        case dict():
            return escape(line(value))
        case _:
            return escape(str(value))


def _said(of: str, code: object) -> str:
    """A state of a write in words, with the code that commands and pages call it by, or the reason of its step, in words."""
    from sovereign.reports.labels import STATES, coded
    from sovereign.reports.reasons import reason

    return escape(f"{coded(code, STATES).label} ({code})" if of == "state" else str(reason(str(code)).label))


_OF_KIND: Final[dict[str, Callable[[Any], str]]] = {
    "number": lambda value: number(value) if isinstance(value, int) else escape(value),
    "bytes": lambda value: size(value) if isinstance(value, int) else escape(value),
    "time": lambda value: when(value) if isinstance(value, str) else str(value),
    "state": lambda value: mark(str(value)),
    "write": lambda value: _said("state", value),
    "reason": lambda value: _said("reason", value),
}


@dataclass(slots=True)
class Output:
    """The two channels of a command.

    `json` chooses machines over people. `out` and `err` are the text streams, standard ones when None.
    """

    json: bool = False
    out: TextIO | None = None
    err: TextIO | None = None
    _consoles: dict[str, "Console"] = field(default_factory=dict)

    @property
    def stdout(self) -> TextIO:
        """Where answers go."""
        return self.out or sys.stdout

    @property
    def stderr(self) -> TextIO:
        """Where everything else goes."""
        return self.err or sys.stderr

    def console(self, channel: Literal["out", "err"] = "out") -> "Console":
        """The rich console of a channel."""
        from rich.console import Console

        if channel not in self._consoles:
            stream = self.stdout if channel == "out" else self.stderr
            width = None if stream.isatty() else NOT_A_TERMINAL_WIDTH
            plain_text = bool(os.environ.get("NO_COLOR"))  # neither colours nor weights: rich would keep bold and dim
            self._consoles[channel] = Console(
                file=stream,
                width=width,
                highlight=False,
                markup=False,
                emoji=False,
                force_interactive=None,
                color_system=None if plain_text else "auto",
            )
        return self._consoles[channel]

    def record(self, type_: str, **fields: Any) -> None:  # noqa: ANN401 - any value that JSON can carry
        """Answer a machine; a person is told nothing."""
        if self.json:
            print(line({"type": type_, **fields}), file=self.stdout, flush=True)

    def beside(self, type_: str, **fields: Any) -> None:  # noqa: ANN401 - any value that JSON can carry
        """Tell a machine something beside an answer that is not in JSON lines, on standard error."""
        if self.json:
            print(line({"type": type_, **fields}), file=self.stderr, flush=True)

    def say(self, fr: str = "", en: str = "", *, style: str = "") -> None:
        """Answer a person; a machine is told nothing."""
        if not self.json:
            self._write("out", say(fr, en), style)

    def remark(self, fr: str, en: str, *, style: str = "dim") -> None:
        """Tell a person something beside the answer, on standard error."""
        if not self.json:
            self._write("err", say(fr, en), style)

    def _write(self, channel: Literal["out", "err"], text: str, style: str) -> None:
        stream = self.stdout if channel == "out" else self.stderr
        text = escape(text, keep="\n")
        if style and stream.isatty():
            from rich.text import Text

            self.console(channel).print(Text(text, style=style), soft_wrap=True)
        else:
            print(text, file=stream, flush=True)

    def done(self, type_: str, fr: str, en: str, **fields: Any) -> None:  # noqa: ANN401 - any value that JSON can carry
        """Say that what was asked is done."""
        self.record(type_, **fields)
        self.say(f"✓ {fr}", f"✓ {en}", style="green")

    def table(
        self,
        type_: str,
        columns: Sequence[Column],
        rows: Iterable[Mapping[str, Any]],
        *,
        empty: tuple[str, str] = ("Rien à montrer.", "Nothing to show."),
    ) -> None:
        """Answer rows: one JSON line each, or a table. A row may hold more than its columns; machines are given all of it."""
        if self.json:
            for row in rows:
                self.record(type_, **row)
            return
        held = list(rows)
        if not held:
            self.say(*empty)
            return
        self.grid(
            [(say(column.fr, column.en), column.kind in {"number", "bytes"}) for column in columns],
            [[shown(row.get(column.key), column.kind) for column in columns] for row in held],
        )

    def grid(self, heads: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> None:
        """Show an aligned table: titles with whether the column is a number, then cells already made safe.

        On a terminal too narrow for its columns, each row is shown on its own, a column a line. A name that someone will copy
        is never cut in two: a column whose cells are single words is as wide as they are.
        """
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        held, console = list(rows), self.console()
        titles = [escape(title) for title, _ in heads]
        widths = [max(map(cell_len, cells)) for cells in zip(titles, *held, strict=True)]
        columns = list(zip(*held, strict=True)) or [()] * len(titles)
        whole = [not any(" " in cell or len(cell) > LONGEST_NAME for cell in cells) for cells in columns]
        needed = [width if entire else min(width, A_DATE) for width, entire in zip(widths, whole, strict=True)]
        if sum(widths) + 2 * len(widths) > console.width < max(NARROWEST * len(widths), sum(needed) + 2 * len(widths)):
            self._blocks(titles, held)
            return
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for title, (_, is_number), entire in zip(titles, heads, whole, strict=True):
            table.add_column(Text(title), justify="right" if is_number else "left", overflow="fold", no_wrap=entire)
        for cells in held:
            table.add_row(*(Text(cell, style=_style(cell)) for cell in cells))
        if self.stdout.isatty():
            console.print(table)
            return
        with console.capture() as captured:
            console.print(table)
        print("\n".join(text.rstrip() for text in captured.get().splitlines()), file=self.stdout, flush=True)

    def _blocks(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        from rich.text import Text

        width = max(map(len, titles))
        for place, cells in enumerate(rows, 1):
            self.console().print(Text(f"── {place} ──", style="dim"))
            for title, cell in zip(titles, cells, strict=True):
                line = Text.assemble((f"{title:<{width}}  ", "bold"), (cell, _style(cell)))
                self.console().print(line, soft_wrap=True)

    def facts(self, type_: str, pairs: Sequence[tuple[Column, Any]], **more: Any) -> None:  # noqa: ANN401 - JSON values
        """Answer one thing: its facts, one a line. `more` is given to machines only."""
        self.record(type_, **{column.key: value for column, value in pairs}, **more)
        if self.json:
            return
        width = max(len(say(column.fr, column.en)) for column, _ in pairs)
        for column, value in pairs:
            self._write("out", f"{say(column.fr, column.en):<{width}}  {shown(value, column.kind)}", "")

    def fault(self, fault: Fault) -> None:
        """Say a fault: its code, what happened, what to do next."""
        self.error(fault.diagnostics(language()), fault.fields)

    def error(self, said: Diagnostics, fields: Mapping[str, object] | None = None) -> None:
        """Say an error, on standard error."""
        if self.json:
            record = {**(fields or {}), "type": "error", "code": said.code, "what": said.what, "todo": said.todo}
            print(line(record), file=self.stderr, flush=True)
            return
        self._write("err", f"✗ {said.what} [{said.code}]", "bold red")
        if said.todo:
            self._write("err", f"  → {said.todo}", "")


def _style(cell: str) -> str:
    return _STYLES.get(cell[:1], "") if cell[1:2] == " " else ""


_STYLES: Final = {"✓": "green", "✗": "red", "!": "yellow", "…": "cyan", "·": "dim"}
