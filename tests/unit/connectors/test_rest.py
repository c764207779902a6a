"""A source declared in a few lines: what it finds by itself, and what it does when the vendor lies."""

import tomllib
from random import Random
from typing import Any

import orjson
import pytest

from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Json, ReadPlan
from saas_connectors.errors import Malformed, NotFound, Rejected, SchemaError, SettingsError, Unauthorized
from saas_connectors.registry import make
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble, Vendor, communes
from tests.servers.declared import NOW, Pull, answered, connect, people


def test_the_communes_of_france_come_in_ten_lines_of_toml_and_are_named_by_code_and_type() -> None:
    declared = """
[connections.insee]
connector = "rest"
url = "http://vendor.example"
every = "1 day"
[connections.insee.streams.communes]
path = "/page/communes"
primary_key = ["code", "type"]
paging = { size = 1000 }
classes = { internal = ["code", "type", "nom", "population"] }
"""
    assert len(declared.strip().splitlines()) <= 10
    settings = tomllib.loads(declared)["connections"]["insee"]
    connector = make("rest", "insee", {name: settings[name] for name in ("url", "streams")})
    vendor = Vendor({"communes": communes()})
    pull = Pull(vendor, connector, stream="communes")
    assert len(pull.rows) == 37_590
    assert len({(row["code"], row["type"]) for row in pull.rows}) == 37_590
    assert len({row["code"] for row in pull.rows}) == 37_006
    assert next(row for row in pull.rows if row["code"] == "42218")["siren"] == "214202186"
    assert len(pull.slices) == 8
    assert len(pull.calls) <= 40, "38 pages, and one empty page to be sure of the end"
    assert pull.evidence["vendor_count"].detail == {"count": 37_590}
    classes = pull.plan.streams[0].classes
    assert (classes["population"], classes["siren"]) == ("internal", "personal")


@pytest.mark.parametrize(
    ("style", "kind", "slices"),
    [
        ("page", "page", 5),
        ("offset", "offset", 5),
        ("cursor", "cursor", 1),
        ("link", "link", 1),
        ("next", "link", 1),
        ("odata", "link", 1),
        ("hal", "link", 1),
        ("bare", "page", 1),
        ("whole", "none", 1),
    ],
)
def test_records_and_paging_are_found_from_a_sample(style: str, kind: str, slices: int) -> None:
    pull = Pull(Vendor({"people": people()}, cap=100), connect(f"/{style}/people"))
    assert pull.slices[0].detail["paging"]["kind"] == kind
    assert len(pull.slices) == slices
    assert sorted(pull.ids) == list(range(1040))


ONE = [{"id": 1, "a": "x"}]


@pytest.mark.parametrize(
    ("document", "records", "paging"),
    [
        ({"data": ONE, "links": {"next": "/p?2"}}, "data", {"kind": "link", "path": "links.next"}),
        ({"value": ONE, "@odata.nextLink": "http://vendor.example/x"}, "value", {"kind": "link", "path": "@odata.nextLink"}),
        ({"features": ONE, "links": [{"rel": "next", "href": "?o=1"}]}, "features", {"kind": "link", "path": "links"}),
        ({"count": 1, "next": None, "previous": None, "results": ONE}, "results", {"kind": "link", "path": "next"}),
        ({"files": ONE, "nextPageToken": "abc"}, "files", {"kind": "cursor", "path": "nextPageToken", "param": "pageToken"}),
        (
            {"data": ONE, "meta": {"next_cursor": None}},
            "data",
            {"kind": "cursor", "path": "meta.next_cursor", "param": "cursor"},
        ),
        ({"response": {"users": ONE}, "response_metadata": {"next_cursor": "x"}}, "response.users", {"kind": "cursor"}),
        (
            {"data": [{"n": 1}], "next_page": {"offset": "9.1"}},
            "data",
            {"kind": "cursor", "path": "next_page.offset", "param": "offset"},
        ),
        (
            {"content": ONE, "number": 0, "totalPages": 3, "size": 1},
            "content",
            {"kind": "page", "first": 0, "size_param": "size"},
        ),
        ({"data": ONE, "current_page": 1, "last_page": 9, "per_page": 1}, "data", {"kind": "page", "pages": "last_page"}),
        (
            {"Resources": ONE, "startIndex": 1, "itemsPerPage": 1, "totalResults": 9},
            "Resources",
            {"kind": "offset", "first": 1},
        ),
        ({"object": "list", "has_more": True, "data": ONE}, "data", {"kind": "keyset", "param": "starting_after"}),
        ({"result": {"items": ONE, "tags": ["a"]}, "errors": []}, "result.items", {"kind": "none"}),
        (ONE, "", {"kind": "none"}),
    ],
)
def test_the_common_shapes_are_known(document: Json, records: str, paging: Json) -> None:
    connector = connect()
    plan = ReadPlan(converse(connector.discover(), answered(document)).streams, {}, {}, NOW) if records != "data" else None
    stream = plan.streams if plan else converse(connect(primary_key=["id"]).discover(), answered({"data": ONE})).streams
    (part, *_) = converse(connector.slices(ReadPlan(stream, {}, {}, NOW)), answered(document))
    assert part.detail["records"] == records
    assert part.detail["paging"].items() >= paging.items()


