"""What a run will read, decided before the first record."""

from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pytest

from saas_connectors.connector import Catalog, ReadPlan, Slice, Stream, SyncMode
from sovereign.sync.errors import UnknownStream
from sovereign.sync.plan import Known, Plan, choose, from_json, merge_cursors, to_json

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOTH: tuple[SyncMode, ...] = ("full_refresh", "incremental")
MAIL = Stream("mail", ("id",), modes=BOTH, cursor="updated")
TREES = Stream("trees", ("id",))
MARKETS = Stream("markets", ("id",), modes=BOTH, group="decp")
HOLDERS = Stream("holders", ("id",), modes=BOTH, group="decp")


def chosen(*streams: Stream, wanted: list[str] | None = None, full: bool = False, **known: Known) -> ReadPlan:
    return choose(Catalog(streams), known, connection="c", wanted=wanted, mode=None, full=full, started_at=NOW)


def test_the_first_pull_is_whole_and_the_next_goes_on_from_its_cursor() -> None:
    assert chosen(MAIL).modes == {"mail": "full_refresh"}
    plan = chosen(MAIL, mail=Known("2026-11-22", NOW - timedelta(days=1)))
    assert (plan.modes, plan.cursors) == ({"mail": "incremental"}, {"mail": "2026-11-22"})


def test_a_full_pull_can_be_asked_for_and_comes_by_itself_every_week() -> None:
    fresh = Known("2026-11-22", NOW - timedelta(days=1))
    assert chosen(MAIL, full=True, mail=fresh).modes == {"mail": "full_refresh"}
    assert chosen(MAIL, mail=Known("2026-11-22", NOW - timedelta(days=7))).modes == {"mail": "full_refresh"}
    assert chosen(MAIL, mail=Known("2026-11-22", None)).modes == {"mail": "full_refresh"}


def test_a_full_pull_is_given_the_cursor_to_find_that_nothing_moved_but_not_when_everything_is_asked_for() -> None:
    fresh = Known("2026-11-22", NOW - timedelta(days=1))
    assert chosen(TREES, trees=fresh).cursors == {"trees": "2026-11-22"}
    assert chosen(TREES, full=True, trees=fresh).cursors == {}
    assert chosen(TREES, trees=Known(None, NOW)).cursors == {}


def test_one_stream_of_a_group_brings_the_others_in_the_same_mode() -> None:
    known = Known("1", NOW)
    plan = chosen(MAIL, MARKETS, HOLDERS, wanted=["markets"], markets=known)
    assert [stream.name for stream in plan.streams] == ["markets", "holders"]
    assert plan.modes == {"markets": "full_refresh", "holders": "full_refresh"}
    assert chosen(MARKETS, HOLDERS, markets=known, holders=known).modes == {"markets": "incremental", "holders": "incremental"}


def test_a_stream_that_is_not_offered_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownStream) as unknown:
        chosen(MAIL, TREES, wanted=["males"])
    assert unknown.value.diagnostics().todo == "Streams offered: mail, trees."


def test_a_plan_survives_as_json() -> None:
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("tags", pa.list_(pa.struct([("k", pa.string())])))])
    stream = Stream("mail", ("id",), schema, {"id": "internal"}, BOTH, "updated", "freeze", None, "Mail", frozenset({"tags"}))
    read = ReadPlan((stream,), {"mail": "incremental"}, {"mail": {"at": "2026", "skip": [1]}}, NOW)
    plan = Plan(read, (Slice("mail/0", ("mail",), {"start": {"page": 1}}),), "f" * 64)
    assert from_json(msgspec.json.decode(msgspec.json.encode(to_json(plan)))) == plan


def test_several_slices_give_one_cursor() -> None:
    slices = tuple(Slice(key, ("mail",)) for key in ("a", "b", "c"))
    assert merge_cursors(slices, {"a": {"mail": "2026-03"}, "b": {"mail": "2026-01"}, "c": {"mail": None}}) == {
        "mail": "2026-03"
    }
    assert merge_cursors(slices, {"a": {"mail": {"t": 1}}, "b": {"mail": {"t": 0}}}) == {"mail": {"t": 0}}
    assert merge_cursors(slices, {}) == {}
