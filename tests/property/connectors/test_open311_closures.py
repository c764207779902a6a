"""Whatever was closed, is new, or the server can filter: the next read leaves no request open that is not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from saas_connectors import registry
from saas_connectors.conformance.driver import Read, converse, read
from saas_connectors.connector import Json, ReadPlan, SyncMode
from saas_connectors.sandbox.open311 import Open311, Report

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONNECTOR = registry.make("open311", "ville", {"url": "http://ville.example/v2", "since": "2025-01-01", "cap": 30})


def report(number: int, at: datetime, *, still: bool) -> Report:
    return Report(number, "001", "open" if still else "closed", at, at, 45.4, 4.4, f"n° {number}", "rue Haute")


def pull(vendor: Open311, mode: SyncMode, cursor: Json = None) -> Read:
    streams = converse(CONNECTOR.discover(), vendor.respond).streams
    cursors = {} if cursor is None else {"requests": cursor}
    plan = ReadPlan(tuple(one for one in streams if one.name == "requests"), {"requests": mode}, cursors, vendor.now)
    (part,) = converse(CONNECTOR.slices(plan), vendor.respond)
    return read(CONNECTOR, plan, part, None, vendor.respond)


def copied(*reads: Read) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in reads:
        for page in one.pages:
            found |= {row["service_request_id"]: row["status"] for row in page.records.to_pylist()}
    return found


@given(
    days=st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=120),
    closed=st.sets(st.integers(0, 119)),
    new=st.integers(0, 40),
    moods=st.sampled_from([(), ("updates",), ("no_lists",), ("no_lists", "all_statuses"), ("reversed", "no_lists")]),
)
@settings(deadline=None, max_examples=60)
def test_two_reads_later_the_copy_is_what_the_server_holds(
    days: list[tuple[int, bool]], closed: set[int], new: int, moods: tuple[str, ...]
) -> None:
    held = [
        report(number, NOW - timedelta(days=day, seconds=37 * number), still=still) for number, (day, still) in enumerate(days)
    ]
    vendor = Open311(held, moods=moods, now=NOW, cap=30)
    reads = [pull(vendor, "full_refresh")]
    assert copied(*reads) == {str(one.id): one.status for one in vendor.held.values()}
    for step in (1, 2):
        vendor.now += timedelta(hours=6)
        vendor.close(*(number for number in closed if number in vendor.held and number % 2 == step % 2))
        for number in range(new):
            at = vendor.now - timedelta(minutes=7 * number)
            identifier = 1000 * step + number
            vendor.held[identifier] = replace(report(identifier, at, still=number % 3 > 0), changed=vendor.now)
        reads.append(pull(vendor, "incremental", reads[-1].cursors["requests"]))
        assert copied(*reads) == {str(one.id): one.status for one in vendor.held.values()}
