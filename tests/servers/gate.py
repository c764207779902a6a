"""A gateway of real parts over a ledger: state, keys, audit log, channel; a policy that reads the client's name."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from saas_connectors.auth import Auth
from sovereign.access import People, Rights
from sovereign.audit import AuditLog
from sovereign.clock import now
from sovereign.egress.budget import Budgets
from sovereign.egress.channel import open_channel
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.gateway.approvals import Approvals
from sovereign.gateway.decision import Decision, Finding, Question
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.intent import WriteIntent, new_id
from sovereign.gateway.ports import Parts, Standing
from sovereign.gateway.terms import Terms
from sovereign.gateway.vendor import Vendor
from sovereign.state import Leases, State
from tests.servers.ledger import LedgerConnector
from tests.servers.masters import FileStore, Mortal
from vault.keys import Keys

QUICK = Terms(first=0.02, longest=0.1, settle=0.05, look_again=0.02)


class ByName:
    """Allows every client but `stranger`, and holds what `intern` asks."""

    digest = "00"

    def decide(self, question: Question) -> Decision:
        effect = {"stranger": "deny", "intern": "hold"}.get(question.client, "allow")
        return Decision(effect, (f"by-name.{effect}",), "par le nom", "by name", self.digest, quorum=1)


@dataclass(frozen=True)
class Nothing:
    findings: tuple[Finding, ...] = ()
    records: int = 1


Changed = Callable[[Parts], dict[str, Any]]
"""What a drill changes of the parts of a gateway, given the others."""


def voices(state: State, audit: AuditLog, keys: Keys) -> Approvals:
    """The approvals of a drill's house, over the people whom it knows."""
    return Approvals(state, audit, keys, now, Rights(state, audit, now, People(state, audit, now)))


@dataclass(frozen=True)
class Way:
    """The way out to the vendor of a drill: its credential, how names are resolved, whether this machine may be reached."""

    auth: Auth | None = None
    resolve: Resolve = socket.getaddrinfo
    loopback: bool = True


HERE = Way()


@asynccontextmanager
async def gate(
    root: Path,
    url: str,
    *,
    terms: Terms = QUICK,
    concurrency: int = 4,
    changed: Changed | None = None,
    way: Way = HERE,
) -> AsyncIterator[Gateway]:
    """Open the gateway of a folder, made at the first time. changed: of its parts."""
    with ExitStack() as stack:
        keys = _keys(root)
        state = stack.enter_context(State(root / "state.db"))
        audit = AuditLog(state, keys, now, folder=root / "audit")
        policy = EgressPolicy(
            "ledger", url, loopback=way.loopback, plaintext=True, timeout=60.0, total_timeout=90.0, concurrency=64
        )
        channel = open_channel(policy, way.auth, now, budgets=Budgets(), resolve=way.resolve)
        vendor = Vendor("ledger", "127.0.0.1", url, channel.send, LedgerConnector(url), concurrency)
        house = Parts(
            state, audit, keys, Leases(state, now), now, ByName(), lambda _body, _type: Nothing(),
            lambda _client, _person: Standing(), lambda _name: vendor, voices(state, audit, keys), ZoneInfo("Europe/Paris"),
            terms=terms,
        )  # fmt: skip
        gateway = Gateway(house if changed is None else replace(house, **changed(house)))
        try:
            await gateway.open()
            yield gateway
        finally:
            await gateway.close()
            await channel.close()


def _keys(root: Path) -> Keys:
    root.mkdir(exist_ok=True)
    masters = Mortal(FileStore(root))
    if (root / "keys").exists():
        return Keys.open(root / "keys", masters, now)
    return Keys.create(root / "keys", masters, now)


def intent(operation: str, ref: str, *, client: str = "app", lane: str = "", key: str | None = None) -> WriteIntent:
    """Ask for one line."""
    body = orjson.dumps({"ref": ref, **({"lane": lane} if lane else {})})
    present = now()
    return WriteIntent(
        new_id(present, os.urandom), client, "ledger", "operation", operation, body, "application/json", lane or ref, present,
        idempotency_key=key,
    )  # fmt: skip