def test_a_full_page_that_says_nothing_is_probed_and_a_vendor_in_no_stable_order_is_not_taken_for_a_paged_one() -> None:
    rows = [{"id": n} for n in range(50)]
    order = Random(1)  # noqa: S311 - an order, not a secret

    def vendor(request: Request) -> Response:
        return Response(200, request.full_url, orjson.dumps(order.sample(rows, 50)))

    connector = connect()
    plan = ReadPlan(converse(connector.discover(), vendor).streams, {}, {}, NOW)
    assert converse(connector.slices(plan), vendor)[0].detail["paging"]["kind"] == "none"


def test_settings_spare_the_sample() -> None:
    vendor = Vendor({"people": people()})
    connector = connect("/cursor/people", records="items", paging={"kind": "cursor", "path": "next_cursor", "size": 500})
    plan = Pull(vendor, connector).plan
    vendor.calls.clear()
    converse(connector.slices(plan), vendor.respond)
    assert not vendor.calls


def test_a_cap_found_out_is_said_and_nothing_is_missed() -> None:
    pull = Pull(Vendor({"people": people()}, cap=100), connect(paging={"size": 1000}))
    assert sorted(pull.ids) == list(range(1040))
    vendor = Vendor({"people": people()}, cap=100)
    one = Pull(vendor, connect("/offset/people", paging={"size": 1000}, total="nowhere"))
    assert sorted(one.ids) == list(range(1040))
    assert one.evidence["page_cap"].detail == {"asked": 1000, "given": 100}


@pytest.mark.parametrize(("lie", "count"), [(-300, 740), (+50, 1090)])
def test_a_lying_count_is_a_hint_that_stops_nothing(lie: int, count: int) -> None:
    vendor = Vendor({"people": people()}, cap=100)
    vendor.troubles.plan(Trouble("lying_count", lie, times=0))
    pull = Pull(vendor, connect())
    assert sorted(pull.ids) == list(range(1040))
    assert pull.evidence["vendor_count"].detail == {"count": count}


def test_the_count_endpoint_is_asked_once_and_its_failure_changes_nothing() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    pull = Pull(vendor, connect("/cursor/people", count={"path": "/count/people"}))
    assert pull.evidence["vendor_count"].detail == {"count": 1040}
    vendor.troubles.plan(Trouble("html", 500, path="/count/", times=0))
    pull = Pull(vendor, connect("/cursor/people", count={"path": "/count/people"}))
    assert (len(pull.ids), pull.evidence["vendor_count"].holds) == (1040, None)


def test_a_page_repeated_in_place_of_another_is_kept_once_and_speaks_against_completeness() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    connector = connect("/bare/people", paging={"kind": "page"}, records="")
    Pull(vendor, connector)
    vendor.troubles.plan(Trouble("repeated", at=5))
    pull = Pull(vendor, connector)
    assert len(pull.ids) == len(set(pull.ids)) == 940
    assert pull.evidence["page_repeated"].holds is False


def test_pages_that_come_in_another_order_all_come() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    vendor.troubles.plan(Trouble("swapped", 3, times=0))
    assert sorted(Pull(vendor, connect()).ids) == list(range(1040))


@pytest.mark.parametrize("style", ["next", "odata", "link"])
def test_a_next_link_to_another_host_is_refused(style: str) -> None:
    vendor = Vendor({"people": people()}, cap=100)
    connector = connect(f"/{style}/people")
    plan = Pull(vendor, connector).plan
    (part,) = converse(connector.slices(plan), vendor.respond)
    vendor.troubles.plan(Trouble("foreign_link", "evil.example", times=0))
    with pytest.raises(Malformed) as refusal:
        read(connector, plan, part, None, vendor.respond)
    assert "evil" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("error_in_200", None, Malformed),
        ("not_json", None, Malformed),
        ("cut_json", None, Malformed),
        ("html", 404, NotFound),
        ("html", 403, Unauthorized),
        ("status", 500, Rejected),
        ("redirect", "http://evil.example/", Rejected),
    ],
)
def test_a_bad_answer_ends_the_read_with_its_name_and_nothing_of_its_body(
    kind: str, value: Json, error: type[Exception]
) -> None:
    vendor = Vendor({"people": people()}, cap=100)
    connector = connect("/cursor/people", records="items")
    pull = Pull(vendor, connector)
    vendor.troubles.plan(Trouble(kind, value, at=4))
    with pytest.raises(error) as refusal:
        read(connector, pull.plan, pull.slices[0], None, vendor.respond)
    said = f"{refusal.value} {refusal.value.diagnostics('fr')}"
    assert "/cursor/people" in said
    assert "Jeanne" not in said
    assert "vendor.example" not in said


