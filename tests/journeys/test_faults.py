"""Vendors that fail, played by the real WireMock: what docs/gateway.md promises of each, through the public door of `serve`.

All faults are played at once, each on a connection of its own, so that no circuit of one is opened by another; what asks to be
left alone does so under a host name of its own, since that holds for the whole host.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from sovereign.access import Limits
from tests.servers.service import Service, service
from tests.servers.wiremock import WireMock, missing, running

SECRET = "correct-horse-battery-staple"
TIMEOUT, TOTAL = 3.0, 5.0
"""Seconds of silence, and in all, that the gateway is set to bear."""
CONNECTION = """
[connections.{name}]
connector = "rest"
url = "{url}/{name}"
secret = "key"
auth = {{ kind = "bearer" }}
network = {{ loopback = true, plaintext = true }}
limits = {{ timeout = {timeout}, total_timeout = {total} }}

[connections.{name}.streams.letters]
path = "/letters"
primary_key = ["id"]
records = "items"
classes = {{ internal = ["id", "ref"] }}

[connections.{name}.operations.create]
method = "POST"
path = "/letters"
schema = {{ required = ["ref"], properties = {{ ref = {{ type = "string" }} }} }}
look = {{ path = "/letters", params = {{ ref = "{{ref}}" }}, records = "items", match = {{ ref = "ref" }}, id = "id" }}
"""
TAKEN = {"status": 201, "jsonBody": {"id": "v1"}}


@dataclass(frozen=True)
class Fault:
    """What the vendor does to the writing request, whether it has the record afterwards, and what must come of it.

    first: status of the door, and the state told then; ends: the state at last; sent: how often the vendor was written to.
    """

    name: str
    response: dict[str, Any]
    landed: bool
    first: tuple[int, str]
    ends: str
    sent: int = 1
    then: dict[str, Any] | None = None


FAULTS = (
    Fault("resets", {"fault": "CONNECTION_RESET_BY_PEER"}, True, (202, "unknown"), "landed"),
    Fault("resets_before", {"fault": "CONNECTION_RESET_BY_PEER"}, False, (202, "unknown"), "did_not_happen"),
    Fault("garbage", {"fault": "RANDOM_DATA_THEN_CLOSE"}, True, (202, "unknown"), "landed"),
    Fault("broken_chunk", {"status": 201, "fault": "MALFORMED_RESPONSE_CHUNK"}, True, (202, "unknown"), "landed"),
    Fault("empty", {"fault": "EMPTY_RESPONSE"}, False, (202, "unknown"), "did_not_happen"),
    Fault("hangs", {**TAKEN, "fixedDelayMilliseconds": 15_000}, True, (202, "unknown"), "landed"),
    Fault(
        "dribbles",
        {**TAKEN, "chunkedDribbleDelay": {"numberOfChunks": 10, "totalDuration": 8_000}},
        True, (202, "unknown"), "landed",
    ),
    Fault(
        "slow", {**TAKEN, "chunkedDribbleDelay": {"numberOfChunks": 4, "totalDuration": 800}}, True, (200, "confirmed"),
        "confirmed",
    ),
    Fault(
        "busy", {"status": 503, "headers": {"Retry-After": "1"}}, True, (202, "to_retry"), "confirmed", sent=2, then=TAKEN
    ),
    Fault("throttles", {"status": 429}, True, (202, "to_retry"), "confirmed", sent=2, then=TAKEN),
    Fault("down", {"status": 503}, False, (202, "unknown"), "did_not_happen"),
    Fault("breaks", {"status": 500, "body": "<h1>oops</h1>"}, True, (202, "unknown"), "landed"),
    Fault("refuses", {"status": 409, "jsonBody": {"error": "taken"}}, False, (502, "rejected"), "rejected"),
    Fault("redirects", {"status": 302, "headers": {"Location": "/elsewhere"}}, False, (202, "unknown"), "did_not_happen"),
    Fault("loses", TAKEN, False, (202, "unknown"), "did_not_happen"),
    Fault(
        "echoes",
        {"status": 201, "headers": {"X-Seen": "{{request.headers.Authorization}}"}, "transformers": ["response-template"],
         "jsonBody": {"id": "v1", "seen": "{{request.headers.Authorization}}"}},
        True, (200, "confirmed"), "confirmed",
    ),
)  # fmt: skip
NAMES = [fault.name for fault in FAULTS]


@dataclass
class Played:
    """The site, its vendor, and what the application was told first of each write."""

    site: Service
    vendor: WireMock
    address: str
    token: str
    first: dict[str, requests.Response]

    def ask(self, method: str, path: str, **headers: str) -> requests.Response:
        own = {"Authorization": f"Bearer {self.token}", "Accept-Language": "en"}
        return requests.request(method, f"{self.address}{path}", headers=own | headers, timeout=60)

    def write(self, fault: Fault) -> requests.Response:
        return requests.post(
            f"{self.address}/v1/connections/{fault.name}/operations/create", json={"ref": fault.name},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": fault.name}, timeout=60,
        )  # fmt: skip


def prepare(vendor: WireMock, fault: Fault) -> None:
    """Teach the vendor one fault, and what it holds afterwards."""
    path = f"/{fault.name}/letters"
    items = [{"id": "v1", "ref": fault.name}] if fault.landed else []
    vendor.stub({"method": "GET", "urlPath": path}, {"jsonBody": {"items": items}})
    post = {"method": "POST", "urlPath": path}
    if fault.then is None:
        vendor.stub(post, fault.response)
        return
    vendor.stub(post, fault.response, scenarioName=fault.name, requiredScenarioState="Started", newScenarioState="well")
    vendor.stub(post, fault.then, scenarioName=fault.name, requiredScenarioState="well")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    if missing():
        assert os.environ.get("CI") != "true", missing()
        pytest.skip(f"not installed: {missing()}")
    folder = tmp_path_factory.mktemp("faults")
    with running(folder) as vendor:
        for fault in FAULTS:
            prepare(vendor, fault)
        vendor.stub({"method": "GET", "urlPath": "/breaks/page"}, {"status": 500, "body": SECRET})
        vendor.stub({"method": "GET", "urlPath": "/hangs/page"}, {**TAKEN, "fixedDelayMilliseconds": 15_000})
        vendor.stub({"method": "GET", "urlPath": "/garbage/page"}, {"fault": "RANDOM_DATA_THEN_CLOSE"})
        vendor.stub({"method": "GET", "urlPath": "/echoes/page"}, FAULTS[-1].response | {"status": 200})
        vendor.stub({"method": "POST", "urlPath": "/resets/page"}, {"fault": "CONNECTION_RESET_BY_PEER"})
        vendor.stub(
            {"method": "POST", "urlPath": "/refuses/page"},
            {"status": 422, "headers": {"Content-Type": "application/json"}, "jsonBody": {"error": "no such letter"}},
        )
        settings = "".join(
            CONNECTION.format(
                name=fault.name, timeout=TIMEOUT, total=TOTAL,
                url=vendor.url.replace("127.0.0.1", "localhost") if fault.then else vendor.url,
            )
            for fault in FAULTS
        )  # fmt: skip
        site = service(folder, settings)
        token = site.client("desk", "*", limits=Limits(rate=1000, concurrency=100))
        with site.site() as opened:
            for name in NAMES:
                opened.set_secret(name, "key", SECRET.encode())
        for name in NAMES:
            site.allow("desk", name, "create", "http")
            site.allow("desk", name, "http", reads=True)
        with site.serving() as address, ThreadPoolExecutor(len(FAULTS)) as pool:
            made = Played(site, vendor, address, token, {})
            made.first = dict(zip(NAMES, pool.map(made.write, FAULTS), strict=True))
            yield made


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_each_fault_of_a_vendor_becomes_what_the_page_promises(played: Played, fault: Fault) -> None:
    first = played.first[fault.name]
    told = first.json()
    assert (first.status_code, told["state"]) == fault.first, first.text
    deadline, state = time.monotonic() + 60, ""
    while state != fault.ends:
        assert time.monotonic() < deadline, state
        state = played.ask("GET", f"/v1/deliveries/{told['intent']}").json()["state"]
        time.sleep(0.1)
    assert played.vendor.asked(method="POST", urlPath=f"/{fault.name}/letters") == fault.sent
    again = played.write(fault)
    assert again.json()["intent"] == told["intent"]
    assert played.vendor.asked(method="POST", urlPath=f"/{fault.name}/letters") == fault.sent
    assert SECRET not in first.text + str(first.headers) + again.text + str(again.headers)


def test_a_redirection_is_not_followed(played: Played) -> None:
    assert played.vendor.asked(method="ANY", urlPath="/elsewhere") == 0


@pytest.mark.parametrize(
    ("page", "status", "code"),
    [("hangs", 503, "gateway.down"), ("garbage", 503, "gateway.down"), ("breaks", 500, None), ("echoes", 200, None)],
)
def test_a_read_that_fails_says_so_in_time_and_never_shows_the_credential(
    played: Played, page: str, status: int, code: str | None
) -> None:
    told = played.ask("GET", f"/v1/connections/{page}/http/{page}/page")
    assert told.status_code == status, told.text
    assert code is None or told.json()["code"] == code
    assert SECRET not in told.text + str(told.headers)


def test_a_write_by_the_pass_through_is_never_sent_again_by_itself(played: Played) -> None:
    lost = played.ask("POST", "/v1/connections/resets/http/resets/page", **{"Idempotency-Key": "p1"})
    assert (lost.status_code, lost.json()["state"]) == (202, "inconclusive")  # nothing tells how to look for it
    no = played.ask("POST", "/v1/connections/refuses/http/refuses/page", **{"Idempotency-Key": "p2"})
    assert (no.status_code, no.json()) == (422, {"error": "no such letter"})
    again = played.ask("POST", "/v1/connections/resets/http/resets/page", **{"Idempotency-Key": "p1"})
    assert again.json()["intent"] == lost.json()["intent"]
    assert played.vendor.asked(method="POST", urlPath="/resets/page") == 1


def test_nothing_of_the_credential_is_kept_by_the_site(played: Played) -> None:
    for file in played.site.root.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file
