"""The MaarchCourrier connector keeps the laws of all connectors, over a real socket, by Basic and by tokens."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from saas_connectors.conformance import suite
from saas_connectors.connector import Json
from saas_connectors.registry import auth, make
from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport, open_transport

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROWS = {
    "resources": 40, "documents": 40, "attachments": 8, "notes": 10, "contacts": 40, "users": 5, "entities": 4, "statuses": 6,
    "doctypes": 4,
}  # fmt: skip
PRIVILEGES = frozenset({"admin_users", "admin_contacts"})
ACCOUNTS = (Account(USER, SECRET), Account("courrier", SECRET, number=2, mode="standard", privileges=PRIVILEGES))


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox[Maarch]]:
    with Sandbox(Maarch(40, accounts=ACCOUNTS)) as sandbox:
        yield sandbox


@pytest.fixture(params=["basic", "maarch"])
def transport(request: pytest.FixtureRequest, running: Sandbox[Maarch]) -> Iterator[Transport]:
    settings = {"kind": request.param, "user": USER if request.param == "basic" else "courrier", "secret": "maarch"}
    flows = auth(settings, lambda _: SECRET.encode())
    policy = EgressPolicy("courrier", running.url, plaintext=True, private=True, loopback=True, attempts=1, rate=10_000.0)
    with open_transport(policy, flows, lambda: datetime.now(UTC)) as opened:
        yield opened


def test_a_full_read_keeps_the_laws(running: Sandbox[Maarch], transport: Transport) -> None:
    connector = make("maarch", "courrier", {"url": running.url, "limit": 10})
    report = suite.run(connector, transport.send, secrets=[SECRET], started_at=NOW, resumes=6)
    assert report.rows == ROWS


def test_reading_what_moved_keeps_the_laws(running: Sandbox[Maarch], transport: Transport) -> None:
    connector = make("maarch", "courrier", {"url": running.url, "limit": 10})
    first = suite.run(connector, transport.send, started_at=NOW, resumes=1)
    cursors: dict[str, Json] = {name: held for one in first.reads.values() for name, held in one.cursors.items()}
    store = running.vendor.store
    (held,) = store.rows("SELECT status FROM res_letterbox WHERE res_id = 111")
    store.change("res_letterbox", "res_id", 111, status="ATT" if held["status"] != "ATT" else "COU")
    report = suite.run(connector, transport.send, started_at=NOW, resumes=6, mode="incremental", cursors=cursors)
    assert (report.rows["notes"], report.rows["resources"]) == (0, 40)  # letters are read again 256 at a time
