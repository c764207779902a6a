"""A site whose gateway is served by a process of its own, over ledgers; and applications that call its door.

The site is made through the library, so that a drill spends its time on what it drills; what serves it is `sovereign serve`.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from sovereign.access import Limits
from sovereign.clock import Clock, now
from sovereign.gateway.ballot import Verdict
from sovereign.gateway.kept import kept
from sovereign.gateway.sealing import Sealing
from sovereign.site import Site
from tests.servers.policies import rule
from tests.servers.sites import credentials
from vault import notes

SURE = {"confirmed", "delivered", "landed"}
SHOWN = {"inconclusive", "did_not_happen"}
LIVE = {"received", "approved", "queued", "in_flight", "to_retry", "unknown", "probing"}
"""States in which a write is known to have landed; waits for a person; is under way."""
LATER = "2099-01-01"
OPEN = rule("open", "permit", expires=LATER)
PLENTY = Limits(rate=10_000, concurrency=512)
_LINE = {"required": ["ref", "lane"], "properties": {"ref": {"type": "string"}, "lane": {"type": "string"}}}
_LOOK = {"path": "/lines", "params": {"ref": "{ref}"}, "records": "", "match": {"ref": "ref"}}
_POST = {"method": "POST", "path": "/lines", "schema": _LINE, "entity": ["lane"]}
OPERATIONS = {
    "add": {**_POST, "look": _LOOK},
    "note": _POST,
    "set": {**_POST, "idempotent": True},
    "leave": {**_POST, "departure": True},
}
"""`add` may be looked for, `note` cannot, `set` may be sent twice, `leave` is a departure."""


def signer(person: str) -> notes.Signer:
    """The key of a person of the drill."""
    return notes.Signer(f"key-{person}", hashlib.sha256(person.encode()).digest())


@dataclass
class Told:
    """An answer of the door. status: 0 when the door broke off."""

    ref: str
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    client: str = "app"

    @property
    def kept(self) -> bool:
        """Whether the gateway says that it took the write."""
        return self.status in (200, 201, 202) or "intent" in self.body


@dataclass
class Served:
    """A site, and what is needed to serve it."""

    root: Path
    environment: dict[str, str]
    tokens: dict[str, str]
    clock: Clock = now

    @contextmanager
    def site(self) -> Iterator[Site]:
        """The site, opened in this process beside the one that serves."""
        with Site.open(self.root, clock=self.clock) as site:
            yield site

    def clear(self, person: str, *connections: str) -> None:
        """Let someone read personal data of connections, for a month."""
        with self.site() as site:
            site.outbound.people.put(person, [])
            until = site.clock() + timedelta(days=30)
            for each in connections:
                site.outbound.rights.grant(
                    "person", person, "clearance", "personal", by="root", reason="drill", connection=each, expires_at=until
                )

    def enrol(self, *people: str) -> None:
        """Make people approvers, each with a key of their own."""
        with self.site() as site:
            for person in people:
                site.outbound.people.put(person, ["rssi"])
                site.outbound.rights.grant("person", person, "role", "rssi", by="root", reason="drill")
                site.outbound.approvals.enrol(person, signer(person).verifier.vkey, by="root")

    def ballot(self, intent: str, person: str, verdict: Verdict = "approve") -> str:
        """A voice, signed."""
        with self.site() as site, site.state.read() as reader:
            asked = site.outbound.approvals.find(reader, intent)
            held = kept(reader, Sealing(site.keys, site.settings.keys.period), site.audit, intent)
            return notes.sign(site.outbound.approvals.ballot(asked, held.digest, verdict, person).text(), signer(person))

    @contextmanager
    def serving(
        self,
        command: Sequence[str] = ("-m", "sovereign.cli.main", "serve", "--json"),
        ends: Sequence[int] = (0, 130, 143),
    ) -> Iterator["Door"]:
        """Serve; gives the door. Ended by SIGTERM, which must end it well; ends: how else it may have ended by then."""
        process = subprocess.Popen(
            [sys.executable, *command], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        address, said = "", threading.Thread()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if json.loads(line)["type"] == "gateway":
                    address = json.loads(line)["address"]
                    break
            assert address, process.stderr.read() if process.stderr else ""
            said = threading.Thread(target=process.stdout.read, daemon=True)  # nothing it says may block it
            said.start()
            yield Door(address, self.tokens, process)
        finally:
            process.send_signal(signal.SIGTERM)
            error = process.stderr.read() if process.stderr else ""
            process.wait(60)
            if address:
                said.join(10)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        assert process.returncode in ends, error

    def states(self) -> dict[str, str]:
        """Where each write stands, by intent, as the database says."""
        with self.site() as site, site.state.read() as reader:
            from sqlalchemy import text

            return {row[0]: row[1] for row in reader.execute(text("SELECT intent, state FROM deliveries"))}

    def settled(self, seconds: float = 120) -> dict[str, str]:
        """Where each write stands once none is under way nor to be read back any more, or so many seconds are over."""
        until = time.monotonic() + seconds
        while self._moving() and time.monotonic() < until:
            time.sleep(0.2)
        return self.states()

    def _moving(self) -> bool:
        """Whether something more happens to a write by itself."""
        with self.site() as site, site.state.read() as reader:
            from sqlalchemy import text

            rows = reader.execute(text("SELECT state, next_at FROM deliveries")).all()
        return any(state in LIVE or (state == "delivered" and due is not None) for state, due in rows)

    def check_log(self) -> int:
        """Check the audit log from its first entry; gives how many it has."""
        with self.site() as site:
            return site.audit.verify()


@dataclass
class Door:
    """The door of a gateway, and the process behind it."""

    address: str
    tokens: dict[str, str]
    process: subprocess.Popen[str]

    def write(self, connection: str, operation: str, ref: str, *, lane: str = "", client: str = "app", **headers: str) -> Told:
        """Ask for a line."""
        try:
            got = requests.post(
                f"{self.address}/v1/connections/{connection}/operations/{operation}",
                json={"ref": ref, "lane": lane or ref}, headers=self.headers(client, ref, headers), timeout=60,
            )  # fmt: skip
        except requests.ConnectionError:
            return Told(ref, 0, client=client)
        return Told(ref, got.status_code, got.json(), client)

    def vote(self, intent: str, ballot: str) -> requests.Response:
        """Give a signed voice, with no credential."""
        return requests.post(f"{self.address}/v1/approvals/{intent}/votes", data=ballot.encode(), timeout=60)

    def get(self, path: str, client: str = "app") -> requests.Response:
        """Ask the door itself."""
        return requests.get(f"{self.address}{path}", headers=self.headers(client, "", {}), timeout=60)

    def headers(self, client: str, key: str, more: Mapping[str, str]) -> dict[str, str]:
        """What a call of an application carries."""
        own = {"Authorization": f"Bearer {self.tokens[client]}", "Accept-Language": "en"}
        return own | ({"Idempotency-Key": key} if key else {}) | {k.replace("_", "-"): v for k, v in more.items()}


@contextmanager
def served(
    folder: Path,
    ledgers: Mapping[str, str],
    *,
    clients: Mapping[str, Limits] | None = None,
    policy: str = OPEN,
    limits: Mapping[str, Any] | None = None,
    limits_of: Mapping[str, Mapping[str, Any]] | None = None,
    root: Path | None = None,
    clock: Clock = now,
    **more: Any,  # noqa: ANN401 - settings of each connection
) -> Iterator[Served]:
    """Make a site over ledgers (name → address). limits: of each connection; limits_of: of one.

    root: where, a folder of its own unless told.
    """
    place = root or folder / "site"
    environment = os.environ | {
        "CREDENTIALS_DIRECTORY": str(credentials(folder)),
        "SOVEREIGN_SITE": str(place),
        "SOVEREIGN_LANG": "en",
    }
    before = os.environ.get("CREDENTIALS_DIRECTORY")
    os.environ["CREDENTIALS_DIRECTORY"] = environment["CREDENTIALS_DIRECTORY"]
    try:
        with Site.create(place, clock=clock, provider="systemd-cred:sovereign", name="Ville") as site:
            with (place / "sovereign.toml").open("a") as file:
                file.write('\n[gateway]\nlisten = "127.0.0.1:0"\n')
            for name, url in ledgers.items():
                site.add_connection(name, _connection(url, {**(limits or {}), **(limits_of or {}).get(name, {})}, more))
            tokens = {
                name: site.outbound.clients.add(name, owner="agathe", purpose="p", connections=["*"], limits=own).token
                for name, own in (clients or {"app": PLENTY}).items()
            }
        (place / "policies").mkdir(exist_ok=True)
        (place / "policies" / "drill.cedar").write_text(policy)
        yield Served(place, environment, tokens, clock)
    finally:
        if before is None:
            del os.environ["CREDENTIALS_DIRECTORY"]
        else:
            os.environ["CREDENTIALS_DIRECTORY"] = before


def _connection(url: str, limits: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "connector": "rest", "url": url, "network": {"loopback": True, "plaintext": True},
        "limits": {"timeout": 60.0, "total_timeout": 90.0, "concurrency": 4, "rate": 1000.0, **(limits or {})},
        "streams": {"lines": {"path": "/lines", "primary_key": ["ref"]}}, "operations": OPERATIONS, **more,
    }  # fmt: skip
