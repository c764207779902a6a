"""Pages become tables: exactly, whatever they hold, and never by guessing."""

from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest

from saas_connectors.answer import MISSING, cut
from saas_connectors.connector import Json
from saas_connectors.errors import Malformed
from saas_connectors.records import MAX_TABLE, Records, pieces
from saas_connectors.request import Request, Response

ASKED = Request("GET", "https://vendor.example/list", (("q", "Jeanne"),))


def table(body: Json, records: Records | None = None, **settings: Json) -> pa.Table:
    response = Response(200, ASKED.url, body if isinstance(body, bytes) else orjson.dumps(body))
    return (records or Records(**settings)).table(ASKED, response, response.body)


def rows(body: Json, **settings: Json) -> list[dict[str, Json]]:
    return table(body, **settings).to_pylist()


def test_a_text_that_looks_like_a_date_stays_a_text() -> None:
    assert table([{"at": "2026-01-01T00:00:00+02:00"}]).schema.field("at").type == pa.string()


def test_a_fraction_keeps_every_digit_written() -> None:
    found = table(b'[{"a": 12000.5, "b": 0.1}, {"a": 3, "b": 1234567890123.4567}]')
    assert found.to_pylist() == [
        {"a": Decimal("12000.50"), "b": Decimal("0.1000")},
        {"a": Decimal("3.00"), "b": Decimal("1234567890123.4567")},
    ]
    assert [str(field.type) for field in found.schema] == ["decimal128(38, 2)", "decimal128(38, 4)"]


@pytest.mark.parametrize(("written", "scale"), [("1.5", 2), ("1.555", 4), ("1.55555", 6), ("1e-9", 9), ("0.0123456789012", 18)])
def test_a_decimal_takes_the_smallest_scale_that_fits(written: Json, scale: int) -> None:
    assert table(b'[{"a": %s}]' % written.encode()).schema.field("a").type == pa.decimal128(38, scale)


def test_a_number_that_no_decimal_holds_becomes_a_double() -> None:
    assert rows(b'[{"a": 1e300}, {"a": 0.5}]') == [{"a": 1e300}, {"a": 0.5}]


def test_an_integer_beyond_64_bits_loses_nothing() -> None:
    assert rows(b'[{"a": 12345678901234567890123}]') == [{"a": Decimal(12345678901234567890123)}]


def test_a_field_that_only_ever_was_null_keeps_the_null_type() -> None:
    assert table([{"a": 1, "b": None}]).schema.field("b").type == pa.null()


def test_objects_and_lists_are_kept() -> None:
    assert rows([{"a": {"b": [1, None]}}, {"a": None}]) == [{"a": {"b": [1, None]}}, {"a": None}]


def test_values_of_several_kinds_become_text() -> None:
    assert rows(b'[{"a": "001"}, {"a": 1}, {"a": 1.50}, {"a": [true, {"b": 0.10}]}]') == [
        {"a": "001"},
        {"a": "1"},
        {"a": "1.50"},
        {"a": '[true,{"b":0.10}]'},
    ]


def test_a_later_page_widens_the_types_and_stays_exact() -> None:
    records = Records()
    assert table(b'[{"a": 1, "b": null}]', records).schema.field("a").type == pa.int64()
    second = table(b'[{"a": 1.125, "b": "x", "c": true}]', records)
    assert second.to_pylist() == [{"a": Decimal("1.1250"), "b": "x", "c": True}]
    third = table(b'[{"a": 7, "b": "y"}]', records)
    assert third.schema == second.schema, "the type has settled"
    assert third.to_pylist() == [{"a": Decimal("7.0000"), "b": "y", "c": None}]


def test_a_known_schema_spares_the_first_page_and_is_widened_when_wrong() -> None:
    known = pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert table([{"b": "x", "a": 1}], schema=known).schema == known
    assert table([{"b": "x", "a": "1"}], schema=known).schema.field("a").type == pa.string()


def test_a_duplicated_name_takes_its_last_value_as_json_decoders_do() -> None:
    assert rows(b'[{"a": 1, "a": 2}]') == orjson.loads(b'[{"a": 1, "a": 2}]')


