"""What the secure channel, the proxy and the client certificate promise, against real ones."""

import ssl
from pathlib import Path

import pytest
import trustme

from saas_connectors.request import Request
from sovereign.egress import Broken, NotSent, Refused, TlsFailed
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.tls import context
from tests.servers.peer import always, answer, peer
from tests.servers.proxy import tinyproxy
from tests.servers.wayout import way


def server(authority: trustme.CA, *names: str, asks: trustme.CA | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(made)
    if asks is not None:
        asks.configure_trust(made)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def test_a_private_authority_is_trusted_when_named_and_only_then(authority: tuple[trustme.CA, Path]) -> None:
    ca, bundle = authority
    with peer(always(answer(b"tls")), server(ca, "localhost")) as vendor:
        url = f"https://localhost:{vendor.port}"
        with way(url, ca_bundle=bundle) as out:
            assert out.send(Request("GET", url)).body == b"tls"
        with way(url) as out, pytest.raises(TlsFailed) as fault:
            out.send(Request("GET", url))
        assert not fault.value.may_have_arrived
        assert "unable to get local issuer certificate" in str(fault.value)
        assert len(vendor.requests) == 1


def test_a_certificate_for_another_name_is_refused(authority: tuple[trustme.CA, Path]) -> None:
    ca, bundle = authority
    with peer(always(answer()), server(ca, "autre.example")) as vendor:
        url = f"https://localhost:{vendor.port}"
        with way(url, ca_bundle=bundle) as out, pytest.raises(TlsFailed) as fault:
            out.send(Request("GET", url))
    assert fault.value.fields["reason"] == "hostname mismatch"
    assert vendor.requests == []


def test_an_old_protocol_is_refused(authority: tuple[trustme.CA, Path]) -> None:
    _, bundle = authority
    assert (
        context(EgressPolicy(connection="ville", url="https://ville.fr", ca_bundle=bundle)).minimum_version
        == ssl.TLSVersion.TLSv1_2
    )


def test_a_client_certificate_is_shown_and_without_it_no_request_is_answered(
    authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    ca, bundle = authority
    clients = trustme.CA()
    mine = clients.issue_cert("gateway@ville.example")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    with peer(always(answer(b"you")), server(ca, "localhost", asks=clients)) as vendor:
        url = f"https://localhost:{vendor.port}"
        with way(url, ca_bundle=bundle, client_certificate=tmp_path / "client.pem") as out:
            assert out.send(Request("GET", url)).body == b"you"
        with way(url, ca_bundle=bundle, attempts=1) as out, pytest.raises((TlsFailed, Broken)):
            # The peer's alert may be lost to its own reset: then only "broken" is known.
            out.send(Request("GET", url))
        assert len(vendor.requests) == 1


@pytest.mark.parametrize("name", ["ca_bundle", "client_certificate"])
def test_a_file_that_is_no_certificate_is_said_when_opening(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(TlsFailed) as fault, way("https://ville.example", **{name: tmp_path / "bad.pem"}):
        pass
    assert fault.value.fields["reason"] == name


def test_a_vendor_is_reached_through_the_pinned_proxy_by_connect(authority: tuple[trustme.CA, Path], tmp_path: Path) -> None:
    ca, bundle = authority
    with peer(always(answer(b"proxied")), server(ca, "localhost")) as vendor, tinyproxy(tmp_path) as proxy:
        url = f"https://localhost:{vendor.port}"
        with way(url, ca_bundle=bundle, proxy=proxy.url) as out:
            assert [out.send(Request("GET", url, params=(("q", "caché"),))).body for _ in range(3)] == [b"proxied"] * 3
            assert "egress.proxy" in [remark.code for remark in out.describe()]
        assert proxy.connects() == [f"localhost:{vendor.port}"]
        assert "cach" not in proxy.log.read_text()


def test_a_proxy_that_asks_for_a_password_gets_it_and_the_vendor_does_not(
    authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    ca, bundle = authority
    with (
        peer(always(answer(b"proxied")), server(ca, "localhost")) as vendor,
        tinyproxy(tmp_path, login="ville:motdepasse") as proxy,
    ):
        url = f"https://localhost:{vendor.port}"
        with way(url, ca_bundle=bundle, proxy=proxy.url, proxy_credential="ville:motdepasse") as out:
            assert out.send(Request("GET", url)).body == b"proxied"
        assert b"proxy" not in vendor.requests[0].lower()
        with (
            way(url, ca_bundle=bundle, proxy=proxy.url, proxy_credential="ville:faux", attempts=1) as out,
            pytest.raises(NotSent) as fault,
        ):
            out.send(Request("GET", url))
        assert fault.value.fields["reason"] in ("proxy 407", "proxy 401")


def test_a_proxy_that_refuses_the_vendor_is_provably_not_sent(authority: tuple[trustme.CA, Path], tmp_path: Path) -> None:
    with (
        tinyproxy(tmp_path, ports=(443,)) as proxy,
        way("https://localhost:9", proxy=proxy.url, attempts=1) as out,
        pytest.raises(NotSent) as fault,
    ):
        out.send(Request("GET", "https://localhost:9"))
    assert fault.value.fields["reason"] == "proxy 403"


def test_the_proxy_itself_is_guarded_and_plaintext_never_goes_through_one() -> None:
    with (
        way("https://ville.example", proxy="http://127.0.0.1:9", loopback=False, attempts=1) as out,
        pytest.raises(Refused) as refusal,
    ):
        out.send(Request("GET", "https://ville.example"))
    assert refusal.value.rule == "egress.address.loopback"
    with pytest.raises(Refused) as refusal, way("http://ville.example", proxy="http://127.0.0.1:9"):
        pass
    assert refusal.value.rule == "egress.plaintext"
    with pytest.raises(Refused) as refusal, way("https://169.254.169.254", proxy="http://127.0.0.1:9", private=True):
        pass
    assert refusal.value.rule == "egress.address.metadata"
