"""Request forgery: no address, name, redirection or trick makes the gateway reach where its connection may not go."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from saas_connectors.auth import basic
from saas_connectors.request import Request
from sovereign.egress import Redirected, Refused
from tests.servers.peer import always, answer, each, peer
from tests.servers.wayout import Time, way

UNSPECIFIED = "0.0.0.0"  # noqa: S104 - dialled, never bound


def names(*answers: list[str]) -> Any:  # noqa: ANN401 - a function that also counts
    """A resolver that gives the first list, then the second, and so on; it counts the times it was asked."""
    left = list(answers)

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        resolve.asked += 1  # type: ignore[attr-defined]
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in found
        ]

    resolve.asked = 0  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.0.0.8", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]",
        "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]", "[fd00:ec2::254]", "[fe80::1]", UNSPECIFIED, "[::]", "100.64.0.1",
        "255.255.255.255", "168.63.129.16",
        "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001", "017700000001",
    ],
)  # fmt: skip
def test_a_connection_cannot_even_be_opened_on_a_forbidden_address(host: str) -> None:
    with pytest.raises(Refused), way(f"https://{host}/", loopback=False, plaintext=False):
        pass


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1", UNSPECIFIED]
)
def test_a_listed_name_that_leads_to_a_forbidden_address_is_not_dialled(address: str) -> None:
    with (
        way("https://ville.example", loopback=False, resolve=names([address]), time=Time()) as out,
        pytest.raises(Refused) as refusal,
    ):
        out.send(Request("GET", "https://ville.example/"))
    assert refusal.value.rule.startswith("egress.address.")
    assert refusal.value.fields["host"] == "ville.example"
    assert not refusal.value.may_have_arrived


def test_one_forbidden_address_among_good_ones_refuses_them_all() -> None:
    with peer(always(answer())) as vendor:
        url = f"http://ville.example:{vendor.port}"
        with way(url, resolve=names(["127.0.0.1", "169.254.169.254"])) as out, pytest.raises(Refused):
            out.send(Request("GET", url))
        assert vendor.connections == 0


def test_the_name_is_resolved_once_and_the_checked_address_is_the_one_dialled() -> None:
    with peer(always(answer(b"first"))) as vendor:
        url = f"http://ville.example:{vendor.port}"
        resolver = names(["127.0.0.1"], ["169.254.169.254"])
        with way(url, resolve=resolver) as out:
            # A second resolution would have led to the metadata address.
            assert out.send(Request("GET", url)).body == b"first"
            assert resolver.asked == 1
            # And the connection that stays open asks nothing more.
            assert out.send(Request("GET", url)).body == b"first"
            assert resolver.asked == 1


def test_a_name_that_turns_hostile_is_refused_when_it_is_dialled_again() -> None:
    with peer(always(answer(connection="close"))) as vendor:
        url = f"http://ville.example:{vendor.port}"
        with way(url, resolve=names(["127.0.0.1"], ["169.254.169.254"])) as out:
            out.send(Request("GET", url))
            with pytest.raises(Refused) as refusal:
                out.send(Request("GET", url))
    assert refusal.value.rule == "egress.address.metadata"


def test_a_dead_address_leaves_time_for_the_next_one() -> None:
    with peer(always(answer(b"second"))) as vendor:
        url = f"http://ville.example:{vendor.port}"
        with way(url, resolve=names(["::1", "127.0.0.1"])) as out:
            assert out.send(Request("GET", url)).body == b"second"


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://ailleurs.example/", "egress.origin"), ("https://ville.example:8443/", "egress.origin"),
        ("https://ville.example.evil.example/", "egress.origin"),
        ("https://ville.example@evil.example/", "egress.userinfo"), ("https://user:pw@ville.example/", "egress.userinfo"),
        ("http://ville.example/", "egress.plaintext"),
        ("https://evil.example\\@ville.example/", "egress.userinfo"),
        ("https://ville.example%2eevil.example/", "egress.url"), ("file:///etc/passwd", "egress.url"),
        ("folder:/etc", "egress.url"), ("https://169.254.169.254/", "egress.origin"), ("https://2852039166/", "egress.url"),
    ],
)  # fmt: skip
def test_only_listed_origins_are_reached_whatever_a_vendor_puts_in_a_link(url: str, rule: str) -> None:
    resolver = names(["8.8.8.8"])
    with way("https://ville.example", plaintext=False, resolve=resolver) as out, pytest.raises(Refused) as refusal:
        out.send(Request("GET", url, params=(("token", "secret"),)))
    assert refusal.value.rule == rule
    assert resolver.asked == 0
    said = f"{refusal.value} {refusal.value.diagnostics('fr')}"
    assert "secret" not in said
    assert "pw" not in said


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirection_is_not_followed_and_only_its_host_is_told(status: str) -> None:
    with peer(always(answer())) as elsewhere:
        place = f"http://user:pw@127.0.0.1:{elsewhere.port}/secret?token=abc"
        with peer(always(answer(status=status, Location=place))) as vendor, way(vendor.url, allow=(elsewhere.url,)) as out:
            with pytest.raises(Redirected) as fault:
                out.send(Request("GET", vendor.url))
            assert fault.value.fields["target"] == "127.0.0.1"
            assert elsewhere.requests == []
            assert not any(word in str(fault.value.fields) for word in ("secret", "abc", "user", "pw"))


@pytest.mark.parametrize("location", ["/autre", "", "javascript:alert(1)", "https://évil.example/", "//evil.example"])
def test_a_redirection_that_cannot_be_read_is_refused_all_the_same(location: str) -> None:
    bytes_sent = answer(status="302 Found").replace(b"\r\n\r\n", f"\r\nlocation: {location}\r\n\r\n".encode(), 1)
    with peer(always(bytes_sent)) as vendor, way(vendor.url) as out, pytest.raises(Redirected):
        out.send(Request("GET", vendor.url))


def test_the_credential_goes_to_the_vendor_and_never_to_another_listed_origin() -> None:
    with peer(always(answer())) as vendor, peer(always(answer())) as files:
        with way(vendor.url, basic("ville", "motdepasse"), allow=(files.url,)) as out:
            for place in (vendor, files):
                out.send(Request("GET", place.url))
        assert b"authorization: Basic dmlsbGU6bW90ZGVwYXNzZQ==" in vendor.requests[0]
        assert b"authorization" not in files.requests[0].lower()


def test_a_flow_that_would_take_the_credential_elsewhere_is_refused() -> None:
    class Stray:
        hosts = ()

        def flow(self, request: Request) -> Iterator[Request]:
            yield Request("POST", files.url, headers=(("Authorization", "Bearer secret"),))

    with peer(always(answer())) as vendor, peer(always(answer())) as files:
        with way(vendor.url, Stray(), allow=(files.url,)) as out, pytest.raises(Refused) as refusal:  # type: ignore[arg-type]
            out.send(Request("GET", vendor.url))
        assert refusal.value.rule == "egress.credential"
        assert files.requests == []


def test_a_token_is_fetched_from_its_own_endpoint_and_renewed_once_on_401() -> None:
    from saas_connectors.auth import ClientCredentials
    from sovereign.clock import now

    def tokens(number: int) -> bytes:
        return answer(b'{"access_token":"jeton%d","expires_in":3600}' % number)

    with peer(each(tokens(1), tokens(2))) as desk, peer(each(answer(b"1"), answer(status="401 No"), answer(b"2"))) as vendor:
        auth = ClientCredentials(f"{desk.url}/token", "ville", "secret", now)
        with way(vendor.url, auth, credential_urls=(f"{desk.url}/token",)) as out:
            assert out.send(Request("GET", vendor.url)).body == b"1"
            assert out.send(Request("GET", vendor.url)).body == b"2"
            with pytest.raises(Refused):
                out.send(Request("GET", "http://127.0.0.1:9/"))
            # The endpoint serves the authentication alone: no link of a vendor's leads there, with the pool open or not.
            with pytest.raises(Refused) as refusal:
                out.send(Request("GET", f"{desk.url}/token"))
            assert refusal.value.rule == "egress.origin"
        assert len(desk.requests) == 2
        assert [b"jeton%d" % number in request for number, request in zip((1, 1, 2), vendor.requests, strict=True)] == [
            True
        ] * 3


def test_a_token_endpoint_is_reached_without_being_listed_and_by_the_authentication_alone() -> None:
    from saas_connectors.auth import ClientCredentials
    from sovereign.clock import now

    with peer(always(answer(b'{"access_token":"jeton"}'))) as desk, peer(always(answer(b"1"))) as vendor:
        auth = ClientCredentials(f"{desk.url}/token", "ville", "secret", now)
        with way(vendor.url, auth, credential_urls=(f"{desk.url}/token",)) as out:
            with pytest.raises(Refused) as refusal:
                out.send(Request("POST", f"{desk.url}/token", body=b"data"))
            assert (refusal.value.rule, desk.requests) == ("egress.origin", [])
            assert out.send(Request("GET", vendor.url)).body == b"1"
            assert any(desk.url in remark.en for remark in out.describe())
        with way(vendor.url, auth, credential_urls=(f"{desk.url}/token",), allow=(desk.url,)) as out:
            out.send(Request("GET", f"{desk.url}/listed"))
        assert b"authorization" not in desk.requests[-1].lower()
