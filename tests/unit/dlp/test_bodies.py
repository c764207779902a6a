import base64
import gzip
import json

import pytest

from sovereign.gateway.decision import Finding
from sovereign.gateway.dlp import Limits, Scan, pseudonymise, scan

NIR = "185057800608491"
IBAN = "FR7630006000011234567890189"
KEY = b"a key of a test, long enough"
PDF = b"%PDF-1.7\x00\xff\xfe"


def found(body: bytes | str, content_type: str) -> set[tuple[str, str, int, bool]]:
    seen = scan(body.encode() if isinstance(body, str) else body, content_type)
    return {(each.kind, each.pointer, each.count, each.sure) for each in seen.findings}


def test_values_are_found_by_field_in_json_and_items_of_a_list_are_counted_together() -> None:
    body = {"agents": [{"numSecu": NIR, "compte": {"iban": IBAN}}, {"numSecu": int(NIR[:13])}]}
    assert found(json.dumps(body), "application/json") == {
        ("nir", "/agents/*/numSecu", 2, True),
        ("iban", "/agents/*/compte/iban", 1, True),
    }


def test_of_two_members_of_one_name_both_are_seen() -> None:
    body = f'{{"nir":"{NIR}","nir":""}}'
    assert found(body, "application/json") == {("nir", "/nir", 1, True)}
    assert found(f'{{"nir":"","nir":"{NIR}"}}', "application/json") == {("nir", "/nir", 1, True)}


@pytest.mark.parametrize(
    "written", ["".join(f"\\u{ord(each):04x}" for each in NIR), NIR.translate({48 + n: 0xFF10 + n for n in range(10)})]
)
def test_a_value_written_with_escapes_or_full_width_digits_is_found(written: str) -> None:
    assert found(f'{{"nir":"{written}"}}', "application/json") == {("nir", "/nir", 1, True)}


def test_a_number_written_with_an_exponent_is_read_in_full() -> None:
    assert found('{"nir":1.850578006084E+12}', "application/json") == {("nir", "/nir", 1, True)}


def test_the_label_beside_a_value_names_it() -> None:
    body = {"champs": [{"label": "Numéro de sécurité sociale", "stringValue": NIR[:13]}]}
    assert found(json.dumps(body), "application/json") == {("nir", "/champs/*/stringValue", 1, True)}


def test_a_name_that_is_itself_a_value_is_found_and_never_shown() -> None:
    assert found(json.dumps({NIR: {"iban": IBAN}}), "application/json") == {
        ("nir", "/{name}", 1, True),
        ("iban", "/{name}/iban", 1, True),
    }


def test_json_lines_xml_csv_and_forms_are_read_by_field() -> None:
    assert found(f'{{"nir":"{NIR}"}}\n{{"nir":"{NIR}"}}\n', "application/x-ndjson") == {("nir", "/*/nir", 2, True)}
    xml = f"<r xmlns='urn:x'><agent><nir>{NIR}</nir></agent><agent iban='{IBAN}'/><!-- nir {NIR} --></r>"
    assert found(xml, "application/xml") == {
        ("nir", "/r/agent/nir", 1, True),
        ("iban", "/r/agent/@iban", 1, True),
        ("nir", "/r", 1, True),
    }
    assert found(f"nom;nir\r\nA;{NIR}\r\nB;{NIR}\r\n", "text/csv") == {("nir", "/*/nir", 2, True)}
    assert found(f"A,{NIR}\nB,{NIR}\n", "text/csv") == {("nir", "/*/2", 2, True)}
    assert found(f"nom=A&nir={NIR}", "application/x-www-form-urlencoded") == {("nir", "/nir", 1, True)}


def multipart(inner: bytes) -> bytes:
    return (
        b'--B\r\nContent-Disposition: form-data; name="nir"\r\n\r\n' + NIR.encode() + b"\r\n--B\r\n"
        b'Content-Disposition: form-data; name="pieces"\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n'
        b'--C\r\nContent-Disposition: attachment; filename="a.csv"\r\nContent-Type: text/csv\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(inner) + b"\r\n--C--\r\n\r\n--B--\r\n"
    )


def test_the_parts_of_a_multipart_form_are_read_by_their_own_types_and_encodings() -> None:
    body = multipart(f"nom;iban\nA;{IBAN}\n".encode())
    assert found(body, "multipart/form-data; boundary=B") == {("nir", "/nir", 1, True), ("iban", "/pieces/*/*/iban", 1, True)}


def test_base64_and_gzip_inside_a_field_are_opened() -> None:
    plain = json.dumps({"nir": NIR}).encode()
    for held in (plain, gzip.compress(plain)):
        body = json.dumps({"piece": base64.b64encode(held).decode()})
        assert found(body, "application/json") == {("nir", "/piece#/nir", 1, True)}


