"""The port: what a run, a check or the gateway is given to speak to one vendor."""

import random
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from saas_connectors.auth import Auth
from saas_connectors.request import Request, Response
from sovereign.clock import Clock
from sovereign.egress.budget import BUDGETS, Budgets
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.policy import EgressPolicy, Resolve


class Transport(Protocol):
    """The one way out of one connection. Safe to use from several threads; closed once, by whoever opened it."""

    counters: Counters

    def send(self, request: Request) -> Response:
        """Send one request, with the credential when it goes to the vendor itself; errors: EgressError."""
        ...

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        """Send requests at once, within the budget; the answers come in their order. The first error stops the others."""
        ...

    def describe(self) -> tuple[Remark, ...]:
        """What guards this way out, and what they cannot see."""
        ...

    def close(self) -> None:
        """Close the sockets."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_transport(
    policy: EgressPolicy,
    auth: Auth | None,
    clock: Clock,
    *,
    stop: threading.Event | None = None,
    budgets: Budgets = BUDGETS,
    resolve: Resolve = socket.getaddrinfo,
    chance: Callable[[], float] = random.random,
    sleep: Callable[[float], object] | None = None,
) -> Transport:
    """Open the way out of a connection; nothing is dialled yet.

    stop: set it to interrupt waits. budgets: shared by the whole process. resolve: as `socket.getaddrinfo`. chance: in [0, 1),
    spreads retries. sleep: waits so many seconds (None: on `stop`).
    Errors: Refused when the address itself is not allowed, TlsFailed when a certificate file cannot be read.
    """
    if policy.url.startswith("folder:"):
        from sovereign.egress.folder import FolderTransport

        return FolderTransport(policy, clock)
    driver: Callable[..., Transport]
    scheme = policy.url.partition(":")[0]
    if scheme == "sftp":
        from sovereign.egress.sftp import SftpTransport

        driver = SftpTransport
    elif scheme in ("imaps", "imap"):
        from sovereign.egress.imap import ImapTransport

        driver = ImapTransport
    elif policy.url.partition(":")[0] in ("ldaps", "ldap"):
        from sovereign.egress.ldap import LdapTransport

        driver = LdapTransport
    else:
        from sovereign.egress.http import HttpTransport

        driver = HttpTransport
    return driver(
        policy, auth, clock, stop=stop or threading.Event(), budgets=budgets, resolve=resolve, chance=chance, sleep=sleep
    )
