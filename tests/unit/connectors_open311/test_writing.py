"""A request is created, read back, looked for; and the copy answers when the server is down."""

import re
import tomllib
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import msgspec
import orjson
import pytest

from saas_connectors import registry
from saas_connectors.auth import Key
from saas_connectors.conformance.driver import converse
from saas_connectors.connector import Applied, Change, Json, Presented, Probed, ReadBack, Writer
from saas_connectors.errors import BadPayload, Rejected
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.open311 import NOW, Open311, float32
from saas_connectors.sandbox.vendor import SECRET
from saas_connectors.urban.open311.settings import Settings, TableSettings
from tests.unit.connectors_open311.conftest import URL, answered, city, named, rows

PAYLOAD: dict[str, Any] = {
    "service_code": "002", "lat": Decimal("53.32"), "long": Decimal("4.38721234"), "description": "Trottoir encombré",
}  # fmt: skip
KEY = Key("api_key", SECRET, "form")


def writer(**settings: Json) -> Writer:
    return registry.writer("open311", "ville", {"url": URL, "writes": ["requests"], **settings})


class Desk:
    """Sends as egress does: the key in the form, an answer dated."""

    def __init__(self, vendor: Open311) -> None:
        self.vendor = vendor
        self.sent: list[Request] = []
        self.post: Response | None = None

    def send(self, request: Request) -> Response:
        sent = next(KEY.flow(request))
        self.sent.append(sent)
        if request.method == "POST" and self.post is not None:
            return self.post
        return replace(self.vendor.respond(sent), received_at=self.vendor.now)

    def do(self, exchange: Generator[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it ends in
        return converse(exchange, self.send)

    def forms(self) -> list[list[tuple[str, str]]]:
        return [parse_qsl((one.body or b"").decode()) for one in self.sent if one.method == "POST"]


def test_the_form_holds_what_the_standard_wants_and_the_key_goes_in_it_alone() -> None:
    here = Desk(Open311())
    payload = {
        "service_code": "001", "address_string": "12 rue Haute & Basse",
        "attribute": {"GRAVITE": "2", "QUAND": ["nuit", "jour"]},
    }  # fmt: skip
    here.do(writer(jurisdiction_id="ville.example").apply("create_request", payload))
    (form,) = here.forms()
    assert form == [
        ("jurisdiction_id", "ville.example"),
        ("service_code", "001"),
        ("address_string", "12 rue Haute & Basse"),
        ("attribute[GRAVITE]", "2"),
        ("attribute[QUAND][]", "nuit"),
        ("attribute[QUAND][]", "jour"),
        ("api_key", SECRET),
    ]
    assert not any(SECRET in one.full_url for one in here.sent)
    assert not any(one.body for one in here.sent if one.method == "GET")


def test_coordinates_that_the_server_keeps_as_floats_of_32_bits_are_confirmed() -> None:
    here = Desk(Open311())
    applied = here.do(writer().apply("create_request", PAYLOAD))
    assert float32(53.32) != 53.32
    assert here.do(writer().read_back("create_request", PAYLOAD, applied)) == ReadBack("confirmed")
    number = int(applied.vendor_id)
    here.vendor.held[number] = replace(here.vendor.held[number], lat=53.33, description="autre chose")
    seen = here.do(writer().read_back("create_request", PAYLOAD, applied))
    assert seen == ReadBack("differs", ("/lat", "/description"))


def test_a_write_that_was_answered_and_lost_is_absent() -> None:
    here = Desk(Open311())
    here.vendor.troubles.plan(Trouble("lost", method="POST"))
    applied = here.do(writer().apply("create_request", PAYLOAD))
    assert here.do(writer().read_back("create_request", PAYLOAD, applied)) == ReadBack("absent")


def test_a_token_is_resolved_when_reading_back_and_says_nothing_until_it_is() -> None:
    here = Desk(Open311(moods=["tokens"]))
    applied = here.do(writer().apply("create_request", PAYLOAD))
    assert applied.vendor_id == "token:t-10400"
    here.vendor.token_waits = 1
    assert here.do(writer().read_back("create_request", PAYLOAD, applied)) == ReadBack("unsupported")
    assert here.do(writer().read_back("create_request", PAYLOAD, applied)) == ReadBack("confirmed")


def test_an_answer_that_names_nothing_leaves_the_identifier_unknown() -> None:
    here = Desk(Open311())
    here.post = answered(b"[]")
    assert here.do(writer().apply("create_request", PAYLOAD)) == Applied(200, None)
    assert here.do(writer().read_back("create_request", PAYLOAD, Applied(200, None))) == ReadBack("unsupported")


@pytest.mark.parametrize(
    ("payload", "status", "reason"),
    [
        (PAYLOAD | {"service_code": "999"}, 404, "not_found"),
        (PAYLOAD | {"service_code": "001"}, 400, "invalid"),
    ],
    ids=["unknown service", "missing attribute"],
)
def test_a_refusal_is_definitive_and_shows_nothing_of_what_the_server_says(
    payload: dict[str, Any], status: int, reason: str
) -> None:
    here = Desk(Open311())
    with pytest.raises(Rejected) as refusal:
        here.do(writer().apply("create_request", payload))
    fault = refusal.value
    assert (fault.status, fault.reason, fault.definitive) == (status, reason, True)
    assert "999" not in f"{fault!r} {fault.fields} {fault.diagnostics('fr')}"


def test_a_refused_key_is_forbidden_and_shown_nowhere() -> None:
    vendor = Open311()
    with pytest.raises(Rejected) as refusal:
        converse(writer().apply("create_request", PAYLOAD), vendor.respond)
    assert (refusal.value.status, refusal.value.reason) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        b'[{"code": 400, "description": "jeanne"}]',
        b'{"error": {"code": 400, "message": "jeanne"}}',
        b"<!DOCTYPE html><html><body>jeanne</body></html>",
        b'{"requests": [{"request": [{"service_request_id": 1, "description": "jeanne"}, {"service_request_id": 2}]}]}',
    ],
    ids=["the standard's", "in an envelope", "a page", "what the server holds"],
)
def test_an_error_inside_a_success_is_neither_a_success_nor_a_refusal(body: bytes) -> None:
    here = Desk(Open311())
    here.post = answered(body)
    with pytest.raises(Rejected) as refusal:
        here.do(writer().apply("create_request", PAYLOAD))
    assert (refusal.value.definitive, refusal.value.reason) == (False, "error_in_success")


