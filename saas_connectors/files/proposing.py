"""What one file shows of how it is written, as the lines of settings that would say so: proposed to a person, never applied.

1. A proposal is made of what can only be read in one way. What can be read in two is said to be so, with the setting that
   decides.
2. Whole numbers are not proposed: a code of commune, a SIRET and a matricule are written alike, and are no numbers.
3. It names columns and settings; it quotes no cell.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.errors import ConnectorError
from saas_connectors.files.reading import keyed
from saas_connectors.files.settings import Dataset, format_of
from saas_connectors.formats import of, text
from saas_connectors.formats.cells import Unsettled, days_of, numbers_of
from saas_connectors.formats.csv_text import separator_of
from saas_connectors.formats.format import LIMITS, Reading
from saas_connectors.formats.wrapping import unwrapped

Said = tuple[str, str]
_CELLS: Final = 20_000
_MOST: Final = 40
_BEFORE: Final = 10
"""Lines before the titles among which these are looked for."""
_START: Final = 65_536
_TITLED: Final = ("csv", "xlsx", "ods")
_BARE: Final = frozenset({"yyyymmdd", "ddmmyyyy"})
"""Ways to write a date that eight digits of any kind look like."""


def propose(dataset: Dataset, name: str, body: bytes) -> tuple[Said, ...]:
    """Say what a file shows that the settings leave out, in French and English; nothing when they say all."""
    try:
        inner, content = next(unwrapped(body, name, dataset.settings.inside, LIMITS))
        kind = dataset.settings.format or format_of(inner) or dataset.format
        if kind is None:
            raise Unsettled(
                setting="format", why_fr="le nom du fichier ne le dit pas", why_en="the file's name does not say it"
            )
        lines: list[tuple[str, str | int]] = [*_manner(dataset, kind, content)]
        records, skipped = _titled(dataset, kind, content, {**dataset.options, **dict(lines)})
        if skipped:
            lines.append(("skip", skipped))
    except ConnectorError as refusal:
        fr, en = refusal.diagnostics("fr").what, refusal.diagnostics("en").what
        return ((f"{dataset.name} : {fr}", f"{dataset.name}: {en}"),)
    typed, more = _types(dataset, records)
    found = [f"{setting} = {_toml(value)}" for setting, value in lines] + typed
    if found:
        shown = "\n".join(("", f"[{dataset.at}]", *found))
        more.insert(0, (f"ce que montre le fichier, à confirmer :{shown}", f"what the file shows, to confirm:{shown}"))
    return tuple((f"{dataset.name} : {fr}", f"{dataset.name}: {en}") for fr, en in more)


def _columns(kind: str, content: bytes, options: Mapping[str, Any]) -> pa.Table:
    return of(kind).columns(content, Reading(options=options)).records


def _unknown(dataset: Dataset, records: pa.Table) -> str | None:
    """The first column of the key that a file lacks; None when it has them all, or shows none."""
    known = records.column_names
    return next((key for key in dataset.settings.primary_key if known and key not in known), None)


def _titled(dataset: Dataset, kind: str, content: bytes, options: Mapping[str, Any]) -> tuple[pa.Table, int]:
    """The rows, and how many lines stand before their titles, which are told by the key: 0 unless some do."""
    refusal: ConnectorError | None = None
    try:
        records = _columns(kind, content, options)
        unknown = _unknown(dataset, records)
        if unknown is None:
            return records, 0
    except ConnectorError as met:
        refusal = met
    looked = kind in _TITLED and not dataset.settings.skip and not dataset.settings.columns
    start = content if kind != "csv" or len(content) <= _START else content[:_START].rpartition(b"\n")[0]
    for skipped in range(1, _BEFORE + 1) if looked else ():
        try:
            below = _columns(kind, start, {**options, "skip": skipped})
        except ConnectorError:
            continue  # what stands there is no line of titles
        if below.num_columns and _unknown(dataset, below) is None:
            return _columns(kind, content, {**options, "skip": skipped}), skipped
    if refusal is not None:
        raise refusal
    keyed(dataset, records.column_names)
    return records, 0


def _toml(value: str | int) -> str:
    return '"\\t"' if value == "\t" else msgspec.json.encode(value).decode()


def _manner(dataset: Dataset, kind: str, content: bytes) -> list[tuple[str, str]]:
    """The encoding and the separator of a text, when the settings do not say them."""
    lines: list[tuple[str, str]] = []
    if kind not in ("csv", "fixed"):
        return lines
    held = text.read(content, dataset.options, LIMITS)
    if dataset.settings.encoding is None and not held.text.isascii():
        lines.append(("encoding", "utf-8" if held.encoding.startswith("utf-8") else held.encoding))
    if kind == "csv" and dataset.settings.separator is None and (found := separator_of(held.text)) is not None:
        lines.append(("separator", found))
    return lines


def _types(dataset: Dataset, records: pa.Table) -> tuple[list[str], list[Said]]:
    """Types of the columns of text that no one declared, and what decides where two are possible."""
    days: dict[str, frozenset[str]] = {}
    points: dict[str, frozenset[str]] = {}
    types: dict[str, str] = {}
    for name, cells in _texts(dataset, records):
        if styles := days_of(cells) - _BARE:
            days[name], types[name] = styles, "date"
        elif (decimals := _decimals(cells)) is not None:
            points[name], types[name] = decimals[0], f"decimal(18,{decimals[1]})"
    found: list[str] = []
    doubts: list[Said] = []
    for setting, seen, given in (("dates", days, dataset.settings.dates), ("decimal", points, dataset.settings.decimal)):
        common = frozenset.intersection(*seen.values()) if seen else frozenset()
        if seen and given is None and len(common) == 1:
            found.append(f"{setting} = {_toml(next(iter(common)))}")
        elif seen and given is None:
            ways = " ; ".join(sorted(frozenset.union(*seen.values())))
            said = (
                f"se lit de plusieurs façons, « {setting} » décide : {ways}",
                f"reads in several ways, `{setting}` decides: {ways}",
            )
            doubts.append(said)
    if types:
        found.append(f"types = {{ {', '.join(f'{_toml(name)} = {_toml(kind)}' for name, kind in types.items())} }}")
    return found, doubts


def _texts(dataset: Dataset, records: pa.Table) -> Iterator[tuple[str, list[str]]]:
    """The columns of text that no one declared, with their distinct cells."""
    for name in records.column_names:
        if name not in dataset.settings.types and kinds.is_string(records.schema.field(name).type):
            cells = [cell.strip() for cell in pc.unique(records.column(name)).to_pylist()[:_CELLS] if cell and cell.strip()]
            if cells and all(len(cell) <= _MOST for cell in cells):
                yield name, cells


def _decimals(cells: Sequence[str]) -> tuple[frozenset[str], int] | None:
    """The decimal points under which every cell is a number, and how many decimals there are; None when none has any."""
    points = numbers_of(cells)
    if not points or not any("," in cell or "." in cell for cell in cells):
        return None
    scale = max((len(cell.rpartition(point)[2]) for cell in cells for point in points if point in cell), default=0)
    return points, min(scale, 12)