@pytest.mark.parametrize(
    ("declared", "written", "expected"),
    [
        ("timestamp", "2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("timestamp", "2026-07-01T12:00:00.571951+02:00", datetime(2026, 7, 1, 10, 0, 0, 571951, tzinfo=UTC)),
        ("timestamp", "2026-07-01 12:00:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("timestamp", "2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("timestamp(%d/%m/%Y %H:%M)", "01/07/2026 12:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("timestamp", "", None),
        ("date", "2026-07-01", date(2026, 7, 1)),
        ("date", "2026-07-01T23:00:00Z", date(2026, 7, 1)),
        ("date(%d/%m/%Y)", "31/12/2026", date(2026, 12, 31)),
        ("epoch_s", 1700000000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("epoch_ms", 1700000000123, datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)),
        ("decimal(12,2)", "12.5", Decimal("12.50")),
        ("decimal(12,2)", 12.5, Decimal("12.50")),
        ("int", "42", 42),
        ("string", 42, "42"),
        ("bool", "true", True),
        ("json", {"b": [1, 2.5]}, '{"b":[1,2.5]}'),
        ("timestamp", None, None),
    ],
)
def test_a_declared_type_is_given(declared: str, written: Json, expected: Json) -> None:
    assert rows([{"a": written}], types={"a": declared}, zone="Europe/Paris") == [{"a": expected}]


def test_instants_with_and_without_zone_may_share_a_column() -> None:
    body = [{"a": "2026-07-01T12:00:00Z"}, {"a": "2026-07-01 12:00:00"}, {"a": None}]
    found = [row["a"] and row["a"].hour for row in rows(body, types={"a": "timestamp"}, zone="Europe/Paris")]
    assert found == [12, 10, None]


@pytest.mark.parametrize("declared", ["timestamp", "date", "int", "decimal(4,2)", "date(%d/%m/%Y)"])
def test_a_column_that_breaks_its_declaration_is_left_as_it_was_seen(declared: str) -> None:
    assert rows([{"a": "12.50"}, {"a": "soon"}], types={"a": declared}) == [{"a": "12.50"}, {"a": "soon"}]


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><p>Jeanne",
        b"",
        b'[{"a": 1}',
        b'[{"a": NaN}]',
        b'[{"a": "\xff Jeanne"}]',
        b'[{"a": 1}] Jeanne',
        b"[" * 100_000,
        b'{"error": "Jeanne"}',
        b'{"data": {"rows": "Jeanne"}}',
        b'"Jeanne"',
    ],
    ids=range(10),
)
def test_what_is_not_a_page_is_refused_without_a_word_of_it(body: Json) -> None:
    for path in ("", "data.rows"):
        with pytest.raises(Malformed) as refusal:
            cut(ASKED, Response(200, ASKED.url, body), path)
        assert "Jeanne" not in f"{refusal.value} {refusal.value.fields} {refusal.value.diagnostics('fr')}"
        assert refusal.value.__cause__ is None


@pytest.mark.parametrize("body", [b"[1, 2]", b'[{"a": 1}, null]', b'[{"a": %s1%s}]' % (b"[" * 40, b"]" * 40)])
def test_records_that_are_not_bounded_objects_are_refused(body: Json) -> None:
    with pytest.raises(Malformed):
        table(body)


def test_a_record_with_too_many_fields_is_refused_on_the_first_page_and_later() -> None:
    wide = [{f"f{n}": n for n in range(2001)}]
    with pytest.raises(Malformed):
        table(wide)
    records = Records()
    table([{"f0": 1}], records)
    with pytest.raises(Malformed):
        table(wide, records)


def test_what_stands_around_the_records_is_found_by_path() -> None:
    body = b'{"@odata.nextLink": "/n", "meta": {"total": 7, "a.b": 1}, "items": [{"id": 1}]}'
    document = cut(ASKED, Response(200, ASKED.url, body), "items")
    assert document.records == b'[{"id": 1}]'
    found = [document.find(path) for path in ("@odata.nextLink", "meta.total", "meta.a.b", "meta.none", "total.x")]
    assert found == ["/n", 7, 1, MISSING, MISSING]


def test_null_records_are_no_records() -> None:
    assert cut(ASKED, Response(200, ASKED.url, b'{"items": null}'), "items").records == b"[]"


def test_a_table_too_big_is_cut_into_pieces_that_hold_every_row() -> None:
    big = pa.table({"n": range(3000), "a": ["x" * 50_000] * 3000})
    found = list(pieces(big))
    assert len(found) > 1
    assert all(piece.nbytes <= MAX_TABLE for piece in found)
    assert pa.concat_tables(found).equals(big)


def test_after_the_first_page_no_value_becomes_a_python_object(monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records()
    first = table([{"a": 1, "b": "x", "c": {"d": [0.25]}}], records)

    def refuse(*_: object) -> None:
        pytest.fail("this page was read value by value")

    monkeypatch.setattr(Records, "_exact", refuse)
    assert table([{"b": "y", "a": 2, "c": None}, {"a": 3}], records).schema == first.schema
    assert table([{"b": "y", "a": 2}], schema=first.schema).num_rows == 1


def test_a_null_among_the_records_is_refused_on_any_page() -> None:
    records = Records()
    table([{"a": 1}], records)
    with pytest.raises(Malformed):
        table([{"a": 1}, None], records)


def test_an_error_inside_a_success_is_called_so() -> None:
    response = Response(200, ASKED.url, b'{"error": {"message": "Jeanne"}}')
    with pytest.raises(Malformed, match="an error inside a successful answer"):
        cut(ASKED, response, "items")
