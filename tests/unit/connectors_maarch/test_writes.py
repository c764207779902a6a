"""Letters are written to by the laws of writers; what was asked is compared with what Maarch holds, as far as it shows it."""

import base64
from typing import Any

import pytest

from saas_connectors.conformance.writing import carried, run_writer
from saas_connectors.connector import Applied, Probed, ReadBack
from saas_connectors.errors import BadPayload, ConnectorError, Rejected
from saas_connectors.mail.maarch_refusals import FieldRefused
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.maarch import Account, Model
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.unit.connectors_maarch.pulling import agent
from tests.unit.connectors_maarch.writing import LETTER, PDF, Desk, desk

ATTACHMENT = {"resId": 102, "title": "Projet de réponse", "type": "response_project", "encodedFile": PDF, "format": "pdf"}
EVERY = {
    "create_letter": LETTER,
    "update_letter": {"resId": 102, "subject": "Objet revu", "customFields": {"3": "centre"}},
    "change_status": {"resId": 102, "status": "VAL", "historyMessage": "Validé par l'application"},
    "close_letter": {"resId": 102},
    "delete_letter": {"resId": 102},
    "set_external_ids": {"resId": 102, "externalId": "BB981212"},
    "add_note": {"resId": 102, "value": "Rappelé le demandeur"},
    "add_attachment": ATTACHMENT,
}


@pytest.mark.parametrize("operation", sorted(EVERY))
def test_every_operation_keeps_the_laws_of_writers(operation: str) -> None:
    asked = desk()
    run_writer(asked.writer, operation, EVERY[operation], asked.send, secrets=[SECRET])


def test_every_operation_is_held_to_the_laws() -> None:
    assert {operation.name for operation in desk().writer.operations()} == EVERY.keys()


def test_nothing_is_open_unless_the_settings_open_it() -> None:
    assert desk(writes=[]).writer.operations() == ()
    assert [each.name for each in desk(writes=["add_note"]).writer.operations()] == ["add_note"]


def test_a_letter_is_created_once_for_an_external_identifier() -> None:
    asked = desk()
    asked.write("create_letter", LETTER)
    with pytest.raises(Rejected) as refusal:
        asked.do(asked.writer.apply("create_letter", {**LETTER, "subject": "Autre objet"}))
    assert (refusal.value.status, refusal.value.reason, refusal.value.definitive) == (409, "exists", True)
    assert asked.writes() == ["POST /rest/resources"]


def test_a_letter_that_was_deleted_keeps_its_external_identifier() -> None:
    asked = desk()
    made = int(asked.write("create_letter", LETTER))
    asked.write("delete_letter", {"resId": made})
    with pytest.raises(Rejected):
        asked.do(asked.writer.apply("create_letter", LETTER))


def test_a_creation_lands_whatever_became_of_its_answer() -> None:
    asked = desk()
    assert asked.do(asked.writer.probe("create_letter", LETTER)) == Probed("did_not_happen")
    made = asked.write("create_letter", LETTER)
    assert asked.do(asked.writer.probe("create_letter", LETTER)) == Probed("landed", made)


def test_an_account_that_sees_nothing_creates_a_letter_once_and_finds_that_it_landed() -> None:
    asked = desk(agent(clause="1=0"))
    applied = asked.do(asked.writer.apply("create_letter", LETTER))
    assert asked.do(asked.writer.read_back("create_letter", LETTER, applied)) == ReadBack("unsupported")
    assert asked.do(asked.writer.probe("create_letter", LETTER)) == Probed("landed", applied.vendor_id)
    with pytest.raises(Rejected):
        asked.do(asked.writer.apply("create_letter", LETTER))
    assert asked.writes() == ["POST /rest/resources"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, b'{"errors":"Document out of perimeter"}', "inconclusive"),
        (200, b'{"resId":102}', "inconclusive"),  # a letter that bears another identifier
        (400, b'{"errors":"Document not found"}', "did_not_happen"),
    ],
)
def test_a_look_for_an_identifier_proves_only_what_maarch_says_in_words(status: int, body: bytes, expected: str) -> None:
    asked = desk()

    def answer(request: Request) -> Response:
        external = request.url.endswith("/resources/external")
        return Response(status, request.full_url, body) if external else asked.send(request)

    probed, _ = carried(asked.writer.probe("create_letter", LETTER), answer)
    assert probed.outcome == expected


