"""From a file's bytes to the records of its stream, and to those that were set aside.

1. A file is read whole, or not at all: one that was cut gives no record. Its declared types are applied, its rows that do not
   fit are set aside and counted, which speaks against completeness: nothing is deleted that they may have held.
2. What is set aside keeps its file, its line, the reason and the row as it was written, in the stream `NAME_rejected`.
3. `file_whole` says by what a file is known to be whole: its format's own end, its marker, its trailer. Nothing of CSV says it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from saas_connectors.connector import Class, Evidence, Json, Page, Stream, SyncMode, Withdrawn
from saas_connectors.errors import SettingsError
from saas_connectors.files.settings import REJECTED, Dataset, format_of
from saas_connectors.formats import of
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import declared, named
from saas_connectors.formats.flowing import Again, Begin, Flowing, Whole, flows
from saas_connectors.formats.format import LIMITS, Reading, Rejected, Table
from saas_connectors.formats.wrapping import unwrapped
from saas_connectors.records import pieces
from vault.content import Content

SCHEMA: Final = pa.schema([
    ("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("field", pa.string()), ("content", pa.string()),
])  # fmt: skip
LINES: Final = ("csv", "fixed", "jsonl")
"""Formats whose end nothing marks."""
_NAME: Final = re.compile(r"\w[\w .()/'°%:-]{0,63}")
"""What a column may be called in an error."""
_INTERNAL: Final[Class] = "internal"
_RANKS: Final[Mapping[Class, int]] = {"internal": 0, "personal": 1, "sensitive": 2}


def streams(dataset: Dataset) -> tuple[Stream, Stream]:
    """The stream of a dataset, and that of what is set aside of it: its content has the most guarded class of the rows."""
    modes: tuple[SyncMode, ...] = ("incremental",) if dataset.take == "all" else ("full_refresh",)
    most = max([*dataset.classes.values(), "personal"], key=lambda each: _RANKS[each])
    classes: dict[str, Class] = {**dict.fromkeys(("file", "line", "reason", "field"), _INTERNAL), "content": most}
    title = dataset.settings.title or dataset.name
    kept = Stream(
        dataset.name, tuple(dataset.settings.primary_key), classes=dataset.classes, modes=modes,
        contract=dataset.settings.contract, group=dataset.name, title=title,
    )  # fmt: skip
    aside = Stream(
        dataset.name + REJECTED, ("file", "line"), SCHEMA, classes, modes,
        group=dataset.name, title=f"{title} : lignes écartées · {title}: rows set aside", guarded=False,
    )  # fmt: skip
    return kept, aside


def table(dataset: Dataset, name: str, body: bytes) -> Table:
    """Read a file; raises Truncated, Unreadable, SettingsError (of a setting that is missing, too)."""
    reading = _reading(dataset)
    with _by_name(dataset):
        parts = [
            declared(of(_format(dataset, inner)).columns(content, reading), reading)
            for inner, content in unwrapped(body, name, dataset.settings.inside, LIMITS)
        ]
    return parts[0] if len(parts) == 1 else _together(parts)


def flow(dataset: Dataset, name: str) -> Begin | None:
    """How a file that was put aside is read block by block; None when it has to be held."""
    return None if name.lower().endswith((".zip", ".gz")) else flows(_format(dataset, name))


def flown(
    dataset: Dataset, name: str, content: Content, begin: Begin, *, marked: bool, position: Json
) -> Iterator[Page | Withdrawn | Evidence]:
    """Give what `pages` gives of a file, read block by block; the last page alone bears `position`.

    Errors: Whole, when it has to be held, and those of `table`: what was given is then to be taken back.
    """
    flowing, waiting = Flowing(begin, content, _reading(dataset)), None
    while True:
        try:
            with _by_name(dataset):
                for made in flowing.tables():
                    keyed(dataset, made.column_names)
                    for piece in pieces(made):
                        if waiting is not None:
                            yield Page(dataset.name, waiting)
                        waiting = piece
            break
        except Again:
            yield Withdrawn()
            flowing, waiting = Flowing(begin, content, _reading(dataset), sure=True), None
    if waiting is None:
        raise Whole
    yield from _set_aside(dataset, name, tuple(flowing.rejected))
    yield from _whole(dataset, name, marked=marked)
    yield Page(dataset.name, waiting, position)


def _reading(dataset: Dataset) -> Reading:
    return Reading(dataset.settings.types, dataset.options, dataset.settings.zone)


@contextmanager
def _by_name(dataset: Dataset) -> Iterator[None]:
    """Name the stream's setting in what a format says of a setting."""
    try:
        yield
    except Unsettled as refusal:
        said = refusal.fields
        raise SettingsError(
            field=f"{dataset.at}.{said['setting']}",
            expected_fr=f"ce réglage, car {said['why_fr']} ; « connection check » propose les lignes",
            expected_en=f"this setting, for {said['why_en']}; `connection check` proposes the lines",
        ) from None
    except SettingsError as refusal:
        said = refusal.fields
        field = str(said["field"]).removeprefix(f"{dataset.at}.")
        raise SettingsError(
            field=f"{dataset.at}.{field}", expected_fr=said["expected_fr"], expected_en=said["expected_en"]
        ) from None


