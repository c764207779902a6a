"""Which of the files that lie there count, and why another does not: pure functions from a listing and what was taken before.

1. `one` file is replaced each time: two that match are a mistake of the pattern. Of the `newest`, the date in the name
   decides. `all` count: those that are new or have changed are read.
2. A file that its sender has not finished is not there yet: its name is one of `unfinished`, its `marker` lies not beside
   it, or it was changed less than `quiet` before the run began. The newest that is finished is taken in its stead.
3. A file older than the one taken last is not taken: an earlier date in its name, an earlier change at its place, or the
   very bytes of one taken before the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from saas_connectors.connector import Json
from saas_connectors.errors import ConnectorError, SettingsError
from saas_connectors.files.place import Entry
from saas_connectors.files.settings import Dataset

Why: TypeAlias = Literal["absent", "marker", "quiet", "moving", "truncated", "older"]
"""Why a file is not taken: none is there, its sender has not finished it, it moves, it was cut, one as recent was taken."""

SAID: Mapping[Why, tuple[str, str]] = {
    "absent": ("aucun fichier de ce nom n'est là", "no file of that name is there"),
    "marker": ("le témoin de fin n'est pas à côté", "the marker of its end does not lie beside it"),
    "quiet": ("il a changé il y a trop peu de temps", "it was changed too short a time ago"),
    "moving": ("il change pendant qu'il est lu", "it changes while it is read"),
    "truncated": ("il est coupé", "it is cut short"),
    "older": ("il est plus ancien que le dernier pris", "it is older than the last one taken"),
}


class NotTaken(ConnectorError):
    """No file could be taken, and there is no copy before it that could stand."""

    code = "vendor.not_taken"
    fr = "Aucun fichier n'est pris pour le flux {stream} : {why_fr}."
    en = "No file is taken for stream {stream}: {why_en}."
    todo_fr = "Faites déposer le fichier entier, puis relancez ; une copie déjà prise reste servie."
    todo_en = "Have the whole file put there, then run again; a copy taken before is still served."


class Taken(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file that was taken last, as the cursor keeps it.

    reads: what its records depend on besides its bytes. ended: it ended with a line. before: SHA-256 of those taken earlier.
    """

    reads: str
    file: str
    sha256: str
    tag: str | None = None
    date: datetime | None = None
    modified: datetime | None = None
    ended: bool = False
    before: list[str] = []


class Held(msgspec.Struct, frozen=True):
    """One of all the files that were taken."""

    sha256: str
    tag: str | None = None


class TakenAll(msgspec.Struct, frozen=True):
    """All the files that were taken, by name, as the cursor keeps them."""

    reads: str
    files: dict[str, Held] = {}


@dataclass(frozen=True, slots=True)
class Choice:
    """The files to take, oldest first; `waiting`: why a newer one is not, None when none is."""

    entries: tuple[Entry, ...]
    waiting: Why | None = None


def relevant(dataset: Dataset, listing: Sequence[Entry]) -> tuple[Entry, ...]:
    """The files that match, and the markers that may lie beside them."""
    found = [entry for entry in listing if _matches(dataset, entry.name)]
    marks = {mark for entry in found for mark in _markers(dataset, entry.name)}
    return tuple(entry for entry in listing if entry in found or entry.name in marks)


def choose(dataset: Dataset, listing: Sequence[Entry], started_at: datetime) -> Choice:
    """Choose among the files that are listed; raises `SettingsError` when the pattern is not that of one file."""
    names = {entry.name for entry in listing}
    found = [entry for entry in listing if _matches(dataset, entry.name)]
    if dataset.take == "one" and len(found) > 1:
        raise SettingsError(
            field=f"{dataset.at}.files",
            expected_fr=f"le motif d'un seul fichier ({len(found)} y répondent), ou take = « newest » ou « all »",
            expected_en=f"the pattern of one file ({len(found)} match), or take = `newest` or `all`",
        )
    if dataset.take == "newest":
        found.sort(key=lambda entry: (dataset.pattern.date(entry.name) or datetime.min, entry.name))  # noqa: DTZ901 - no zone
    whys = [_unready(dataset, entry, names, started_at) for entry in found]
    ready = tuple(entry for entry, why in zip(found, whys, strict=True) if why is None)
    if dataset.take == "all":
        return Choice(ready, next((why for why in whys if why is not None), None))
    if not ready:
        return Choice((), whys[-1] if whys else "absent")
    return Choice(ready[-1:], whys[-1])


def older(dataset: Dataset, entry: Entry, past: Taken) -> bool:
    """Whether a file is older than the one taken last, as far as its name and its place say."""
    date = dataset.pattern.date(entry.name)
    if date is not None and past.date is not None and date != past.date:
        return date < past.date
    return entry.modified is not None and past.modified is not None and entry.modified < past.modified


def _matches(dataset: Dataset, name: str) -> bool:
    return dataset.pattern.match(name) and not any(each.match(name) for each in dataset.unfinished)


def _markers(dataset: Dataset, name: str) -> tuple[str, ...]:
    """`agents.csv.ok` or `agents.ok` beside `agents.csv`."""
    marker = dataset.settings.marker
    return () if marker is None else (name + marker, name.rpartition(".")[0] + marker)


def _unready(dataset: Dataset, entry: Entry, names: set[str], started_at: datetime) -> Why | None:
    markers = _markers(dataset, entry.name)
    if markers and not names & set(markers):
        return "marker"
    if dataset.quiet:
        if entry.modified is None:
            raise SettingsError(
                field=f"{dataset.at}.quiet",
                expected_fr="aucune durée : ce lieu ne dit pas quand un fichier a changé",
                expected_en="no duration: this place does not say when a file was changed",
            )
        if entry.modified > started_at - timedelta(seconds=dataset.quiet):
            return "quiet"
    return None


def to_json(entries: Sequence[Entry]) -> Json:
    """Write a listing for a slice."""
    return [[e.name, e.size, e.modified.isoformat() if e.modified else None, e.tag] for e in entries]


def from_json(listed: Json) -> tuple[Entry, ...]:
    """Read it back."""
    return tuple(Entry(name, size, datetime.fromisoformat(at) if at else None, tag) for name, size, at, tag in listed)
