"""Applications that write through the gateway: who answers for each, what each may reach, and the credentials that name it.

A token is `svn_ID_SECRET`: the id of the credential, so that it can be found and told without being known, and 256 bits of
chance. What is kept is the SHA-256 of the whole: with that much chance there is nothing to guess, so a slow hash would only
slow the gateway. A certificate is known by the SHA-256 of its DER form. `authenticate` answers from memory, and looks at the
database again when anything about clients changed there, whoever changed it.
"""

import hashlib
import hmac
import os
import re
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from sovereign.access.errors import BadRight, NotAuthenticated, UnknownClient
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.outbound import client_callbacks, clients, credentials
from sovereign.state.schema import counters

_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_TOKEN: Final = re.compile(r"svn_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_REVISION: Final = "clients"
FRESH: Final = timedelta(seconds=1)
"""How long memory is trusted before the database is asked whether anything changed."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much an application may ask: requests a second, at once, and bytes a request."""

    rate: float = 50.0
    concurrency: int = 16
    max_bytes: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Client:
    """An application. `connections` is what it may write to, every one when it holds `*`. callbacks: where it may be told."""

    id: str
    owner: str
    purpose: str
    connections: frozenset[str]
    limits: Limits
    added_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    callbacks: tuple[str, ...] = ()

    def lives(self, at: datetime) -> bool:
        """Whether it is let in at an instant, as far as the application itself goes."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)

    def reaches(self, connection: str) -> bool:
        """Whether it may write there at all; policy decides the rest."""
        return "*" in self.connections or connection in self.connections


@dataclass(frozen=True, slots=True)
class Credential:
    """A way in: its id, its kind, its life. The secret itself is not kept."""

    id: str
    client: str
    kind: str
    added_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Issued:
    """A new token, shown once: `token` is nowhere else."""

    client: Client
    credential: Credential
    token: str

    def __repr__(self) -> str:
        return f"Issued({self.credential.id})"


@dataclass(frozen=True, slots=True)
class _Held:
    client: Client
    until: datetime | None
    digest: bytes


class Clients:
    """The applications of a site. Safe to use from several threads."""

    def __init__(self, state: State, audit: AuditLog, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._state, self._audit, self._clock, self._entropy = state, audit, clock, entropy
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], _Held] = {}
        self._revision = -1
        self._looked: datetime | None = None

    # Care

    def add(
        self,
        client: str,
        *,
        owner: str,
        purpose: str,
        connections: Sequence[str],
        limits: Limits | None = None,
        expires_at: datetime | None = None,
    ) -> Issued:
        """Know an application and give its first token. Errors: BadRight."""
        with self._state.begin() as transaction:
            self._known(client, owner, purpose, connections, limits or Limits(), expires_at, transaction)
            return self._issue(client, expires_at, transaction)

    def house(self, client: str, *, owner: str, purpose: str, connections: Sequence[str]) -> None:
        """Know an application of the house itself, which has no credential: a flow. Said again, it is as said last.

        Errors: BadRight.
        """
        with self._state.begin() as transaction:
            row = transaction.execute(select(clients).where(clients.c.id == client)).first()
            if row is None:
                self._known(client, owner, purpose, connections, Limits(), None, transaction)
                return
            values = {"owner": owner, "purpose": purpose, "connections": sorted(set(connections)), "revoked_at": None}
            if any(getattr(row, name) != value for name, value in values.items()):
                transaction.execute(update(clients).where(clients.c.id == client).values(**values))
                facts: dict[str, object] = {"connections": values["connections"], "expires": None}
                self._say("client.added", client, facts, {"owner": owner, "purpose": purpose}, transaction)

    def _known(
        self,
        client: str,
        owner: str,
        purpose: str,
        connections: Sequence[str],
        allowed: Limits,
        expires_at: datetime | None,
        transaction: Connection,
    ) -> None:
        if not _ID.fullmatch(client):
            raise _bad("client", "minuscules, chiffres et -", "lower case, digits and -")
        if not connections:
            raise _bad("connections", "au moins une connexion, ou *", "at least one connection, or *")
        if not (0 < allowed.rate <= 10_000 and 0 < allowed.concurrency <= 1024 and 0 < allowed.max_bytes <= 2**30):
            raise _bad("limits", "des limites au-dessus de 0", "limits above 0")
        if transaction.execute(select(clients.c.id).where(clients.c.id == client)).first():
            raise _bad("client", "un nom libre", "a name that is free")
        row = {
            "id": client, "owner": owner, "purpose": purpose, "connections": sorted(set(connections)),
            "limits": msgspec.to_builtins(allowed), "added_at": self._clock(), "expires_at": expires_at,
        }  # fmt: skip
        transaction.execute(insert(clients).values(**row))
        facts = {"connections": row["connections"], "expires": expires_at}
        self._say("client.added", client, facts, {"owner": owner, "purpose": purpose}, transaction)

    def rotate(self, client: str, *, overlap: timedelta = timedelta(days=1), expires_at: datetime | None = None) -> Issued:
        """Give a new token; the former ones still open for `overlap`. Errors: UnknownClient."""
        with self._state.begin() as transaction:
            self._live(client, transaction)
            last = self._clock() + overlap
            former = (credentials.c.client == client) & (credentials.c.kind == "token") & credentials.c.revoked_at.is_(None)
            later = credentials.c.expires_at.is_(None) | (credentials.c.expires_at > last)
            transaction.execute(update(credentials).where(former & later).values(expires_at=last))
            made = self._issue(client, expires_at, transaction)
            self._say("client.rotated", client, {"credential": made.credential.id, "until": last}, {}, transaction)
            return made

    def bind(self, client: str, certificate: bytes, *, expires_at: datetime | None = None) -> Credential:
        """Let a client certificate (DER) name an application. Errors: UnknownClient, BadRight when another has it."""
        digest = hashlib.sha256(certificate).digest()
        with self._state.begin() as transaction:
            self._live(client, transaction)
            taken = (credentials.c.kind == "certificate") & (credentials.c.digest == digest)
            if transaction.execute(select(credentials.c.id).where(taken)).first():
                raise _bad("certificate", "un certificat qui ne sert pas déjà", "a certificate that does not serve already")
            made = self._keep(client, "certificate", digest, expires_at, transaction)
            self._say("client.bound", client, {"credential": made.id}, {}, transaction)
            return made

    def revoke(self, client: str, credential: str | None = None) -> None:
        """Shut out an application for good, or one of its credentials. Errors: UnknownClient, BadRight."""
        present = self._clock()
        with self._state.begin() as transaction:
            self._live(client, transaction)
            mine = (credentials.c.client == client) & credentials.c.revoked_at.is_(None)
            if credential is not None:
                mine &= credentials.c.id == credential
            shut = transaction.execute(update(credentials).where(mine).values(revoked_at=present)).rowcount
            if credential is not None and not shut:
                raise _bad("credential", "un justificatif de cette application", "a credential of this application")
            if credential is None:
                transaction.execute(update(clients).where(clients.c.id == client).values(revoked_at=present))
            self._say("client.revoked", client, {"credential": credential, "credentials": shut}, {}, transaction)

    def list(self) -> tuple[Client, ...]:
        """Every application, by name, those shut out too."""
        with self._state.read() as reader:
            return tuple(_client(row) for row in reader.execute(select(clients).order_by(clients.c.id)))

    def get(self, client: str) -> Client:
        """One application. Errors: UnknownClient."""
        with self._state.read() as reader:
            row = reader.execute(select(clients).where(clients.c.id == client)).first()
        if row is None:
            raise UnknownClient(client=client)
        return _client(row)

    def credentials(self, client: str) -> tuple[Credential, ...]:
        """The credentials of an application, oldest first."""
        with self._state.read() as reader:
            rows = reader.execute(select(credentials).where(credentials.c.client == client).order_by(credentials.c.added_at))
            return tuple(_credential(row) for row in rows)

    # The way in

    def authenticate(self, token: str) -> Client:
        """Say who holds a token. Errors: NotAuthenticated."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise NotAuthenticated
        return self._enter("token", found[1], hashlib.sha256(token.encode()).digest())

    def authenticate_certificate(self, certificate: bytes) -> Client:
        """Say who holds a certificate, DER, whose key the TLS handshake proved. Errors: NotAuthenticated."""
        digest = hashlib.sha256(certificate).digest()
        return self._enter("certificate", digest.hex(), digest)

    def _enter(self, kind: Literal["token", "certificate"], name: str, digest: bytes) -> Client:
        present = self._clock()
        self._refresh(present)
        held = self._held.get((kind, name))
        if held is None or not hmac.compare_digest(held.digest, digest):
            raise NotAuthenticated
        if held.until is not None and held.until <= present:
            raise NotAuthenticated
        return held.client

    def _refresh(self, present: datetime) -> None:
        """Read everything again when the revision moved; ask for the revision at most once in `FRESH`."""
        with self._lock:
            if self._looked is not None and timedelta(0) <= present - self._looked < FRESH:
                return
            with self._state.read() as reader:
                revision = reader.execute(select(counters.c.value).where(counters.c.name == _REVISION)).scalar() or 0
                if revision != self._revision:
                    told = {row.client: tuple(row.urls) for row in reader.execute(select(client_callbacks))}
                    living = reader.execute(select(clients).where(clients.c.revoked_at.is_(None)))
                    known = {row.id: replace(_client(row), callbacks=told.get(row.id, ())) for row in living}
                    live = reader.execute(select(credentials).where(credentials.c.revoked_at.is_(None)))
                    held = {}
                    for row in live:
                        client = known.get(row.client)
                        if client is not None:
                            name = row.id if row.kind == "token" else row.digest.hex()
                            ends = [end for end in (row.expires_at, client.expires_at) if end is not None]
                            held[row.kind, name] = _Held(client, min(ends, default=None), row.digest)
                    self._held, self._revision = held, revision
            self._looked = present

    def _live(self, client: str, transaction: Connection) -> None:
        row = transaction.execute(select(clients).where(clients.c.id == client)).first()
        if row is None or row.revoked_at is not None:
            raise UnknownClient(client=client)

    def _issue(self, client: str, expires_at: datetime | None, transaction: Connection) -> Issued:
        name = self._entropy(6).hex()
        token = f"svn_{name}_{urlsafe_b64encode(self._entropy(32)).rstrip(b'=').decode()}"
        made = self._keep(client, "token", hashlib.sha256(token.encode()).digest(), expires_at, transaction, name)
        return Issued(_client(transaction.execute(select(clients).where(clients.c.id == client)).one()), made, token)

    def _keep(
        self,
        client: str,
        kind: str,
        digest: bytes,
        expires_at: datetime | None,
        transaction: Connection,
        name: str | None = None,
    ) -> Credential:
        row = {
            "id": name or self._entropy(6).hex(), "client": client, "kind": kind, "digest": digest, "added_at": self._clock(),
            "expires_at": expires_at,
        }  # fmt: skip
        transaction.execute(insert(credentials).values(**row))
        moved(transaction)
        return _credential(transaction.execute(select(credentials).where(credentials.c.id == row["id"])).one())

    def _say(self, act: str, client: str, facts: dict[str, object], body: dict[str, object], transaction: Connection) -> None:
        moved(transaction)
        self._audit.append(act, {"client": client}, facts, body, within=transaction)


def moved(transaction: Connection) -> None:
    """Count a change, so that every process that holds the clients in memory reads them again."""
    held = update(counters).where(counters.c.name == _REVISION).values(value=counters.c.value + 1)
    if not transaction.execute(held).rowcount:
        transaction.execute(insert(counters).values(name=_REVISION, value=1))


def _client(row: Row[Any]) -> Client:
    return Client(
        row.id, row.owner, row.purpose, frozenset(row.connections), msgspec.convert(row.limits, Limits), row.added_at,
        row.expires_at, row.revoked_at,
    )  # fmt: skip


def _credential(row: Row[Any]) -> Credential:
    return Credential(row.id, row.client, row.kind, row.added_at, row.expires_at, row.revoked_at)


def _bad(field: str, fr: str, en: str) -> BadRight:
    return BadRight(field=field, expected_fr=f"attendu : {fr}", expected_en=f"expected {en}")
