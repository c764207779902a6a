"""Whatever the sizes, a list is read whole, once, and from anywhere."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Page, ReadPlan
from saas_connectors.registry import make
from saas_connectors.sandbox import Table, Trouble, Vendor

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STYLES = ["page", "offset", "cursor", "link", "next", "odata", "hal", "keyset", "bare"]
KEYSET = {"kind": "keyset", "field": "id", "param": "after", "size": 7}


def ids(pages: tuple[Page, ...]) -> list[int]:
    return [identifier for page in pages for identifier in page.records.column("id").to_pylist()]


@given(
    style=st.sampled_from(STYLES),
    count=st.integers(1, 300),
    cap=st.integers(1, 60),
    asked=st.none() | st.integers(1, 80),
    slices=st.integers(1, 12),
    lie=st.integers(-400, 400),
    at=st.integers(0, 400),
)
@settings(deadline=None, max_examples=60)
def test_a_list_is_read_whole_and_once_whatever_the_caps_and_the_counts(
    style: str, count: int, cap: int, asked: int | None, slices: int, lie: int, at: int
) -> None:
    vendor = Vendor({"people": Table.of(({"id": n} for n in range(count)), ["id"])}, cap=cap)
    if lie > -count:
        vendor.troubles.plan(Trouble("lying_count", lie, times=0))
    stream = {"path": f"/{style}/people", "primary_key": ["id"]}
    if style == "keyset":
        stream["paging"] = KEYSET
    elif style == "bare":
        stream["paging"] = {"kind": "page", "size_param": "per_page"} | ({"size": asked} if asked else {})
    elif asked:
        stream["paging"] = {"size": asked}
    connector = make("rest", "town", {"url": "http://vendor.example", "slices": slices, "streams": {"people": stream}})
    plan = ReadPlan(converse(connector.discover(), vendor.respond).streams, {"people": "full_refresh"}, {}, NOW)
    parts = converse(connector.slices(plan), vendor.respond)
    reads = [read(connector, plan, part, None, vendor.respond) for part in parts]
    found = [identifier for one in reads for identifier in ids(one.pages)]
    assert sorted(found) == list(range(count))
    assert len(parts) <= slices
    part, one = parts[at % len(parts)], reads[at % len(parts)]
    if one.pages:
        number = at % len(one.pages)
        rest = read(connector, plan, part, one.pages[number].position, vendor.respond)
        assert ids(rest.pages) == ids(one.pages[number + 1 :])


@given(
    days=st.lists(st.integers(0, 40), min_size=1, max_size=120),
    cap=st.integers(2, 40),
    width=st.integers(1, 20),
    slices=st.integers(1, 6),
)
@settings(deadline=None, max_examples=40)
def test_windows_of_time_miss_nothing_that_a_second_can_hold(days: list[int], cap: int, width: int, slices: int) -> None:
    rows = [
        {"id": n, "updated_at": f"2026-{9 + day // 28:02}-{day % 28 + 1:02}T{n // 60:02}:{n % 60:02}:00Z"}
        for n, day in enumerate(days)
    ]
    vendor = Vendor({"people": Table.of(rows, ["id"], "updated_at")}, cap=cap)
    paging = {"kind": "windows", "since": "from", "until": "to", "start": "2026-09-01", "width": f"{width} days", "cap": cap}
    stream = {"path": "/windows/people", "primary_key": ["id"], "records": "items", "cursor": "updated_at", "paging": paging}
    connector = make("rest", "town", {"url": "http://vendor.example", "slices": slices, "streams": {"people": stream}})
    plan = ReadPlan(converse(connector.discover(), vendor.respond).streams, {"people": "full_refresh"}, {}, NOW)
    parts = converse(connector.slices(plan), vendor.respond)
    found = [identifier for part in parts for identifier in ids(read(connector, plan, part, None, vendor.respond).pages)]
    assert sorted(found) == list(range(len(days)))
