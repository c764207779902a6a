"""Walks through pages: links by their standard, and guards against vendors that repeat, loop, cap or lead elsewhere."""

from typing import Any

import orjson
import pytest

from saas_connectors.answer import cut
from saas_connectors.connector import Json
from saas_connectors.errors import Malformed
from saas_connectors.paging import Cursor, Fact, Keyset, Link, Offset, Page, Seen, Walk, Windows, follow, link_header, next_link
from saas_connectors.request import Headers, Request, Response

Row = dict[str, Any]
BASE = Request("GET", "https://vendor.example:8443/api/list?lang=fr", (("q", "x"),))


def seen(
    request: Request, rows: list[Row], total: int | None = None, last: Json = None, link: str = "", **around: Json
) -> Seen:
    body = orjson.dumps({"items": rows, **around})
    response = Response(200, request.full_url, body, Headers([("Link", link)] if link else []))
    return Seen(request, response, cut(request, response, "items"), len(rows), last, total)


def walk(paging: Json, pages: Json, **more: Json) -> tuple[list[Json], list[Json], list[Fact], Json]:
    """Walk over `pages`, lists of records or what `seen` takes; give what was asked, kept and found."""
    found, asked, kept = Walk(paging, BASE), [], []
    facts = []
    for page in pages:
        if found.position is None:
            break
        asked.append(found.position)
        step = found.take(seen(found.request(), **(page if isinstance(page, dict) else {"rows": page}), **more))
        facts += step.facts
        kept += [page] if step.keep else []
    return asked, kept, facts, found.position


def rows(start: int, stop: int) -> list[Row]:
    return [{"id": n} for n in range(start, stop)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('<https://a/2>; rel="next"', "https://a/2"),
        ('<https://a/1>; rel=prev, <https://a/3,4>; rel=next; title="a, \\"b\\""', "https://a/3,4"),
        ('<?page=2>; title="x"; rel="last NEXT"', "?page=2"),
        ('<https://a/9>; rel="nextish"', None),
        ('<https://a/2>; rel="prev"; rel="next"', None),
        ('<?f=html>; rel=next; type="text/html", <?f=json>; rel=next; type="application/geo+json"', "?f=json"),
        ('<?f=html>; rel=next; type="text/html", <?page=2>; rel=next', "?page=2"),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_next_link_is_read_as_rfc_8288_says(header: str, expected: Json) -> None:
    assert next_link(header) == expected


def test_a_link_field_gives_every_link_with_its_parameters() -> None:
    assert list(link_header('<a>; rel="next" , <b>;rel=last;x')) == [("a", {"rel": "next"}), ("b", {"rel": "last", "x": ""})]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("/api/list?page=2", "https://vendor.example:8443/api/list?page=2"),
        ("?page=2", "https://vendor.example:8443/api/list?page=2"),
        ("http://vendor.example/api/list?page=2", "https://vendor.example:8443/api/list?page=2"),
        ("https://user:pass@vendor.example:8443/x", "https://vendor.example:8443/x"),
        ("https://vendor.example:8443/x?api_key=s3cr3t&page=2#top", "https://vendor.example:8443/x?page=2"),
        ("https://evil.example/x", None),
        ("https://vendor.example:9999/x", None),
        ("https://vendor.example.evil.example/x", None),
        ("//evil.example/x", None),
        ("file:///etc/passwd", None),
        ("https://vendor.example:port/x", None),
    ],
)
def test_a_next_link_never_leaves_its_host(link: str, expected: Json) -> None:
    assert follow(BASE.url, link) == expected


def test_a_link_to_another_host_is_refused_by_the_walk() -> None:
    going = Walk(Link("next"), BASE)
    with pytest.raises(Malformed) as refusal:
        going.take(seen(going.request(), rows(0, 3), next="https://evil.example/x"))
    assert "evil" not in str(refusal.value)


def test_pages_go_on_until_one_is_empty_whatever_the_total_says() -> None:
    asked, kept, facts, end = walk(Page(size=3), [rows(0, 3), rows(3, 6), rows(6, 7), []], total=4)
    assert [position["page"] for position in asked] == [1, 2, 3, 4]
    assert (len(kept), facts, end) == (4, [], None)


def test_offsets_follow_what_was_given_not_what_was_asked() -> None:
    asked, _, facts, _ = walk(Offset(size=1000), [rows(0, 100), rows(100, 150), rows(150, 250), []])
    assert [position["offset"] for position in asked] == [0, 100, 150, 250]
    assert facts == [("page_cap", None, {"asked": 1000, "given": 100})]


def test_a_refusal_after_what_seemed_the_last_page_is_the_end_and_any_other_is_not() -> None:
    going = Walk(Page(size=3), BASE)
    going.take(seen(going.request(), rows(0, 3)))
    assert not going.ends(Response(404, "", b""))
    going.take(seen(going.request(), rows(3, 4)))
    assert going.ends(Response(404, "", b""))
    assert not going.ends(Response(500, "", b""))


