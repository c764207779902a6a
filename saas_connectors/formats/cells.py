"""Cells of text that a column declares to be something else: dates, numbers, yes and no.

1. A cell is converted exactly or not at all: no rounding, no day 31 of a month of 30, no century supplied.
2. Two things depend on the country: which of `03/04/2026` is the day, and whether the comma of `1,234` is a decimal point.
   `Writing` says; where it does not, the whole column is looked at. When only one reading fits every cell that fits any, it is
   that one. When two do and they disagree, `Unsettled` names the setting: nothing is guessed.
3. Spaces around a cell, and between groups of three digits, are no part of it. An empty cell is null.
4. A column is converted by its distinct cells, so that a date that comes a thousand times is read once.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from saas_connectors.errors import ConnectorError
from saas_connectors.formats.format import Reason
from saas_connectors.values import arrow_type

DATES: Final = (
    "yyyy-mm-dd", "dd/mm/yyyy", "mm/dd/yyyy", "dd-mm-yyyy", "mm-dd-yyyy", "dd.mm.yyyy", "mm.dd.yyyy", "yyyy/mm/dd", "yyyymmdd",
    "ddmmyyyy",
)  # fmt: skip
"""The ways to write a date that a stream's `dates` may name."""
DECIMALS: Final = (",", ".")
BAD: Final = object()
"""What a cell becomes that is not what its column declares."""
_PARTS: Final = {"yyyy": r"(?P<y>\d{4})", "mm": r"(?P<m>\d{1,2})", "dd": r"(?P<d>\d{1,2})"}
_CLOCK: Final = re.compile(r"(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?(?:\d++|\d{1,3}(?:[ \u00a0\u202f]\d{3})++)", re.ASCII)
_GAPS: Final = str.maketrans("", "", " \u00a0\u202f")
_YES: Final = frozenset({"true", "vrai", "oui", "yes", "1", "o", "y", "v", "t"})
_NO: Final = frozenset({"false", "faux", "non", "no", "0", "n", "f"})
_PLAIN: Final = {",": r"^[+-]?\d+(?:,\d{1,2})?$", ".": r"^[+-]?\d+(?:\.\d{1,2})?$"}
_SPACES: Final = re.compile(r"\s+")
_SLASHED: Final = r"^(\d{2})/(\d{2})/(\d{4})$"
_SURE: Final = 34
"""Integer digits that a decimal128 of any scale of up to four takes."""


class Unsettled(ConnectorError):
    """A file can be read in two ways, and nothing says which. Field `setting`: the stream's setting that would."""

    code = "connector.unsettled"
    kind = "usage"
    fr = "Le réglage « {setting} » est à donner : {why_fr}."
    en = "The setting `{setting}` has to be given: {why_en}."
    todo_fr = "Donnez-le au flux dans sovereign.toml ; « connection check » propose les lignes."
    todo_en = "Give it to the stream in sovereign.toml; `connection check` proposes the lines."


@dataclass(frozen=True, slots=True)
class Writing:
    """How a file writes what depends on the country. dates: one of `DATES`; decimal: "," or "."; None where nobody said."""

    dates: str | None = None
    decimal: str | None = None
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Converted:
    """A column of the declared type, null where `bad` (boolean) says that the cell is not that; why it is not."""

    values: pa.Array
    bad: pa.Array
    reason: Reason


@lru_cache
def _pattern(style: str) -> re.Pattern[str]:
    compact = style.isalpha()
    found = re.sub("yyyy|mm|dd", lambda part: _PARTS[part[0]].replace("{1,2}", "{2}" if compact else "{1,2}"), style)
    return re.compile(found.replace(".", r"\.") if "." in style else found, re.ASCII)


def _day(cell: str, style: str) -> date | None:
    found = _pattern(style).fullmatch(cell)
    if found is None:
        return None
    try:
        return date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        return None