def test_a_bomb_meets_the_bound_and_the_scan_says_so() -> None:
    body = json.dumps({"piece": base64.b64encode(gzip.compress(bytes(30_000_000))).decode()})
    seen = scan(body.encode(), "application/json")
    assert seen.truncated
    assert Finding("truncated", "") in seen.findings


def test_nesting_past_the_bound_is_said_and_what_it_holds_is_still_found() -> None:
    body = '{"a":' * 5000 + f'"{NIR}"' + "}" * 5000
    assert {("nir", "", 1, True), ("truncated", "", 1, True)} <= found(body, "application/json")


def test_a_body_that_is_not_what_its_type_says_is_reported_and_read_as_text() -> None:
    assert found(f"{{oops {NIR}", "application/json") == {("nir", "", 1, True), ("unreadable", "", 1, True)}
    entity = f"<!DOCTYPE r [<!ENTITY n '{NIR}'>]><r>&n;</r>"
    assert found(entity, "application/xml") == {("nir", "", 1, True), ("unreadable", "", 1, True)}


def test_an_image_or_a_pdf_is_said_to_be_unread() -> None:
    assert scan(PDF, "application/pdf") == Scan((Finding("unreadable", "", 1, False),), 1, False, True)


def test_of_a_long_form_each_part_is_looked_into_up_to_the_bound_and_a_long_image_is_not_read_as_text() -> None:
    digits = bytes(range(128, 256)) * 100 + NIR.encode()
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="nir"\r\n\r\n' + NIR.encode() + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="scan"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    )
    form = parts + PDF + digits + b"\r\n--b--\r\n"
    seen = scan(form, "multipart/form-data; boundary=b", Limits(bytes=len(parts) + 2000))
    told = {(each.kind, each.pointer, each.sure) for each in seen.findings}
    assert told == {("nir", "/nir", True), ("truncated", "", True), ("unreadable", "/scan", False)}
    image = scan(PDF + digits, "application/pdf", Limits(bytes=2000))
    assert {(each.kind, each.sure) for each in image.findings} == {("truncated", True), ("unreadable", False)}
    disguised = scan(f"{NIR} ".encode() * 1000, "application/pdf", Limits(bytes=2000))
    assert "nir" in {each.kind for each in disguised.findings}, "text is read whatever it is called"


def test_a_body_past_the_bound_is_read_to_the_bound() -> None:
    seen = scan(f'["{NIR}","{"x" * 5000}"]'.encode(), "application/json", Limits(bytes=1000))
    assert (seen.truncated, {each.kind for each in seen.findings}) == (True, {"nir", "truncated"})


@pytest.mark.parametrize(
    ("body", "content_type", "records"),
    [
        ('[{"a":1},{"a":2}]', "application/json", 2),
        ('{"type":"FeatureCollection","features":[{"a":1},{"a":2},{"a":3}]}', "application/json", 3),
        ('{"items":[{"a":1},{"a":2}],"items":[]}', "application/json", 2),
        ('{"a":1,"tags":["x","y"]}', "application/json", 1),
        ("<r><m><a/></m><m><a/></m></r>", "application/xml", 2),
        ("a;b\n1;2\n3;4\n", "text/csv", 2),
        ("a=1&b=2", "application/x-www-form-urlencoded", 1),
        ("", "", 1),
    ],
)
def test_records_are_counted(body: str, content_type: str, records: int) -> None:
    assert scan(body.encode(), content_type).records == records


def test_addresses_and_telephones_are_found_from_a_volume_on() -> None:
    def people(many: int) -> str:
        return json.dumps([{"courriel": f"p{n}@ville.example", "telephone": f"01 99 00 00 {n:02}"} for n in range(many)])

    assert found(people(19), "application/json") == set()
    assert found(people(20), "application/json") == {
        ("email_volume", "/*/courriel", 20, True),
        ("phone_volume", "/*/telephone", 20, True),
    }


def test_no_finding_repeats_a_value() -> None:
    body = json.dumps({"nir": NIR, IBAN: "x", "mdp": "Tr0ub4dor&3", "note": f"carte 4111 1111 1111 1111 de {NIR}"})
    shown = repr(scan(body.encode(), "application/json"))
    assert not [each for each in (NIR, NIR[:13], IBAN, "Tr0ub4dor", "4111") if each in shown]


def test_distinct_places_past_the_bound_are_counted_together() -> None:
    body = json.dumps({f"a{n}": IBAN for n in range(50)}).encode()
    findings = scan(body, "application/json", Limits(pointers=10)).findings
    assert (len(findings), sum(each.count for each in findings), findings[-1].pointer) == (11, 50, "*")


def test_a_body_that_cannot_be_read_whole_is_not_pseudonymised_by_halves() -> None:
    with pytest.raises(ValueError, match="read whole"):
        pseudonymise(f"{{oops {NIR}".encode(), "application/json", ("*",), KEY)
