"""Long answers are read a little at a time: the same records, of the same types, in a little of the memory."""

import json
import tracemalloc
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_connectors.answer import outline
from saas_connectors.errors import Malformed
from saas_connectors.lumps import LUMP, lumps
from saas_connectors.records import MAX_VALUES, Records
from saas_connectors.request import Request, Response
from saas_connectors.shapes import BOUNDS, Bounds

ASKED = Request("GET", "https://vendor.example/rows")
TEXTS = st.text(alphabet='},{ "\\[]:é1', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**12) | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=30)
FLAT = st.lists(
    st.fixed_dictionaries(
        {}, optional={"a": st.integers(0, 10**20) | st.none(), "b": TEXTS | st.booleans(), "c": st.floats(0, 9)}
    ),
    max_size=30,
)


def table(rows: bytes, *, lump: int = LUMP, bounds: Bounds = BOUNDS) -> pa.Table:
    return Records(lump=lump, bounds=bounds).table(ASKED, Response(200, ASKED.url, rows), rows)


@given(ROWS, st.integers(1, 60), st.sampled_from([None, 1]), st.booleans())
def test_an_array_is_cut_only_at_the_ends_of_records(rows: list[Any], most: int, indent: int | None, ascii_only: bool) -> None:
    data = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    found = [json.loads(each) for each in lumps(data, most)]
    assert [row for each in found for row in each] == rows
    assert all(found) or not rows


@given(FLAT, st.integers(1, 80))
def test_lumps_give_the_table_of_the_whole(rows: list[Any], most: int) -> None:
    data = json.dumps(rows).encode()
    whole, cut = table(data), table(data, lump=most)
    assert cut.schema == whole.schema
    assert cut.to_pylist() == whole.to_pylist()


def test_a_million_small_records_are_never_all_objects_at_once() -> None:
    data = b"[" + b",".join(b'{"id":%d}' % number for number in range(600_000)) + b"]"
    tracemalloc.start()
    try:
        read = table(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.num_rows == 600_000
    assert peak < 8 * len(data), f"{peak / len(data):.1f} times the answer"


def test_a_page_that_names_many_fields_once_and_then_none_is_refused_before_it_is_a_table() -> None:
    first = json.dumps({f"f{number}": number for number in range(900)}).encode()
    data = b"[" + first + b",{}" * 400_000 + b"]"
    with pytest.raises(Malformed) as refused:
        table(data)
    assert "too many" in f"{refused.value.diagnostics('en')}"
    assert table(b"[" + first + b",{}" * 10 + b"]", bounds=Bounds(cells=9900)).num_rows == 11
    with pytest.raises(Malformed):
        table(b"[" + first + b",{}" * 11 + b"]", bounds=Bounds(cells=9900))


def test_a_record_that_holds_millions_of_values_is_refused() -> None:
    with pytest.raises(Malformed):
        table(b'[{"id":1,"inside":[' + b",".join([b"{}"] * (MAX_VALUES // 2 + 1)) + b"]}]")


def test_the_outline_of_a_long_answer_has_all_that_stands_around_its_first_records() -> None:
    rows = [{"id": number, "text": "x" * 100} for number in range(20_000)]
    answer = {"total": len(rows), "data": {"rows": rows, "next": "https://vendor.example/2"}, "ids": list(range(10))}
    seen = outline(ASKED, Response(200, ASKED.url, json.dumps(answer).encode()))
    assert (seen["total"], seen["ids"], seen["data"]["next"]) == (len(rows), list(range(10)), "https://vendor.example/2")
    assert 0 < len(seen["data"]["rows"]) < len(rows)
    assert seen["data"]["rows"] == rows[: len(seen["data"]["rows"])]
    with pytest.raises(Malformed):
        outline(ASKED, Response(200, ASKED.url, json.dumps(answer).encode()[:-1]))