def dates_of(cells: Sequence[str]) -> frozenset[str]:
    """The ways to write a date under which these cells could all be read: one, none, or several that disagree."""
    fits = {style: frozenset(n for n, cell in enumerate(cells) if _day(cell, style)) for style in DATES}
    most = max(fits.values(), key=len)
    if not most:
        return frozenset()
    widest = frozenset(style for style, held in fits.items() if held == most)
    return widest if all(held <= most for held in fits.values()) else widest | {s for s, held in fits.items() if held}


def days_of(cells: Sequence[str]) -> frozenset[str]:
    """The ways to write a date under which every one of these cells is one."""
    return frozenset(style for style in DATES if all(_day(cell, style) for cell in cells))


def _number(cell: str, decimal: str) -> Decimal | None:
    other = "." if decimal == "," else ","
    whole, mark, fraction = cell.partition(decimal)
    if mark and not (fraction.isascii() and fraction.isdigit()):
        return None
    if not _INTEGER.fullmatch(whole):
        groups = whole.lstrip("+-").split(other)
        if len(groups) < 2 or not all(g.isascii() and g.isdigit() for g in groups):
            return None
        if (
            not 1 <= len(groups[0]) <= 3
            or any(len(group) != 3 for group in groups[1:])
            or len(whole.lstrip("+-")) < len(whole) - 1
        ):
            return None
        whole = whole.replace(other, "")
    try:
        return Decimal(f"{whole.translate(_GAPS)}.{fraction or 0}" if mark else whole.translate(_GAPS))
    except InvalidOperation:
        return None


def decimals_of(cells: Sequence[str]) -> frozenset[str]:
    """The decimal points under which these cells could all be read: both when they disagree and nothing tells."""
    read = {point: [_number(cell, point) for cell in cells] for point in DECIMALS}
    if read[","] == read["."]:
        return frozenset({"."})
    held = {point: frozenset(n for n, value in enumerate(values) if value is not None) for point, values in read.items()}
    if held[","] > held["."]:
        return frozenset({","})
    return frozenset({"."}) if held["."] > held[","] else frozenset(DECIMALS)


def numbers_of(cells: Sequence[str]) -> frozenset[str]:
    """The decimal points under which every one of these cells is a number, one when they agree."""
    read = {point: [_number(cell, point) for cell in cells] for point in DECIMALS}
    whole = frozenset(point for point, values in read.items() if None not in values)
    return whole if read[","] != read["."] else whole & {"."}


def convert(column: pa.Array | pa.ChunkedArray, declared: str, writing: Writing) -> Converted:
    """Turn a column of text into what it declares (see `values`); raises `Unsettled`."""
    target = arrow_type(declared)
    encoded = pc.dictionary_encode(column)
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    distinct = pc.utf8_trim_whitespace(encoded.dictionary)
    quick = _plain(distinct, declared, writing)
    if quick is not None:
        nothing = pa.array([False]).take(pa.array([0] * len(column), pa.int8())) if len(column) else pa.array([], pa.bool_())
        return Converted(quick.take(encoded.indices), nothing, "number")
    cells: list[str] = distinct.to_pylist()
    one, reason = _reader(declared, [cell for cell in cells if cell], writing)
    values = [None if cell == "" else one(cell) for cell in cells]
    try:
        made = pa.array([None if value is BAD else value for value in values], target)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # a number that the type cannot hold, somewhere: find which
        values = [value if value is None or value is BAD or _held(value, target) else BAD for value in values]
        made = pa.array([None if value is BAD else value for value in values], target)
    bad = pa.array([value is BAD for value in values], pa.bool_())
    return Converted(made.take(encoded.indices), pc.fill_null(bad.take(encoded.indices), False), reason)


def _held(value: object, target: pa.DataType) -> bool:
    try:
        pa.array([value], target)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return False
    return True


