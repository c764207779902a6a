"""Request forgery and smuggling by the channel of the event loop: the rules of the pulls, seen from the vendor's own socket."""

import asyncio
from typing import Any

import pytest

from saas_connectors.auth import ClientCredentials, Key, basic
from saas_connectors.request import Request, Response
from sovereign.clock import now
from sovereign.egress import Redirected, Refused
from sovereign.egress.headers import end_to_end
from tests.security.egress.test_destinations import names
from tests.servers.peer import always, answer, each, peer
from tests.servers.wayout import call, channel


def refusal(found: list[Response | Exception]) -> str:
    assert isinstance(found[-1], Refused)
    assert not found[-1].may_have_arrived
    return found[-1].rule


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.8", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
     "[fd00:ec2::254]", "[fe80::1]", "[::]", "100.64.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001"],
)  # fmt: skip
def test_a_channel_cannot_even_be_opened_on_a_forbidden_address(host: str) -> None:
    with pytest.raises(Refused):
        channel(f"https://{host}/", loopback=False, plaintext=False)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"]
)
def test_a_listed_name_that_leads_to_a_forbidden_address_is_not_dialled(address: str) -> None:
    url = "https://ville.example"
    assert refusal(call(url, Request("PUT", url), loopback=False, resolve=names([address]))).startswith("egress.address.")


def test_one_forbidden_address_among_good_ones_refuses_them_all() -> None:
    with peer(always(answer())) as vendor:
        url = f"http://ville.example:{vendor.port}"
        found = call(url, Request("PUT", url), resolve=names(["127.0.0.1", "169.254.169.254"]))
        assert (refusal(found), vendor.connections) == ("egress.address.metadata", 0)


def test_a_name_that_turns_hostile_is_refused_when_it_is_dialled_again() -> None:
    with peer(always(answer(connection="close"))) as vendor:
        url = f"http://ville.example:{vendor.port}"
        resolver = names(["127.0.0.1"], ["169.254.169.254"])
        assert refusal(call(url, Request("PUT", url), Request("PUT", url), resolve=resolver)) == "egress.address.metadata"
        assert (vendor.connections, resolver.asked) == (1, 2)


def test_the_address_that_is_dialled_is_judged_where_its_socket_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    # Even if what the resolver judged were lost on the way, the socket is not made.
    monkeypatch.setattr("sovereign.egress.session.Resolver.resolve", _unjudged)
    with peer(always(answer())) as vendor:
        url = f"http://ville.example:{vendor.port}"
        assert refusal(call(url, Request("PUT", url), loopback=False)) == "egress.address.loopback"
        assert vendor.connections == 0


async def _unjudged(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
    return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://ailleurs.example/", "egress.origin"), ("https://ville.example:8443/", "egress.origin"),
        ("https://user:pw@ville.example/", "egress.userinfo"), ("http://ville.example/", "egress.plaintext"),
        ("https://evil.example\\@ville.example/", "egress.userinfo"), ("https://169.254.169.254/", "egress.origin"),
        ("https://2852039166/", "egress.url"), ("file:///etc/passwd", "egress.url"),
        ("https://ville.example/a/../admin", "egress.url"), ("https://ville.example/a/%2E%2e/admin", "egress.url"),
        ("https://ville.example/a/..;/admin", "egress.url"), ("https://ville.example/a%2f..%2fadmin", "egress.url"),
        ("https://ville.example/a\\..\\admin", "egress.url"), ("https://ville.example/a\r\nHost: x", "egress.url"),
    ],
)  # fmt: skip
def test_only_listed_origins_and_plain_paths_are_reached(url: str, rule: str) -> None:
    resolver = names(["8.8.8.8"])
    assert refusal(call("https://ville.example", Request("PUT", url), plaintext=False, resolve=resolver)) == rule
    assert resolver.asked == 0


def test_a_target_reaches_the_vendor_as_it_was_decided_on() -> None:
    with peer(always(answer())) as vendor:
        for target in ("/a%2Fb//c?x=%20&y=a/../b", "/d/...//.e?q='\"<>", "/é à?ç=1"):
            call(vendor.url, Request("PUT", vendor.url + target))
        sent = [request.split(b" HTTP/1.1")[0] for request in vendor.requests]
    assert sent[:2] == [b"PUT /a%2Fb//c?x=%20&y=a/../b", b"PUT /d/...//.e?q='\"<>"]
    assert sent[2] == b"PUT /%C3%A9%20%C3%A0?%C3%A7=1"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirection_is_not_followed_and_only_its_host_is_told(status: str) -> None:
    with peer(always(answer())) as elsewhere:
        place = f"http://user:pw@127.0.0.1:{elsewhere.port}/secret?token=abc"
        with peer(always(answer(status=status, Location=place))) as vendor:
            (fault,) = call(vendor.url, Request("PUT", vendor.url), allow=(elsewhere.url,))
    assert isinstance(fault, Redirected)
    assert fault.fields["target"] == "127.0.0.1"
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "evil.example"), ("Content-Length", "3"), ("Transfer-Encoding", "chunked"), ("Connection", "X-Role"),
        ("Proxy-Authorization", "Basic eA=="), ("Upgrade", "h2c"), ("Te", "trailers"), ("Expect", "100-continue"),
        ("X-A", "1\r\nX-B: 2"), ("X-A", "1\n X-B"), ("X-A", "1\0"), ("X A", "1"), ("X-A:", "1"), ("", "1"), ("X-A\r\nX-B", "1"),
        ("X-A", "\ud800"), ("X-A", "€"),
    ],
)  # fmt: skip
def test_a_header_that_belongs_to_the_transport_or_breaks_a_line_never_leaves(name: str, value: str) -> None:
    with peer(always(answer())) as vendor:
        found = call(vendor.url, Request("PUT", vendor.url, headers=((name, value),), body=b"x"))
        assert (refusal(found), vendor.connections) == ("egress.header", 0)


