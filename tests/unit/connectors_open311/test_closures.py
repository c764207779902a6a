"""Old requests are closed without any filter saying so: they are found all the same, at a cost that does not follow size."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from saas_connectors.request import Request, Response
from saas_connectors.sandbox.open311 import NOW, Open311, reports
from tests.unit.connectors_open311.conftest import City, city, facts, named


def late(here: City) -> list[str]:
    """Close the oldest open requests, an hour later; give their identifiers."""
    here.vendor.moods.add("late_closures")
    return [str(one) for one in here.vendor.elapse(timedelta(hours=1))]


@pytest.mark.parametrize("moods", [(), ("updates",), ("no_lists",), ("no_lists", "all_statuses"), ("reversed",)], ids="+".join)
def test_a_closure_of_an_old_request_is_read_whatever_the_server_can_filter(moods: tuple[str, ...]) -> None:
    here = city(moods)
    before = here.pull()
    closed = late(here)
    found = named(here.again(before))
    assert [found[one]["status"] for one in closed] == ["closed"] * 5


def test_what_was_read_once_is_not_asked_for_again_once_it_is_closed() -> None:
    here = city()
    before = here.pull()
    late(here)
    between = here.again(before)
    here.again(between)
    listed = [
        dict(request.params)["service_request_id"] for request in here.asked if "service_request_id" in dict(request.params)
    ]
    still = {str(one.id) for one in here.vendor.held.values() if one.status == "open"}
    assert {name for names in listed for name in names.split(",")} == still


def test_the_extension_on_changes_is_used_only_where_it_was_seen_to_work() -> None:
    here = city(["updates"])
    before = here.pull()
    here.again(before)
    assert any("updated_after" in dict(request.params) for request in here.asked)
    here.vendor.moods.clear()
    closed = late(here)
    found = here.again(before)
    assert {fact.detail["filter"] for fact in facts(found, "filter_ignored")} == {"updated_after, updated_before"}
    assert {named(found)[one]["status"] for one in closed} == {"closed"}
    plain = city()
    plain.again(plain.pull())
    assert not any("updated_after" in dict(request.params) for request in plain.asked)


def test_a_server_that_knows_one_identifier_at_a_time_is_found_out() -> None:
    here = city(["no_lists"])
    found = here.again(here.pull())
    assert [fact.detail["filter"] for fact in facts(found, "filter_ignored")] == ["service_request_id"]


def test_a_request_that_is_shown_no_more_is_not_asked_for_for_ever() -> None:
    here = city()
    before = here.pull()
    gone = min(one.id for one in here.vendor.held.values() if one.status == "open")
    del here.vendor.held[gone]
    between = here.again(before)
    assert facts(between, "filter_ignored") == []
    assert str(gone) not in between.cursors["requests"]["ids"]


def open_city(count: int, *, cap: int = 1000) -> City:
    """A server whose requests are all open but one in ten."""
    held = [replace(one, status="closed" if one.id % 10 == 0 else "open") for one in reports(count, days=1500)]
    return City(Open311(held, cap=cap), {"since": "2022-10-01", "cap": cap})


def test_thousands_of_open_requests_are_followed_by_windows_and_reopened_ones_are_seen() -> None:
    here = open_city(3_000)
    before = here.pull()
    assert before.cursors["requests"]["ids"] is None
    closed = late(here)
    reopened = next(one.id for one in here.vendor.held.values() if one.id % 10 == 0)
    here.vendor.held[reopened] = replace(here.vendor.held[reopened], status="open")
    found = here.again(before)
    assert [named(found)[one]["status"] for one in closed] == ["closed"] * 5
    assert named(found)[str(reopened)]["status"] == "open"
    quiet = here.again(found)
    full = [request for request in here.asked if "start_date" in dict(request.params) and "status" not in dict(request.params)]
    assert len(full) <= 3
    assert facts(quiet, "filter_ignored") == []


def test_fifty_thousand_open_requests_make_a_small_cursor() -> None:
    cursor = open_city(55_000).pull().cursors["requests"]
    assert (sum(leaf[2] for leaf in cursor["leaves"]), cursor["ids"]) == (49_500, None)
    assert len(msgspec.json.encode(cursor)) < 64 << 10


def test_an_unchanged_vendor_costs_few_calls() -> None:
    held = reports(20_000, days=1500)
    still = [one for one in held if one.status == "open"][-250:]
    kept = {one.id for one in still}
    here = City(Open311([replace(one, status="open" if one.id in kept else "closed") for one in held]), {"since": "2022-10-01"})
    before = here.pull()
    first = len(here.asked)
    here.vendor.now = NOW + timedelta(minutes=10)
    here.again(before)
    assert first > 30
    assert len(here.asked) == 4  # the control question, the 250 open ones in two lists, the last day


def test_catalogues_that_did_not_move_make_no_page_and_attributes_are_asked_again_once_a_week() -> None:
    here = city()
    services, attributes = here.pull("services"), here.pull("service_definitions")
    for stream, before in (("services", services), ("service_definitions", attributes)):
        found = here.pull(stream, cursor=before.cursors[stream], at=NOW + timedelta(days=1))
        assert (len(here.asked), found.pages) == (1, ())
        assert [fact.check for fact in found.evidence] == ["unchanged"]
    later = here.pull("service_definitions", cursor=attributes.cursors["service_definitions"], at=NOW + timedelta(days=8))
    assert len(later.pages) == 1

    def renamed(request: Request, response: Response) -> Response:
        return replace(response, body=response.body.replace(b"Nid-de-poule", b"Trou"))

    here.change = renamed
    assert len(here.pull("services", cursor=services.cursors["services"]).pages) == 1


def test_no_list_of_open_requests_is_asked_twice_because_it_was_full() -> None:
    """How many are open in each window is known: lists are cut before they are asked."""
    (model, *_) = reports(until=NOW)
    made = [NOW - timedelta(hours=6 * n) for n in range(400, 0, -1)]
    held = [
        replace(model, id=n, status="open" if n % 2 else "closed", made=at, changed=at) for n, at in enumerate(made, start=1)
    ]
    here = City(Open311(held, moods=["no_lists"], now=NOW, cap=40), {"cap": 40})
    found = here.again(here.pull())
    lists = [request for request in here.asked if dict(request.params).get("status") == "open"]
    given = [len(msgspec.json.decode(here.vendor.respond(request).body)) for request in lists]
    assert max(given) < 40
    assert {name for name, row in named(found).items() if row["status"] == "open"} == {str(n) for n in range(1, 401, 2)}
    assert len(lists) <= 2 * 200 // 40


def test_more_closures_in_one_second_than_an_answer_holds_are_all_found() -> None:
    here = City(Open311(moods=["updates"], now=NOW, cap=30), {"cap": 30})
    before = here.pull()
    still = [one.id for one in here.vendor.held.values() if one.status == "open"]
    here.vendor.now += timedelta(hours=1)
    here.vendor.close(*still)
    found = here.again(before)
    assert len(still) > 30
    assert {name for name, row in named(found).items() if row["status"] == "closed"} >= {str(one) for one in still}
    assert [fact.holds for fact in facts(found, "page_cap")] == [None]
