"""Declared REST operations against the sandbox, through the product's own way out: sent once, looked at, never guessed."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.connector import Applied, Writer
from saas_connectors.errors import BadPayload, Rejected, SettingsError, UnknownOperation
from saas_connectors.sandbox import Sandbox, Table, Trouble, Vendor
from sovereign.egress import Broken, Transport
from tests.servers.wayout import way

LETTER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "maxLength": 20},
        "status": {"enum": ["open", "closed"]},
        "ref": {"type": "string"},
    },
}
NEW = {
    "type": "object",
    "required": ["ref", "subject"],
    "properties": {"ref": {"type": "string"}, "subject": {"type": "string"}, "note": {"type": "string"}},
}
BY_REF = {"path": "/letters", "params": {"ref": "{ref}"}, "records": "items", "match": {"ref": "ref"}, "id": "id"}
OPERATIONS: dict[str, dict[str, Any]] = {
    "create": {"method": "POST", "path": "/letters", "schema": NEW, "key_header": "Idempotency-Key", "look": BY_REF},
    "created": {"method": "POST", "path": "/letters", "schema": NEW, "look": {"path": "/letters/{vendor_id}"}},
    "change": {
        "method": "PATCH",
        "path": "/letters/{id}",
        "schema": LETTER,
        "look": {"path": "/letters/{id}"},
        "stream": "letters",
    },
    "remove": {"method": "DELETE", "path": "/letters/{id}", "schema": LETTER, "look": {"path": "/letters/{id}"}},
}
STREAMS = {
    "letters": {"path": "/letters", "primary_key": ["id"], "records": "items", "total": "total", "item": "/letters/{id}",
                "paging": {"kind": "offset", "param": "offset", "size_param": "limit", "size": 100},
                "classes": {"internal": ["id", "status"]}},
    "search": {"path": "/letters/search", "primary_key": ["id"], "method": "POST"},
}  # fmt: skip


@pytest.fixture
def vendor() -> Vendor:
    return Vendor({"letters": Table.of(({"id": f"l{n}", "ref": f"R{n}", "status": "open"} for n in range(5)), ["id"])})


@pytest.fixture
def out(vendor: Vendor) -> Iterator[Transport]:
    with Sandbox(vendor) as sandbox, way(f"{sandbox.url}/records", attempts=1) as opened:
        yield opened


def writer(out: Transport, **operations: Any) -> Writer:  # noqa: ANN401 - tables of settings
    settings = {"url": out._policy.url, "streams": STREAMS, "operations": operations or OPERATIONS}  # type: ignore[attr-defined]
    return registry.writer("rest", "courrier", settings)


def do(exchange: Generator[Any, Any, Any], out: Transport) -> Any:  # noqa: ANN401 - whatever the conversation ends in
    return converse(exchange, out.send)


def test_a_write_that_landed_before_the_connection_broke_is_found(out: Transport, vendor: Vendor) -> None:
    payload = {"ref": "N1", "subject": "Voirie"}
    vendor.troubles.plan(Trouble("lands_then_resets", method="POST"))
    with pytest.raises(Broken):
        do(writer(out).apply("create", payload), out)
    probed = do(writer(out).probe("create", payload), out)
    assert (probed.outcome, probed.vendor_id) == ("landed", "n-1")
    assert len(vendor.desk.done) == 1


def test_a_write_that_never_arrived_did_not_happen(out: Transport, vendor: Vendor) -> None:
    vendor.troubles.plan(Trouble("reset", method="POST"))
    with pytest.raises(Broken):
        do(writer(out).apply("create", {"ref": "N1", "subject": "Voirie"}), out)
    assert do(writer(out).probe("create", {"ref": "N1", "subject": "Voirie"}), out).outcome == "did_not_happen"
    assert vendor.desk.done == []


def test_a_filter_that_is_not_honoured_never_proves_an_absence(out: Transport) -> None:
    look = BY_REF | {"params": {"nothing": "{ref}"}}
    blind = writer(out, create=OPERATIONS["create"] | {"look": look})
    assert do(blind.probe("create", {"ref": "N1", "subject": "x"}), out).outcome == "inconclusive"


def test_the_same_key_writes_once(out: Transport, vendor: Vendor) -> None:
    payload = {"ref": "N1", "subject": "Voirie"}
    first = do(writer(out).apply("create", payload, "k-1"), out)
    again = do(writer(out).apply("create", payload, "k-1"), out)
    assert (first, len(vendor.desk.done)) == (again, 1)
    vendor.troubles.plan(Trouble("keyless", method="POST"))
    do(writer(out).apply("create", payload, "k-1"), out)
    assert len(vendor.desk.done) == 2


@pytest.mark.parametrize("operation", ["create", "created"])
def test_a_write_lost_behind_a_success_is_absent(out: Transport, vendor: Vendor, operation: str) -> None:
    vendor.troubles.plan(Trouble("lost", method="POST"))
    payload = {"ref": "N1", "subject": "Voirie"}
    applied = do(writer(out).apply(operation, payload), out)
    expected = "absent" if operation == "create" else "unsupported"  # the second had nothing but the answer to go by
    assert do(writer(out).read_back(operation, payload, applied), out).outcome == expected
    assert do(writer(out).read_back("created", payload, Applied(201, "n-9")), out).outcome == "absent"


@pytest.mark.parametrize(
    ("trouble", "status", "definitive", "reason"),
    [
        (Trouble("status", 422, method="PATCH"), 422, True, "invalid"),
        (Trouble("lands_then_fails", 500, method="PATCH"), 500, False, "failed"),
        (Trouble("throttle", 1, method="PATCH"), 429, False, "throttled"),
        (Trouble("status", 503, method="PATCH"), 503, False, "unavailable"),
        (Trouble("error_in_200", method="PATCH"), 200, False, "error_in_success"),
    ],
)
def test_a_refusal_says_whether_it_is_for_good(
    out: Transport, vendor: Vendor, trouble: Trouble, status: int, definitive: bool, reason: str
) -> None:
    vendor.troubles.plan(trouble)
    with pytest.raises(Rejected) as refusal:
        do(writer(out).apply("change", {"id": "l1", "status": "closed"}), out)
    assert (refusal.value.status, refusal.value.definitive, refusal.value.reason) == (status, definitive, reason)
    assert "Jeanne" not in f"{refusal.value!r} {refusal.value}"
    landed = do(writer(out).probe("change", {"id": "l1", "status": "closed"}), out).outcome == "landed"
    assert landed == bool(vendor.desk.done)


def test_a_change_and_a_removal_are_confirmed_at_their_own_address(out: Transport, vendor: Vendor) -> None:
    asked = {"id": "l1", "status": "closed"}
    assert do(writer(out).probe("change", asked), out).outcome == "did_not_happen"
    applied = do(writer(out).apply("change", asked), out)
    assert do(writer(out).read_back("change", asked, applied), out).outcome == "confirmed"
    other = do(writer(out).read_back("change", {"id": "l1", "status": "open"}, applied), out)
    assert (other.outcome, other.pointers) == ("differs", ("/status",))
    applied = do(writer(out).apply("remove", {"id": "l1"}), out)
    assert do(writer(out).read_back("remove", {"id": "l1"}, applied), out).outcome == "confirmed"
    assert do(writer(out).apply("remove", {"id": "l1"}), out).status == 404
    assert do(writer(out).read_back("remove", {"id": "l2"}, applied), out).outcome == "absent"


def test_a_payload_is_held_to_its_schema_and_a_refusal_never_shows_a_value(out: Transport) -> None:
    for payload, place in (
        ({"id": "l1", "status": "Jeanne Martin"}, "/status"),
        ({"status": "open"}, "/id"),
        ({"id": "l1", "jeanne.martin@ville.example": 1}, ""),
        ({"id": "x" * 21}, "/id"),
        (["Jeanne Martin"], ""),
    ):
        with pytest.raises(BadPayload) as refusal:
            writer(out).entity("change", payload)
        said = f"{refusal.value!r} {refusal.value.diagnostics('fr')} {refusal.value.diagnostics('en')}".lower()
        assert refusal.value.fields["pointer"] == place
        assert "jeanne" not in said
        assert refusal.value.__cause__ is None


@pytest.mark.parametrize("name", ["..", ".", "", "a/b"])
def test_no_value_steps_out_of_its_place_in_a_path(out: Transport, name: str) -> None:
    with pytest.raises(BadPayload):
        do(writer(out).apply("change", {"id": name, "status": "open"}), out)


def test_an_operation_that_nobody_declared_is_unknown(out: Transport) -> None:
    with pytest.raises(UnknownOperation):
        writer(out).entity("drop_everything", {})


def test_lanes_and_classes_follow_what_is_written(out: Transport) -> None:
    made = writer(out)
    assert made.entity("change", {"id": "l1"}) == made.entity("change", {"id": "l1", "status": "open"}) == "letters/l1"
    assert made.entity("create", {"ref": "a", "subject": "b"}) != made.entity("create", {"ref": "c", "subject": "b"})
    assert made.classes("change", {"id": "l1", "status": "open"}) == {"internal"}
    assert made.classes("change", {"id": "l1", "ref": "R"}) == {"internal", "personal"}


def test_only_the_very_list_that_is_read_by_post_is_a_read(out: Transport) -> None:
    made = writer(out)
    assert made.is_read("GET", "/records/anything")
    assert made.is_read("POST", "/records/letters/search")
    for path in ("/letters/search", "/records/letters", "/records/letters/search?_method=DELETE", "/records/letters/%73earch"):
        assert not made.is_read("POST", path)
    assert not made.is_read("DELETE", "/records/letters/search")


def test_a_list_and_a_record_can_be_answered_from_the_copy_and_nothing_that_it_does_not_know(out: Transport) -> None:
    made = writer(out)
    page = made.mirror("GET", "/records/letters?offset=2&limit=2")
    assert page is not None
    assert (page.kind, page.stream, page.offset, page.limit) == ("list", "letters", 2, 2)
    vendor = converse(_ask(f"{out._policy.url}/letters?offset=2&limit=2"), out.send)  # type: ignore[attr-defined]
    rows = [{"id": f"l{n}", "ref": f"R{n}", "status": "open"} for n in (2, 3)]
    assert made.present(page, rows, 5).body == vendor
    one = made.mirror("GET", "/records/letters/l%C3%A91")
    assert one is not None
    assert (one.kind, one.filters) == ("record", (("id", "lé1"),))
    for path in ("/records/letters?status=open", "/letters", "/records/letters/l1?expand=all", "/records/letters/search"):
        assert made.mirror("GET", path) is None


def _ask(url: str) -> Generator[Any, Any, bytes]:
    from saas_connectors.connector import Fetch
    from saas_connectors.request import Request

    (response,) = yield Fetch((Request("GET", url),))
    return bytes(response.body)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "/letters/{nothing}"}, "path"),
        ({"entity": ["status"]}, "entity"),
        ({"schema": LETTER | {"properties": {"id": {"$ref": "https://vendor.example/schema"}}}}, "schema"),
        ({"schema": LETTER | {"additionalProperties": True}}, "schema"),
        ({"look": {"path": "/letters", "records": "items"}}, "look.match"),
        ({"key_header": "X-Key\r\nX-Evil"}, "key_header"),
        ({"stream": "nothing"}, "stream"),
        ({"retries": 3}, "retries"),
    ],
)
def test_a_wrong_setting_is_named(out: Transport, change: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        writer(out, change=OPERATIONS["change"] | change)
    assert str(wrong.value.fields["field"]).startswith(f"connections.courrier.operations.change.{field}")
