"""A whole site over a sandbox vendor: the real parts of every journey."""

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.connector import Json
from saas_connectors.sandbox import Sandbox, Table, Trouble, Vendor
from snapshots.dataset import CLASSES, DatasetId
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome

CONNECTION = "rh"
AGENTS = DatasetId(CONNECTION, "agents")
CANARIES = ("Canari-Nom-7d1f02", "canari.7d1f02@mairie.example", "Canari-Dossier-7d1f02")
"""Planted in every record: an internal, a personal and a sensitive value must all be unreadable on disk."""
SECRET = "s3cr3t-of-the-sandbox"


def agents(count: int, *, mark: str = "") -> list[dict[str, Any]]:
    """Records of people; `mark` makes their content differ."""
    return [
        {
            "id": n,
            "updated": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "service": f"{CANARIES[0]} {n % 7}",
            "mail": f"{n}.{CANARIES[1]}",
            "health": f"{CANARIES[2]} {n * 31 % 1009} {mark}",
        }
        for n in range(count)
    ]


class Wandering:
    """The machine's clock, moved by hand when a test wants."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass
class Town:
    """A site, its vendor, and the clock they live by."""

    root: Path
    table: Table
    vendor: Vendor
    url: str
    clock: Wandering = field(default_factory=Wandering)
    _site: Site | None = None

    @property
    def site(self) -> Site:
        if self._site is None:
            self._site = Site.open(self.root, clock=self.clock)
        return self._site

    def reopen(self) -> Site:
        """Open the site as another process would."""
        self.close()
        return self.site

    def close(self) -> None:
        if self._site is not None:
            self._site.close()
            self._site = None

    def sync(self, **asked: Json) -> RunOutcome:
        return self.site.syncs.run(CONNECTION, **asked)

    def trouble(self, kind: str, value: Json = None, *, at: int = 1, times: int = 1, path: str = "/auth") -> None:
        self.vendor.troubles.plan(Trouble(kind, value, path, at, times))

    def calm(self) -> None:
        self.vendor.troubles.clear()

    def held(self) -> list[dict[str, Any]]:
        """Every record of the served snapshot, all classes, by id."""
        return held(self.site)

    def there(self) -> list[dict[str, Any]]:
        """Every record of the vendor, by id."""
        return sorted(self.table.rows(0, 10**9), key=lambda row: row["id"])


def held(site: Site) -> list[dict[str, Any]]:
    head = site.heads()[AGENTS]
    rows = [row for batch in site.repository.read(head, CLASSES) for row in batch.to_pylist()]
    for row in rows:
        if isinstance(row.get("updated"), datetime):
            row["updated"] = row["updated"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return sorted(rows, key=lambda row: row["id"])


def settings(url: str, style: str = "page", **more: Json) -> dict[str, Any]:
    """The table of the connection, as `sovereign connection add` would write it."""
    stream = {
        "path": f"/auth/bearer/{style}/agents",
        "primary_key": ["id"],
        "classes": {"internal": ["id", "updated", "service"], "personal": ["mail"], "sensitive": ["health"]},
        **more.pop("stream", {}),
    }
    network = {"loopback": True, "plaintext": True}
    limits = {"patience": 1.0, "timeout": 10.0, "attempts": 2, **more.pop("limits", {})}
    base = {"connector": "rest", "url": url, "secret": "agents", "auth": {"kind": "bearer"}}
    return {**base, "network": network, "limits": limits, "streams": {"agents": stream}, **more}


@contextmanager
def town(
    folder: Path, count: int = 500, *, cap: int = 50, latency: float = 0.0, cursor: bool = False,
    ahead: timedelta = timedelta(), **asked: Json,
) -> Iterator[Town]:  # fmt: skip
    """A new site connected to a vendor that has `count` records, in pages of `cap`. ahead: by how much its clock is."""
    table = Table.of(agents(count), ("id",), "updated" if cursor else None)
    vendor = Vendor({"agents": table}, latency=latency, cap=cap)
    with pytest.MonkeyPatch.context() as patch, Sandbox(vendor) as sandbox:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        made = Town(folder / "site", table, vendor, sandbox.url)
        made.clock.offset = ahead
        with Site.create(made.root, provider="systemd-cred:sovereign", name="Ville", clock=made.clock) as site:
            site.add_connection(CONNECTION, settings(sandbox.url, **asked))
            site.set_secret(CONNECTION, "agents", SECRET.encode())
        try:
            yield made
        finally:
            made.close()


def credentials(folder: Path) -> Path:
    """A master key as systemd gives it to a service: no passphrase to stretch, so that tests stay fast."""
    place = folder / "credentials"
    if not place.is_dir():
        place.mkdir(mode=0o700, parents=True)
        (place / "sovereign").write_bytes(base64.b64encode(secrets.token_bytes(32)) + b"\n")
        (place / "sovereign").chmod(0o600)
    return place
