"""A private key shown to an SSH server: no request can carry it, so the driver that speaks SSH takes it from here."""

from dataclasses import dataclass, field

from saas_connectors.auth import Flow
from saas_connectors.request import Request


@dataclass(frozen=True, slots=True)
class SshKey:
    """An account and its private key (OpenSSH or PEM, without passphrase: the vault seals it)."""

    user: str
    private: str = field(repr=False)
    hosts: tuple[str, ...] = ()

    def flow(self, request: Request) -> Flow:  # noqa: ARG002 - `Auth`'s signature
        """Yield nothing: over HTTP there is nothing to show, and the way out refuses."""
        yield from ()
