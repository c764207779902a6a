"""Calls of Maarch's own interface: which only read, what the others change, and what the local copy answers in their stead."""

from datetime import UTC, datetime

import msgspec
import pytest

from saas_connectors.connector import Change, Json, MirrorQuery
from saas_connectors.registry import writer
from tests.unit.connectors_maarch.writing import LETTER, desk

ROW = {
    "res_id": 101, "alt_identifier": "MAARCH/2026A/101", "status": "NEW", "subject": "Objet", "type_id": 101,
    "destination": "URB", "entity_label": "Urbanisme", "closing_date": None,
    "creation_date": datetime(2026, 7, 1, 8, 30, 0, 5, UTC),
    "confidentiality": "Y", "custom_fields": '{"3": "nord"}', "model_id": 1,
    "integrations": '{"inShipping": false}',
}  # fmt: skip


def _letter(number: int, **fields: Json) -> Change:
    return Change("update", "resources", (("res_id", str(number)),), fields)


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", "/rest/resources/101", True), ("HEAD", "/rest/", True), ("POST", "/rest/res/list", True),
        ("POST", "/rest/search?limit=10&offset=0", True), ("PUT", "/rest/resources/external", True),
        ("POST", "/rest/resources", False), ("PUT", "/rest/resources/101", False), ("POST", "/rest/notes", False),
        ("PUT", "/rest/res/resource/status", False), ("DELETE", "/rest/res/list", False), ("PUT", "/rest/res/list", False),
        ("POST", "/other/res/list", False), ("POST", "/rest/authenticate", False),
    ],
)  # fmt: skip
def test_lists_searches_and_the_look_for_an_identifier_are_reads_and_no_other_write_is(
    method: str, path: str, reads: bool
) -> None:
    assert desk().writer.is_read(method, path) is reads


def test_a_site_below_a_path_is_known_by_its_whole_path() -> None:
    below = writer("maarch", "courrier", {"url": "http://maarch.example/courrier/rest"})
    assert below.is_read("POST", "/courrier/rest/res/list")
    assert not below.is_read("POST", "/rest/res/list")


@pytest.mark.parametrize(
    ("operation", "payload", "expected"),
    [
        ("change_status", {"resId": 101, "status": "VAL"}, _letter(101, status="VAL")),
        ("close_letter", {"resId": 101}, _letter(101, status="END")),
        ("delete_letter", {"resId": 101}, _letter(101, status="DEL")),
        ("update_letter", {"resId": 101, "subject": "S", "doctype": 102}, _letter(101, subject="S", type_id=102)),
        ("set_external_ids", {"resId": 101, "externalId": "P", "status": "VAL"}, _letter(101, status="VAL")),
        ("add_note", {"resId": 101, "value": "V"}, Change("create", "notes", (), {"res_id": 101, "value": "V"})),
        (
            "create_letter", {"externalId": "G1", "modelId": 1, "doctype": 101, "status": "NEW", "subject": "S"},
            Change("create", "resources", (), {
                "subject": "S", "type_id": 101, "status": "NEW", "model_id": 1, "external_id": '{"gateway": "G1"}',
            }),
        ),
    ],
)  # fmt: skip
def test_what_a_write_changes_is_told_by_the_columns_of_the_copy(operation: str, payload: Json, expected: Change) -> None:
    assert desk().writer.changes(operation, payload) == (expected,)


