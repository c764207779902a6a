"""What the gateway is given: policy, scanner, people, vendors and approvals, each by a port of one or two methods."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.gateway.approvals import Asked
from sovereign.gateway.decision import Decision, Finding, Policy
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.refusing import Refusing
from sovereign.gateway.spool import Spool
from sovereign.gateway.terms import Terms
from sovereign.gateway.vendor import Vendors
from sovereign.state import Leases, State
from vault.keys import Keys


class Scanned(Protocol):
    """What was seen in a payload; `sovereign.gateway.dlp` gives it."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What, where, how often; never a value."""
        ...

    @property
    def records(self) -> int:
        """How many records the payload holds."""
        ...


class Scan(Protocol):
    """Looks for sensitive values in a payload; never raises."""

    def __call__(self, body: bytes, content_type: str, /) -> Scanned:
        """Give what was found."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Who answers for a client, and their rights. live: whether the client is still let in."""

    owner: str = ""
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    live: bool = True


class Approving(Protocol):
    """What asks for approvals, and says what came of it: `sovereign.gateway.approvals.Approvals`."""

    def ask(
        self, transaction: Connection, intent: WriteIntent, decision: Decision, *, owner: str, batch: str | None = None
    ) -> datetime:
        """Ask; gives when the request ends."""
        ...

    def find(self, reader: Connection, intent: str) -> Asked:
        """What was asked; errors: NotAsked."""
        ...

    def covers(self, asked: Asked, digest: bytes) -> bool:
        """Whether what was asked is about an intent of this digest."""
        ...

    def outcome(self, reader: Connection, intent: str) -> str:
        """`open`, `approved`, `refused` or `expired`, by the signatures that verify now."""
        ...

    def settle(self, transaction: Connection, intent: str, outcome: str) -> None:
        """Note what a request came to."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of. standing: of a client and of whom it writes for. pseudonymise: replaces values in a body.

    spool: where long bodies lie, None when none may come. scanned: how many of the first bytes of a body `scan` looks into.
    refusing: says which credential a connection shows, and is told of those that are refused.
    """

    state: State
    audit: AuditLog
    keys: Keys
    leases: Leases
    clock: Clock
    policy: Policy
    scan: Scan
    standing: Callable[[str, str | None], Standing]
    vendors: Vendors
    approvals: Approving
    zone: ZoneInfo
    pseudonymise: Callable[[bytes, str, tuple[str, ...]], bytes] | None = None
    period: Literal["year", "month"] = "year"
    terms: Terms = field(default_factory=Terms)
    entropy: Callable[[int], bytes] = os.urandom
    chance: Callable[[], float] = random.random
    monotonic: Callable[[], float] = time.monotonic
    spool: Spool | None = None
    scanned: int = 16 * 2**20
    refusing: Refusing = field(default_factory=Refusing)