def test_a_schema_change_in_the_middle_shows_in_the_tables() -> None:
    vendor = Vendor({"people": people(age=7)}, cap=100)
    connector = connect("/cursor/people")
    pull = Pull(vendor, connector)
    vendor.troubles.plan(Trouble("schema", {"rename": {"name": "label"}, "text": ["age"]}, at=6, times=0))
    one = read(connector, pull.plan, pull.slices[0], None, vendor.respond)
    rows = [row for page in one.pages for row in page.records.to_pylist()]
    assert (rows[499], rows[500]["label"], rows[500]["age"]) == (pull.rows[499], "n500", "about 7")
    assert rows[500]["name"] is None


def test_a_page_without_the_primary_key_is_refused_and_a_record_without_it_is_counted() -> None:
    vendor = Vendor({"people": people()}, cap=100)
    connector = connect("/cursor/people")
    pull = Pull(vendor, connector)
    vendor.troubles.plan(Trouble("schema", {"drop": ["id"]}, at=3))
    with pytest.raises(SchemaError):
        read(connector, pull.plan, pull.slices[0], None, vendor.respond)
    documents = answered([{"id": 1}, {"id": None}, {"id": 2}])
    plain = connect("/x", records="", paging={"kind": "none"})
    plan = ReadPlan(converse(plain.discover(), documents).streams, {}, {}, NOW)
    one = read(plain, plan, converse(plain.slices(plan), documents)[0], None, documents)
    assert [row["id"] for row in one.pages[0].records.to_pylist()] == [1, 2]
    assert one.evidence[-1].detail == {"count": 1, "rules": ["primary_key"]}


def test_a_list_asked_by_post_carries_its_page_in_the_body() -> None:
    asked = []

    def vendor(request: Request) -> Response:
        asked.append(orjson.loads(request.body))
        rows = [{"id": asked[-1]["page"]}] if asked[-1]["page"] < 4 else []
        return Response(200, request.full_url, orjson.dumps({"notices": rows}))

    connector = connect(
        method="POST", body={"query": "x"}, records="notices", paging={"kind": "page", "size_param": "limit", "size": 1}
    )
    plan = ReadPlan(converse(connector.discover(), vendor).streams, {}, {}, NOW)
    one = read(connector, plan, converse(connector.slices(plan), vendor)[0], None, vendor)
    assert [page.records.column("id")[0].as_py() for page in one.pages] == [1, 2, 3]
    assert asked[-1] == {"query": "x", "page": 4, "limit": 1}


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        ({"pth": "x"}, "pth"),
        ({"primary_key": ""}, "primary_key"),
        ({"primary_key": 5}, "primary_key"),
        ({"primary_key": []}, "primary_key"),
        ({"paging": {"kind": "pages"}}, "paging.kind"),
        ({"paging": {"kind": "page", "sise": 3}}, "paging.sise"),
        ({"paging": {"kind": "page", "size": "many"}}, "paging.size"),
        ({"paging": {"kind": "page", "size": 0}}, "paging.size"),
        ({"paging": {"kind": "next"}}, "paging.path"),
        ({"types": {"at": "instant"}}, "types.at"),
        ({"classes": {"name": "secret"}}, "classes.name"),
        ({"classes": {"internal": ["*"]}}, "classes.*"),
        ({"classes": {"internal": "name", "x": ["y"]}}, "classes.internal"),
        ({"cursor": "updated_at", "lookback": "soon"}, "lookback"),
        ({"param": "since"}, "cursor"),
        ({"zone": "Europe/Lyon"}, "zone"),
        ({"method": "PUT"}, "method"),
        ({"body": {"a": 1}}, "method"),
        ({"contract": "loose"}, "contract"),
        ({"count": {"field": "n"}}, "path"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_asked(stream: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        connect(**stream)
    assert refusal.value.fields["field"].startswith("connections.town.streams.people.")
    assert refusal.value.fields["field"].endswith(field.rsplit(".", 1)[-1])


@pytest.mark.parametrize("settings", [{"primary_key": ["identifier"]}, {"cursor": "changed"}])
def test_a_field_that_no_record_has_is_named_at_discovery(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refusal:
        converse(connect(**settings).discover(), Vendor({"people": people(3)}).respond)
    assert "id, name, updated_at" in str(refusal.value)


def test_an_unknown_connector_is_named() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("soap", "town", {})
    assert refusal.value.fields["field"] == "connections.town.connector"
