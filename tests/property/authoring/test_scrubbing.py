"""What stands in the place of real values: other, the same for the same, of the same form and order, in every kind of body."""

import csv
import io
import json
from base64 import b64decode, b64encode
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from saas_connectors.request import Headers, Response
from sovereign.authoring.errors import Unscrubbed
from sovereign.authoring.pseudonyms import Pseudonyms
from sovereign.authoring.scrubbing import Scrub

KEYS = st.binary(min_size=32, max_size=32)
ASCII = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), min_size=1, max_size=20)


def made(key: bytes, values: list[str]) -> list[str]:
    pseudonyms = Pseudonyms(key)
    for value in values:
        pseudonyms.learn(value)
    return [pseudonyms.of(value) for value in values]


def shape(text: str) -> str:
    return "".join("9" if sign.isdecimal() else "A" if sign.isupper() else "a" if sign.isalpha() else sign for sign in text)


@given(KEYS, st.lists(st.text(max_size=60), max_size=40))
def test_equal_values_stay_equal_and_different_ones_different(key: bytes, values: list[str]) -> None:
    plain = [value for value in values if "@" not in value]
    assert len(set(plain)) == len(set(made(key, plain)))


@given(KEYS, st.lists(ASCII.filter(lambda text: text[0].isalpha() and "@" not in text), max_size=40))
def test_texts_keep_their_shape_and_their_order(key: bytes, values: list[str]) -> None:
    plain = [value for value in values if not all(sign in "0123456789abcdef" for sign in value)]
    others = made(key, plain)
    assert [shape(value) for value in plain] == [shape(other) for other in others]
    assert sorted(range(len(plain)), key=lambda at: plain[at]) == sorted(range(len(plain)), key=lambda at: others[at])


@given(KEYS, st.lists(st.integers(min_value=0, max_value=2**63 - 1), max_size=60, unique=True))
def test_numbers_keep_their_order_and_stay_numbers_of_as_many_digits(key: bytes, numbers: list[int]) -> None:
    ordered = sorted(number for number in numbers if len(str(number)) not in (9, 14, 15))
    others = [int(other) for other in made(key, [str(number) for number in ordered])]
    assert others == sorted(set(others))
    assert all(other < 2**63 for other in others)
    assert [len(str(other)) for other in others] == [len(str(number)) for number in ordered]


@given(KEYS, st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=2, max_size=20))
def test_dates_move_back_together_so_that_every_span_holds(key: bytes, dates: list[date]) -> None:
    others = [date.fromisoformat(other) for other in made(key, [each.isoformat() for each in dates])]
    shifts = {real - other for real, other in zip(dates, others, strict=True)}
    assert len(shifts) == 1
    assert shifts.pop() >= timedelta(days=40)


def luhn(digits: str) -> str:
    return next(
        f"{digits}{last}"
        for last in range(10)
        if sum(sum(divmod(int(d) * (2 if at % 2 else 1), 10)) for at, d in enumerate(reversed(f"{digits}{last}"))) % 10 == 0
    )


@given(KEYS, st.integers(10_000_000, 99_999_999), st.integers(10_000, 99_999))
def test_a_siret_stays_a_siret_and_a_siren_a_siren(key: bytes, siren: int, nic: int) -> None:
    real = luhn(str(siren)), luhn(luhn(str(siren)) + str(nic)[:4])
    for other in made(key, list(real)):
        assert luhn(other[:-1]) == other


@given(KEYS, st.integers(1_000_000_000_000, 2_999_999_999_999))
def test_a_nir_keeps_a_key_that_is_right(key: bytes, body: int) -> None:
    (other,) = made(key, [f"{body}{97 - body % 97:02}"])
    assert 97 - int(other[:13]) % 97 == int(other[13:])


def scrub(body: bytes, kind: str, classes: dict[str, str] | None = None) -> bytes:
    pseudonyms = Pseudonyms(b"k" * 32)

    def learn(text: str) -> str:
        pseudonyms.learn(text)
        return text

    answer = Response(200, "https://real.canari.fr/x", body, Headers([("Content-Type", kind)]))
    held = classes or {}
    for replace, known in ((learn, lambda _: False), (learn, pseudonyms.__contains__)):
        Scrub(replace, held, frozenset({"real.canari.fr"}), frozenset(), known).response(answer, "read #1")
    return (
        Scrub(pseudonyms.of, held, frozenset({"real.canari.fr"}), frozenset(), pseudonyms.__contains__)
        .response(answer, "read #1")
        .body
    )


ENCODINGS = {
    "plain": lambda text: text,
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 of JSON": lambda text: b64encode(json.dumps({"name": text}).encode()).decode(),
    "JSON in a text": lambda text: json.dumps([{"name": text}]),
    "a link": lambda text: f"https://real.canari.fr/people/{text}?who={text}",
    "a foreign link": lambda text: f"https://{text}.canari.fr/{text}",
}
CANARY = "Canaribus42"


