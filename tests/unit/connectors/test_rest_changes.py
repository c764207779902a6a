"""Reading only what changed since last time: what is asked, what is found out, where the cursor goes."""

from typing import Any

import orjson
import pytest

from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Connector, Json, ReadPlan
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Table, Trouble, Vendor
from tests.servers.declared import NOW, Pull, connect, people


def changing(path: str = "/cursor/people", **more: Json) -> Connector:
    return connect(path, cursor="updated_at", param="updated_since", **more)


def test_only_what_changed_is_asked_for_and_the_cursor_moves() -> None:
    table = people()
    vendor = Vendor({"people": table}, cap=100)
    first = Pull(vendor, changing())
    assert first.cursor == "2026-11-01T00:00:59Z"
    table.put({"id": 5, "name": "new", "updated_at": "2026-11-20T00:00:00Z"})
    second = Pull(vendor, changing(), first.cursor)
    assert 5 in second.ids
    assert len(second.ids) < 100
    assert (second.cursor, second.evidence) == ("2026-11-20T00:00:00Z", {})
    assert vendor.calls[-1].query["updated_since"] == "2026-10-31T23:59:59Z", "a minute before the cursor"


@pytest.mark.parametrize("trouble", ["filter_ignored", "filter_reversed"])
def test_a_filter_that_does_not_work_is_found_out_and_all_is_read(trouble: Json) -> None:
    vendor = Vendor({"people": people()}, cap=100)
    vendor.troubles.plan(Trouble(trouble, times=0))
    pull = Pull(vendor, changing(), "2026-11-01T00:00:59Z")
    assert set(pull.ids) == set(range(1040))
    found = pull.evidence["filter_ignored"]
    assert (found.holds, found.detail) == (None, {"read_in_full": True})
    assert pull.cursor == "2026-11-01T00:00:59Z"


def test_an_empty_answer_where_the_newest_record_should_be_makes_all_be_read_and_the_cursor_go_back() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    pull = Pull(vendor, changing(), "2026-11-22T00:00:00Z")
    assert set(pull.ids) == set(range(1040))
    assert pull.evidence["went_backwards"].holds is False
    assert pull.cursor == "2026-11-01T00:00:59Z"
    again = Pull(vendor, changing(), pull.cursor)
    assert (again.evidence, len(again.ids) < 100) == ({}, True)


def test_a_value_from_the_future_does_not_stop_the_sync() -> None:
    table = people()
    table.put({"id": 5000, "name": "typo", "updated_at": "2099-01-01T00:00:00Z"})
    pull = Pull(Vendor({"people": table}, cap=100), changing())
    assert (5000 in pull.ids, pull.cursor) == (True, "2026-11-01T00:00:59Z")
    assert pull.evidence["suspect_values"].detail == {"count": 1, "rules": ["cursor_in_the_future"]}


@pytest.mark.parametrize(
    ("cursor", "settings", "expected"),
    [
        ("2026-11-01T00:00:59Z", {"param": "updated_since", "lookback": "1 hour"}, "2026-10-31T23:00:59Z"),
        ("2026-11-01 01:00:00.571951", {"param": "since"}, "2026-11-01 00:59:00.571951"),
        ("2026-11-01T01:00:00+02:00", {"param": "since"}, "2026-11-01T00:59:00+02:00"),
        ("2026-11-01", {"param": "since"}, "2026-10-31"),
        (4200, {"param": "since"}, "4199"),
        ("2026-11-01T00:00:59Z", {"param": "$filter=maj ge {}"}, "maj ge 2026-10-31T23:59:59Z"),
        ("2026-11-01T00:30:39Z", {"param": "q=maj:{%d/%m/%Y %H:%M}", "zone": "Europe/Paris"}, "maj:01/11/2026 01:29"),
        ("rev-7", {"param": "since"}, "rev-7"),
    ],
)
def test_the_filter_is_written_as_the_vendor_wants_it(cursor: Json, settings: dict[str, Any], expected: Json) -> None:
    asked = []

    def vendor(request: Request) -> Response:
        asked.append(request)
        return Response(200, request.full_url, orjson.dumps({"items": [{"id": 1, "updated_at": cursor}]}))

    connector = connect(cursor="updated_at", records="items", paging={"kind": "none"}, **settings)
    plan = ReadPlan(converse(connector.discover(), vendor).streams, {"people": "incremental"}, {"people": cursor}, NOW)
    one = read(connector, plan, converse(connector.slices(plan), vendor)[0], None, vendor)
    assert dict(asked[-1].params)[settings["param"].partition("=")[0]] == expected
    assert (one.cursors, one.evidence) == ({"people": cursor}, ())


def test_windows_of_time_are_halved_when_the_vendor_caps_them() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    paging = {"kind": "windows", "since": "from", "until": "to", "start": "2026-01-01", "width": "30 days", "cap": 100}
    pull = Pull(vendor, changing("/windows/people", paging=paging, records="items"))
    lost = set(range(1040)) - set(pull.ids)
    assert pull.evidence["page_cap"].holds is None if not lost else pull.evidence["page_cap"].holds is False
    table = Table.of(
        ({"id": n, "updated_at": f"2026-03-{n // 60 + 1:02}T00:00:{n % 60:02}Z"} for n in range(900)), ["id"], "updated_at"
    )
    vendor = Vendor({"people": table}, cap=50)
    paging["cap"] = 50
    pull = Pull(vendor, changing("/windows/people", paging=paging, records="items"))
    assert sorted(pull.ids) == list(range(900))
    assert len(pull.slices) > 1
    later = Pull(vendor, changing("/windows/people", paging=paging, records="items"), pull.cursor)
    assert later.cursor == pull.cursor == "2026-03-15T00:00:59Z"
    assert len(later.ids) < 70
