"""A site connected to a real mail server, and letters to put there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.auth import basic
from saas_connectors.connector import Json
from snapshots.dataset import CLASSES, DatasetId
from snapshots.documents import Documents
from sovereign.egress import open_transport
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome
from tests.servers import dovecot
from tests.servers.sites import Wandering, credentials

CONNECTION = "courrier"


def letter(n: int, *, attached: int = 0, text: str = "Bonjour été.", subject: str | None = None) -> bytes:
    """A letter, with some attachments."""
    made = EmailMessage()
    made["From"] = "Éva Martin <eva@Mairie.example>"
    made["To"] = "a@b.example, Service <c@d.example>"
    made["Subject"] = subject or f"Objet été {n}"
    made["Message-ID"] = f"<{n}@mairie.example>"
    made["Date"] = "Mon, 23 Nov 2026 10:00:00 +0100"
    made.set_content(text)
    for part in range(attached):
        name = f"pièce jointe longue et accentuée, pour que son nom soit coupé en morceaux n° {n}.{part}.pdf"
        made.add_attachment(b"%PDF-" + bytes([n % 256, part]) * 60, maintype="application", subtype="pdf", filename=name)
    if attached:
        made.set_boundary(f"boundary-{n}")
    return made.as_bytes()


def way_out(server: dovecot.Dovecot, *, password: str = dovecot.PASSWORD, url: str | None = None, **more: Json) -> Transport:
    """A way out to the server, as a connection would have it."""
    allowed: dict[str, Any] = {"loopback": True, "ca_bundle": server.authority, "attempts": 1} | more
    policy = EgressPolicy(CONNECTION, url or server.url, **allowed)
    return open_transport(policy, basic(dovecot.USER, password), Wandering())


@dataclass
class Mailroom:
    """A site, and the mail server that it copies."""

    site: Site
    server: dovecot.Dovecot
    folder: Path

    def sync(self, **asked: Json) -> RunOutcome:
        return self.site.syncs.run(CONNECTION, **asked)

    def rows(self, stream: str) -> list[dict[str, Any]]:
        head = self.site.heads().get(DatasetId(CONNECTION, stream))
        found = [] if head is None else [r for b in self.site.repository.read(head, CLASSES) for r in b.to_pylist()]
        return sorted(found, key=lambda row: [str(row.get(name)).zfill(12) for name in ("folder", "uid", "part", "name")])

    def document(self, address: str) -> bytes | None:
        return Documents(self.site.repository, CONNECTION).read(address)


@contextmanager
def mailroom(folder: Path, *, capability: str = "", **settings: Json) -> Iterator[Mailroom]:
    """A new site connected to a new mail server."""
    with pytest.MonkeyPatch.context() as patch, dovecot.running(folder, capability=capability) as server:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        with Site.create(folder / "site", provider="systemd-cred:sovereign", name="Ville", clock=Wandering()) as site:
            (folder / "site" / "ca.pem").write_bytes(server.authority.read_bytes())
            site.add_connection(
                CONNECTION,
                {
                    "connector": "imap", "url": server.url, "secret": "boite", "auth": {"kind": "basic", "user": dovecot.USER},
                    "network": {"loopback": True, "ca_bundle": "ca.pem"},
                    "limits": {"attempts": 1, "timeout": 30.0}, "guards": {"max_fall": 1.0, "max_deletions": 1.0}, **settings,
                },
            )  # fmt: skip
            site.set_secret(CONNECTION, "boite", dovecot.PASSWORD.encode())
            yield Mailroom(site, server, folder)
