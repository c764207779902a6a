"""Whatever a page holds, the table says the same as a JSON decoder."""

import json
from decimal import Decimal

import orjson
import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from saas_connectors.answer import cut
from saas_connectors.errors import Malformed
from saas_connectors.records import Records
from saas_connectors.request import Request, Response
from saas_connectors.shapes import join, observe_all

ASKED = Request("GET", "https://vendor.example/list")
NAMES = st.sampled_from(["id", "nom", "é", "a.b", "", "x y", "@odata"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DECIMALS = st.decimals(-(10**12), 10**12, places=4, allow_nan=False)
KINDS = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "text": TEXTS | st.sampled_from(["2026-01-01", "2026-01-01T00:00:00Z", "12:00:00", "null", "1"]),
    "bool": st.booleans(),
    "decimal": DECIMALS,
    "null": st.none(),
    "list": st.lists(st.integers(-9, 9) | st.none(), max_size=3),
    "object": st.fixed_dictionaries({}, optional={"a": st.integers(0, 9), "b": TEXTS, "c": st.lists(TEXTS, max_size=2)}),
}


@st.composite
def pages(draw: st.DrawFn) -> list[list[dict[str, object]]]:
    """Pages of one stream: each field of one kind, missing or null at times."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(KINDS)), max_size=6))
    row = st.fixed_dictionaries({}, optional={name: KINDS[kind] | st.none() for name, kind in kinds.items()})
    return draw(st.lists(st.lists(row, max_size=6), min_size=1, max_size=3))


def write(rows: object) -> bytes:
    """Write JSON with decimals as plain numbers, every digit kept."""
    marks: dict[str, str] = {}

    def mark(value: object) -> str:
        marks[key := f"\x00{len(marks)}\x00"] = format(value, "f")
        return key

    text = json.dumps(rows, default=mark, ensure_ascii=False)
    for key, number in marks.items():
        text = text.replace(json.dumps(key), number)
    return text.encode()


def plain(value: object) -> object:
    """A value as both sides can be compared: nulls dropped from objects, numbers as decimals."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None and plain(item) != {}}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value).normalize()
    return value


@given(pages())
@example([[{"id": []}], [{"id": [None, None]}]])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_table_holds_what_the_page_holds(stream: list[list[dict[str, object]]]) -> None:
    records = Records()
    for page in stream:
        table = records.table(ASKED, Response(200, ASKED.url, b""), write(page))
        if table.num_columns:
            assert [plain(row) for row in table.to_pylist()] == [plain(row) for row in page]
        else:
            assert not any(page)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXTS | DECIMALS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=5))
@settings(deadline=None)
def test_any_objects_at_all_become_a_table_of_as_many_rows_with_every_scalar_kept(rows: list[dict[str, object]]) -> None:
    table = Records().table(ASKED, Response(200, ASKED.url, b""), write(rows))
    assert table.num_rows in {len(rows), 0}
    table.validate(full=True)
    for name in table.column_names:
        scalars = [row.get(name) for row in rows]
        if all(value is None or isinstance(value, str) for value in scalars):
            assert table.column(name).to_pylist() == scalars


@given(st.lists(JSON, max_size=4), st.lists(JSON, max_size=4), st.lists(JSON, max_size=4))
@settings(deadline=None)
def test_joining_types_does_not_depend_on_the_order_of_the_pages(one: list, other: list, third: list) -> None:
    def width(kind: pa.DataType) -> object:
        """The type, whatever the order of its fields."""
        if pa.types.is_struct(kind):
            return {field.name: width(field.type) for field in kind}
        return [width(kind.value_type)] if pa.types.is_list(kind) else str(kind)

    a, b, c = map(observe_all, (one, other, third))
    assert width(join(a, b)) == width(join(b, a))
    assert width(join(join(a, b), c)) == width(join(a, join(b, c)))
    assert width(join(a, a)) == width(a)


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode) | JSON.map(write))
@settings(deadline=None)
def test_bytes_of_any_kind_end_in_a_table_or_a_fault_that_shows_none_of_them(body: bytes) -> None:
    shown = ""
    try:
        document = cut(ASKED, Response(200, ASKED.url, body), "")
        Records().table(ASKED, Response(200, ASKED.url, body), document.records)
        orjson.loads(body)
    except Malformed as fault:
        shown = "".join(sorted(fault.fields))
    assert shown in {"", "expected_enexpected_frmethodpathstatus"}