def _together(parts: list[Table]) -> Table:
    try:
        records = pa.concat_tables([part.records for part in parts], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = [part.records.cast(pa.schema([(name, pa.string()) for name in part.records.column_names])) for part in parts]
        records = pa.concat_tables(texts, promote_options="permissive")
    named(records.column_names, LIMITS)
    return Table(records, tuple(each for part in parts for each in part.rejected))


def _format(dataset: Dataset, name: str) -> str:
    found = dataset.settings.format or format_of(name) or dataset.format
    if found is None:
        raise SettingsError(
            field="format",
            expected_fr="le format, que le nom du fichier ne dit pas",
            expected_en="the format, which the name of the file does not say",
        )
    return found


def pages(dataset: Dataset, name: str, held: Table, *, marked: bool, after: int = 0) -> Iterator[Page | Evidence]:
    """Give what was set aside, then the evidence, then the records in pieces from the one numbered `after` on, numbered."""
    keyed(dataset, held.records.column_names)
    if not after:
        yield from _set_aside(dataset, name, held.rejected)
        yield from _whole(dataset, name, marked=marked)
    for number, piece in enumerate(pieces(held.records)):
        if number >= after:
            yield Page(dataset.name, piece, number + 1)


def keyed(dataset: Dataset, columns: Sequence[str]) -> None:
    """Refuse a file that lacks a column of the key; raises `SettingsError`."""
    if columns and (unknown := [key for key in dataset.settings.primary_key if key not in columns]):
        # What came may be another thing than the file, an error page for one: its words are then no names of columns.
        named = len(columns) > 1 and all(map(_NAME.fullmatch, columns))
        held = f" : {', '.join(sorted(columns))[:400]}" if named else ""
        raise SettingsError(
            field=f"{dataset.at}.primary_key",
            expected_fr=f"des colonnes du fichier ; « {unknown[0]} » n'en est pas une{held}. "
            "Si des lignes précèdent les titres, « connection check » le propose (skip)",
            expected_en=f"columns of the file; `{unknown[0]}` is none{held.replace(' :', ':')}. "
            "If lines stand before the titles, `connection check` proposes it (skip)",
        )


def _set_aside(dataset: Dataset, name: str, rejected: tuple[Rejected, ...]) -> Iterator[Page | Evidence]:
    if rejected:
        yield Page(dataset.name + REJECTED, _aside(name, rejected))
        reasons = Counter(each.reason for each in rejected)
        yield Evidence(dataset.name, "invalid_records", False, {"count": reasons.total(), "rules": dict(reasons)})


def _whole(dataset: Dataset, name: str, *, marked: bool) -> Iterator[Evidence]:
    trailed = dataset.settings.trailer is not None
    wrapped = name.lower().endswith((".zip", ".gz"))
    if marked or trailed or wrapped or _format(dataset, name) not in LINES:
        by = "marker" if marked else "trailer" if trailed else "format"
        yield Evidence(dataset.name, "file_whole", True, {"by": by})
        yield Evidence(dataset.name + REJECTED, "file_whole", True, {"by": by})


def _aside(name: str, rejected: tuple[Rejected, ...]) -> pa.Table:
    columns: dict[str, list[Json]] = {
        "file": [name] * len(rejected), "line": [each.line for each in rejected], "reason": [each.reason for each in rejected],
        "field": [each.field or None for each in rejected], "content": [each.content for each in rejected],
    }  # fmt: skip
    return pa.table(columns, SCHEMA)