def test_a_payload_has_the_classes_of_what_it_holds_and_settings_may_say_otherwise() -> None:
    assert desk().writer.classes("change_status", {"resId": 101, "status": "VAL"}) == {"internal"}
    assert desk().writer.classes("create_letter", LETTER) == {"internal", "personal"}
    assert desk().writer.classes("add_note", {"resId": 101, "value": "V"}) == {"internal", "personal"}
    streams = {"resources": {"classes": {"sensitive": ["subject"]}}}
    told = desk(streams=streams).writer.classes("update_letter", {"resId": 101, "subject": "S"})
    assert told == {"internal", "sensitive"}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PUT", "/rest/res/resource/status", {"resId": [101, "102", 101], "status": "END"},
         (_letter(101, status="END"), _letter(102, status="END"))),
        ("PUT", "/rest/res/resource/status", {"chrono": ["M/1"], "status": "DEL"},
         (Change("update", "resources", (("alt_identifier", "M/1"),), {"status": "DEL"}),)),
        ("PUT", "/rest/res/externalInfos", {"externalInfos": [{"res_id": 101}], "status": "VAL"},
         (_letter(101, status="VAL"),)),
        ("PUT", "/rest/resources/101", {"subject": "S"}, (_letter(101, subject="S"),)),
        ("POST", "/rest/resources", {"subject": "S"}, (Change("create", "resources", (), {"subject": "S"}),)),
        ("POST", "/rest/notes", {"resId": 101, "value": "V"},
         (Change("create", "notes", (), {"res_id": 101, "value": "V"}),)),
        ("POST", "/rest/attachments", {"resIdMaster": 101, "title": "T", "type": "x"},
         (Change("create", "attachments", (), {"res_id": 101, "title": "T", "type": "x"}),)),
        ("DELETE", "/rest/attachments/7", None, (Change("delete", "attachments", (("id", "7"),)),)),
        ("PUT", "/rest/notes/7", {"value": "V"}, (Change("update", "notes", (("id", "7"),), {"value": "V"}),)),
        ("PUT", "/rest/res/resource/status", ["no", "object"], ()),
        ("PUT", "/rest/res/resource/status", {"resId": {"a": 1}, "status": []}, ()),
        ("PUT", "/rest/users/1", {"mail": "x"}, ()),
        ("POST", "/elsewhere", {"resId": [1]}, ()),
    ],
)  # fmt: skip
def test_a_call_that_writes_is_told_where_its_route_is_known(
    method: str, path: str, body: Json, expected: tuple[Change, ...]
) -> None:
    assert desk().writer.passed(method, path, body) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/rest/resources/101", MirrorQuery("record", "resources", (("res_id", "101"),), detail=False)),
        ("/rest/resources/101?light=true", MirrorQuery("record", "resources", (("res_id", "101"),), detail=True)),
        ("/rest/resources/101/notes", MirrorQuery("list", "notes", (("res_id", "101"),))),
        ("/rest/resources/101/attachments", MirrorQuery("list", "attachments", (("res_id", "101"),))),
        ("/rest/statuses", MirrorQuery("list", "statuses")),
        ("/rest/doctypes/types", MirrorQuery("list", "doctypes")),
        ("/rest/resources/101/content", None), ("/rest/resources/abc", None), ("/rest/resources/101?x=1", None),
        ("/rest/users", None), ("/elsewhere", None),
    ],
)  # fmt: skip
def test_the_copy_answers_simple_reads_and_no_other(path: str, expected: MirrorQuery | None) -> None:
    assert desk().writer.mirror("GET", path) == expected


def test_the_copy_answers_for_the_streams_that_are_pulled_alone() -> None:
    assert desk(streams=["notes"]).writer.mirror("GET", "/rest/resources/101") is None


def test_a_letter_is_shown_as_maarch_shows_it_in_the_zone_of_the_server() -> None:
    written = desk().writer
    query = written.mirror("GET", "/rest/resources/101")
    assert query is not None
    shown = written.present(query, [ROW], 1)
    told = msgspec.json.decode(shown.body)
    assert shown.status == 200
    assert told["creationDate"] == "2026-07-01 10:30:00.000005"
    assert (told["resId"], told["doctype"], told["confidentiality"]) == (101, 101, True)
    assert (told["customFields"], told["integrations"]) == ({"3": "nord"}, {"inShipping": False})
    assert "destination" not in told
    missing = written.present(query, [], 0)
    assert (missing.status, msgspec.json.decode(missing.body)) == (403, {"errors": "Document out of perimeter"})


def test_notes_and_attachments_are_shown_under_the_names_that_maarch_gives_them() -> None:
    written = desk().writer
    notes, pieces = (MirrorQuery("list", name, (("res_id", "101"),)) for name in ("notes", "attachments"))
    shown = written.present(notes, [{"id": 1, "res_id": 101, "value": "V"}], 1)
    assert msgspec.json.decode(shown.body) == {"notes": [{"id": 1, "identifier": 101, "value": "V"}]}
    shown = written.present(pieces, [{"id": 1, "res_id": 101, "title": "T"}], 1)
    assert msgspec.json.decode(shown.body) == {"attachments": [{"resId": 1, "resIdMaster": 101, "title": "T"}]}
