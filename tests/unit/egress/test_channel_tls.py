"""What the secure channel, the proxy and the client certificate promise to the event loop's driver, against real ones."""

import asyncio
from pathlib import Path

import pytest
import trustme

from saas_connectors.request import Request, Response
from sovereign.egress import Broken, NotSent, Refused, TlsFailed
from tests.servers.peer import always, answer, peer
from tests.servers.proxy import tinyproxy
from tests.servers.wayout import call, channel
from tests.unit.egress.test_tls import server


@pytest.mark.parametrize("names", [("localhost",), ("autre.example",)])
@pytest.mark.parametrize("named", [True, False])
def test_only_the_vendor_named_by_a_trusted_authority_receives_a_write(
    authority: tuple[trustme.CA, Path],
    names: tuple[str, ...],
    named: bool,
) -> None:
    ca, bundle = authority
    with peer(always(answer(b"tls")), server(ca, *names)) as vendor:
        url = f"https://localhost:{vendor.port}"
        (found,) = call(url, Request("PUT", url, body=b"x"), **({"ca_bundle": bundle} if named else {}))
        if named and names == ("localhost",):
            assert isinstance(found, Response)
            assert found.body == b"tls"
        else:
            assert isinstance(found, TlsFailed)
            assert not found.may_have_arrived
            assert vendor.requests == []


def test_a_client_certificate_is_shown_and_a_peer_that_refuses_it_handled_nothing(
    authority: tuple[trustme.CA, Path],
    tmp_path: Path,
) -> None:
    ca, bundle = authority
    clients = trustme.CA()
    mine = clients.issue_cert("gateway@ville.example")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    with peer(always(answer(b"you")), server(ca, "localhost", asks=clients)) as vendor:
        url = f"https://localhost:{vendor.port}"
        (found,) = call(url, Request("PUT", url), ca_bundle=bundle, client_certificate=tmp_path / "client.pem")
        assert isinstance(found, Response)
        (fault,) = call(url, Request("PUT", url, body=b"x"), ca_bundle=bundle)
        # Its alert comes before we write, after, or is lost to its own reset: then only "broken" is known.
        assert isinstance(fault, NotSent | Broken)
        assert len(vendor.requests) == 1


def test_a_vendor_is_reached_through_the_pinned_proxy_by_connect_and_its_password_stops_there(
    authority: tuple[trustme.CA, Path],
    tmp_path: Path,
) -> None:
    ca, bundle = authority

    async def run(url: str, proxy: str) -> list[bytes]:
        async with channel(url, ca_bundle=bundle, proxy=proxy, proxy_credential="ville:motdepasse") as out:
            return [(await out.send(Request("PUT", url, params=(("q", "caché"),)))).body for _ in range(3)]

    with (
        peer(always(answer(b"proxied")), server(ca, "localhost")) as vendor,
        tinyproxy(tmp_path, login="ville:motdepasse") as proxy,
    ):
        url = f"https://localhost:{vendor.port}"
        assert asyncio.run(run(url, proxy.url)) == [b"proxied"] * 3
        assert proxy.connects() == [f"localhost:{vendor.port}"]
        assert b"proxy" not in vendor.requests[0].lower()
        (fault,) = call(url, Request("PUT", url), ca_bundle=bundle, proxy=proxy.url, proxy_credential="ville:faux")
        assert isinstance(fault, NotSent)
        assert fault.fields["reason"] in ("proxy 407", "proxy 401")
        assert len(vendor.requests) == 3


def test_a_proxy_that_refuses_or_is_not_there_is_provably_not_sent_and_is_guarded_itself(tmp_path: Path) -> None:
    with tinyproxy(tmp_path, ports=(443,)) as proxy:
        (fault,) = call("https://localhost:9", Request("PUT", "https://localhost:9"), proxy=proxy.url)
    assert isinstance(fault, NotSent)
    assert fault.fields["reason"] == "proxy 403"
    url = "https://ville.example"
    (fault,) = call(url, Request("PUT", url), proxy="http://127.0.0.1:9")
    assert isinstance(fault, NotSent)
    assert fault.fields["reason"] == "proxy"
    (fault,) = call(url, Request("PUT", url), proxy="http://127.0.0.1:9", loopback=False)
    assert isinstance(fault, Refused)
    assert fault.rule == "egress.address.loopback"
