"""Long documents pass through `sovereign serve` to a vendor in another process: whole, in bounded memory, or not at all."""

import hashlib
import http.client
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import text

from sovereign.access import Limits
from sovereign.deciding import decide
from sovereign.gateway import keeping
from sovereign.gateway.spool import RESERVE
from sovereign.state import State
from tests.security.canaries.search import search
from tests.servers.service import Service, service
from tests.servers.storehouse import Stored, storehouse
from vault import notes

MIB = 2**20
SETTINGS = """
max_body = "1 MiB"
max_scan = "4 MiB"
max_upload = "{most} MiB"

[connections.depot]
connector = "rest"
url = "{url}"
network = {{ loopback = true, plaintext = true }}
limits = {{ timeout = 60.0 }}

[connections.depot.streams.documents]
path = "/documents"
primary_key = ["id"]
classes = {{ internal = ["id"] }}
"""
CANARY = "Canari-Document-51c7"


@dataclass
class House:
    """A site with two applications, `ged` whose documents leave and `greffe` whose documents wait, and their vendor."""

    site: Service
    stored: Stored
    tokens: dict[str, str]
    signer: notes.Signer
    door: tuple[subprocess.Popen[str], str] | None = None
    open: ExitStack = field(default_factory=ExitStack)

    def start(self) -> tuple[subprocess.Popen[str], str]:
        """Have it served, by the process that serves it already if there is one; gives that and its address."""
        self.door = self.door or self.open.enter_context(self.site.process())
        return self.door

    def stop(self) -> None:
        self.door = self.open.close()

    def files(self) -> list[str]:
        return sorted(each.name for each in (self.site.root / "spool").glob("*"))

    def kept(self) -> int:
        with State(self.site.root / "state.db") as state, state.read() as reader:
            return int(reader.execute(text("SELECT COUNT(*) FROM intents")).scalar_one())

    def arrived(self, path: str) -> list[tuple[bool, int | None, str | None]]:
        """What the vendor saw of a document: whether whole, its bytes, their SHA-256."""
        seen = [each for each in self.stored.seen() if each["path"] == path]
        return [(each["whole"], each.get("taken"), each.get("sha256")) for each in seen]

    def approve(self, *held: str) -> None:
        with self.site.site() as site:
            for intent in held:
                assert decide(site, intent, "approve", "berthe", self.signer) == "approved"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with storehouse() as stored:
        found = made(tmp_path_factory.mktemp("uploads"), stored)
        with found.open:
            yield found


def made(folder: Path, stored: Stored, most: int = 96) -> House:
    """most: MiB that an application may send."""
    site = service(folder, SETTINGS.format(url=stored.url, most=most + 32))
    limits, signer = Limits(max_bytes=most * MIB), notes.Signer("berthe", bytes(range(32)))
    with site.site() as opened:
        known = opened.outbound
        tokens = {
            name: known.clients.add(name, owner="agathe", purpose="p", connections=["depot"], limits=limits).token
            for name in ("ged", "greffe")
        }
        known.people.put("berthe", ["rssi"])
        known.rights.grant("person", "berthe", "role", "rssi", by="root", reason="r")
        known.approvals.enrol("berthe", signer.verifier.vkey, by="root")
    site.allow("ged", "depot", "http")
    site.allow("greffe", "depot", "http", hold="quorum=1;groups=rssi;within=1h")
    holds = site.root / "policies" / "20-holds.cedar"
    holds.write_text(holds.read_text().replace(" || context.found.other > 0", ""))
    return House(site, stored, tokens, signer)


def document(size: int) -> Iterator[bytes]:
    """Bytes like those of a scanned document, the same each time, without holding them."""
    chance = random.Random(size)  # noqa: S311 - content of a test
    head, left = b"%PDF-1.7\n" + bytes(range(128, 256)) + CANARY.encode(), size
    while left > 0:
        piece = (head + chance.randbytes(MIB))[: min(MIB, left)]
        head, left = b"", left - len(piece)
        yield piece


def digest(size: int) -> str:
    seen = hashlib.sha256()
    for piece in document(size):
        seen.update(piece)
    return seen.hexdigest()


