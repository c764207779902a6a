"""A report before it is shown: sections of tables, with typed columns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from sovereign.language import say

Kind = Literal["text", "number", "bytes", "time", "seconds", "verbatim"]
"""`seconds` may have decimals; `verbatim` is text whose lines are kept as they are."""


class Words(NamedTuple):
    """What a person reads, in both languages."""

    fr: str
    en: str

    def __str__(self) -> str:
        """Say it in the language of this process."""
        return say(self.fr, self.en)


@dataclass(frozen=True, slots=True)
class Code:
    """A word of a closed list: machines are given the code, people its label."""

    code: str
    label: Words


@dataclass(frozen=True, slots=True)
class Alarm(Code):
    """A word that someone must see: it is marked, and red besides where there are colours."""


Cell = str | int | float | datetime | Code | tuple[str | Code, ...] | None
"""One cell. A tuple holds several values of one kind; None is nothing to tell. Instants are UTC."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its stable key, its title, and what its cells are (`bytes` and `number` are whole numbers)."""

    key: str
    title: Words
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its stable key, rows as wide as its columns. total: how many rows there are when only some are listed."""

    key: str
    title: Words
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section: tables about one matter."""

    key: str
    title: Words
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing told on its own: its stable key, its title, what it is."""

    key: str
    title: Words
    value: Cell
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that is told now about one matter: facts, then sections."""

    kind: str
    title: Words
    site: str
    made_at: datetime
    zone: str
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the audit log holds. said: what was found; commands: how anyone checks it with the public key alone.

    entries: how many there ever were, None when the log could not be read to its end. unread: entries of the period that were
    left out because they are not what was written.
    """

    intact: bool
    said: Words
    entries: int | None
    root: str | None
    key: str
    commands: tuple[str, ...]
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A report over the instants from `since` (in) to `until` (out), made at `made_at`."""

    kind: str
    title: Words
    site: str
    since: datetime
    until: datetime
    made_at: datetime
    zone: str
    verdict: Verdict
    sections: tuple[Section, ...]