@pytest.mark.parametrize("body", [b'{"errors":"Not found"}', b"<html>Document not found</html>", b"{}", b'{"resId":"x"}'])
@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
def test_a_look_that_is_not_understood_is_a_fault_and_nothing_is_created(status: int, body: bytes) -> None:
    asked = desk()

    def answer(request: Request) -> Response:
        external = request.url.endswith("/resources/external")
        return Response(status, request.full_url, body) if external else asked.send(request)

    for exchange in (asked.writer.probe("create_letter", LETTER), asked.writer.apply("create_letter", LETTER)):
        with pytest.raises(ConnectorError):
            carried(exchange, answer)
    assert asked.writes() == []


@pytest.mark.parametrize(
    ("column", "value", "pointer"),
    [
        ("subject", "Autre", "/subject"), ("doc_date", "2026-11-19 00:00:00", "/documentDate"), ("type_id", 102, "/doctype"),
        ("custom_fields", "{}", "/customFields/3"), ("external_id", '{"gateway": "GW-2"}', "/externalId"),
        ("fingerprint", "0" * 128, "/encodedFile"), ("status", "COU", "/status"),
    ],
)  # fmt: skip
def test_what_maarch_holds_otherwise_is_pointed_at(column: str, value: object, pointer: str) -> None:
    asked = desk()
    applied = asked.do(asked.writer.apply("create_letter", LETTER))
    asked.server.store.change("res_letterbox", "res_id", int(applied.vendor_id), **{column: value})
    seen = asked.do(asked.writer.read_back("create_letter", LETTER, applied))
    assert seen == ReadBack("differs", (pointer,))


def test_a_field_that_the_indexing_model_drops_is_not_compared() -> None:
    asked = desk()

    def dropping(request: Request) -> Response:
        answer = asked.send(request)
        if request.method == "GET":
            return Response(answer.status, answer.url, answer.body.replace(b'"subject"', b'"dropped"'), answer.headers)
        return answer

    run_writer(asked.writer, "create_letter", LETTER, dropping)


def test_an_office_file_is_not_held_to_its_bytes_which_maarch_fills_in() -> None:
    asked = desk()
    payload = {**LETTER, "format": "docx"}
    applied = asked.do(asked.writer.apply("create_letter", payload))
    asked.server.store.change("res_letterbox", "res_id", int(applied.vendor_id), fingerprint="0" * 128, filesize=9)
    assert asked.do(asked.writer.read_back("create_letter", payload, applied)) == ReadBack("confirmed")
    asked.server.store.change("res_letterbox", "res_id", int(applied.vendor_id), fingerprint=None, filesize=None, filename=None)
    assert asked.do(asked.writer.read_back("create_letter", payload, applied)) == ReadBack("differs", ("/encodedFile",))


def test_a_write_that_maarch_lost_under_a_success_is_found_out() -> None:
    asked = desk()
    payload = {"resId": 102, "status": "VAL"}
    assert asked.do(asked.writer.read_back("change_status", payload, Applied(200, "102"))) == ReadBack("differs", ("/status",))
    assert asked.do(asked.writer.probe("change_status", payload)) == Probed("did_not_happen")
    note = {"resId": 102, "value": "Jamais écrite"}
    assert asked.do(asked.writer.read_back("add_note", note, Applied(200, "9999"))) == ReadBack("absent")


def test_rows_of_other_letters_are_no_answer_and_an_empty_list_proves_nothing() -> None:
    asked, payload = desk(), {"resId": 102, "status": "COU"}
    for rows, expected in ((b'[{"res_id":103,"status":"COU"}]', None), (b"[]", "confirmed")):

        def answer(request: Request, rows: bytes = rows) -> Response:
            listed = b'{"resources":' + rows + b',"count":1}'
            return Response(200, request.full_url, listed) if request.url.endswith("/res/list") else asked.send(request)

        exchange = asked.writer.read_back("change_status", payload, Applied(200, "102"))
        if expected is None:
            with pytest.raises(ConnectorError):
                carried(exchange, answer)
        else:  # a list may hide a letter that can be read by its number
            assert carried(exchange, answer)[0].outcome == expected


