"""What Open311 servers do wrong, and what is made of it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest

from saas_connectors import registry
from saas_connectors.errors import ConnectorError, Malformed, SettingsError
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.open311 import JURISDICTION, NOW, Open311, Report, float32
from tests.unit.connectors_open311.conftest import URL, City, answered, city, facts, named, rows


def test_a_reversed_filter_is_found_out_and_asked_reversed() -> None:
    here = city(["reversed", "unlimited"])
    found = here.pull()
    assert len(named(found)) == 400
    (fact,) = facts(found, "filter_ignored")
    assert (fact.holds, fact.detail["reversed"]) == (None, True)


def test_an_ignored_filter_is_found_out_before_the_first_page_and_all_is_read_at_once() -> None:
    here = city(["ignored", "unlimited"])
    found = here.pull()
    assert len(rows(found)) == len(named(found)) == 400
    assert [fact.holds for fact in facts(found, "filter_ignored")] == [None]
    assert len(here.asked) <= 10


def test_an_ignored_filter_behind_the_ninety_days_of_the_standard_speaks_against_completeness() -> None:
    found = city(["ignored"]).pull()
    assert 0 < len(named(found)) < 400
    assert [fact.holds for fact in facts(found, "filter_ignored")] == [False]


def test_an_ignored_filter_says_nothing_against_a_pull_of_the_last_ninety_days() -> None:
    found = city(["ignored"], since="2026-09-01").pull()
    assert [fact.holds for fact in facts(found, "filter_ignored")] == [None]


def test_an_ignored_filter_and_a_round_number_of_requests_speak_against_completeness() -> None:
    whole = city(["ignored", "unlimited"]).pull()
    assert [(fact.holds, fact.detail["rows"]) for fact in facts(whole, "filter_ignored")] == [(None, 400)]
    fewer = City(Open311(moods=["ignored", "always"], now=NOW, cap=100)).pull()
    assert [(fact.holds, fact.detail["rows"]) for fact in facts(fewer, "filter_ignored")] == [(False, 100)]


def test_a_filter_that_stops_being_honoured_during_a_read_is_found_out_by_what_comes_back() -> None:
    here = city(["unlimited"])
    seen = 0

    def ignoring(request: Request, response: Response) -> Response:
        nonlocal seen
        seen += "start_date" in dict(request.params)
        return here.vendor.respond(replace(request, params=())) if seen > 3 else response

    here.change = ignoring
    found = here.pull()
    assert len(named(found)) == 400
    assert [fact.detail["read_in_full"] for fact in facts(found, "filter_ignored")] == [True]


def test_a_reversed_filter_is_found_out_where_nothing_was_reported_lately() -> None:
    old = [one for one in Open311().held.values() if one.made < NOW - timedelta(days=200)]
    here = City(Open311(old, moods=["reversed"]))
    assert len(named(here.pull())) == len(old)


def test_a_window_never_spans_more_than_ninety_days() -> None:
    here = city(["exclusive"])
    here.pull()
    for request in here.asked:
        asked = dict(request.params)
        if "start_date" in asked:
            span = datetime.fromisoformat(asked["end_date"]) - datetime.fromisoformat(asked["start_date"])
            assert span <= timedelta(days=90)


def crowd(size: int, *, apart: int = 0) -> list[Report]:
    at = NOW - timedelta(days=10)
    return [
        Report(number, "001", "closed", at + timedelta(seconds=apart * number), at, 45.0, 4.0, "x", "y")
        for number in range(size)
    ]


def test_a_second_that_is_full_is_said_and_the_rest_is_read() -> None:
    held = [*crowd(30), *(replace(one, id=100 + one.id, made=one.made + timedelta(hours=1)) for one in crowd(5))]
    found = City(Open311(held, cap=20), {"cap": 20}).pull()
    assert len(named(found)) == 25
    assert {fact.holds for fact in facts(found, "page_cap")} == {False}


def test_a_cap_that_nobody_said_is_found_out() -> None:
    found = City(Open311(crowd(300, apart=60), cap=50)).pull()
    assert len(named(found)) == 300
    (fact,) = facts(found, "page_cap")
    assert (fact.holds, dict(fact.detail)) == (None, {"asked": 1000, "given": 50})


def test_a_round_number_of_requests_is_no_cap() -> None:
    found = City(Open311(crowd(50, apart=60))).pull()
    assert (len(named(found)), facts(found, "page_cap")) == (50, [])


@pytest.mark.parametrize("moods", [(), ("xml_only",), ("zeros",)], ids="+".join)
def test_identifiers_and_codes_are_text_whatever_the_server_writes(moods: tuple[str, ...]) -> None:
    here = city(moods)
    found = named(here.pull())
    assert {"10000", "10001"} <= found.keys()
    assert {row["service_code"] for row in found.values()} == {"001", "002", "010", "011", "20", "21"}
    assert {row["service_code"] for row in rows(here.pull("services"))} == {"001", "002", "010", "011", "20", "21"}


@pytest.mark.parametrize("moods", [(), ("xml_only",)], ids="+".join)
def test_coordinates_keep_the_decimals_that_came(moods: tuple[str, ...]) -> None:
    here = city(moods)
    row, report = named(here.pull())["10004"], here.vendor.held[10004]
    assert row["lat"] == Decimal(repr(float32(report.lat)))
    assert row["extensions"] == '{"extended_attributes":{"canal":"téléphone"}}'


def test_json_and_xml_give_the_same_rows() -> None:
    assert named(city(format="json").pull()) == named(city(format="xml").pull())
    for stream in ("services", "service_definitions"):
        assert rows(city(format="json").pull(stream)) == rows(city(format="xml").pull(stream))


def test_times_without_a_zone_take_that_of_the_settings_and_none_is_lost_when_it_is_wrong() -> None:
    said = {"requests": {"zone": "Europe/Paris"}}
    assert named(city(["naive"], streams=said).pull())["10000"]["requested_datetime"] == city().vendor.held[10000].made
    wrong = city(["naive"], streams={"requests": {"zone": "Asia/Tokyo"}}, cap=20).pull()
    assert len(rows(wrong)) == len(named(wrong)) == 400


def test_what_cannot_be_read_of_a_request_is_null_and_counted() -> None:
    body = (
        b'[{"service_request_id": 7, "status": "open", "requested_datetime": "2026-11-01T10:00:00Z", "lat": "north",'
        b' "expected_datetime": "soon", "long": 4.5}, {"status": "open"}]'
    )
    here = city()
    here.change = lambda _, __: answered(body)
    found = here.pull()
    (row,) = named(found).values()
    assert (row["lat"], row["expected_datetime"], row["long"]) == (None, None, Decimal("4.5"))
    assert [fact.holds for fact in facts(found, "invalid_records")] == [False]
    assert facts(found, "suspect_values")[0].detail["rules"].keys() == {"expected_datetime", "lat"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"service_requests": [{"service_request_id": 1}]}',
        b'{"service_requests": {"request": [{"service_request_id": 1}]}}',
        b'{"service_requests": {"request": {"service_request_id": 1}}}',
        b'{"requests": [{"request": [{"service_request_id": 1}]}]}',
        b'[{"service_request_id": 1}]',
    ],
    ids=str,
)
def test_lists_are_read_bare_or_wrapped(body: bytes) -> None:
    here = city(format="json")
    here.change = lambda _, __: answered(body)
    assert set(named(here.pull())) == {"1"}


@pytest.mark.parametrize(
    "body",
    [
        b"<service_requests><request><service_request_id>1</service_request_id></request></service_requests>",
        b"<service_requests><service_request><service_request_id>1</service_request_id></service_request></service_requests>",
        b'<service_requests xmlns="urn:x"><request><service_request_id>1</service_request_id></request></service_requests>',
    ],
    ids=str,
)
def test_xml_is_read_with_the_names_that_servers_use(body: bytes) -> None:
    here = city(format="xml")
    here.change = lambda _, __: answered(body, "text/xml")
    assert set(named(here.pull())) == {"1"}


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE r [<!ENTITY a "jeanne">]><service_requests><request><status>&a;</status></request></service_requests>',
        b"<service_requests>" + b"<request>" * 300 + b"</request>" * 300 + b"</service_requests>",
        b"<errors><error><code>400</code><description>jeanne</description></error></errors>",
        b"<service_requests><request><service_request_id>jeanne",
    ],
    ids=["a DTD", "an abyss", "an error", "half"],
)
def test_xml_that_is_not_safe_or_not_a_list_is_refused_without_a_word_of_it(body: bytes) -> None:
    here = city(format="xml")
    here.change = lambda _, __: answered(body, "text/xml")
    with pytest.raises(Malformed) as refusal:
        here.pull()
    assert "jeanne" not in f"{refusal.value!r} {refusal.value.diagnostics('fr')}"


def test_an_error_inside_a_success_is_no_list() -> None:
    here = city(format="json")
    here.change = lambda _, __: answered(b'[{"code": 400, "description": "jeanne"}]')
    with pytest.raises(Malformed) as refusal:
        here.pull()
    assert "jeanne" not in f"{refusal.value!r} {refusal.value.fields}"


def test_xml_is_asked_for_once_json_is_refused_and_from_then_on() -> None:
    here = city(["xml_only"])
    assert len(named(here.pull())) == 400
    assert [request.url.rpartition(".")[2] for request in here.asked].count("json") == 1
    assert here.check().remarks[0][1] == "The server speaks no JSON: XML is read."
    with pytest.raises(ConnectorError):
        city(["xml_only"], format="json").pull()


def test_a_missing_jurisdiction_is_remarked_on() -> None:
    assert "jurisdiction_id" in city(["jurisdiction"]).check().remarks[0][0]
    assert city(["jurisdiction"], jurisdiction_id=JURISDICTION).check().remarks == ()


def test_a_service_that_promises_attributes_and_has_none_is_passed_over() -> None:
    here = city()

    def without(request: Request, response: Response) -> Response:
        gone = request.url.endswith(("services/010.json", "services/010.xml"))
        return answered(b'[{"code": 400, "description": "none"}]', status=400) if gone else response

    here.change = without
    assert {row["service_code"] for row in rows(here.pull("service_definitions"))} == {"001", "20"}
    assert facts(here.pull("service_definitions"), "vanished") == []


def test_a_service_that_withholds_its_attributes_is_told_and_is_a_remark_once_it_still_does() -> None:
    here = city(format="json")
    here.change = lambda request, response: (
        answered(b'[{"code": 403, "description": "no"}]', status=403) if request.url.endswith("services/010.json") else response
    )
    found = here.pull("service_definitions")
    assert {row["service_code"] for row in rows(found)} == {"001", "20"}
    again = here.again(found, "service_definitions")
    quiet = here.again(again, "service_definitions")
    told = [[(fact.holds, fact.detail) for fact in facts(each, "withheld")] for each in (found, again, quiet)]
    assert told == [[(False, {"count": 1, "new": 1})], [(None, {"count": 1, "new": 0})], []]


def test_a_page_in_the_stead_of_a_service_s_attributes_is_told() -> None:
    here = city(format="json")
    here.change = lambda request, response: (
        answered(b"<html>404", "text/html", status=404) if request.url.endswith("services/010.json") else response
    )
    found = here.pull("service_definitions")
    assert {row["service_code"] for row in rows(found)} == {"001", "20"}
    assert [(fact.holds, fact.detail) for fact in facts(found, "vanished")] == [(False, {"count": 1})]
    here.change = lambda _, response: response
    again = here.again(found, "service_definitions")
    assert {row["service_code"] for row in rows(again)} == {"001", "010", "20"}


@pytest.mark.parametrize(
    "said", ["2026-11-01 10:00:00 UTC", "2026-11-01 12:00:00 +0200", "2026-11-01T10:00:00.1234567Z"], ids=str
)
def test_times_are_read_as_servers_write_them(said: str) -> None:
    here = city()
    body = orjson.dumps([{"service_request_id": 7, "status": "closed", "requested_datetime": said}])
    here.change = lambda _, __: answered(body)
    (row,) = rows(here.pull())
    assert row["requested_datetime"].replace(microsecond=0) == datetime(2026, 11, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("moods", [["unlimited"], []], ids=str)
def test_a_server_that_says_no_time_is_read_whole_and_once(moods: list[str]) -> None:
    here = city(moods, format="json")

    def timeless(_: Request, response: Response) -> Response:
        kept = [
            {name: held for name, held in one.items() if not name.endswith("_datetime")} for one in orjson.loads(response.body)
        ]
        return replace(response, body=orjson.dumps(kept))

    here.change = timeless
    found = here.pull()
    assert len(rows(found)) == len(named(found)) == (400 if moods else 51)
    assert [fact.holds for fact in facts(found, "filter_ignored")] == [False]
    assert len(rows(here.again(found))) == len(rows(found))


def test_a_server_that_went_back_in_time_is_read_in_full_and_said() -> None:
    here = city()
    before = here.pull()
    newest = max(here.vendor.held.values(), key=lambda one: (one.made, one.id))
    del here.vendor.held[newest.id]
    found = here.again(before)
    assert len(named(found)) == 399
    assert [fact.holds for fact in facts(found, "went_backwards")] == [False]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"cap": 0}, "cap"),
        ({"window": 91}, "window"),
        ({"since": "hier"}, "since"),
        ({"format": "yaml"}, "format"),
        ({"writes": ["services"]}, "writes"),
        ({"params": {"api_key": "x"}}, "params"),
        ({"lookback": -1}, "lookback"),
        ({"streams": ["complaints"]}, "streams.complaints"),
        ({"streams": {"requests": {"zone": "Paris/Texas"}}}, "streams.requests.zone"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings: dict[str, object], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        registry.make("open311", "ville", {"url": URL, **settings})
    assert refusal.value.fields["field"] == f"connections.ville.{field}"


def test_a_date_of_the_settings_file_is_a_date() -> None:
    here = city(since=datetime(2026, 6, 1, tzinfo=UTC).date())
    assert all(row["requested_datetime"] >= datetime(2026, 6, 1, tzinfo=UTC) for row in rows(here.pull()))


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_server_that_reverses_its_filter_knows_no_limit_and_leaves_out_what_is_null_is_read_whole(form: str) -> None:
    """As codefornl/open311-api does: strict and reversed dates, no code in requests, other element names, empty lists."""
    here = city(["reversed", "unlimited"], format=form)

    def odd(_: Request, response: Response) -> Response:
        if form == "xml":
            body = re.sub(rb"<(?!service_requests)(\w+)></\1>|<service_code>[^<]*</service_code>", b"", response.body)
            return replace(response, body=re.sub(rb"<(/?)request>", rb"<\1service_request>", body))
        listed = orjson.loads(response.body)
        kept = [{name: held for name, held in one.items() if held is not None and name != "service_code"} for one in listed]
        return replace(response, body=orjson.dumps(kept))

    here.change = odd
    before = here.pull()
    assert len(rows(before)) == len(named(before)) == 400
    here.vendor.close(10_000)
    assert here.vendor.held[10_000].status == "closed"
    found = here.again(before)
    assert [fact.holds for fact in found.evidence] == []
    assert len(here.asked) < 6
