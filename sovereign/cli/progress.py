"""How a run is followed, on standard error: a live line on a terminal, JSON lines with `--json`, else a few sentences."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from sovereign.cli.marks import escape, lasting, mark, number, size, when
from sovereign.cli.marks import rows as counted
from sovereign.cli.output import Output, line
from sovereign.language import say
from sovereign.sync.progress import Awaited, Event, Phase, Progress, Reading, RunFinished, RunStarted, StreamDone, as_json

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

PHASES: Final[dict[str, tuple[str, str]]] = {
    "planning": ("prépare", "planning"),
    "reading": ("tire", "pulling"),
    "measuring": ("compare", "comparing"),
    "publishing": ("publie", "publishing"),
    "serving": ("rafraîchit les tables", "refreshing tables"),
}
CHANGES: Final = (("inserted", "+"), ("updated", "~"), ("deleted", "\u2212"))
JSON_SECONDS: Final = 1.0
"""Seconds between two `reading` lines for a machine; every other event is told at once."""
SENTENCE_SECONDS: Final = 30.0
"""Seconds after which a run that only reads says how far it is, in a file."""


def follow(out: Output) -> "Lines | Screen | Sentences":
    """Choose how to show a run."""
    if out.json:
        return Lines(out)
    return Screen(out) if out.stderr.isatty() else Sentences(out)


def followed(out: Output) -> "Lines | Sentences":
    """Choose how a service that runs for months tells its runs."""
    return Lines(out) if out.json else Sentences(out, dated=True)


class Lines:
    """One JSON line an event."""

    def __init__(self, out: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock, self._told = out, clock, float("-inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is held."""

    def emit(self, event: Event) -> None:
        """Write it; a reader that went away does not stop the run."""
        if isinstance(event, Reading):
            if self._clock() - self._told < JSON_SECONDS:
                return
            self._told = self._clock()
        with suppress(OSError):
            print(line(as_json(event)), file=self._out.stderr, flush=True)


class Sentences:
    """What a person looks for in a file: what a run goes on with or waits for, how far it is; of a service, how runs ended.

    dated: each sentence stands after its instant, and the streams that changed and the end of the run are told, since no
    table follows.
    """

    def __init__(self, out: Output, *, dated: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._dated, self._clock, self._told = out, dated, clock, clock()
        self._connection = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is held."""

    def emit(self, event: Event) -> None:
        """Say it, or nothing; a reader that went away does not stop the run."""
        match event:
            case RunStarted():
                self._connection = event.connection
                if event.resumed:
                    self._say(say("reprend là où l'exécution s'était arrêtée", "resuming where the pull had stopped"))
            case Reading() if self._clock() - self._told >= SENTENCE_SECONDS:
                self._say(how_far(event))
            case Awaited():
                self._say(say(event.fr, event.en))
            case StreamDone() if self._dated and event.state != "unchanged":
                self._say(stream_line(event))
            case RunFinished() if self._dated:
                todo = "" if event.state == "succeeded" else f" · sovereign sync show {event.run}"
                self._say(f"{mark(event.state)}{todo}")

    def _say(self, text: str) -> None:
        self._told = self._clock()
        at = f"{when(datetime.now(UTC))} · " if self._dated else ""
        with suppress(OSError):
            print(f"{at}{self._connection} · {escape(text)}", file=self._out.stderr, flush=True)


class Screen:
    """A line that moves while the run reads, and a line that stays for each stream it ends."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._connection = ""
        self._phase = ""
        self._reading: Reading | None = None
        self._until: str | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(console=self._out.console("err"), get_renderable=self._shown, refresh_per_second=8, transient=True)
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def emit(self, event: Event) -> None:
        """Keep what the live line shows; write what stays."""
        match event:
            case RunStarted():
                self._connection = event.connection
                if event.resumed:
                    self._stay(say("reprend là où l'exécution s'était arrêtée", "resuming where the pull had stopped"))
            case Phase():
                said = say(*PHASES.get(event.phase, (event.phase, event.phase)))
                self._phase = f"{said} {event.stream}" if event.stream else said
            case Reading():
                self._reading, self._until = event, None
            case Awaited():
                self._until = when(event.until)
                self._stay(say(event.fr, event.en))
            case StreamDone():
                self._stay(stream_line(event))
            case RunFinished():
                self._phase, self._reading = "", None

    def _stay(self, text: str) -> None:
        from rich.text import Text

        if self._live is not None:
            self._live.console.print(Text(text), soft_wrap=True)

    def _shown(self) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 2))
        cells: list[object] = [Spinner("dots"), Text(self._connection, style="bold")]
        if self._until:
            cells.append(
                Text(say(f"attend le fournisseur jusqu'à {self._until}", f"waiting for the vendor until {self._until}"))
            )
        elif self._phase:
            cells.append(Text(self._phase))
        if (read := self._reading) is not None and not self._until:
            if read.expected:
                cells.append(ProgressBar(total=read.expected, completed=min(read.rows, read.expected), width=24))
            cells.append(Text(how_far(read), style="cyan"))
        for _ in cells:
            row.add_column(no_wrap=True)
        row.add_row(*cells)  # type: ignore[arg-type]  # rich's renderables have no common type
        return row


def how_far(read: Reading) -> str:
    """Rows, bytes, rate, and the time left when the vendor said how many there are."""
    rows = number(read.rows) + (f" / {number(read.expected)}" if read.expected else "")
    parts = [
        say(f"{rows} lignes", f"{rows} rows"),
        size(read.bytes_in),
        say(f"{number(round(read.rows_per_second))} lignes/s", f"{number(round(read.rows_per_second))} rows/s"),
    ]
    if read.expected and read.rows_per_second > 0 and read.expected > read.rows:
        left = lasting((read.expected - read.rows) / read.rows_per_second)
        parts.append(say(f"reste {left}", f"{left} left"))
    return " · ".join(parts)


def stream_line(event: StreamDone) -> str:
    """What became of a stream."""
    changes = " ".join(f"{sign}{number(event.counts[name])}" for name, sign in CHANGES if event.counts.get(name))
    parts = [
        f"{mark(event.verdict if event.state != 'quarantined' else event.state)}  {event.stream}",
        counted(event.counts.get("rows", 0)),
        changes or say("aucun changement", "no change"),
    ]
    if event.sequence is not None:
        parts.append(say(f"instantané {event.sequence}", f"snapshot {event.sequence}"))
    return " · ".join(parts)
