"""The sandbox vendor does on the wire what it is told to."""

import http.client
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator

import pytest
import requests

from saas_connectors.sandbox import Bench, Sandbox, Table, Trouble, Vendor


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(Vendor({"people": Table.of(({"id": n} for n in range(30)), ["id"])})) as sandbox:
        yield sandbox


@pytest.fixture
def session(running: Sandbox) -> Iterator[requests.Session]:
    running.vendor.troubles.clear()
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_connections_are_kept_alive(running: Sandbox, session: requests.Session) -> None:
    session.get(f"{running.url}/page/people", timeout=60)
    before = len(running._open)
    for _ in range(20):
        assert session.get(f"{running.url}/page/people", timeout=60).json()["meta"]["total"] == 30
    assert len(running._open) == before


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble("reset"), requests.ConnectionError),
        (Trouble("truncated"), requests.exceptions.ChunkedEncodingError),
        (Trouble("slow", 2), requests.ReadTimeout),
    ],
)
def test_mishaps_of_the_wire_are_real(
    running: Sandbox, session: requests.Session, trouble: Trouble, error: type[Exception]
) -> None:
    running.vendor.troubles.plan(trouble)
    with pytest.raises(error):
        session.get(f"{running.url}/page/people", timeout=0.5 if trouble.kind == "slow" else 60)


def test_a_wrong_length_leaves_bytes_behind(running: Sandbox, session: requests.Session) -> None:
    running.vendor.troubles.plan(Trouble("wrong_length"))
    body = session.get(f"{running.url}/page/people", timeout=60).content
    with pytest.raises(ValueError, match=r"."):
        json.loads(body)


@pytest.mark.parametrize("after", ["7", "Mon, 23 Nov 2026 12:00:00 GMT"])
def test_throttling_says_when_to_come_back(running: Sandbox, session: requests.Session, after: str) -> None:
    running.vendor.troubles.plan(Trouble("throttle", after))
    answer = session.get(f"{running.url}/page/people", timeout=60)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, after)
    assert session.get(f"{running.url}/page/people", timeout=60).status_code == 200


def test_an_html_error_echoes_the_credential(running: Sandbox, session: requests.Session) -> None:
    running.vendor.troubles.plan(Trouble("html", 404))
    answer = session.get(f"{running.url}/page/people", auth=("login", "password"), timeout=60)
    assert "login:password@" in answer.text


def test_a_gzip_bomb_is_small_on_the_wire_and_huge_once_open(running: Sandbox) -> None:
    running.vendor.troubles.plan(Trouble("gzip_bomb", 64 << 20))
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.request("GET", "/page/people")
    body = connection.getresponse().read()
    connection.close()
    size, left = 0, body
    while left:
        opener = zlib.decompressobj(31)
        size += len(opener.decompress(left))
        left = opener.unused_data
    assert (len(body) < 200_000, size) == (True, 64 << 20)


def test_a_huge_body_flows_without_being_held(running: Sandbox, session: requests.Session) -> None:
    running.vendor.troubles.plan(Trouble("huge", 2 << 30))
    with session.get(f"{running.url}/page/people", timeout=60, stream=True) as answer:
        assert answer.headers["Content-Length"] == str(2 << 30)
        assert len(next(answer.iter_content(1 << 20))) == 1 << 20


def test_a_trouble_strikes_when_it_is_told_to(running: Sandbox, session: requests.Session) -> None:
    running.vendor.troubles.plan(Trouble("status", 500, path="/offset/", at=2, times=2))
    found = [session.get(f"{running.url}/{style}/people", timeout=60).status_code for style in ("offset", "page") * 4]
    assert found == [200, 200, 500, 200, 500, 200, 200, 200]


def test_data_changes_and_troubles_are_planned_over_the_wire(running: Sandbox, session: requests.Session) -> None:
    change = {"put": [{"id": 7, "name": "new"}, {"id": 99}], "remove": [[3]]}
    assert session.post(f"{running.url}/sandbox/rows/people", json=change, timeout=60).status_code == 204
    rows = session.get(f"{running.url}/whole/people", timeout=60).json()
    assert {"id": 7, "name": "new"} in rows
    assert {row["id"] for row in rows} == {*range(30), 99} - {3}
    assert (
        session.post(f"{running.url}/sandbox/troubles", json=[{"kind": "status", "value": 503}], timeout=60).status_code == 204
    )
    assert session.get(f"{running.url}/whole/people", timeout=60).status_code == 503
    assert session.post(f"{running.url}/sandbox/rows/people", data="?", timeout=60).status_code == 400


def test_sample_files_answer_to_their_etag_and_nothing_else_is_reached(running: Sandbox, session: requests.Session) -> None:
    url = f"{running.url}/files/decp/marches_concessions.json"
    first = session.get(url, timeout=60)
    assert first.json()["marches"]
    assert session.get(url, headers={"If-None-Match": first.headers["ETag"]}, timeout=60).status_code == 304
    assert session.get(f"{running.url}/files/..%2fvendor.py", timeout=60).status_code == 404


def test_bench_rows_are_made_on_demand_and_one_in_a_hundred_changes() -> None:
    before, after = Bench(5000), Bench(5000, revision=1)
    assert before.total() == 5000
    one, other = before.rows(500, 2500), after.rows(500, 2500)
    assert len({row["id"] for row in one}) == 2000
    assert {len(row) for row in one} == {12}
    assert [row["id"] for row in one] == [row["id"] for row in other]
    assert sum(a != b for a, b in zip(one, other, strict=True)) == 20
    assert [row["id"] for row in before.rows(4990, 6000)] == [row["id"] for row in before.rows(0, 5000)][4990:]


def test_it_runs_by_itself_and_serves_bench_pages() -> None:
    command = [sys.executable, "-m", "saas_connectors.sandbox", "--bench-rows", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline().strip().rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            for page in range(1, 6):
                connection.request("GET", f"/page/bench?page={page}&per_page=1000")
                assert len(connection.getresponse().read()) > 200_000
            connection.close()
        finally:
            process.terminate()


def test_the_address_that_is_printed_is_the_one_that_a_connection_takes() -> None:
    command = [sys.executable, "-m", "saas_connectors.sandbox", "--open311", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert requests.get(f"{address}/services.json", timeout=60).status_code == 200
        finally:
            process.terminate()
