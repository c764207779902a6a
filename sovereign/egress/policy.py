"""What one connection is allowed on the network, as a frozen value; made from its settings, or by hand in tests and drills."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sovereign import __version__
from sovereign.egress.origin import Origin, declared
from sovereign.errors import BadSettings
from sovereign.settings import Connection, Network

MIB = 2**20

Resolve = Callable[..., list[Any]]
"""Resolves a name as `socket.getaddrinfo` does."""


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What one connection is allowed on the network.

    url: the vendor's own address; its origin is the only one that sees the credential, beside those of `credential_urls` (the
    token endpoint named in the settings). allow: further origins, reached without credential. rate: requests a second (None:
    no limit). host_key: the keys by which an SSH server is known, one a line. Timeouts and patience: seconds. max_bytes: of
    one answer, as received and once decompressed. attempts: for reads. spool: the folder in which long answers are put aside,
    sealed; None keeps all in memory.
    """

    connection: str
    url: str
    allow: tuple[str, ...] = ()
    credential_urls: tuple[str, ...] = ()
    private: bool = False
    loopback: bool = False
    plaintext: bool = False
    proxy: str | None = None
    proxy_credential: str | None = field(default=None, repr=False)
    ca_bundle: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    client_key_password: str | None = field(default=None, repr=False)
    host_key: str = ""
    rate: float | None = None
    concurrency: int = 4
    connect_timeout: float = 10.0
    timeout: float = 60.0
    total_timeout: float = 600.0
    patience: float = 30.0
    attempts: int = 4
    max_bytes: int = 256 * MIB
    user_agent: str = f"Sovereign/{__version__}"
    spool: Path | None = None

    @property
    def own(self) -> Origin:
        """The vendor's own origin."""
        return declared(self.url)


def policy_of(connection: Connection, directory: Path, secret: Callable[[str], bytes]) -> EgressPolicy:
    """Make the policy of a connection.

    directory: the site's folder, where relative paths start. secret: gives a named secret of this connection. Errors:
    BadSettings.
    """
    limits = connection.limits
    url = connection.url
    if url.startswith("folder:"):
        url = f"folder:{directory / url.removeprefix('folder:').removeprefix('//')}"
    token_url = connection.auth.get("token_url")
    return replace(
        network_policy(connection.name, url, connection.network, directory, secret, at=f"connections.{connection.name}"),
        credential_urls=(token_url,) if isinstance(token_url, str) and "://" in token_url else (),
        rate=limits.rate,
        concurrency=limits.concurrency,
        connect_timeout=limits.connect_timeout,
        timeout=limits.timeout,
        total_timeout=limits.total_timeout,
        patience=limits.patience,
        attempts=limits.attempts,
        max_bytes=limits.max_bytes,
        spool=directory,
    )


def network_policy(
    name: str, url: str, network: Network, directory: Path, secret: Callable[[str], bytes], *, at: str
) -> EgressPolicy:
    """Make the policy of whatever has an address and a `network` table; at: where its table stands. Errors: BadSettings."""

    def file(name: str, value: str | None) -> Path | None:
        if value is None:
            return None
        path = directory / value
        if not path.is_file():
            raise BadSettings(
                field=f"{at}.network.{name}", expected_fr="attendu : un fichier lisible", expected_en="expected a readable file"
            )
        return path

    def text(name: str | None) -> str | None:
        return None if name is None else secret(name).decode()

    return EgressPolicy(
        connection=name,
        url=url,
        allow=network.allow,
        private=network.private,
        loopback=network.loopback,
        plaintext=network.plaintext,
        proxy=network.proxy,
        proxy_credential=text(network.proxy_secret),
        ca_bundle=file("ca_bundle", network.ca_bundle),
        client_certificate=file("client_certificate", network.client_certificate),
        client_key=file("client_key", network.client_key),
        client_key_password=text(network.client_key_secret),
        host_key=network.host_key or "",
    )