@pytest.mark.parametrize("moods", [(), ("reversed", "unlimited"), ("ignored",), ("xml_only",)], ids="+".join)
def test_a_lost_answer_is_found_to_have_landed(moods: tuple[str, ...]) -> None:
    here = Desk(Open311(moods=moods))
    here.do(writer().apply("create_request", PAYLOAD))
    assert here.do(writer().probe("create_request", PAYLOAD)) == Probed("landed", "10400")


def test_a_request_that_is_not_there_did_not_happen_where_the_filters_were_seen_to_work() -> None:
    here = Desk(Open311())
    here.do(writer().apply("create_request", PAYLOAD | {"description": "un autre"}))
    assert here.do(writer().probe("create_request", PAYLOAD)) == Probed("did_not_happen")


def test_a_filter_that_does_not_work_never_says_that_nothing_happened() -> None:
    here = Desk(Open311(moods=["ignored"]))
    assert here.do(writer().probe("create_request", PAYLOAD)) == Probed("inconclusive")
    here.vendor.moods.clear()

    here.do(writer().apply("create_request", PAYLOAD | {"description": "un autre", "service_code": "011"}))

    def any_service(request: Request) -> Response:
        return here.send(replace(request, params=tuple(one for one in request.params if one[0] != "service_code")))

    assert converse(writer().probe("create_request", PAYLOAD), any_service) == Probed("inconclusive")


def test_a_list_that_shows_nothing_recent_a_batch_service_or_a_bare_report_tell_nothing() -> None:
    quiet = Desk(Open311([one for one in Open311().held.values() if one.made < NOW - timedelta(days=30)]))
    assert quiet.do(writer().probe("create_request", PAYLOAD)) == Probed("inconclusive")

    batch = Desk(Open311())
    batch.do(writer().apply("create_request", PAYLOAD | {"description": "un autre"}))
    send = batch.send

    def later(request: Request) -> Response:
        response = send(request)
        return replace(response, body=response.body.replace(b'"realtime"', b'"batch"'))

    assert converse(writer().probe("create_request", PAYLOAD), later) == Probed("inconclusive")
    bare = {name: value for name, value in PAYLOAD.items() if name != "description"}
    assert batch.do(writer().probe("create_request", bare)) == Probed("inconclusive")


def test_the_same_report_of_last_month_is_not_the_one_looked_for() -> None:
    here = Desk(Open311())
    applied = here.do(writer().apply("create_request", PAYLOAD))
    here.vendor.now = NOW + timedelta(days=30)
    here.do(writer().apply("create_request", PAYLOAD | {"description": "un autre"}))
    assert here.do(writer().probe("create_request", PAYLOAD)) != Probed("landed", applied.vendor_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"description": "x" * 4001},
        {"media_url": "http://photos.example/1.jpg"},
        {"lat": 91},
        {"service_code": ".."},
        {"attribute": {"a]": "x"}},
        {"api_key": "x"},
        {"email": "nobody"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_payload_that_does_not_fit_is_refused_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadPayload):
        next(writer().apply("create_request", PAYLOAD | wrong))