def test_a_status_is_read_back_though_no_date_moves() -> None:
    asked = desk()
    dated = asked.server.store.one("SELECT modification_date FROM res_letterbox WHERE res_id = 102")
    asked.write("close_letter", {"resId": 102})
    assert asked.status(102) == "END"
    assert asked.server.store.one("SELECT modification_date FROM res_letterbox WHERE res_id = 102") == dated


def test_a_letter_is_deleted_by_the_operation_that_says_so_alone() -> None:
    asked = desk()
    for operation, payload in (
        ("change_status", {"resId": 102, "status": "DEL"}),
        ("set_external_ids", {"resId": 102, "externalId": "X", "status": "DEL"}),
        ("create_letter", {**LETTER, "status": "DEL"}),
    ):
        with pytest.raises(BadPayload):
            asked.do(asked.writer.apply(operation, payload))
    removing = [operation.name for operation in asked.writer.operations() if operation.removes]
    asked.write("delete_letter", {"resId": 102})
    assert (removing, asked.status(102)) == (["delete_letter"], "DEL")


def test_an_external_identifier_keeps_the_status_of_the_letter_and_its_other_identifiers() -> None:
    asked = desk()
    before = asked.status(101)
    asked.write("set_external_ids", {"resId": 101, "externalId": "PUB-1"})
    held = asked.server.store.one("SELECT external_id FROM res_letterbox WHERE res_id = 101")
    assert asked.status(101) == before
    assert held == {"external_id": '{"gateway": "G-000101", "publikId": "PUB-1"}'}


def test_a_status_that_maarch_would_take_without_knowing_it_is_refused() -> None:
    asked, payload = desk(), {"resId": 101, "externalId": "PUB-1"}
    with pytest.raises(FieldRefused) as refusal:
        asked.do(asked.writer.apply("set_external_ids", {**payload, "status": "NOPE"}))
    assert (refusal.value.reason, refusal.value.definitive, asked.writes()) == ("status", True, [])
    asked.write("set_external_ids", {**payload, "status": "VAL"})
    assert asked.status(101) == "VAL"


def test_what_an_update_does_not_say_is_put_back_as_it_stood() -> None:
    asked = desk()
    people = {"senders": [{"id": 12, "type": "contact"}], "recipients": [{"id": 3, "type": "entity"}]}
    made = int(asked.write("create_letter", {**LETTER, **people, "tags": [4, 5], "folders": [6], "barcode": "3760001"}))
    query = "SELECT * FROM res_letterbox WHERE res_id = ?"
    before, beside = asked.server.store.one(query, made), asked.server.store.beside[made]
    asked.write("update_letter", {"resId": made, "priority": "poiuytre1379nbvc"})
    after = asked.server.store.one(query, made)
    assert before is not None
    assert after is not None
    assert {name for name in before if before[name] != after[name]} == {"priority", "modification_date"}
    assert asked.server.store.beside[made] == beside


def test_what_maarch_would_drop_without_a_word_is_not_taken() -> None:
    asked = desk()
    for operation, payload in (
        ("update_letter", {"resId": 102, "barcode": "3760001"}),
        ("set_external_ids", {"resId": 102, "externalId": "P-1", "externalLink": "https://guichet.example/d/1"}),
    ):
        with pytest.raises(BadPayload):
            asked.do(asked.writer.apply(operation, payload))
    assert asked.asked == []


def test_an_update_does_not_reset_the_fields_that_the_indexing_model_disables() -> None:
    asked = desk(models={1: Model(disabled={"departureDate": None, "priority": None})})
    asked.server.store.change("res_letterbox", "res_id", 102, departure_date="2026-11-01 00:00:00")
    asked.write("update_letter", {"resId": 102, "subject": "Objet revu"})
    held = asked.server.store.one("SELECT departure_date, model_id FROM res_letterbox WHERE res_id = 102")
    assert held == {"departure_date": "2026-11-01 00:00:00", "model_id": 1}