def _plain(distinct: pa.Array, declared: str, writing: Writing) -> pa.Array | None:
    """What can only be read in one way is read by Arrow, all cells at once; None when a cell asks for a closer look."""
    if not declared.startswith(("decimal", "date")) or "%" in declared:
        return None
    if (pc.max(pc.utf8_length(distinct)).as_py() or _SURE + 1) > _SURE:
        return None
    filled = pc.if_else(pc.equal(distinct, ""), pa.scalar(None, pa.string()), distinct)
    if declared == "date":
        return _plain_days(filled, writing)
    for point in DECIMALS if writing.decimal is None else (writing.decimal,):
        if pc.all(pc.match_substring_regex(filled, _PLAIN[point])).as_py():
            try:
                return pc.replace_substring(filled, ",", ".").cast(arrow_type(declared))
            except pa.ArrowInvalid:  # more decimals or digits than declared
                return None
    return None


def _plain_days(cells: pa.Array, writing: Writing) -> pa.Array | None:
    """Days written dd/mm/yyyy, when the setting says so or a day beyond the twelfth proves it, and no month does."""
    if writing.dates not in (None, "dd/mm/yyyy") or not pc.all(pc.match_substring_regex(cells, _SLASHED)).as_py():
        return None
    days, months = (pc.max(pc.utf8_slice_codeunits(cells, start, start + 2)).as_py() for start in (0, 3))
    if writing.dates is None and (days <= "12" or months > "12"):
        return None
    try:
        return pc.replace_substring_regex(cells, _SLASHED, r"\3-\2-\1").cast(pa.date32())
    except pa.ArrowInvalid:  # a day that no month has
        return None


def _reader(declared: str, cells: Sequence[str], writing: Writing) -> tuple[Callable[[str], Any], Reason]:
    """How one cell is read, the column being known, and what a cell that cannot be is called."""
    simple: dict[str, tuple[Callable[[str], Any], Reason]] = {
        "string": (str, "value"), "json": (_json, "value"), "bool": (_truth, "boolean"), "int": (_integer, "number"),
        "epoch_s": (partial(_epoch, parts=1), "date"), "epoch_ms": (partial(_epoch, parts=1000), "date"),
    }  # fmt: skip
    if declared in simple:
        return simple[declared]
    target = arrow_type(declared)
    if kinds.is_temporal(target):
        return _timed(declared, cells, writing), "date"
    point = writing.decimal or _settled_decimal(cells)
    return partial(_exact, point=point, scale=None if declared == "double" else target.scale), "number"


def _timed(declared: str, cells: Sequence[str], writing: Writing) -> Callable[[str], Any]:
    form, day, zone = declared.partition("(")[2].rstrip(")"), declared.startswith("date"), ZoneInfo(writing.zone)
    if form:
        return partial(_formed, form=form, zone=zone, day=day)
    style = writing.dates or _settled_dates([_SPACES.split(cell.replace("T", " ", 1), maxsplit=1)[0] for cell in cells])
    return (lambda cell: _day(cell, style) or BAD) if day else partial(_instant, style=style, zone=zone)


def _exact(cell: str, point: str, scale: int | None) -> object:
    """A number of at most so many decimals; a float without a scale."""
    number = _number(cell, point)
    if number is None:
        return BAD
    if scale is None:
        return float(number)
    kept = round(number, scale) if abs(number.adjusted()) < 76 else None
    return kept if kept == number else BAD


def _settled_dates(cells: Sequence[str]) -> str:
    found = dates_of(cells)
    if len(found) > 1:
        raise Unsettled(
            setting="dates",
            why_fr=f"une colonne de dates se lit de plusieurs façons ({', '.join(sorted(found))})",
            why_en=f"a column of dates can be read in several ways ({', '.join(sorted(found))})",
        )
    return next(iter(found), DATES[0])


def _settled_decimal(cells: Sequence[str]) -> str:
    found = decimals_of(cells)
    if len(found) > 1:
        raise Unsettled(
            setting="decimal",
            why_fr="une colonne de nombres se lit de deux façons (« , » ou « . »)",
            why_en="a column of numbers can be read in two ways (`,` or `.`)",
        )
    return next(iter(found))


def _truth(cell: str) -> object:
    low = cell.lower()
    return True if low in _YES else False if low in _NO else BAD


