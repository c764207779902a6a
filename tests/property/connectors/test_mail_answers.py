"""Whatever a mail server or a message holds, reading it ends in values or in a fault of the port."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_connectors.errors import ConnectorError
from saas_connectors.mail import imap_answers, imap_cutting, imap_headers, imap_names, imap_structure, imap_text
from saas_connectors.mail.imap_messages import arrival
from saas_connectors.mail.imap_streams import SHAPES, table
from saas_connectors.request import Request, Response

REQUEST = Request("FETCH", "imaps://mail.example/INBOX;UIDVALIDITY=1")
WORDS = st.sampled_from([
    b"* ", b"A OK done\r\n", b"* 1 FETCH (", b")", b"(", b"{3}\r\n", b"abc", b'"', b"NIL", b" ", b"\r\n", b"UID 1",
    b"BODY[HEADER]<0> ", b"\\", b"\x00", b"\xff", b"{999999999999}\r\n", b"* OK [X] y\r\n", b"[", b"]", b"SEARCH 1 2",
])  # fmt: skip
ANSWERS = st.lists(WORDS | st.binary(max_size=6), max_size=40).map(b"".join)
TOKENS = st.recursive(
    st.none() | st.binary(max_size=20) | st.sampled_from(["1", "NIL", "x", "99999999999999999999"]),
    lambda inner: st.lists(inner, max_size=9),
    max_leaves=60,
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"References", b"In-Reply-To", b"X"]),
        st.sampled_from([
            b"=?utf-8?q?=E9?=", b"=?x?b?!!?=", b"=?utf-7?q?+2A-?=", b"<a@b>", b"a@b, c@d", b'"x', b"(((", b"Mon, 99 Xxx 2026",
            b"\r\n y",            b"Mon, 23 Nov 2026 10:00:00 +9999", b"group: a@b;", b"=?utf-16?b?AA==?=", b"@", b",",
        ]) | st.binary(max_size=30),
    ),
    max_size=12,
).map(lambda pairs: b"".join(name + b": " + value + b"\r\n" for name, value in pairs) + b"\r\n")  # fmt: skip
CHARSETS = st.sampled_from(
    ["", "utf-8", "utf-7", "latin-1", "x-nothing", "utf-16", "idna", "punycode", "rot13", "zlib", "\x00"]
)


@given(ANSWERS)
def test_an_answer_is_read_or_refused(body: bytes) -> None:
    try:
        lines = imap_answers.read(REQUEST, Response(200, REQUEST.url, body))
    except ConnectorError:
        return
    for line in lines:
        for token in line:
            imap_answers.items(token)
            imap_answers.number(token)


@given(TOKENS)
def test_a_structure_gives_parts_or_none(token: imap_answers.Token) -> None:
    found = imap_structure.read(token)
    assert len(found.attached) <= imap_structure.MOST
    for part in found.attached:
        assert len(part.filename or "") <= 255
        assert part.section.replace(".", "").isdigit()


@given(HEADERS | st.binary(max_size=300))
def test_a_header_becomes_a_row_that_the_copy_can_hold(raw: bytes) -> None:
    told = imap_headers.header(raw)
    made = table("messages", [{"folder": "x", "uidvalidity": 1, "uid": 1, **told}])
    assert made.schema == SHAPES["messages"].schema
    made.validate(full=True)


@given(st.binary(max_size=200), st.sampled_from(["", "base64", "quoted-printable", "x"]), CHARSETS, st.booleans())
def test_a_text_is_at_most_as_long_as_asked(content: bytes, encoding: str, charset: str, html: bool) -> None:
    found = imap_text.extract(content, encoding, charset, html=html, most=50)
    assert len(found) <= 50
    found.encode()


@given(st.binary(max_size=60))
def test_a_name_is_text(name: bytes) -> None:
    imap_names.decoded(name).encode()


@given(st.sets(st.integers(1, 2**32 - 1), max_size=40))
def test_a_set_of_numbers_comes_back(numbers: set[int]) -> None:
    assert set(imap_names.numbers(imap_names.ranges(numbers))) == numbers


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=9), st.sets(st.integers(1, 60), max_size=40))
def test_what_is_said_gone_is_found_among_what_is_known(spans: list[tuple[int, int]], known: set[int]) -> None:
    sets = [f"{first}:{last},{first}" for first, last in spans]
    named = {n for first, last in spans for n in range(min(first, last), max(first, last) + 1)}
    assert imap_names.among(sets, known) == known & named


def test_a_server_that_says_every_number_gone_takes_no_time_for_each() -> None:
    known = {7, *range(5_000_000_000, 5_000_000_100)}
    assert imap_names.among(["8:4294967295,8:4294967295"] * 1_000, known) == set()
    assert imap_names.among(["1:4294967295"], known) == {7}


@pytest.mark.parametrize("said", ["x", "1:y", "1,,2"])
def test_a_set_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        imap_names.among([said], {1})


@given(st.none() | st.binary(max_size=40))
def test_a_date_of_arrival_is_one_or_none(said: bytes | None) -> None:
    arrival(said)


def test_names_of_people_and_folders_are_read_as_they_are_written() -> None:
    assert imap_names.decoded(b"Dossier &AOk-t&AOk-") == "Dossier été"
    assert imap_names.decoded(b"R&-D") == "R&D"
    assert imap_names.decoded(b"bad &!!-") == "bad &!!-"
    told = imap_headers.header(b"Subject: =?iso-8859-1?q?caf=E9?= =?utf-8?b?w6k=?=\r\nFrom: \xc3\x89va <E@X.FR>\r\n\r\n")
    assert (told["subject"], told["from_name"], told["from_addresses"]) == ("caféé", "Éva", ["E@x.fr"])


TREES = st.recursive(
    st.binary(max_size=30).map(lambda held: held.replace(b"-", b"_")),
    lambda inner: st.lists(inner, min_size=1, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from([
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: multipart/mixed; boundary*=x''%ff\r\n", b"\r\n",
    b"--b\r\n",    b"--b--\r\n", b"--b--", b"\n", b"--b", b"Content-Type: \x00/\xff; boundary\r\n", b"text",
    b"Content-Transfer-Encoding: \xe9\r\n",
])  # fmt: skip


def written(tree: "bytes | list[Any]", section: str, found: dict[str, bytes]) -> bytes:
    if isinstance(tree, bytes):
        found[section or "1"] = tree
        return b"Content-Type: application/x\r\n\r\n" + tree
    name = b"b." + section.encode() + b".e"
    parts = [written(each, f"{section}.{n}" if section else str(n), found) for n, each in enumerate(tree, 1)]
    inside = b"".join(b"--" + name + b"\r\n" + part + b"\r\n" for part in parts)
    return b'Content-Type: multipart/mixed; boundary="' + name + b'"\r\n\r\n' + inside + b"--" + name + b"--\r\n"


@given(TREES)
def test_a_message_is_cut_into_what_it_was_made_of(tree: "bytes | list[Any]") -> None:
    expected: dict[str, bytes] = {}
    raw = written(tree, "", expected)
    assert {name: raw[leaf.start : leaf.end] for name, leaf in imap_cutting.leaves(raw).items()} == expected


@given(st.lists(PIECES | st.binary(max_size=4), max_size=40).map(b"".join))
def test_whatever_a_message_is_its_leaves_are_inside_it(raw: bytes) -> None:
    for leaf in imap_cutting.leaves(raw).values():
        assert 0 <= leaf.start <= leaf.end <= len(raw)


@pytest.mark.parametrize("piece", [b"<a ", b"<!--", b"<", b"</", b"<title>", b"<head><script", b"&#1", b"<a b='"])
def test_a_page_made_to_be_slow_is_read_in_one_pass(piece: bytes) -> None:
    short, long = (timed(piece * (size // len(piece))) for size in (8_000, 64_000))
    assert long < max(40 * short, 0.5)  # eight times the length: sixty-four times the time, were it quadratic


def timed(page: bytes) -> float:
    started = time.thread_time()
    imap_text.extract(page, "", "utf-8", html=True, most=4_000)
    return time.thread_time() - started


def test_a_text_that_was_cut_inside_a_character_is_read_until_there() -> None:
    assert imap_text.extract("été".encode()[:-1], "", "", html=False, most=50) == "ét"
    assert imap_text.extract("日本語".encode("iso-2022-jp")[:-4], "", "iso-2022-jp", html=False, most=50) == "日本"
