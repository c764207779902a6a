"""Rows altered in `state.db` while a write waits: nothing of it leaves, and the log says why. Digests at rest are keyed."""

import asyncio
import hashlib
import importlib.resources
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Connection, insert, select, text, update

from sovereign.clock import now
from sovereign.gateway.digests import Digests
from sovereign.gateway.errors import KeyReused
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.kept import kept
from sovereign.gateway.sealing import Sealing
from sovereign.state import State
from sovereign.state.outbound import approval_requests, delivery_events, idempotency, intents
from sovereign.state.schema import audit_bodies
from tests.servers.gate import gate, intent
from tests.servers.ledger import Ledger, serving
from tests.unit.gateway.test_again import settled
from vault.keys import Keys
from vault.providers import create_provider

MIGRATIONS = importlib.resources.files("sovereign.state") / "migrations"
Forgery = Callable[[Connection, Gateway, WriteIntent, WriteIntent], None]


def _column(name: str, value: object) -> Forgery:
    def forge(transaction: Connection, _gateway: Gateway, asked: WriteIntent, _other: WriteIntent) -> None:
        transaction.execute(update(intents).where(intents.c.id == asked.id).values({name: value}))

    return forge


def _another_content(transaction: Connection, _gateway: Gateway, asked: WriteIntent, other: WriteIntent) -> None:
    row = transaction.execute(select(intents).where(intents.c.id == other.id)).one()
    values = {"sealed": row.sealed, "wrapped": row.wrapped, "digest": row.digest}
    transaction.execute(update(intents).where(intents.c.id == asked.id).values(values))


def _no_trace_of_its_arrival(transaction: Connection, _gateway: Gateway, asked: WriteIntent, _other: WriteIntent) -> None:
    first = (delivery_events.c.intent == asked.id) & (delivery_events.c.number == 0)
    transaction.execute(update(delivery_events).where(first).values(entry=None))


def _the_arrival_of_another(transaction: Connection, _gateway: Gateway, asked: WriteIntent, other: WriteIntent) -> None:
    events = delivery_events
    entry = transaction.execute(select(events.c.entry).where(events.c.intent == other.id, events.c.number == 0)).scalar()
    transaction.execute(update(events).where(events.c.intent == asked.id, events.c.number == 0).values(entry=entry))


def _with_the_keys_of_the_site(transaction: Connection, gateway: Gateway, asked: WriteIntent, _other: WriteIntent) -> None:
    sealed = gateway.sealing.seal(replace(asked, body=b'{"ref":"forged"}'))
    values = {"sealed": sealed.sealed, "wrapped": orjson.loads(sealed.wrapped), "digest": sealed.digest}
    transaction.execute(update(intents).where(intents.c.id == asked.id).values(values))


FORGERIES: Mapping[str, Forgery] = {
    "operation": _column("operation", "note"),
    "client": _column("client", "other"),
    "method": _column("method", "DELETE"),
    "priority": _column("priority", 0),
    "term": _column("expires_at", now() + timedelta(days=365)),
    "digest": _column("digest", hashlib.sha256(b"x").digest()),
    "sealed": _column("sealed", b"SOVSEAL nonsense"),
    "wrapped": _column("wrapped", {}),
    "another's content": _another_content,
    "no arrival": _no_trace_of_its_arrival,
    "another's arrival": _the_arrival_of_another,
    "with the site's keys": _with_the_keys_of_the_site,
}