class Sized:
    """A document whose length is told."""

    def __init__(self, size: int) -> None:
        self._pieces, self._size = document(size), size

    def __len__(self) -> int:
        return self._size

    def read(self, _: int = -1) -> bytes:
        return next(self._pieces, b"")


def put(address: str, token: str, path: str, size: int, key: str, *, chunked: bool = False, **more: str) -> requests.Response:
    fields = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/pdf"} | more
    url = f"{address}/v1/connections/depot/http{path}"
    return requests.put(url, data=document(size) if chunked else Sized(size), headers=fields, timeout=60)


def memory(process: subprocess.Popen[str], name: str) -> int:
    """VmRSS or VmHWM of a process, in bytes."""
    return int(Path(f"/proc/{process.pid}/status").read_text().partition(f"{name}:")[2].split()[0]) * 1024


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def delivery(address: str, token: str, intent: str) -> dict[str, Any]:
    asked = requests.get(f"{address}/v1/deliveries/{intent}", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    told: dict[str, Any] = asked.json()
    return told


def state(address: str, token: str, intent: str) -> str:
    return str(delivery(address, token, intent)["state"])


def caller(address: str, token: str, path: str, size: int, kind: str = "application/pdf") -> http.client.HTTPConnection:
    """A caller that has sent the head of a document."""
    opened = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    opened.putrequest("PUT", f"/v1/connections/depot/http{path}")
    for name, value in (("Authorization", f"Bearer {token}"), ("Idempotency-Key", path), ("Content-Type", kind)):
        opened.putheader(name, value)
    opened.putheader("Content-Length", str(size))
    opened.endheaders()
    return opened


@contextmanager
def begun(address: str, token: str, path: str, size: int, sent: int) -> Iterator[None]:
    """A document of which a part is sent, and whose caller then leaves."""
    opened = caller(address, token, path, size)
    for piece in document(sent):
        opened.send(piece)
    try:
        yield
    finally:
        opened.close()


def headed(address: str, token: str, size: int, kind: str) -> tuple[int, dict[str, Any]]:
    """What is answered to the head of a document alone."""
    opened = caller(address, token, "/documents/head", size, kind)
    answer = opened.getresponse()
    told: tuple[int, dict[str, Any]] = answer.status, json.load(answer)
    opened.close()
    return told


@contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """A small disk over a folder; mounting it needs root."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        assert os.environ.get("CI") != "true", "a small tmpfs cannot be mounted here"
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_long_upload_reaches_the_vendor_bit_for_bit_in_bounded_memory_and_once_however_often_it_is_asked(
    house: House,
) -> None:
    (process, address), token, size = house.start(), house.tokens["ged"], 64 * MIB
    assert put(address, token, "/documents/warm", 3 * MIB, "warm").status_code == 201
    before = house.files()
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    idle = memory(process, "VmRSS")
    first = put(address, token, "/documents/one", size, "one")
    grown = memory(process, "VmHWM") - idle
    assert first.status_code == 201, first.text
    again = put(address, token, "/documents/one", size, "one", chunked=True)
    assert again.headers["Sovereign-Intent"] == first.headers["Sovereign-Intent"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert put(address, token, "/documents/one", 2 * MIB, "one").status_code == 422, "another body under the same key"
    assert [each["sha256"] for each in house.stored.seen() if each["path"] == "/documents/one"] == [digest(size)]
    assert house.arrived("/documents/one") == [(True, size, digest(size))]
    assert sorted([*before, first.headers["Sovereign-Intent"]]) == house.files(), "one file a delivery"
    assert {each.stat().st_mode & 0o777 for each in (house.site.root / "spool").iterdir()} == {0o600}
    assert grown < 40 * MIB, f"{grown / MIB:.0f} MiB more than at rest"


@pytest.mark.torture
def test_memory_does_not_grow_with_a_document_of_256_mib(tmp_path: Path) -> None:
    grown: dict[int, int] = {}
    with storehouse() as stored:
        house = made(tmp_path, stored, 256)
        with house.site.process() as (process, address):
            put(address, house.tokens["ged"], "/documents/warm", 3 * MIB, "warm")
            for size in (16, 256):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")
                idle, began = memory(process, "VmRSS"), time.monotonic()
                assert put(address, house.tokens["ged"], f"/documents/{size}", size * MIB, f"k{size}").status_code == 201
                grown[size] = memory(process, "VmHWM") - idle
                print(f"{size} MiB: {grown[size] / MIB:.1f} above {idle / MIB:.0f}, {time.monotonic() - began:.1f} s")  # noqa: T201
        assert house.arrived("/documents/256") == [(True, 256 * MIB, digest(256 * MIB))]
    assert grown[256] < grown[16] + 24 * MIB


def test_a_dry_run_of_a_long_upload_tells_the_decision_and_keeps_nothing(
    house: House,
) -> None:
    before, rows = house.files(), house.kept()
    tried = put(house.start()[1], house.tokens["ged"], "/documents/dry", 5 * MIB, "dry", **{"Sovereign-Dry-Run": "1"})
    assert (tried.status_code, tried.json()["decision"]["effect"]) == (200, "allow")
    assert "truncated" in {each["kind"] for each in tried.json()["decision"]["findings"]}, "longer than what is looked into"
    assert (house.files(), house.kept(), house.arrived("/documents/dry")) == (before, rows, [])


def test_a_caller_that_leaves_in_the_middle_of_an_upload_leaves_nothing(
    house: House,
) -> None:
    before, rows = house.files(), house.kept()
    with begun(house.start()[1], house.tokens["ged"], "/documents/left", 8 * MIB, 3 * MIB):
        until(lambda: [each for each in house.files() if each.endswith(".part")])
    until(lambda: house.files() == before)
    assert (house.kept(), house.arrived("/documents/left")) == (rows, [])


def test_more_than_its_share_is_refused_before_it_is_sent_and_the_next_is_told_to_come_back(
    house: House,
) -> None:
    address, token = house.start()[1], house.tokens["ged"]
    with begun(address, token, "/documents/a", 8 * MIB, 2 * MIB), begun(address, token, "/documents/b", 8 * MIB, 2 * MIB):
        until(lambda: len([each for each in house.files() if each.endswith(".part")]) == 2)
        third = put(address, token, "/documents/c", 2 * MIB, "c")
        assert (third.status_code, third.json()["code"], third.headers["Retry-After"]) == (503, "api.full", "10")
        other = put(address, house.tokens["greffe"], "/documents/d", 2 * MIB, "d")
        assert other.status_code == 202, "one application does not take the place of another"
    for size, kind in ((97 * MIB, "application/pdf"), (2 * MIB, "application/json")):
        status, said = headed(address, token, size, kind)
        assert (status, said["code"]) == (413, "api.size"), "JSON is judged whole, in memory; nobody passes their own cap"


def test_a_vendor_that_asks_to_be_asked_later_is_sent_the_whole_file_again(
    house: House,
) -> None:
    address, token, size = house.start()[1], house.tokens["ged"], 3 * MIB
    first = put(address, token, "/busy/report", size, "busy")
    intent = first.headers["Sovereign-Intent"]
    until(lambda: state(address, token, intent) == "delivered")
    assert house.arrived("/busy/report") == [(True, size, digest(size))] * 2


def test_a_held_upload_leaves_from_its_file_after_a_restart_and_an_altered_one_never_does(house: House) -> None:
    token, held, size = house.tokens["greffe"], {}, 2 * MIB + 17
    fates = ("whole", "flipped", "cut", "swapped", "gone")
    _, address = house.start()
    for name in fates:
        said = put(address, token, f"/documents/{name}", size, name)
        assert said.status_code == 202, said.text
        held[name] = said.json()["intent"]
    shown = requests.get(
        f"{address}/v1/approvals/{held['whole']}", headers={"Authorization": f"Bearer {token}"}, timeout=60
    ).json()
    assert (shown["bytes"], shown["sha256"]) == (size, digest(size))
    house.stop()
    spool = house.site.root / "spool"
    data = bytearray((spool / held["flipped"]).read_bytes())
    data[-70_000] ^= 1
    (spool / held["flipped"]).write_bytes(data)
    with (spool / held["cut"]).open("r+b") as file:
        file.truncate(len(data) - 65_552)
    (spool / held["swapped"]).write_bytes((spool / held["whole"]).read_bytes())
    (spool / held["gone"]).unlink()
    with house.site.site() as site:
        assert [each.subject for each in site.doctor() if each.code == "doctor.upload"] == [held["gone"]]
    house.approve(*held.values())
    _, address = house.start()
    ends = {"whole": "delivered"} | dict.fromkeys(fates[1:], "failed")
    until(lambda: {name: state(address, token, intent) for name, intent in held.items()} == ends)
    whys = {name: delivery(address, token, held[name])["why"] for name in fates[1:]}
    assert whys == dict.fromkeys(fates[1:4], "intent.altered") | {"gone": "gateway.payload_gone"}
    assert house.arrived("/documents/whole") == [(True, size, digest(size))]
    assert [house.arrived(f"/documents/{name}") for name in fates[1:]] == [[]] * 4, "nothing of it left"


def test_a_killed_gateway_leaves_no_readable_byte_and_no_row_of_an_upload_and_does_not_send_one_twice(house: House) -> None:
    token, size = house.tokens["ged"], 24 * MIB  # more than what the kernel would still bring there
    rows, (process, address) = house.kept(), house.start()
    sent = put(address, token, "/slow/letter", size, "slow", Prefer="respond-async")
    intent = sent.json()["intent"]
    with begun(address, token, "/documents/struck", 8 * MIB, 3 * MIB):
        until(lambda: [each for each in house.files() if each.endswith(".part")])
        until(lambda: house.arrived("/slow/letter"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    house.stop()
    left = [each for each in house.files() if each.endswith(".part")]
    assert len(left) == 1
    assert search([house.site.root / "spool" / left[0]], [CANARY]).found == []
    _, address = house.start()
    assert not [each for each in house.files() if each.endswith(".part")]
    until(lambda: state(address, token, intent) in ("unknown", "inconclusive"))
    assert house.kept() == rows + 1, "the one that had arrived whole"
    assert [whole for whole, *_ in house.arrived("/slow/letter")] == [False]
    with house.site.site() as site:
        assert [entry.facts for entry in site.audit.entries(act="payload.swept")] == [{"files": 1}]


def test_the_files_of_uploads_go_with_their_payloads_when_their_time_is_up(house: House) -> None:
    put(house.start()[1], house.tokens["ged"], "/documents/kept", 2 * MIB, "kept")
    house.stop()
    with house.site.site() as site:
        before = house.files()
        later = site.clock() + timedelta(days=31)
        keeping.sweep(site.state, site.audit, 30, later, site.spool.remove)
        left = house.files()
        assert site.spool.sweep(site.audit) == 0
    assert len(left) < len(before)
    with State(house.site.root / "state.db") as stored, stored.read() as reader:
        query = "SELECT id FROM intents WHERE sealed IS NOT NULL AND bytes > length(sealed)"
        assert set(left) <= set(reader.execute(text(query)).scalars())


def test_a_disk_without_room_refuses_an_upload_and_keeps_nothing_of_it(house: House) -> None:
    spool = house.site.root / "spool"
    before, rows = house.files(), house.kept()
    size = RESERVE // MIB + 6
    house.stop()
    with small(spool, f"{size}m"), house.site.serving() as address:
        told = put(address, house.tokens["ged"], "/documents/full", 8 * MIB, "f1")
        grown = put(address, house.tokens["ged"], "/documents/full", 8 * MIB, "f2", chunked=True)
        fits = put(address, house.tokens["ged"], "/documents/fits", 2 * MIB, "f3")
        assert [(each.status_code, each.json()["code"]) for each in (told, grown)] == [(507, "gateway.room")] * 2
        assert fits.status_code == 201, "the others go on"
        assert house.files() == [fits.headers["Sovereign-Intent"]]
    assert (house.files(), house.kept(), house.arrived("/documents/full")) == (before, rows + 1, [])
