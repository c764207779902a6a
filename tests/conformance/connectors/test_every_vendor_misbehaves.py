"""Every kind of connector before a vendor that misbehaves; a kind without a vendor in the table fails."""

from collections.abc import Callable
from pathlib import Path

import pytest

from saas_connectors import registry
from saas_connectors.conformance import misbehaviour
from saas_connectors.connector import Connector
from saas_connectors.request import Request, Response
from tests.conformance.connectors.vendors import SESSIONS, STARTED, VENDORS, Misbehaving

URL = "http://vendor.example"
KINDS = sorted(registry.KINDS.keys() - SESSIONS)


def vendor_of(kind: str) -> Misbehaving:
    if kind not in VENDORS:
        pytest.fail(f"no vendor for `{kind}` in tests/conformance/connectors/vendors.py: add one")
    return VENDORS[kind]()


def connect(kind: str, vendor: Misbehaving) -> Connector:
    return registry.make(kind, "town", {"url": f"{URL}{vendor.root}", **vendor.settings})


def sender(vendor: Misbehaving) -> Callable[[Request], Response]:
    """Sends in the same process, the credential added."""
    flows = registry.auth(
        {name: f"{URL}{value}" if name == "token_url" else value for name, value in vendor.auth.items()},
        lambda _: vendor.secret.encode(),
        lambda: STARTED,
    )

    def send(request: Request) -> Response:
        if flows is None:
            return vendor.server.respond(request)
        flow = flows.flow(request)
        response = vendor.server.respond(next(flow))
        try:
            while True:
                response = vendor.server.respond(flow.send(response))
        except StopIteration:
            return response

    return send


@pytest.mark.parametrize("kind", sorted(SESSIONS))
def test_a_kind_that_speaks_another_protocol_has_laws_of_its_own(kind: str) -> None:
    assert (Path(__file__).parent / f"test_{kind}.py").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_befalls_the_answers_nothing_is_lost_in_silence(kind: str) -> None:
    vendor = vendor_of(kind)
    misbehaviour.run(connect(kind, vendor), sender(vendor), vendor.lists, started_at=STARTED, closed=vendor.closed)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_befalls_the_answers_to_what_changed_nothing_is_lost_in_silence(kind: str) -> None:
    vendor = vendor_of(kind)
    connector, send = connect(kind, vendor), sender(vendor)
    first = misbehaviour.pull(connector, send, started_at=STARTED)
    if vendor.edit is None:
        again = misbehaviour.pull(connector, send, started_at=STARTED, cursors=first.cursors)
        assert (again.error, again.pages) == (None, [])
        return
    vendor.edit()
    misbehaviour.run(connector, send, vendor.lists, started_at=STARTED, cursors=first.cursors, closed=vendor.closed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_vendor_that_goes_back_in_time_does_not_stall_the_copy(kind: str) -> None:
    vendor = vendor_of(kind)
    connector, send = connect(kind, vendor), sender(vendor)
    if vendor.back is None or vendor.onward is None:
        pulled = misbehaviour.pull(connector, send, started_at=STARTED)
        assert pulled.plan is not None
        assert not any("incremental" in stream.modes for stream in pulled.plan.streams)
        return
    misbehaviour.restored(connector, send, vendor.back, vendor.onward, started_at=STARTED)
