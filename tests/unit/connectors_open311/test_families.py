"""Servers as they are found in cities, each with its own departures from the standard: all is read, and closures are found."""

from dataclasses import replace
from datetime import timedelta

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.connector import Applied, Json, ReadBack
from saas_connectors.errors import Malformed, Rejected
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.open311 import JURISDICTION, NOW, Open311, reports
from saas_connectors.sandbox.open311_shapes import FAMILIES
from saas_connectors.sandbox.vendor import SECRET
from tests.unit.connectors_open311.conftest import URL, City, answered, city, facts, named, rows

CAPS = {"markaspot": 100, "chicago": 50, "spot": 50}


def of(family: str, form: str, count: int = 250, **settings: Json) -> City:
    said: dict[str, Json] = {"format": form, **settings}
    if "jurisdiction" in FAMILIES[family]:
        said["jurisdiction_id"] = JURISDICTION
    here = City(Open311(reports(count), moods=FAMILIES[family], now=NOW, cap=CAPS.get(family, 1000)), said)
    last = max(here.vendor.held)
    here.vendor.held[last] = replace(here.vendor.held[last], made=NOW - timedelta(hours=1), changed=NOW - timedelta(hours=1))
    return here


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("family", FAMILIES)
def test_all_is_read_and_a_closure_is_found(family: str, form: str) -> None:
    here = of(family, form)
    before = here.pull()
    pending = {"10249"} if family == "chicago" else set()
    assert set(named(before)) == {str(one) for one in here.vendor.held} - pending
    assert len(rows(before)) == len(named(before))
    assert [fact.detail for fact in before.evidence if fact.holds is False] == []

    late = [one.id for one in sorted(here.vendor.held.values(), key=lambda one: one.made) if one.status == "open"][:3]
    here.vendor.now += timedelta(hours=3)
    here.vendor.close(*late)
    found = here.again(before)
    assert {named(found)[str(one)]["status"] for one in late} == {"closed"}
    assert [fact.detail for fact in found.evidence if fact.holds is False] == []
    here.vendor.now += timedelta(hours=3)
    quiet = here.again(found)
    assert facts(quiet, "filter_ignored") == []


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("family", FAMILIES)
def test_services_and_their_attributes_are_those_of_the_standard(family: str, form: str) -> None:
    here, plain = of(family, form), city()
    assert rows(here.pull("services")) == rows(plain.pull("services"))
    given = {row["service_code"] for row in rows(here.pull("service_definitions"))}
    assert given == ({"001"} if family == "ureport" else {"001", "010", "20"})


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_is_named_and_read_back(family: str, form: str) -> None:
    here = of(family, form)
    here.vendor.moods.discard("unnamed")
    writer = registry.writer("open311", "ville", {"url": URL, "writes": ["requests"], **here.settings})
    payload: dict[str, Json] = {"service_code": "002", "lat": 45.4397, "long": 4.3872, "description": "Banc cassé"}

    def send(request: Request) -> Response:
        keyed = request if request.body is None else replace(request, body=request.body + f"&api_key={SECRET}".encode())
        return here.vendor.respond(keyed)

    applied = converse(writer.apply("create_request", payload), send)
    assert applied == Applied(200, "token:t-10250" if family == "chicago" else "10250")
    assert converse(writer.read_back("create_request", payload, applied), send) == ReadBack("confirmed")


def test_a_page_in_the_stead_of_requests_points_at_the_jurisdiction_that_is_not_set() -> None:
    here = City(of("fixmystreet", "auto").vendor)
    with pytest.raises(Malformed) as refusal:
        here.check()
    assert "jurisdiction_id" in refusal.value.fields["expected_fr"]
    assert "ERROR" not in f"{refusal.value!r} {refusal.value.fields}"


