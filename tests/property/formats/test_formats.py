"""What a format writes it reads back; the quick way of CSV and the exact one read alike; nothing is lost in between."""

import csv
import io
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saas_connectors.connector import Json
from saas_connectors.errors import ConnectorError
from saas_connectors.formats import of
from saas_connectors.formats.cells import BAD, DATES, Writing, convert, dates_of
from saas_connectors.formats.columns import declared
from saas_connectors.formats.format import Reading, Rejected
from saas_connectors.formats.wrapping import gunzipped, unwrapped, zipped

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8).filter(
        lambda name: name not in ("_key", "_op")
    ),
    min_size=2,
    max_size=5,
    unique=True,
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "int": st.integers(-(10**15) + 1, 10**15 - 1),
    "decimal(12,3)": st.decimals(-(10**8), 10**8, places=3, allow_nan=False).map(lambda number: number + Decimal(0)),
    "bool": st.booleans(),
    "date": st.dates(date(1901, 1, 1), date(2999, 12, 31)),
    "timestamp": st.datetimes(datetime(1950, 1, 1), datetime(2999, 1, 1)).map(  # noqa: DTZ001 - its zone follows
        lambda at: at.replace(microsecond=0, tzinfo=UTC)
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Columns with their types, and rows, the first without a null so that every column is known."""
    types = {name: draw(st.sampled_from(sorted(VALUES))) for name in draw(NAMES)}
    row = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in types.items()})
    full = st.fixed_dictionaries({name: VALUES[kind] for name, kind in types.items()})
    return types, [draw(full), *draw(st.lists(row, max_size=6))]


def read(name: str, body: bytes, types: dict[str, str], **options: Json) -> list[dict[str, Any]]:
    reading = Reading(types, options)
    held = declared(of(name).columns(body, reading), reading)
    assert held.rejected == ()
    found: list[dict[str, Any]] = held.records.to_pylist()
    return found


def plain(rows: list[dict[str, Any]], types: dict[str, str]) -> list[dict[str, Any]]:
    """Rows as a format that cuts the spaces around cells, and has no empty text, gives them."""
    names = list(types)
    trimmed = [{name: row[name].strip() or None if isinstance(row[name], str) else row[name] for name in names} for row in rows]
    return [row for row in trimmed if any(value is not None for value in row.values())]


@pytest.mark.parametrize("name", ["json", "jsonl", "parquet"])
@given(table=tables())
def test_a_format_with_types_gives_back_what_was_written(name: str, table: tuple[dict[str, str], list[dict[str, Any]]]) -> None:
    types, rows = table
    kept = {column: kind for column, kind in types.items() if kind != "string"}
    assert rows == read(name, of(name).write(list(types), rows), kept)


@pytest.mark.parametrize("name", ["xlsx", "ods"])
@given(table=tables())
def test_a_workbook_gives_back_what_was_written(name: str, table: tuple[dict[str, str], list[dict[str, Any]]]) -> None:
    types, rows = table
    kept = {column: kind for column, kind in types.items() if kind != "string"}
    given_back = read(name, of(name).write(list(types), rows), kept)
    assert plain(rows, types) == plain([dict.fromkeys(types) | row for row in given_back], types)


@given(table=tables(), style=st.sampled_from(DATES), point=st.sampled_from([",", "."]), separator=st.sampled_from(";,\t|"))
@example(table=({"-0": "string", "-x": "int"}, [{"-0": "a", "-x": 1}]), style=DATES[0], point=".", separator=";")
def test_csv_gives_back_what_was_written_in_any_manner(
    table: tuple[dict[str, str], list[dict[str, Any]]], style: str, point: str, separator: str
) -> None:
    types, rows = table
    types = {name: "string" if kind == "timestamp" else kind for name, kind in types.items()}
    rows = [{name: str(v) if isinstance(v, datetime) else v for name, v in row.items()} for row in rows]
    options = {"dates": style, "decimal": point, "separator": separator}
    body = of("csv").write(list(types), rows, Reading(options=options))
    quoted = {name: f"'{name}" if name[0] in "=+-@" and not _number(name) else name for name in types}
    found = read("csv", body, {quoted[name]: kind for name, kind in types.items() if kind != "string"}, **options)
    expected = [
        {quoted[name]: f"'{v}" if isinstance(v, str) and v[0] in "=+-@" and not _number(v) else v for name, v in row.items()}
        for row in rows
    ]
    assert plain(expected, dict.fromkeys(quoted.values(), "")) == plain(found, dict.fromkeys(quoted.values(), ""))


def _number(text: str) -> bool:
    return text.lstrip("+-").replace(",", ".").replace(".", "", 1).isdecimal() and text[1:2].isascii() and text[1:2].isdigit()


CELLS = st.text(st.sampled_from("ab;\"'\n\r é0"), max_size=5)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=6), end=st.sampled_from(["\r\n", "\n"]))
@example(rows=[["a", "b"], ["a", "b"]], end="\n")
def test_the_quick_way_and_the_exact_way_of_csv_read_alike(rows: list[list[str]], end: str) -> None:
    sink = io.StringIO(newline="")
    csv.writer(sink, delimiter=";", lineterminator=end).writerows([["x", "y"], *rows])
    reading = Reading(options={"separator": ";", "encoding": "utf-8"})
    body = sink.getvalue().encode()
    quick = of("csv").columns(body, reading)
    exact = list(of("csv").rows(body, reading))
    assert [row.values for row in exact if not isinstance(row, Rejected)] == quick.records.to_pylist()
    assert [row for row in exact if isinstance(row, Rejected)] == list(quick.rejected)
    assert [row.line for row in exact if not isinstance(row, Rejected)] == list(quick.lines())[: quick.records.num_rows]


@given(body=st.text(st.sampled_from('a;"\n\r,'), max_size=40))
def test_no_line_of_a_csv_is_lost_in_silence(body: str) -> None:
    reading = Reading(options={"separator": ";", "encoding": "utf-8", "columns": ["x", "y"]})
    try:
        found = list(of("csv").rows(body.encode(), reading))
    except ConnectorError:
        return
    kept = "".join(str(value) for row in found if not isinstance(row, Rejected) for value in row.values.values() if value)
    aside = "".join(row.content for row in found if isinstance(row, Rejected))
    assert body.count("a") == kept.count("a") + aside.count("a")


@pytest.mark.parametrize("name", ["csv", "json", "jsonl", "geojson", "xlsx", "ods", "parquet"])
@given(body=st.binary(max_size=200), cut=st.integers(0, 400))
def test_bytes_of_any_kind_are_read_or_refused_and_never_more(name: str, body: bytes, cut: int) -> None:
    whole = of(name).write(["id", "n"], [{"id": "1", "n": 2}, {"id": "3", "n": None}])
    for given_bytes in (body, whole[:cut], whole[: len(whole) // 2] + body):
        with suppress(ConnectorError):  # any other error fails
            assert of(name).columns(given_bytes, Reading()).records.num_rows >= 0


@given(days=st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=1, max_size=8))
def test_days_are_read_as_they_were_written_or_not_at_all(days: list[date]) -> None:
    cells = [f"{day:%d/%m/%Y}" for day in days]
    found = dates_of(cells)
    assert "dd/mm/yyyy" in found
    if len(found) == 1:
        assert days == convert_all(cells, "date", Writing())
    assert days == convert_all(cells, "date", Writing("dd/mm/yyyy"))


@given(cell=st.text(st.sampled_from("0123456789,.- +e\u00a0"), max_size=12), point=st.sampled_from([",", "."]))
def test_a_number_is_read_exactly_or_not_at_all(cell: str, point: str) -> None:
    (found,) = convert_all([cell], "decimal(20,4)", Writing(decimal=point))
    if isinstance(found, Decimal):
        digits = "".join(sign for sign in cell if sign.isdigit())
        assert digits.lstrip("0") == "".join(map(str, found.normalize().as_tuple().digits)).lstrip("0") + "0" * _zeros(
            found, digits
        )


def _zeros(number: Decimal, digits: str) -> int:
    kept = "".join(map(str, number.normalize().as_tuple().digits)).lstrip("0")
    return max(0, len(digits.lstrip("0")) - len(kept))


def convert_all(cells: list[str], kind: str, writing: Writing) -> list[Any]:
    import pyarrow as pa

    made = convert(pa.array(cells, pa.string()), kind, writing)
    pairs = zip(made.values.to_pylist(), made.bad.to_pylist(), strict=True)
    return [BAD if bad else value for value, bad in pairs]


@given(body=st.binary(max_size=2000))
def test_what_is_wrapped_is_unwrapped_and_what_is_cut_is_refused(body: bytes) -> None:
    from gzip import compress

    from saas_connectors.formats.format import LIMITS

    archive = zipped("a.bin", body)
    if not body.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        assert [("a.bin", body)] == list(unwrapped(archive, "x.zip", None, LIMITS))
    packed = compress(body)
    assert body == gunzipped(packed, LIMITS)
    for cut in (archive[:-1], archive[:10]):
        with pytest.raises(ConnectorError):
            list(unwrapped(cut, "x.zip", None, LIMITS))
    with pytest.raises(ConnectorError):
        gunzipped(packed[:-1], LIMITS)
