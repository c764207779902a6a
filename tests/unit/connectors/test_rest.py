"""A source declared in a few lines: what it finds by itself, and what it does when the vendor lies."""

import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson
import pytest

from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Connector, Json, ReadPlan
from saas_connectors.errors import Malformed, NotFound, Rejected, SchemaError, SettingsError, Unauthorized
from saas_connectors.registry import make
from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox import Table, Trouble, Vendor, communes

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "http://vendor.example"


def people(count: int = 1040, **more: Json) -> Table:
    rows = (
        {"id": n, "name": f"n{n}", "updated_at": f"2026-{n // 100 + 1:02}-01T00:00:{n % 60:02}Z", **more} for n in range(count)
    )
    return Table.of(rows, ["id"], "updated_at")


def connect(path: str = "/page/people", at: Json = None, **stream: Json) -> Connector:
    return make(
        "rest", "town", {"url": URL, "streams": {"people": {"path": path, "primary_key": ["id"], **stream}}, **(at or {})}
    )


class Pull:
    """One run against a vendor: every slice read to its end."""

    def __init__(self, vendor: Json, connector: Json, cursor: Json = None, stream: str = "people") -> None:
        catalog = converse(connector.discover(), vendor.respond)
        mode = "incremental" if cursor is not None else "full_refresh"
        self.plan = ReadPlan(catalog.streams, {stream: mode}, {stream: cursor} if cursor is not None else {}, NOW)
        self.slices = converse(connector.slices(self.plan), vendor.respond)
        vendor.calls.clear()
        self.reads = [read(connector, self.plan, part, None, vendor.respond) for part in self.slices]
        self.calls = list(vendor.calls)
        self.rows = [row for one in self.reads for page in one.pages for row in page.records.to_pylist()]
        self.ids = [row.get("id") for row in self.rows]
        self.evidence = {e.check: e for one in self.reads for e in one.evidence}
        self.cursor = max((one.cursors[stream] for one in self.reads if stream in one.cursors), default=None)


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


def answered(*documents: Json, headers: Json = ()) -> Callable[[Request], Response]:
    """A vendor that gives these documents, whatever is asked, and the last one for ever."""
    left = list(documents)
    return lambda request: Response(
        200, request.full_url, orjson.dumps(left.pop(0) if len(left) > 1 else left[0]), Headers(headers)
    )


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


# What changed since last time


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
        ({"primary_key": "id"}, "primary_key"),
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
