"""Whatever the density of requests, and however the server takes its dates, each is read exactly once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from saas_connectors import registry
from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Page, ReadPlan
from saas_connectors.sandbox.open311 import Open311, Report

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def report(number: int, at: datetime) -> Report:
    return Report(number, "001", "open" if number % 3 else "closed", at, at, 45.4, 4.4, f"n° {number}", "rue Haute")


def ids(pages: tuple[Page, ...]) -> list[str]:
    return [one for page in pages for one in page.records.column("service_request_id").to_pylist()]


bursts = st.lists(st.tuples(st.integers(0, 500 * 86_400), st.integers(1, 40), st.integers(0, 3_000)), max_size=8)


@given(
    bursts=bursts,
    cap=st.integers(4, 60),
    way=st.sampled_from([(), ("reversed",), ("exclusive",), ("naive",), ("xml_only",)]),
    at=st.integers(0, 400),
)
@settings(deadline=None, max_examples=60)
def test_each_request_is_read_exactly_once_and_from_anywhere(
    bursts: list[tuple[int, int, int]], cap: int, way: tuple[str, ...], at: int
) -> None:
    seconds = [start + step * spread for start, size, spread in bursts for step in range(size)]
    seconds = [second for second in seconds if second <= 500 * 86_400]
    crowd = Counter(seconds)
    # What servers that leave out both ends are asked for spans four seconds at least.
    assume(all(sum(crowd[second + near] for near in range(-2, 3)) < cap for second in crowd))
    first = NOW - timedelta(days=500)
    held = [report(number, first + timedelta(seconds=second)) for number, second in enumerate(seconds)]
    vendor = Open311(held, moods=way, now=NOW, cap=cap)
    zone = {"requests": {"zone": "Europe/Paris"}}
    connector = registry.make(
        "open311", "ville", {"url": "http://ville.example/v2", "since": "2025-01-01", "cap": cap, "streams": zone}
    )
    streams = converse(connector.discover(), vendor.respond).streams
    plan = ReadPlan(tuple(one for one in streams if one.name == "requests"), {"requests": "full_refresh"}, {}, NOW)
    (part,) = converse(connector.slices(plan), vendor.respond)
    whole = read(connector, plan, part, None, vendor.respond)
    assert sorted(map(int, ids(whole.pages))) == sorted(one.id for one in held)
    assert [fact for fact in whole.evidence if fact.holds is False] == []
    if whole.pages:
        number = at % len(whole.pages)
        rest = read(connector, plan, part, whole.pages[number].position, vendor.respond)
        assert ids(rest.pages) == ids(whole.pages[number + 1 :])