def test_a_row_altered_while_it_waits_in_the_queue_sends_nothing_and_is_told(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            state = gateway._parts.state
            with state.begin() as transaction:
                gateway.breaker.cut(transaction, "ledger", now(), "drill")
            other = intent("add", "b")
            asked = {name: intent("add", f"a{number}") for number, name in enumerate(FORGERIES)}
            for each in (other, *asked.values()):
                assert (await gateway.submit(each, wait=None)).state == "queued"
            with state.begin() as transaction:
                for name, forge in FORGERIES.items():
                    forge(transaction, gateway, asked[name], other)
                gateway.breaker.restore(transaction, "ledger", now(), "drill")
            await settled(gateway, other.id, "confirmed")
            for each in asked.values():
                await settled(gateway, each.id, "failed", "confirmed", "delivered")
            entered = {e.subject["intent"]: e.facts["why"] for e in gateway.deliveries.audit.entries(act="delivery.failed")}
            assert {name: entered.get(each.id) for name, each in asked.items()} == dict.fromkeys(FORGERIES, "intent.altered")

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert [line["ref"] for line in ledger.lines] == ["b"]


def test_a_row_altered_between_two_tries_is_not_tried_again(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            asked = intent("note", "a")
            await gateway.submit(asked, wait=60)
            with gateway._parts.state.begin() as transaction:
                transaction.execute(update(intents).where(intents.c.id == asked.id).values(operation="add"))
            assert (await settled(gateway, asked.id, "failed", "delivered", "confirmed")).why == "intent.altered"

    ledger = Ledger(lambda _: "overloaded")
    with serving(ledger) as url:
        asyncio.run(drill(url))
    assert ledger.asked == 1


def test_an_unknown_outcome_whose_row_was_altered_is_left_to_a_person_and_no_look_is_made_with_it(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            asked = intent("add", "a")
            await gateway.submit(asked, wait=60)
            with gateway._parts.state.begin() as transaction:
                transaction.execute(update(intents).where(intents.c.id == asked.id).values(client="other"))
            assert (await settled(gateway, asked.id, "inconclusive", "landed", "did_not_happen")).why == "intent.altered"

    with serving(Ledger(lambda _: "reset_after")) as url:
        asyncio.run(drill(url))


def test_what_the_log_no_longer_tells_still_leaves_by_its_keyed_digest(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            state, audit = gateway._parts.state, gateway.deliveries.audit
            with state.begin() as transaction:
                gateway.breaker.cut(transaction, "ledger", now(), "drill")
            asked = intent("add", "a")
            await gateway.submit(asked, wait=None)
            (entry,) = audit.entries(act="intent.received")
            audit.erase(entry.seq, "a person asked")
            with state.begin() as transaction:
                assert transaction.execute(select(audit_bodies).where(audit_bodies.c.seq == entry.seq)).first() is None
                gateway.breaker.restore(transaction, "ledger", now(), "drill")
            await settled(gateway, asked.id, "confirmed")

    with serving(Ledger()) as url:
        asyncio.run(drill(url))


def test_no_digest_that_can_be_guessed_stands_in_the_database(tmp_path: Path) -> None:
    asked = intent("add", "a", client="intern", key="k")

    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            assert (await gateway.submit(asked, wait=60)).state == "held"
            assert (await gateway.submit(asked, wait=60)).replayed
            with gateway._parts.state.read() as reader:
                columns = (intents.c.digest, idempotency.c.digest, approval_requests.c.digest)
                held = {bytes(value) for column in columns for value in reader.execute(select(column)).scalars()}
            assert len(held) == 2  # of the intent twice, of the request once
            assert not held & {asked.digest, hashlib.sha256(asked.body).digest()}

    with serving(Ledger()) as url:
        asyncio.run(drill(url))
    for file in (tmp_path / "g").glob("state.db*"):
        assert asked.digest not in file.read_bytes()
        assert asked.digest.hex().encode() not in file.read_bytes()


def test_digests_kept_by_an_earlier_version_are_keyed_when_the_site_is_first_opened(tmp_path: Path) -> None:
    former = tmp_path / "former"
    former.mkdir()
    for name in ("0001_initial.sql", "0002_audit_tree.sql", "0003_gateway.sql"):
        (former / name).write_text((MIGRATIONS / name).read_text("utf-8"))
    master = create_provider("file:m", passphrase=lambda: "pw", directory=tmp_path)
    keys, path = Keys.create(tmp_path / "keys", master, now), tmp_path / "state.db"
    asked = [intent("add", f"n{number}") for number in range(3)]
    with State(path, migrations=former) as old, old.begin() as transaction:
        for each in asked:
            row = {
                "id": each.id, "received_at": each.received_at, "client": each.client, "connection": "ledger",
                "door": "operation", "operation": "add", "method": "", "lane": "x", "priority": 5, "digest": each.digest,
                "bytes": 1, "wrapped": {},
            }  # fmt: skip
            transaction.execute(insert(intents).values(**row))
            named = {"client": each.client, "digest_of_key": each.id.encode(), "digest": each.digest, "intent": each.id}
            transaction.execute(insert(idempotency).values(**named, added_at=now(), expires_at=now()))
        asks = {"quorum": 1, "groups": [], "excluded": [], "asked_at": now(), "expires_at": now(), "state": "open"}
        transaction.execute(insert(approval_requests).values(intent=asked[0].id, digest=asked[0].digest, **asks))
    digests = Digests(keys)
    with State(path) as state:
        assert digests.settle(state)
        with state.read() as reader:
            found = {row.id: row.digest for row in reader.execute(select(intents.c.id, intents.c.digest))}
            assert found == {each.id: digests.intent(each.id, each.digest) for each in asked}
            made = {row.intent: row.digest for row in reader.execute(select(idempotency.c.intent, idempotency.c.digest))}
            assert made == {each.id: digests.request(each.client, each.digest) for each in asked}
            request = reader.execute(select(approval_requests.c.digest)).scalar_one()
            assert request == digests.intent(asked[0].id, asked[0].digest)
        assert not digests.settle(state)
    for file in tmp_path.glob("state.db*"):
        assert not [each for each in asked if each.digest in file.read_bytes()]


def test_a_key_kept_by_an_earlier_version_still_answers_for_its_own_request_alone(tmp_path: Path) -> None:
    asked = intent("add", "a", key="k")

    async def drill(url: str, work: Callable[[Gateway], Awaitable[None]]) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            await work(gateway)

    async def first(gateway: Gateway) -> None:
        await gateway.submit(asked, wait=60)
        with gateway._parts.state.begin() as transaction:  # as an earlier version left it
            transaction.execute(update(intents).values(digest=asked.digest))
            transaction.execute(update(idempotency).values(digest=asked.digest))
            transaction.execute(text("INSERT INTO counters (name, value) VALUES ('digests', 0)"))

    async def then(gateway: Gateway) -> None:
        assert (await gateway.submit(asked, wait=60)).replayed
        with pytest.raises(KeyReused):
            await gateway.submit(intent("add", "b", key="k"), wait=60)
        sealing = Sealing(gateway._parts.keys, gateway._parts.period)
        with gateway._parts.state.read() as reader:
            assert kept(reader, sealing, gateway.deliveries.audit, asked.id).digest == asked.digest

    with serving(Ledger()) as url:
        asyncio.run(drill(url, first))
        asyncio.run(drill(url, then))