def test_the_vendor_sees_one_host_one_length_and_the_headers_that_were_meant_for_it() -> None:
    received = (
        ("Host", "evil.example"), ("HOST", "evil2.example"), ("Connection", "keep-alive, X-Secret"), ("X-Secret", "1"),
        ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Content-Length", "3"), ("Authorization", "Bearer client"),
        ("Cookie", "a=b"), ("X-Forwarded-Host", "evil"), ("Forwarded", "host=evil"), ("X-Api-Key", "client's own"),
        ("X-HTTP-Method-Override", "DELETE"), ("Accept-Encoding", "br"), ("Proxy-Connection", "close"),
        ("If-Match", '"v1"'), ("X-Ville", "Saint-\xc3\x89tienne"),
    )  # fmt: skip
    with peer(always(answer())) as vendor:
        asked = Request("PUT", vendor.url, headers=end_to_end(received, ("X-Api-Key",)), body=b"abc")
        call(vendor.url, asked, auth=Key("X-Api-Key", "le-secret-du-site"))
        head, _, body = vendor.requests[0].partition(b"\r\n\r\n")
        port = vendor.port
    assert sorted(head.lower().split(b"\r\n")[1:]) == sorted(
        [b"host: 127.0.0.1:%d" % port, b"user-agent: sovereign/0.1.0", b"accept: */*", b"accept-encoding: gzip, deflate",
         b'if-match: "v1"', b"x-ville: saint-\xc3\x89tienne", b"x-api-key: le-secret-du-site", b"content-length: 3"]
    )  # fmt: skip
    assert body == b"abc"


@pytest.mark.parametrize(
    "received",
    [
        (("Content-Length", "3"), ("Transfer-Encoding", "chunked")), (("Content-Length", "3"), ("content-length", "4")),
        (("Content-Length", "3"), ("Content-Length", "3")), (("Content-Length", "+3"),), (("Content-Length", "3, 3"),),
        (("Transfer-Encoding", "identity"),), (("Transfer-Encoding", "gzip, chunked"),),
        (("Transfer-Encoding", "\x0bchunked"),),
        (("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "x")), (("X-A", "1\r\n folded"),), (("X-A ", "1"),),
        (("X-A", " 1"),), (("X-A", "1\r\n\r\nGET / HTTP/1.1"),), (("X_\xe9", "1"),),
    ],
)  # fmt: skip
def test_a_message_made_to_be_read_in_two_ways_is_refused_whole(received: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Refused) as refused:
        end_to_end(received)
    assert refused.value.rule == "egress.header"


def test_an_answer_is_relayed_without_what_speaks_of_its_connection_or_of_the_vendors_origin() -> None:
    data = answer(
        b"x", Connection="X-Private, close", X_Private="1", Set_Cookie="a=b", Alt_Svc='h2="evil:443"', ETag='"1"',
        Keep_Alive="5",
        Strict_Transport_Security="max-age=1", Proxy_Authenticate="Basic", Trailer="X", Upgrade="h2c",
    )  # fmt: skip
    with peer(always(data)) as vendor:
        (found,) = call(vendor.url, Request("GET", vendor.url))
    assert isinstance(found, Response)
    assert dict(found.headers) == {"content-length": "1", "content-type": "application/json", "etag": '"1"'}


def test_the_credential_goes_to_the_vendor_and_never_to_another_listed_origin() -> None:
    with peer(always(answer())) as vendor, peer(always(answer())) as files:
        call(vendor.url, *(Request("GET", place.url) for place in (vendor, files)), auth=basic("v", "mdp"), allow=(files.url,))
        assert b"authorization: Basic djptZHA=" in vendor.requests[0]
        assert b"authorization" not in files.requests[0].lower()


def test_a_token_is_fetched_once_for_many_writes_at_once_and_renewed_on_a_401_that_had_no_effect() -> None:
    def token(number: int) -> bytes:
        return answer(b'{"access_token":"jeton%d","expires_in":3600}' % number)

    async def run(url: str, auth: ClientCredentials, endpoint: str) -> list[int]:
        async with channel(url, auth, credential_urls=(endpoint,), concurrency=8) as out:
            many = await asyncio.gather(*(out.send(Request("PUT", url, body=b"x")) for _ in range(8)))
            return [one.status for one in (*many, await out.send(Request("PUT", url, body=b"y")))]

    refused = answer(status="401 No")
    with peer(each(token(1), token(2))) as desk, peer(each(*[answer()] * 8, refused, answer())) as vendor:
        auth = ClientCredentials(f"{desk.url}/token", "ville", "secret", now)
        assert asyncio.run(run(vendor.url, auth, f"{desk.url}/token")) == [200] * 9
        assert (len(desk.requests), len(vendor.requests)) == (2, 10)
        assert b"jeton2" in vendor.requests[-1]
