"""What a vendor changes is widened, refused or set apart as the contract says, and always told."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from snapshots import quarantine
from snapshots.columns import described, normalised, understood
from snapshots.drift import widened
from snapshots.errors import ContractBroken
from tests.servers.library import MAIL, Library

TYPES: list[Any] = [
    pa.null(), pa.bool_(), pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(),
    pa.string(), pa.binary(), pa.binary(4),
    pa.date32(), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.time64("us"), pa.duration("s"),
    pa.decimal128(10, 2), pa.decimal128(38, 10), pa.list_(pa.int32()), pa.list_(pa.string()),
    pa.struct([("a", pa.int32())]), pa.struct([("b", pa.string())]), pa.map_(pa.string(), pa.int64()),
]  # fmt: skip


@pytest.mark.parametrize("one", TYPES, ids=str)
def test_widening_is_symmetrical_idempotent_and_never_narrows(one: pa.DataType) -> None:
    assert one.equals(widened(one, one))
    for two in TYPES:
        wide, other = widened(one, two), widened(two, one)
        assert (wide is None) == (other is None)
        if wide is not None and not pa.types.is_struct(wide):
            assert wide.equals(other)
        if wide is not None:
            assert wide.equals(widened(wide, one))
            assert wide.equals(widened(wide, two))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_type_is_written_and_read_back(kind: pa.DataType) -> None:
    assert kind.equals(understood(described(kind)))


def test_a_type_that_no_one_wrote_is_refused() -> None:
    for text in ("int65", {"list": "?"}, {"struct": 3}, 5, None, "decimal128(1)x"):
        with pytest.raises(ValueError, match=r"not an Arrow type|unpack|iterable"):
            understood(text)


def test_dictionaries_views_and_empty_structures_are_stored_as_plain_types() -> None:
    page = pa.table(
        {
            "a": pa.array(["x", "y"]).dictionary_encode(),
            "b": pa.array(["x", None], pa.large_string()),
            "c": pa.array([{}, None], pa.struct([])),
            "d": pa.array([{"e": {}, "f": 1}, None]),
        }
    )
    assert [pa.string(), pa.string(), pa.null(), pa.struct([("e", pa.null()), ("f", pa.int64())])] == normalised(
        page
    ).schema.types
    assert normalised(page)["d"].to_pylist() == [{"e": None, "f": 1}, None]


@pytest.mark.parametrize(
    ("was", "now", "kind", "values"),
    [
        ([1], [2.5], pa.float64(), [1.0, 2.5]),
        ([1], [Decimal("2.50")], pa.decimal128(22, 2), [Decimal("1.00"), Decimal("2.50")]),
        ([None], [3], pa.int64(), [None, 3]),
        ([1], ["x"], pa.string(), ["1", "x"]),
        ([True], [3], pa.string(), ["true", "3"]),
        (
            [{"a": 1}],
            [{"b": "x"}],
            pa.struct([("a", pa.int64()), ("b", pa.string())]),
            [{"a": 1, "b": None}, {"a": None, "b": "x"}],
        ),
        ([{"a": 1}], ["x"], pa.string(), ['{"a":1}', "x"]),
        ([[1]], [["x"]], pa.list_(pa.string()), [["1"], ["x"]]),
    ],
    ids=str,
)
def test_a_snapshot_of_before_reads_in_the_types_of_after(
    library: Library, was: list[Any], now: list[Any], kind: pa.DataType, values: list[Any]
) -> None:
    first = library.land(pa.table({"id": [1, *range(10, 40)], "v": was + was * 30}))
    made = library.land(pa.table({"id": [2], "v": now}), mode="incremental")
    assert "delta" in {part.kind for part in made.parts}
    rows = {row["id"]: row["v"] for row in library.rows(made)}
    assert (values, kind) == ([rows[1], rows[2]], library.repository.schema(made, "personal").field("v").type)
    assert was[0] == library.rows(first)[0]["v"]
    drift = library.repository.drift(made, "personal")
    assert drift == [] if was == [None] else [each.field for each in drift] == ["v"]


def test_a_new_and_an_absent_field_are_told_and_the_personal_ones_are_sealed(library: Library) -> None:
    library.land({"id": [1, 2], "status": ["a", "b"], "gone": [1, 2]})
    made = library.land({"id": [1, 2], "status": ["a", "b"], "fresh": ["x", None]})
    told = {(each.field, each.action, each.values) for each in library.repository.drift(made, "personal")}
    assert {("fresh", "added", 1), ("gone", "absent", 0)} == told
    assert library.repository.drift(made, "internal") == []
    assert library.rows(made) == [
        {"id": 1, "status": "a", "gone": None, "fresh": "x"},
        {"id": 2, "status": "b", "gone": None, "fresh": None},
    ]


def test_a_declared_type_takes_values_that_read_as_it(library: Library) -> None:
    schema = pa.schema([("id", pa.int64()), ("amount", pa.decimal128(10, 2)), ("day", pa.date32())])
    made = library.land({"id": ["1"], "amount": [12.5], "day": ["2026-11-23"]}, spec=library.spec(schema=schema))
    (row,) = library.rows(made)
    assert (1, Decimal("12.50"), "2026-11-23") == (row["id"], row["amount"], str(row["day"]))
    assert library.repository.drift(made, "personal") == []


DECLARED = pa.schema([("id", pa.int64()), ("age", pa.int64())])
ODD = {"id": [1, 2, 3], "age": ["40", "forty", None], "more": [None, None, "x"]}


def test_a_frozen_contract_refuses_and_publishes_nothing(library: Library) -> None:
    spec = library.spec(schema=DECLARED, contract="freeze")
    for page in ({"id": [1], "age": ["forty"]}, {"id": [1], "age": [1], "more": ["x"]}):
        with pytest.raises(ContractBroken) as raised:
            library.land(page, spec=spec)
        assert "forty" not in str(raised.value) + raised.value.diagnostics("fr").what
    assert library.repository.datasets() == []
    assert library.land({"id": [1], "age": ["4"], "more": [None]}, spec=spec).rows == 1


def test_discard_row_puts_aside_rows_that_differ(library: Library) -> None:
    made = library.land(ODD, spec=library.spec(schema=DECLARED, contract="discard_row"))
    assert library.rows(made) == [{"id": 1, "age": 40}]
    (kept,) = quarantine.found(library.repository, MAIL)
    assert kept.reasons == {"contract": 2}
    assert {"row_discarded"} == {each.action for each in library.repository.drift(made, "personal")}


def test_discard_value_keeps_the_rows_and_drops_the_values(library: Library) -> None:
    made = library.land(ODD, spec=library.spec(schema=DECLARED, contract="discard_value"))
    assert library.rows(made) == [{"id": 1, "age": 40}, {"id": 2, "age": None}, {"id": 3, "age": None}]
    told = {(each.field, each.action, each.values) for each in library.repository.drift(made, "personal")}
    assert {("age", "value_discarded", 1), ("more", "value_discarded", 1)} == told


def test_a_page_without_the_key_or_with_a_column_twice_is_refused(library: Library) -> None:
    for page in (pa.table({"name": ["x"]}), pa.table([[1], [2]], names=["id", "id"])):
        with pytest.raises(ContractBroken):
            library.land(page)
