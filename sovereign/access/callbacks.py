"""Where an application is told what became of its writes: addresses that an operator chose, and the secret that signs.

1. Nothing is sent to an address that no operator gave: what an application names must be one of them, to the letter.
2. Public addresses over TLS alone, unless the operator opens the network of the city (`private`) or this machine (`loopback`),
   and `plaintext`. The address that is dialled is judged again by egress.
3. The secret (`signing`) is shown once and sealed by the vault (keys/secrets/client-callbacks/CLIENT.secret).

Sending is `sovereign.gateway.callbacks`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from sovereign.access.clients import moved
from sovereign.access.errors import BadRight, UnknownClient
from sovereign.access.signing import OVERLAP, Signing
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.egress.admission import Admission
from sovereign.egress.errors import Refused
from sovereign.egress.policy import EgressPolicy
from sovereign.state import State
from sovereign.state.outbound import callback_messages, client_callbacks, clients
from sovereign.state.schema import counters
from vault.errors import NoSecret
from vault.secrets import Secrets

Reach = Literal["public", "private", "loopback"]
REACHES: Final[tuple[Reach, ...]] = get_args(Reach)
SHELF: Final = "client-callbacks"
"""Where the secrets lie, in place of a connection: no connection has a hyphen in its name."""
CURSOR: Final = "callbacks"
"""The counter of the last audit entry whose step was looked at."""
MOST: Final = 16
"""Addresses of one application."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Where an application is told. urls: the first unless it names another; since: the audit entry after which it is."""

    client: str
    urls: tuple[str, ...]
    network: Reach
    plaintext: bool
    since: int

    def way(self, url: str) -> EgressPolicy:
        """What a message to one of its addresses is allowed on the network."""
        return EgressPolicy(
            f"callback-{self.client}", url, private=self.network != "public", loopback=self.network == "loopback",
            plaintext=self.plaintext, concurrency=2, connect_timeout=5.0, timeout=10.0, total_timeout=15.0, patience=0.0,
            attempts=1, max_bytes=65_536,
        )  # fmt: skip


class Callbacks:
    """The callbacks of a site."""

    def __init__(
        self, state: State, audit: AuditLog, secrets: Secrets, clock: Clock, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._state, self._audit, self._clock = state, audit, clock
        self._signing = Signing(secrets, SHELF, clock, entropy)

    def put(self, client: str, urls: Sequence[str], *, network: Reach = "public", plaintext: bool = False) -> str | None:
        """Say where an application is told, from now on; gives the secret when it has just been made, to be shown once.

        Errors: UnknownClient, BadRight.
        """
        wanted, text = checked(client, urls, network, plaintext=plaintext), None
        with self._state.read() as reader:
            self._live(reader, client)
        try:
            self._signing.keys(client)
        except NoSecret:
            text = self._signing.make(client)
        with self._state.begin() as transaction:
            self._live(transaction, client)
            if not transaction.execute(select(func.count()).select_from(client_callbacks)).scalar():
                transaction.execute(delete(counters).where(counters.c.name == CURSOR))
            before = _all(transaction).get(client)
            facts: dict[str, object] = {"addresses": len(wanted.urls), "network": network, "plaintext": plaintext}
            since = self._say("client.callback_set", client, facts, {"urls": list(wanted.urls)}, transaction)
            transaction.execute(delete(client_callbacks).where(client_callbacks.c.client == client))
            transaction.execute(
                insert(client_callbacks).values(
                    client=client, urls=list(wanted.urls), network=network, plaintext=int(plaintext),
                    since=since if before is None else before.since,
                )
            )  # fmt: skip
            if transaction.execute(select(counters.c.value).where(counters.c.name == CURSOR)).first() is None:
                transaction.execute(insert(counters).values(name=CURSOR, value=since))
        return text

    def rotate(self, client: str) -> str:
        """Make a new secret; the former one signs too for `OVERLAP`. Errors: UnknownClient, NoSecret."""
        self._signing.keys(client)
        with self._state.begin() as transaction:
            self._live(transaction, client)
            until = self._clock() + OVERLAP
            self._say("client.callback_rotated", client, {"until": until}, {}, transaction)
            return self._signing.renew(client, until)

    def remove(self, client: str) -> None:
        """Tell an application nothing more, and forget its secret; what was still to be told is not. Errors: UnknownClient."""
        with self._state.begin() as transaction:
            if client not in _all(transaction):
                raise UnknownClient(client=client)
            transaction.execute(delete(client_callbacks).where(client_callbacks.c.client == client))
            waiting = (callback_messages.c.client == client) & callback_messages.c.next_at.is_not(None)
            dropped = transaction.execute(
                update(callback_messages).where(waiting).values(next_at=None, outcome="dropped", why="callback.removed")
            ).rowcount
            self._say("client.callback_removed", client, {"dropped": dropped}, {}, transaction)
        self._signing.remove(client)

    def get(self, client: str) -> Callback | None:
        """Where an application is told; None when it is not."""
        return self.all().get(client)

    def all(self) -> Mapping[str, Callback]:
        """Where each application is told."""
        with self._state.read() as reader:
            return _all(reader)

    def told(self, client: str) -> Mapping[str, int]:
        """How many messages of an application are `waiting`, `told`, `given_up` or `dropped`."""
        held = callback_messages.c
        query = select(held.outcome, func.count()).where(held.client == client).group_by(held.outcome)
        with self._state.read() as reader:
            return {row[0]: row[1] for row in reader.execute(query)}

    def keys(self, client: str) -> tuple[bytes, ...]:
        """The keys that sign at this instant, the newest first. Errors: NoSecret."""
        return self._signing.keys(client)

    def _live(self, transaction: Connection, client: str) -> None:
        row = transaction.execute(select(clients.c.revoked_at).where(clients.c.id == client)).first()
        if row is None or row.revoked_at is not None:
            raise UnknownClient(client=client)

    def _say(self, act: str, client: str, facts: dict[str, object], body: dict[str, object], transaction: Connection) -> int:
        moved(transaction)
        return self._audit.append(act, {"client": client}, facts, body, within=transaction)


def checked(client: str, urls: Sequence[str], network: Reach, *, plaintext: bool) -> Callback:
    """A callback whose addresses may be dialled, as far as they say. Errors: BadRight."""
    wanted = Callback(client, tuple(dict.fromkeys(urls)), network, plaintext, 0)
    if not 0 < len(wanted.urls) <= MOST:
        raise _bad(f"de 1 à {MOST} adresses", f"1 to {MOST} addresses")
    for url in wanted.urls:
        if len(url) > 2048 or "#" in url or not url.isascii() or not url.isprintable() or "://" not in url:
            raise _bad("« https://hôte/chemin », sans fragment", "`https://host/path`, without a fragment")
        try:
            Admission(wanted.way(url), None)
        except Refused as refused:
            rule = refused.rule
            raise _bad(
                f"une adresse que « --network » et « --plaintext » permettent ({rule})",
                f"an address that `--network` and `--plaintext` allow ({rule})",
            ) from None
    return wanted


def _all(reader: Connection) -> dict[str, Callback]:
    return {row.client: _callback(row) for row in reader.execute(select(client_callbacks))}


def _callback(row: Row[Any]) -> Callback:
    return Callback(row.client, tuple(row.urls), row.network, bool(row.plaintext), row.since)


def _bad(fr: str, en: str) -> BadRight:
    return BadRight(field="callback", expected_fr=f"attendu : {fr}", expected_en=f"expected {en}")