def test_a_priority_is_what_was_asked_though_maarch_works_it_out_of_a_limit_that_comes_with_it() -> None:
    asked = desk()
    asked.write("update_letter", {"resId": 102, "priority": "poiuytre1379nbvc"})
    held = asked.server.store.one("SELECT priority, process_limit_date FROM res_letterbox WHERE res_id = 102")
    assert held is not None
    assert (held["priority"], bool(held["process_limit_date"])) == ("poiuytre1379nbvc", True)


def test_a_closed_letter_that_keeps_its_status_under_a_success_is_found_out() -> None:
    asked = desk()
    asked.server.store.change("res_letterbox", "res_id", 102, status="ATT", closing_date="2026-11-01 10:00:00")
    applied = asked.do(asked.writer.apply("close_letter", {"resId": 102}))
    assert applied.status == 200
    assert asked.do(asked.writer.read_back("close_letter", {"resId": 102}, applied)) == ReadBack("differs", ("",))


@pytest.mark.parametrize(
    ("operation", "payload"), [("add_note", EVERY["add_note"]), ("add_attachment", ATTACHMENT)]
)  # fmt: skip
def test_what_a_letter_already_has_is_not_added_again(operation: str, payload: dict[str, Any]) -> None:
    asked = desk()
    assert asked.do(asked.writer.probe(operation, payload)) == Probed("did_not_happen")
    made = asked.write(operation, payload)
    assert asked.do(asked.writer.probe(operation, payload)) == Probed("landed", made)
    with pytest.raises(Rejected) as refusal:
        asked.do(asked.writer.apply(operation, payload))
    assert (refusal.value.status, refusal.value.reason, len(asked.writes())) == (409, "exists", 1)


def test_another_file_under_the_same_title_is_another_attachment() -> None:
    asked = desk()
    asked.write("add_attachment", ATTACHMENT)
    asked.write("add_attachment", {**ATTACHMENT, "encodedFile": base64.b64encode(b"%PDF-1.4 bis").decode()})


@pytest.mark.parametrize("external", ["GW-1' OR '1'='1", "GW\\1", 'GW"1', "", "x" * 200, "GW 1", "é"])
def test_an_external_identifier_that_could_mislead_a_query_is_refused(external: str) -> None:
    asked = desk()
    with pytest.raises(BadPayload) as refusal:
        asked.writer.entity("create_letter", {**LETTER, "externalId": external})
    assert refusal.value.fields["pointer"] == "/externalId"
    assert asked.asked == []


def test_the_words_that_maarch_denies_may_stand_in_an_external_identifier_and_in_a_text() -> None:
    asked = desk()
    asked.write("create_letter", {**LETTER, "externalId": "update-delete:drop", "subject": "create, move or delete"})


@pytest.mark.parametrize("file", ["pas du base64 !", "AAA", "JVBERi0\n"])
def test_a_file_that_is_not_base64_is_refused_before_anything_is_sent(file: str) -> None:
    asked = desk()
    with pytest.raises(BadPayload) as refusal:
        asked.writer.entity("create_letter", {**LETTER, "encodedFile": file})
    assert (refusal.value.fields["pointer"], asked.asked) == ("/encodedFile", [])


def test_writes_to_one_letter_keep_their_order_and_new_ones_theirs_by_their_identifier() -> None:
    written = desk().writer
    assert written.entity("create_letter", LETTER) == "letters?gateway=GW-0001"
    assert {written.entity(name, EVERY[name]) for name in EVERY.keys() - {"create_letter"}} == {"letters/102"}


def test_a_letter_of_root_that_does_not_exist_is_absent_and_that_of_another_is_not_told() -> None:
    root = Account(USER, SECRET, mode="root_visible", clause=None, privileges=agent().privileges)
    for account, expected in ((agent(), "unsupported"), (root, "absent")):
        asked: Desk = desk(account)
        seen = asked.do(asked.writer.read_back("change_status", {"resId": 9999, "status": "VAL"}, Applied(200, "9999")))
        assert seen.outcome == expected
