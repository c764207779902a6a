"""How long what was written stays, over a real gateway and a real vendor."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sovereign.clock import now
from sovereign.gateway import keeping
from sovereign.gateway.deliveries import Deliveries, Step
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.sealing import Sealing
from sovereign.state import State
from sovereign.state.outbound import deliveries, idempotency, intents
from tests.servers.gate import gate, intent
from tests.servers.ledger import Ledger, serving
from tests.servers.sites import town

DAYS = 30


def kept(state: State, name: str) -> tuple[bool, bool]:
    """Whether the payload and the answer of a write are still there."""
    with state.read() as reader:
        payload = reader.execute(select(intents.c.sealed).where(intents.c.id == name)).scalar_one()
        answer = reader.execute(select(deliveries.c.sealed_outcome).where(deliveries.c.intent == name)).scalar_one()
    return payload is not None, answer is not None


def sweep(gateway: Gateway, days: float) -> int:
    """Sweep as if so many days had gone by."""
    parts = gateway._parts
    return keeping.sweep(parts.state, parts.audit, DAYS, parts.clock() + timedelta(days=days))


def test_a_payload_and_its_answer_go_when_their_days_are_over_and_the_receipt_stays(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            asked = [intent("add", "a"), intent("note", "b"), intent("add", "c", client="stranger")]
            for each in asked:
                await gateway.submit(each, wait=60)
            state, audit = gateway._parts.state, gateway._parts.audit
            with state.read() as reader:
                sealed = bytes(reader.execute(select(intents.c.sealed).where(intents.c.id == asked[0].id)).scalar_one())
            assert sweep(gateway, DAYS - 0.1) == 0
            assert kept(state, asked[0].id) == (True, True)
            assert gateway.sealing.keks_in_use(state) != set()
            assert sweep(gateway, DAYS + 0.1) == 3
            assert [kept(state, each.id) for each in asked] == [(False, False)] * 3
            assert gateway.sealing.keks_in_use(state) == set()
            (entry,) = audit.entries(act="payload.erased")
            assert (entry.subject, entry.facts) == ({"connection": "ledger"}, {"payloads": 3, "days": DAYS})
            receipts = [gateway.receipt(each.id) for each in asked]
            assert [(each.state, each.vendor_id) for each in receipts] == [
                ("confirmed", None),
                ("delivered", None),
                ("denied", None),
            ]
            assert sweep(gateway, DAYS + 1) == 0
            assert len(audit.entries(act="payload.erased")) == 1
            assert not [path for path in (tmp_path / "g").glob("state.db*") if sealed[-64:] in path.read_bytes()]

    with serving(Ledger()) as url:
        asyncio.run(drill(url))


@pytest.mark.parametrize(("mood", "client", "state"), [("reset_after", "app", "inconclusive"), ("ok", "intern", "held")])
def test_what_waits_for_a_person_is_kept_however_old(tmp_path: Path, mood: str, client: str, state: str) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            asked = intent("note", "a", client=client)
            assert (await gateway.submit(asked, wait=60)).state == state
            assert sweep(gateway, 3650) == 0
            assert kept(gateway._parts.state, asked.id)[0]

    with serving(Ledger(lambda _: mood)) as url:
        asyncio.run(drill(url))


def test_more_than_one_piece_goes_in_one_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PIECE", 2)

    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            for number in range(5):
                await gateway.submit(intent("note", f"n{number}", key=f"k{number}"), wait=60)
            assert sweep(gateway, DAYS + 1) == 5
            with gateway._parts.state.read() as reader:
                assert reader.execute(select(func.count()).select_from(idempotency)).scalar_one() == 0

    with serving(Ledger()) as url:
        asyncio.run(drill(url))


def test_an_idempotency_key_is_forgotten_once_its_time_is_up_and_not_before(tmp_path: Path) -> None:
    async def drill(url: str) -> None:
        async with gate(tmp_path / "g", url) as gateway:
            first = await gateway.submit(intent("add", "a", key="k"), wait=60)
            sweep(gateway, 0.9)
            assert (await gateway.submit(intent("add", "a", key="k"), wait=60)).intent == first.intent
            sweep(gateway, 1.9)
            assert (await gateway.submit(intent("add", "a", key="k"), wait=60)).intent == first.intent
            sweep(gateway, 2.1)
            assert (await gateway.submit(intent("add", "a", key="k"), wait=60)).intent != first.intent

    with serving(Ledger()) as url:
        asyncio.run(drill(url))


def test_the_housekeeping_of_a_site_erases_what_its_settings_say(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        site, asked = here.site, intent("add", "a")
        sealed = Sealing(site.keys, "year", entropy=os.urandom).seal(asked)
        with site.state.begin() as transaction:
            Deliveries(site.state, site.audit).new(transaction, asked, sealed, "lane", (Step("denied", "policy.deny"),), now())
        site.housekeep()
        assert kept(site.state, asked.id)[0]
        here.clock.offset = timedelta(days=site.settings.gateway.keep_days + 1)
        site.housekeep()
        assert not kept(site.state, asked.id)[0]