@pytest.mark.parametrize("how", ENCODINGS)
@pytest.mark.parametrize("where", ["json", "jsonl", "csv", "xml", "around", "key"])
def test_a_canary_survives_in_no_place_and_under_no_clothes(how: str, where: str) -> None:
    hidden = ENCODINGS[how](CANARY)
    table = io.StringIO()
    csv.writer(table).writerows([["id", "x"], ["7", hidden]])
    element = etree.Element("r")
    etree.SubElement(element, "x", held=hidden).text = hidden
    body, kind = {
        "json": (json.dumps({"items": [{"x": hidden}]}).encode(), "application/json"),
        "jsonl": (json.dumps({"x": hidden}).encode() + b"\n" + json.dumps({"x": hidden}).encode(), "application/json"),
        "csv": (table.getvalue().encode(), "text/csv"),
        "xml": (etree.tostring(element), "application/xml"),
        "around": (json.dumps({"owner": hidden, "items": []}).encode(), "application/json"),
        "key": (json.dumps({"r": {hidden: {"a": 1}, hidden + "b": {"a": 2}}}).encode(), "application/json"),
    }[where]
    other = scrub(body, kind).decode()
    for written in (CANARY, CANARY.lower(), b64encode(CANARY.encode()).decode(), "canari"):
        assert written not in other
    for word in other.replace('"', " ").replace("<", " ").replace(">", " ").replace(",", " ").split():
        try:
            assert CANARY not in b64decode(word, validate=True).decode()
        except ValueError:
            continue


def test_an_internal_value_that_someone_bears_elsewhere_is_replaced_there_too() -> None:
    body = json.dumps([{"town": "Firminy-Vert", "label": "For Jeanne-Canari only", "who": "Jeanne-Canari"}]).encode()
    (row,) = json.loads(scrub(body, "application/json", {"town": "internal", "label": "internal", "who": "personal"}))
    assert row["town"] == "Firminy-Vert"
    assert "Jeanne-Canari" not in row["label"]


@pytest.mark.parametrize("name", ["accountNumber", "account", "phone_number", "homepage", "discount", "number1a"])
def test_a_number_whose_name_only_holds_the_word_of_a_count_is_replaced(name: str) -> None:
    assert b"730552911" not in scrub(json.dumps({name: 730552911, "items": []}).encode(), "application/json")
    assert b"730552911" not in scrub(f'<r {name}="730552911"/>'.encode(), "application/xml")
    headers = Headers([(f"X-{name}", "730552911"), ("X-Total-Count", "330"), ("X-RateLimit-Remaining", "9")])
    other = Scrub(str.upper, {}, frozenset(), frozenset()).response(Response(200, "u", b"", headers), "read #1")
    assert sorted(value for _, value in other.headers.items()) == ["330", "9"]


@pytest.mark.parametrize(
    "name", ["total_count", "totalCount", "numberMatched", "numberReturned", "@odata.count", "per_page", "nhits"]
)
def test_the_counts_of_the_usual_interfaces_are_kept(name: str) -> None:
    body = json.dumps({name: 330, "items": []}).encode()
    assert json.loads(scrub(body, "application/json")) == json.loads(body)


def test_counts_and_the_shape_of_an_answer_are_kept() -> None:
    body = json.dumps({"meta": {"total": 330, "page": 2, "has_more": True}, "data": [{"x": None, "y": True, "z": []}]}).encode()
    assert json.loads(scrub(body, "application/json")) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><p>Jeanne</p>", "text/html"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "application/xml"),
        (b"<!-- - -->" * 60 + b"<!DOCTYPE a><a/>", "application/xml"),
        (b"<a><b></a>", "application/xml"),
        (b'{"a": ', "application/json"),
        (b"hello", "application/octet-stream"),
        (b"a,b\n1,2,3\n", "text/csv"),
        (b"[" * 100_000, "application/json"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "application/json"),
    ],
    ids=[
        "html",
        "entity",
        "remarks, entity",
        "broken xml",
        "cut json",
        "unknown",
        "ragged csv",
        "abyss",
        "deep",
    ],
)
def test_what_cannot_be_scrubbed_is_refused_with_its_place_and_not_its_value(body: bytes, kind: str) -> None:
    with pytest.raises(Unscrubbed) as refused:
        scrub(body, kind)
    assert refused.value.fields["place"] == "read #1"


def test_a_page_with_many_remarks_is_read_in_a_time_that_its_length_bounds() -> None:
    assert scrub(b"<!-- x - -->\n" * 200 + b"<count>3</count>", "application/xml")


def test_the_body_of_a_refusal_is_emptied_and_foreign_headers_are_dropped() -> None:
    headers = Headers(
        [("Content-Type", "text/html"), ("X-User", "Canari"), ("X-Total-Count", "42"), ("Set-Cookie", "s=Canari")]
    )
    other = Scrub(str.upper, {}, frozenset(), frozenset()).response(Response(500, "u", b"<p>Canari", headers), "read #1")
    assert (other.body, dict(other.headers)) == (b"", {"content-type": "text/html", "x-total-count": "42"})