@pytest.mark.parametrize("family", ["chicago", "markaspot"])
def test_larger_answers_are_asked_for_where_the_server_gives_them(family: str) -> None:
    here = of(family, "json", 1200)
    here.vendor.moods.discard("unnamed")
    here.vendor.cap = 25
    before = here.pull()
    assert len(named(before)) == 1200
    larger = len(here.asked)
    here.vendor.moods -= {"page_size", "per_page", "limit"}
    assert len(named(here.pull())) == 1200
    assert larger * 2 < len(here.asked)
    found = here.again(before)  # the server gives fewer than it did
    assert [fact.holds for fact in found.evidence if fact.holds is False] == []


def test_a_server_that_shows_open_requests_by_default_is_found_out_even_where_it_takes_one_status_at_a_time() -> None:
    here = city(["open_only"], format="json")

    def single(request: Request, response: Response) -> Response:
        several = dict(request.params).get("status") == "open,closed"
        return answered(b"[]") if several else response

    here.change = single
    found = here.pull()
    assert set(named(found)) == {str(one) for one in here.vendor.held}
    assert found.cursors["requests"]["every"] == ["open", "closed"]
    late = min(one.id for one in here.vendor.held.values() if one.status == "open")
    here.vendor.close(late)
    assert named(here.again(found))[str(late)]["status"] == "closed"


def test_a_server_whose_requests_are_all_closed_and_hidden_is_read() -> None:
    here = city(["open_only"])
    here.vendor.close(*here.vendor.held)
    assert len(named(here.pull())) == 400


def test_dates_whose_zone_the_server_drops_still_bring_every_request_once_on_busy_days() -> None:
    """Windows overlap by hours, not by days: half a day of the busiest is within what one answer holds."""
    held = [replace(one, id=number, made=NOW - timedelta(minutes=10 * number)) for number, one in enumerate(reports(600))]
    here = City(Open311(held, moods=["local_dates", "always"], now=NOW, cap=100), {"cap": 100})
    found = here.pull()
    assert len(rows(found)) == len(named(found)) == 600
    assert facts(found, "page_cap") == []


@pytest.mark.parametrize(("moods", "shown"), [(["none_is_404"], 0), (["none_is_404", "boxed_errors"], 0)], ids=str)
def test_a_server_that_answers_404_where_there_is_nothing_yet_is_read(moods: list[str], shown: int) -> None:
    for form in ("json", "xml"):
        here = City(Open311([], moods=moods, now=NOW), {"format": form, "since": "2026-01-01"})
        assert len(named(here.pull())) == shown
        here.vendor.held = {one.id: one for one in reports(30, days=60)}
        assert len(named(here.pull())) == 30


def test_a_window_that_is_more_than_the_server_can_list_is_halved() -> None:
    here = city(format="json")

    def heavy(request: Request, response: Response) -> Response:
        return answered(b"<h1>500</h1>", "text/html", 500) if response.body.count(b"service_request_id") > 60 else response

    here.vendor.held |= {
        30_000 + n: replace(one, id=30_000 + n, made=NOW - timedelta(days=690, minutes=n)) for n, one in enumerate(reports(150))
    }
    here.change = heavy
    found = here.pull()
    assert len(rows(found)) == len(named(found)) == 550
    here.change = lambda request, response: answered(b"", status=500) if dict(request.params) else response
    with pytest.raises(Rejected):
        here.pull()


def test_a_server_that_takes_no_status_is_read_and_its_closures_are_found() -> None:
    here = city(["no_lists"], format="json")
    here.change = lambda request, response: answered(b"[]", status=400) if "status" in dict(request.params) else response
    before = here.pull()
    late = min(one.id for one in here.vendor.held.values() if one.status == "open")
    here.vendor.close(late)
    found = here.again(before)
    assert named(found)[str(late)]["status"] == "closed"
    assert [fact.detail["filter"] for fact in facts(found, "filter_ignored")] == ["service_request_id", "status"]
    assert facts(here.again(found), "filter_ignored") == []
    only = City(Open311([one for one in reports() if one.status == "open"]), {"format": "json"}, here.change)
    assert {row["status"] for row in rows(only.pull())} == {"open"}