def _integer(cell: str) -> object:
    if not _INTEGER.fullmatch(cell):
        return BAD
    digits = cell.translate(_GAPS)
    return int(digits) if len(digits) <= 20 and -(1 << 63) <= int(digits) < 1 << 63 else BAD


def _json(cell: str) -> object:
    try:
        msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return BAD
    return cell


def _epoch(cell: str, parts: int) -> object:
    number = _integer(cell)
    if not isinstance(number, int):
        return BAD
    try:
        return datetime.fromtimestamp(number / parts, UTC)
    except (ValueError, OverflowError, OSError):
        return BAD


def _formed(cell: str, *, form: str, zone: ZoneInfo, day: bool) -> object:
    try:
        found = datetime.strptime(cell, form)  # noqa: DTZ007 - its zone follows
    except ValueError:
        return BAD
    if day:
        return found.date()
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _instant(cell: str, style: str, zone: ZoneInfo) -> object:
    day, _, clock = cell.replace("T", " ", 1).partition(" ")
    known = _day(day, style)
    if known is None:
        return BAD
    if style == DATES[0] and len(cell) > 10:
        try:
            found = datetime.fromisoformat(cell)
        except ValueError:
            return BAD
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    if not clock.strip():
        return datetime(known.year, known.month, known.day, tzinfo=zone).astimezone(UTC)
    parts = _CLOCK.fullmatch(clock.strip())
    if parts is None:
        return BAD
    hour, minute, second, fraction = parts.groups()
    try:
        found = datetime(
            known.year, known.month, known.day, int(hour), int(minute), int(second or 0), int((fraction or "0").ljust(6, "0")),
            tzinfo=zone,
        )  # fmt: skip
    except ValueError:
        return BAD
    return found.astimezone(UTC)


_BORING: Final = {
    "number": (r"^[+-]?\d+$", r"^[+-]?\d+,\d{1,2}$", r"^[+-]?\d+\.\d{1,2}$"),
    "date": (
        r"^(?:0[1-9]|1[0-2])/(?:0[1-9]|1[0-2])/[1-9]\d{3}$", r"^(?:1[3-9]|2[0-8])/(?:0[1-9]|1[0-2])/[1-9]\d{3}$",
        r"^[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])$",
    ),
}  # fmt: skip
"""Cells that can all be read in the same ways as the first of them."""


class Sample:
    """A cell for each set of ways in which cells of a column can be read: what settles them settles the column."""

    def __init__(self, declared: str) -> None:
        self.declared = declared
        self._time = kinds.is_temporal(arrow_type(declared))
        self._cells: dict[object, str] = {}

    @property
    def cells(self) -> list[str]:
        """The cells."""
        return list(self._cells.values())

    def look(self, distinct: pa.Array) -> None:
        """Look at cells, spaces around them taken off."""
        left = distinct.filter(pc.and_(pc.is_valid(distinct), pc.not_equal(distinct, "")))
        for pattern in _BORING["date" if self._time else "number"]:
            alike = pc.match_substring_regex(left, pattern)
            first = left.filter(alike).slice(0, 1).to_pylist()
            if first:
                self._cells.setdefault(pattern, first[0])
                left = left.filter(pc.invert(alike))
        for cell in left.to_pylist():
            self._cells.setdefault(self._ways(cell), cell)

    def _ways(self, cell: str) -> object:
        if not self._time:
            comma, point = (_number(cell, each) for each in DECIMALS)
            return comma is not None, point is not None, comma == point
        day = _SPACES.split(cell.replace("T", " ", 1), maxsplit=1)[0]
        return frozenset(style for style in DATES if _day(day, style))


def sampled(sample: Sample, writing: Writing) -> Writing:
    """Settle how a column is written from a sample of its cells, as all of them would; raises `Unsettled`."""
    if kinds.is_temporal(arrow_type(sample.declared)):
        style = _settled_dates([_SPACES.split(cell.replace("T", " ", 1), maxsplit=1)[0] for cell in sample.cells])
        return replace(writing, dates=style)
    return replace(writing, decimal=_settled_decimal(sample.cells))