def test_a_repeated_page_is_kept_once_and_said() -> None:
    _, kept, facts, _ = walk(Page(size=2), [rows(0, 2), rows(0, 2), rows(2, 4), []])
    assert kept == [rows(0, 2), rows(2, 4), []]
    assert ("page_repeated", False, {}) in facts


def test_a_vendor_that_ignores_the_page_number_is_left_after_two_repeats() -> None:
    asked, kept, facts, end = walk(Page(size=2), [rows(0, 2)] * 50)
    assert (len(asked), kept, end) == (3, [rows(0, 2)], None)
    assert facts == [("page_repeated", False, {})] * 2


def test_a_vendor_that_gives_its_last_page_again_is_only_remarked_upon() -> None:
    _, kept, facts, end = walk(Page(size=2), [rows(0, 2), rows(2, 3), rows(2, 3)])
    assert (kept, facts, end) == ([rows(0, 2), rows(2, 3)], [("page_repeated", None, {})], None)


def test_a_loop_of_cursors_ends() -> None:
    pages = [{"rows": rows(n, n + 1), "next_cursor": "ab"[n % 2]} for n in range(50)]
    asked, _, facts, end = walk(Cursor("next_cursor"), pages)
    assert (len(asked), end) == (3, None)
    assert facts == [("page_repeated", False, {"loop": True})]


def test_a_feed_that_repeats_its_last_cursor_on_an_empty_page_has_simply_ended() -> None:
    pages = [{"rows": rows(0, 2), "next_cursor": "a"}, {"rows": [], "next_cursor": "a"}]
    assert walk(Cursor("next_cursor"), pages)[2:] == ([], None)


def test_an_empty_page_with_a_next_link_does_not_end_the_walk() -> None:
    pages = [{"rows": [], "next": "?a=1"}, {"rows": rows(0, 2), "next": "?a=2"}, {"rows": rows(2, 3), "next": None}]
    asked, kept, facts, _ = walk(Link("next"), pages)
    assert (len(asked), len(kept), facts) == (3, 3, [])


def test_a_walk_without_end_is_bounded() -> None:
    going = Walk(Page(), BASE, most=5)
    for n in range(5):
        step = going.take(seen(going.request(), rows(n, n + 1)))
    assert (going.position, step.facts) == (None, (("page_repeated", False, {"loop": True}),))


def test_a_keyset_ends_when_an_inclusive_filter_gives_its_last_record_again() -> None:
    paging = Keyset("id", "after", template="id ge {}")
    asked, _, facts, end = walk(paging, [{"rows": rows(0, 3), "last": 2}, {"rows": rows(2, 3), "last": 2}])
    assert (asked, facts, end) == ([{}, {"after": 2}], [], None)
    assert dict(paging.request(BASE, {"after": 2}).params)["after"] == "id ge 2"


def test_a_keyset_that_goes_down_is_said_to_be_out_of_order() -> None:
    _, _, facts, end = walk(Keyset("id", "after"), [{"rows": rows(0, 3), "last": 9}, {"rows": rows(3, 4), "last": 4}])
    assert (facts, end) == ([("order_unstable", False, {"field": "id"})], None)


def test_a_full_window_is_halved_until_it_fits_and_a_full_second_is_said_to_be_cut() -> None:
    paging = Windows("from", "to", "2026-01-01", "2026-01-03", width=86_400, cap=2)
    going, asked = Walk(paging, BASE), []
    full = {"2026-01-01T00:00:00Z"}
    while going.position is not None:
        request = going.request()
        params = dict(request.params)
        asked.append((params["from"], params["to"]))
        going.take(
            seen(request, rows(len(asked) * 2, len(asked) * 2 + (2 if params["from"] in full and len(asked) < 3 else 1)))
        )
    assert asked[:4] == [
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T06:00:00Z"),
        ("2026-01-01T06:00:00Z", "2026-01-01T18:00:00Z"),
    ]
    assert asked[-1][1] == "2026-01-03T00:00:00Z"
    second = Windows("from", "to", "2026-01-01T00:00:00", "2026-01-01T00:00:01", cap=2)
    assert walk(second, [rows(0, 2)])[2] == [("page_cap", False, {"asked": 2, "given": 2})]


@pytest.mark.parametrize(
    ("paging", "total", "expected"),
    [
        (Page(size=100), 2500, [(1, 4), (4, 7), (7, 10), (10, 13), (13, 16), (16, 19), (19, 22), (22, None)]),
        (Page(size=100), 250, [(1, None)]),
        (Page(size=100), None, [(1, None)]),
    ],
)
def test_a_list_of_known_length_is_cut_into_ranges_the_last_one_open(paging: Json, total: int | None, expected: Json) -> None:
    ranges = paging.ranges(seen(BASE, rows(0, 100), total), 8)
    assert [(position["page"], position.get("to")) for position in ranges] == expected


def test_parameters_replace_those_of_the_same_name_wherever_they_stand() -> None:
    request = Page("lang").request(BASE, {"page": 2})
    assert request.full_url == "https://vendor.example:8443/api/list?q=x&lang=2"
    posted = Request("POST", BASE.url, body=b'{"query": "x", "page": 1}')
    assert orjson.loads(Page().request(posted, {"page": 2}).body) == {"query": "x", "page": 2}