@pytest.mark.parametrize("missing", ["lat", "service_code"])
def test_a_report_needs_a_service_and_a_place(missing: str) -> None:
    with pytest.raises(BadPayload):
        writer().entity("create_request", {name: value for name, value in PAYLOAD.items() if name != missing})


def test_nothing_can_be_written_unless_the_settings_open_it() -> None:
    assert writer(writes=None).operations() == ()


def test_a_report_is_told_by_the_columns_of_its_copy_with_their_classes() -> None:
    payload = {"service_code": "002", "address_string": "12 rue Haute", "description": "x", "phone": "0477"}
    (change,) = writer().changes("create_request", payload)
    assert change == Change("create", "requests", (), {"service_code": "002", "address": "12 rue Haute", "description": "x"})
    assert writer().classes("create_request", payload) == {"internal", "personal"}
    table = {"requests": {"classes": {"sensitive": ["address"]}}}
    assert "sensitive" in writer(streams=table).classes("create_request", payload)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/requests/7.json", ("record", "requests", (("service_request_id", "7"),))),
        ("/v2/requests.xml?service_request_id=7", ("list", "requests", (("service_request_id", "7"),))),
        ("/v2/requests.json?status=open&service_code=1", ("list", "requests", (("service_code", "1"), ("status", "open")))),
        ("/v2/services.json", ("list", "services", ())),
        ("/v2/services/001.xml", ("list", "service_definitions", (("service_code", "001"),))),
    ],
)
def test_the_copy_can_answer_for(path: str, expected: tuple[object, ...]) -> None:
    query = writer().mirror("GET", path)
    assert query is not None
    assert (query.kind, query.stream, query.filters) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v2/requests.json?start_date=2026-01-01T00:00:00Z", "/v2/requests.json?service_request_id=7,8", "/v2/tokens/t.json",
        "/v2/requests", "/v2/requests.json?jurisdiction_id=elsewhere", "/v1/requests.json",
    ],
)  # fmt: skip
def test_the_server_alone_can_answer_for(path: str) -> None:
    assert writer().mirror("GET", path) is None
    assert writer().is_read("GET", path)
    assert not writer().is_read("POST", path)


def shown(path: str, held: list[dict[str, Any]]) -> Presented:
    made = writer()
    query = made.mirror("GET", path)
    assert query is not None
    return made.present(query, held, len(held))


def test_what_the_copy_answers_is_read_as_what_the_server_answers() -> None:
    here = city()
    found = here.pull()
    kept = list(named(found).values())[:20]
    for form in ("json", "xml"):
        said = shown(f"/v2/requests.{form}", kept)
        copy = city(format=form)
        copy.change = lambda _, __, said=said: answered(said.body, said.content_type)  # type: ignore[misc]
        assert list(named(copy.pull()).values()) == kept
    attributes = [row for row in rows(here.pull("service_definitions")) if row["service_code"] == "001"]
    assert [one["code"] for one in orjson.loads(shown("/v2/services/001.json", attributes).body)["attributes"]] == [
        "GRAVITE", "PRECISION",
    ]  # fmt: skip


def test_what_the_copy_does_not_hold_is_an_error_of_the_standard() -> None:
    said = shown("/v2/requests/7.json", [])
    assert (said.status, orjson.loads(said.body)[0]["code"]) == (404, 404)
    missing = shown("/v2/requests/7.xml", [])
    assert ET.fromstring(missing.body).findtext("error/code") == "404"  # noqa: S314 - ours
    at = datetime(2026, 1, 1, tzinfo=UTC)
    body = shown("/v2/requests/7.xml", [{"service_request_id": "7", "description": "<a>\x00", "requested_datetime": at}]).body
    assert ET.fromstring(body).findtext("request/description") == "<a>"  # noqa: S314 - ours


def test_every_setting_and_every_field_that_is_written_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "connectors-open311.md").read_text()
    words = set(re.findall(r"`([a-z_]+)`", page))
    settings = {field.name for kind in (Settings, TableSettings) for field in msgspec.structs.fields(kind)}
    (operation,) = writer().operations()
    assert settings - {"url"} <= words
    assert {operation.name, *operation.schema["properties"]} <= words
    example = tomllib.loads(page.split("```toml")[1].split("```")[0])["connections"]["signalements"]
    options = {name: value for name, value in example.items() if name not in ("connector", "mode", "every", "secret", "auth")}
    assert registry.writer("open311", "signalements", options).operations()
