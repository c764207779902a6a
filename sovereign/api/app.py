"""The addresses of the door. Each is judged by the path as it was sent, so that an escape cannot change where it leads."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from starlette.types import Receive, Scope, Send

from saas_connectors.connector import Json
from saas_connectors.request import Pairs
from sovereign.access import People, Rights
from sovereign.access.clients import Client, Clients
from sovereign.access.clients import Limits as ClientLimits
from sovereign.access.errors import NotAuthenticated
from sovereign.api import opening
from sovereign.api.answers import Answered, answer, as_json, requested, shown
from sovereign.api.approving import Approving
from sovereign.api.arrival import Arrival, arrived, body_of, parsed
from sovereign.api.errors import Defect, NoSuchPlace, NotJson, NotReached, NotThis, NotToBeCalled, NotYours, bad
from sovereign.api.limits import Limits, origin_of
from sovereign.api.members import once
from sovereign.api.metrics import Metrics
from sovereign.api.openapi import description
from sovereign.api.paths import target
from sovereign.api.problems import problem
from sovereign.api.relay import inward, outward
from sovereign.api.routes import Route, led
from sovereign.api.uploads import Uploads
from sovereign.audit import Receipt
from sovereign.clock import Clock
from sovereign.events import asyncapi
from sovereign.events.inbox import MOST_EVENT, Inbox, no_sources
from sovereign.gateway.approvals import Approvals
from sovereign.gateway.beside import beside
from sovereign.gateway.effect import Compare, no_comparison
from sovereign.gateway.errors import ReadDenied
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.intent import BY_HTTP, FIRST, USUAL, WriteIntent, new_id
from sovereign.gateway.openings import Openings
from sovereign.gateway.reading import Mirror, Read, no_copy
from sovereign.gateway.vendor import Vendors
from sovereign.settings import GatewaySettings
from sovereign.state import State
from sovereign.state.outbound import intents
from vault.errors import Fault

_LOG: Final = logging.getLogger("sovereign.api")
_NOTE: Final = 16_384
_LISTED: Final = 200
"""Requests to open a flow that one answer tells, the latest ones."""
_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_VOTER: Final = Client("~", "", "", frozenset(), ClientLimits(rate=2, concurrency=2, max_bytes=_NOTE), _SINCE, None, None)
"""Whoever posts a note signed by an approver, from one address: the signature says who."""
_VOTERS: Final = replace(_VOTER, limits=ClientLimits(rate=50, concurrency=16, max_bytes=_NOTE))
"""All of them together."""
_SOURCE: Final = replace(_VOTER, id="~~", limits=ClientLimits(rate=100, concurrency=32, max_bytes=MOST_EVENT))
"""Whoever posts a signed event, from one address."""
_SOURCES: Final = replace(_SOURCE, limits=ClientLimits(rate=500, concurrency=64, max_bytes=MOST_EVENT))
"""All of them together."""


@dataclass(frozen=True)
class House:
    """What the door opens onto.

    inbox: takes what sources of events tell. site: its key's name. prove: gives the receipt of an entry of the audit log.
    held: bytes of all bodies in hand at most. mirror, compare: the local copy.
    """

    settings: GatewaySettings
    state: State
    clients: Clients
    gateway: Gateway
    vendors: Vendors
    approvals: Approvals
    connections: Callable[[], Iterable[str]]
    clock: Clock
    entropy: Callable[[int], bytes]
    monotonic: Callable[[], float]
    people: People
    rights: Rights
    openings: Openings
    site: str
    zone: ZoneInfo
    prove: Callable[[int], Receipt]
    held: int = 2**28
    mirror: Mirror = no_copy
    compare: Compare = no_comparison
    metrics: Metrics = field(default_factory=Metrics)
    inbox: Inbox = no_sources


class App:
    """The door, as an ASGI application."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._limits, self._voters = Limits(house.monotonic, house.held), Limits(house.monotonic, 0)
        self._senders = Limits(house.monotonic, 0)
        self._uploads = Uploads(house.settings, house.gateway.spool)
        self._approving = Approving(house)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every refusal is a problem in the caller's language."""
        began, arrival = self._house.monotonic(), arrived(scope)
        try:
            status, headers, body = await self._answer(arrival, receive)
        except Fault as fault:
            status, headers, body = problem(fault, arrival.language)
        except Exception as error:  # noqa: BLE001 - nothing of it may reach a caller, nor a log: it may hold a body
            _LOG.error("defect %s", type(error).__name__)
            status, headers, body = problem(Defect(), arrival.language)
        if status == 413:
            headers.append((b"connection", b"close"))
        headers.append((b"cache-control", b"no-store"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if arrival.method == "HEAD" else body})
        self._house.metrics.note(_route(arrival.path), status, self._house.monotonic() - began)

    async def _answer(self, arrival: Arrival, receive: Receive) -> Answered:
        try:
            route, given = led(arrival.path)
        except NoSuchPlace:
            self._who(arrival)  # whoever shows no credential is not told what there is
            raise
        if route.door == "client":
            client = self._who(arrival)
            with self._limits.place(client):
                _only(arrival, route)
                if route.name == "openings":
                    return await self._openings(arrival, receive, client)
                return await self._known(arrival, receive, client, route.name, *given)
        _only(arrival, route)
        if route.door == "source":
            sender = replace(_SOURCE, id=f"~{origin_of(arrival.address)}")
            with self._senders.place(sender), self._limits.place(_SOURCES):
                return await self._told(arrival, receive, *given)
        if route.door == "voter":
            voter = replace(_VOTER, id=f"~{origin_of(arrival.address)}")
            with self._voters.place(voter), self._limits.place(_VOTERS):
                return await self._signed(arrival, receive, route.name, *given)
        if route.name == "health":
            return as_json(200, {"status": "ok"})
        text = self._house.metrics.text().encode()
        return 200, [(b"content-type", b"text/plain; version=0.0.4"), (b"content-length", b"%d" % len(text))], text

    async def _known(self, arrival: Arrival, receive: Receive, client: Client, *asked: str) -> Answered:
        """Answer an application. asked: the name of the route, and what stands at its `{…}`."""
        house = self._house
        match asked:
            case ("operation", connection, operation):
                self._reach(client, connection)
                return await self._operate(arrival, receive, client, connection, operation)
            case ("pass", connection):
                self._reach(client, connection)
                return await self._pass(arrival, receive, client, connection)
            case ("delivery", intent):
                self._own(client, intent)
                told = shown(house.gateway.receipt(intent), arrival.language)
                return as_json(200, {**told, "events": self._events(intent)})
            case ("proof", intent, entry):
                self._own(client, intent)
                return await self._proof(intent, entry)
            case ("cancel", intent):
                self._own(client, intent)
                return as_json(200, shown(await house.gateway.cancel(intent, actor=client.id), arrival.language))
            case ("connections",):
                found = [{"name": n, "operations": [o.name for o in self._operations(n)]} for n in self._reached(client)]
                return as_json(200, {"connections": found})
            case ("operations", connection):
                self._reach(client, connection)
                wanted = arrival.language
                listed = [
                    {"name": o.name, "title": o.title_fr if wanted == "fr" else o.title_en, "schema": o.schema}
                    for o in self._operations(connection)
                ]
                return as_json(200, {"operations": listed})
            case ("approvals",):
                waiting = house.approvals.list(client=client.id)
                return as_json(200, {"approvals": [requested(a) for a in waiting]})
            case ("approval", intent):
                self._own(client, intent)
                return as_json(200, await asyncio.to_thread(self._approving.own, intent, client.owner, arrival.language))
        return self._described(arrival, client, *asked)

    def _described(self, arrival: Arrival, client: Client, what: str, *_: str) -> Answered:
        """The description of events, or of what an application may call."""
        house, host = self._house, arrival.fields.get("host", "")
        scheme = "https" if house.settings.certificate else "http"
        if what == "events":
            return as_json(200, asyncapi.description(f"{scheme}://{host}", arrival.language))
        offered = {name: self._operations(name) for name in self._reached(client)}
        mutual = house.settings.client_ca is not None
        made = description(offered, f"{scheme}://{host}", arrival.language, certificates=mutual, callbacks=client.callbacks)
        return as_json(200, made)

    # Writes and reads

    async def _operate(self, arrival: Arrival, receive: Receive, client: Client, connection: str, name: str) -> Answered:
        house, key, dry_run, callback = self._house, arrival.key, arrival.dry_run, _callback(arrival, client)
        writer, operation = house.vendors(connection).operation(name)
        if arrival.fields.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise NotJson
        share = self._limits.share(client, self._most(client))
        body = await body_of(arrival, receive, share, self._most(client))
        try:

            def read() -> tuple[Json, str]:
                payload = parsed(body, house.settings.max_depth)
                return payload, writer.entity(name, payload)

            payload, entity = await beside(len(body), read)
            now = house.clock()
            intent = WriteIntent(
                id=new_id(now, house.entropy), client=client.id, connection=connection, door="operation", operation=name,
                body=body, content_type="application/json", entity=entity, received_at=now,
                person=arrival.person, priority=FIRST if operation.departure else USUAL,
                idempotency_key=None if dry_run else key, callback=callback,
            ).read(payload)  # fmt: skip
            wait = arrival.patience(house.settings.wait_seconds)
            receipt = await house.gateway.submit(intent, wait=wait, dry_run=dry_run)
            return answer(receipt, arrival.language, offer=partial(opening.offer, house, client, intent, arrival.language))
        finally:
            share.give(len(body))

    async def _pass(self, arrival: Arrival, receive: Receive, client: Client, connection: str) -> Answered:
        house = self._house
        prefix = f"/v1/connections/{connection}/http/"
        path = target(arrival.path[len(prefix) :], arrival.query)
        vendor = house.vendors(connection)
        reads = arrival.method in ("GET", "HEAD") or bool(vendor.writer and vendor.writer.is_read(arrival.method, path))
        key, callback = (None, None) if reads else (arrival.key, _callback(arrival, client))
        person, dry_run, long = arrival.person, not reads and arrival.dry_run, not reads and vendor.upload is not None
        name, share = new_id(house.clock(), house.entropy), self._limits.share(client, self._most(client))
        async with self._uploads.body(arrival, receive, client, share, name, long=long) as (body, upload):
            headers: Pairs = outward(arrival.pairs)
            kind = arrival.fields.get("content-type", "")
            await once(body, kind)
            if reads:
                sent = (*headers, ("content-type", kind)) if body and kind else headers
                read = Read(client.id, connection, arrival.method, path, sent, body or None, person)
                try:
                    got = await house.gateway.reads.answer(read, house.mirror)
                except ReadDenied as denied:
                    return opening.read_denied(house, client, denied, arrival.language)
                held = inward(got.headers, connection, vendor.origin)
                return got.status, [*held, (b"content-length", b"%d" % len(got.body))], got.body
            now = house.clock()
            intent = WriteIntent(
                id=name, client=client.id, connection=connection, door="http", operation=BY_HTTP, upload=upload, body=body,
                content_type=kind, entity=path.partition("?")[0], received_at=now, person=person,
                method=arrival.method, path=path, headers=headers, idempotency_key=None if dry_run else key,
                callback=callback,
            )  # fmt: skip
            wait = arrival.patience(house.settings.wait_seconds)
            receipt = await house.gateway.submit(intent, wait=wait, dry_run=dry_run)
            offer = partial(opening.offer, house, client, intent, arrival.language)
            return answer(receipt, arrival.language, connection=connection, origin=vendor.origin, offer=offer)

    async def _signed(self, arrival: Arrival, receive: Receive, name: str, intent: str) -> Answered:
        """What a note that an approver signed asks for: to see, or to decide."""
        share = self._limits.share(_VOTERS)
        body = await body_of(arrival, receive, share, _NOTE)
        share.give(len(body))
        try:
            note = body.decode()
        except UnicodeDecodeError:
            raise bad("une note signée est du texte UTF-8", "a signed note is UTF-8 text") from None
        if name == "look":
            return as_json(200, await asyncio.to_thread(self._approving.look, intent, note, arrival.language))
        return as_json(200, {"intent": intent, "outcome": await asyncio.to_thread(self._approving.vote, intent, note)})

    async def _told(self, arrival: Arrival, receive: Receive, source: str) -> Answered:
        """What a source of events tells, once its signature holds."""
        share = self._limits.share(_SOURCES)
        body = await body_of(arrival, receive, share, MOST_EVENT)
        share.give(len(body))
        event, new = await asyncio.to_thread(self._house.inbox, source, arrival.fields, body)
        return as_json(202 if new else 200, {"event": event, "new": new})

    async def _openings(self, arrival: Arrival, receive: Receive, client: Client) -> Answered:
        """What an application asked to have opened, or asks."""
        if arrival.method == "GET":
            found = await asyncio.to_thread(self._house.openings.list, open_only=False, client=client.id, most=_LISTED)
            return as_json(200, {"openings": [opening.told(each) for each in found]})
        if arrival.fields.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise NotJson
        share = self._limits.share(client)
        body = await body_of(arrival, receive, share, _NOTE)
        share.give(len(body))
        return await asyncio.to_thread(opening.file, self._house, client, body, self._reached(client))

    # Who, and what is theirs

    def _who(self, arrival: Arrival) -> Client:
        said = arrival.fields.get("authorization")
        if said is not None:
            scheme, _, token = said.partition(" ")
            if scheme.lower() != "bearer":
                raise NotAuthenticated
            return self._house.clients.authenticate(token.strip())
        if arrival.certificate is not None:
            return self._house.clients.authenticate_certificate(arrival.certificate)
        raise NotAuthenticated

    def _reached(self, client: Client) -> list[str]:
        return [name for name in sorted(self._house.connections()) if client.reaches(name)]

    def _reach(self, client: Client, connection: str) -> None:
        if not client.reaches(connection) or connection not in self._house.connections():
            raise NotReached

    def _operations(self, connection: str) -> tuple[Any, ...]:
        writer = self._house.vendors(connection).writer
        return writer.operations() if writer else ()

    def _own(self, client: Client, intent: str) -> None:
        with self._house.state.read() as reader:
            owner = reader.execute(select(intents.c.client).where(intents.c.id == intent)).scalar()
        if owner != client.id:
            raise NotYours

    def _events(self, intent: str) -> list[dict[str, object]]:
        with self._house.state.read() as reader:
            steps = self._house.gateway.deliveries.events(reader, intent)
        return [{"at": e.at.isoformat(), "was": e.was, "state": e.state, "why": e.why, "entry": e.entry} for e in steps]

    async def _proof(self, intent: str, entry: str) -> Answered:
        """Prove that a step of this write stands in the audit log (C2SP tlog-proof)."""
        if entry not in {str(step["entry"]) for step in self._events(intent)}:
            raise NotYours
        text = (await asyncio.to_thread(self._house.prove, int(entry))).encode().encode()
        return 200, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))], text

    def _most(self, client: Client) -> int:
        return min(int(self._house.settings.max_body), client.limits.max_bytes)


def _only(arrival: Arrival, route: Route) -> None:
    if arrival.method not in route.methods:
        raise NotThis(allowed=", ".join(route.methods))


def _callback(arrival: Arrival, client: Client) -> str | None:
    """Where the application asks to be told of this write. Errors: NotToBeCalled, unless an operator allows that address."""
    asked = arrival.fields.get("sovereign-callback")
    if asked is not None and asked not in client.callbacks:
        raise NotToBeCalled
    return asked


def _route(path: str) -> str:
    """The kind of an address, for counts: never what a caller wrote."""
    match path.split("/")[1:]:
        case ["health" | "metrics" as name]:
            return name
        case ["v1", "connections", _, "operations" | "http" as door, *_]:
            return door
        case ["v1", "connections" | "deliveries" | "approvals" | "openapi.json" as name, *_]:
            return name
    return "other"
