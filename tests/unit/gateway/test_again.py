"""What was held, approved or sent again, over real approvals, real rights and a real policy: it leaves only if it still may."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from sovereign.gateway.errors import BadBallot, NotAsked
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.kept import kept
from sovereign.gateway.receipt import Receipt
from sovereign.state.outbound import intents
from tests.servers.council import CLOSED, HELD, LATER, OPEN, Council, sitting
from tests.servers.gate import intent
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy, rule

Work = Callable[[Gateway, Council], Awaitable[None]]


def drill(tmp_path: Path, work: Work, *rules: str, ledger: Ledger | None = None) -> Ledger:
    async def run(url: str) -> None:
        async with sitting(tmp_path / "g", url, policy(*rules or (HELD,))) as (gateway, council):
            await work(gateway, council)

    held = ledger or Ledger()
    with serving(held) as url:
        asyncio.run(run(url))
    return held


async def settled(gateway: Gateway, name: str, *states: str) -> Receipt:
    """Run the dispatcher until a delivery is in one of these states."""
    stop = asyncio.Event()
    running = asyncio.create_task(gateway.run(stop))
    try:
        for _ in range(3000):
            if gateway.receipt(name).state in states:
                return gateway.receipt(name)
            await asyncio.sleep(0.02)
        pytest.fail(f"still {gateway.receipt(name)}")
    finally:
        stop.set()
        await running


async def held(gateway: Gateway, ref: str = "a") -> str:
    asked = intent("add", ref)
    assert (await gateway.submit(asked, wait=60)).state == "held"
    return asked.id


def facts(gateway: Gateway, name: str) -> dict[str, object]:
    """What the latest audit entry of a delivery says."""
    *_, last = [each for each in gateway.deliveries.audit.entries() if each.subject.get("intent") == name]
    return dict(last.facts)


def test_what_the_quorum_signed_leaves_once(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name = await held(gateway)
        with pytest.raises(BadBallot):
            council.vote(gateway, name, "agathe")  # she answers for the application
        with pytest.raises(BadBallot):
            council.vote(gateway, name, "carole")  # of another group
        assert council.vote(gateway, name, "berthe") == "approved"
        assert (await settled(gateway, name, "confirmed")).state == "confirmed"

    assert drill(tmp_path, work).landed("a") == 1


def test_what_an_approver_refuses_never_leaves_even_its_own_requester(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name = await held(gateway)
        assert council.vote(gateway, name, "agathe", "refuse") == "refused"
        assert gateway.receipt(name).state == "refused"
        with pytest.raises(NotAsked):
            council.vote(gateway, name, "berthe")

    assert drill(tmp_path, work).asked == 0


def test_what_nobody_decided_in_time_expires_with_its_request(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name = await held(gateway)
        early = council.ballot(name, "berthe")
        council.ahead = timedelta(hours=49)
        await settled(gateway, name, "expired")
        with gateway._parts.state.begin() as transaction, pytest.raises(NotAsked):
            council.approvals.vote(transaction, early)

    assert drill(tmp_path, work).asked == 0


def test_what_is_taken_back_is_no_longer_asked_of_anybody(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name, other = await held(gateway), await held(gateway, "b")
        assert [each.intent for each in council.approvals.list()] == [name, other]
        assert (await gateway.cancel(name, actor="app")).state == "cancelled"
        assert [(each.intent, each.state) for each in council.approvals.list(open_only=False)] == [
            (name, "cancelled"),
            (other, "open"),
        ]
        with pytest.raises(NotAsked):
            council.vote(gateway, name, "berthe")
        assert gateway.receipt(name).state == "cancelled"

    assert drill(tmp_path, work).asked == 0


def _closed(council: Council) -> None:
    council.enact(OPEN, CLOSED)


def _more_voices(council: Council) -> None:
    council.enact(rule("held", "permit", expires=LATER, more='@hold("quorum=2")'))


def _another_group(council: Council) -> None:
    council.enact(rule("held", "permit", expires=LATER, more='@hold("quorum=1;groups=drh")'))


def _client_shut_out(council: Council) -> None:
    council.clients.revoke("app")


def _voice_lost(council: Council) -> None:
    (key,) = [each.key_id for each in council.approvals.approvers() if each.person == "berthe"]
    council.approvals.revoke(key, by="root")


@pytest.mark.parametrize(
    ("change", "why", "effect"),
    [
        (_closed, "policy.deny", "deny"),
        (_more_voices, "approval.void", "hold"),
        (_another_group, "approval.void", "hold"),
        (_client_shut_out, "client.gone", "hold"),
        (_voice_lost, "approval.void", "hold"),
    ],
)
def test_what_was_approved_is_decided_again_with_todays_policy_and_rights(
    tmp_path: Path, change: Callable[[Council], None], why: str, effect: str
) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name = await held(gateway)
        assert council.vote(gateway, name, "berthe") == "approved"
        change(council)
        assert (await settled(gateway, name, "denied", "confirmed")).why == why
        assert (facts(gateway, name)["effect"], facts(gateway, name)["policy_set"]) == (effect, council.digest)

    assert drill(tmp_path, work).asked == 0


def test_what_was_approved_leaves_when_policy_now_asks_for_less(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name = await held(gateway)
        council.vote(gateway, name, "berthe")
        council.enact(OPEN)
        await settled(gateway, name, "confirmed")

    assert drill(tmp_path, work).landed("a") == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_closed, "policy.deny"),
        (lambda council: council.enact(HELD), "approval.wanted"),
        (_client_shut_out, "client.gone"),
        (lambda council: None, "policy.allow"),
    ],
)
def test_what_an_operator_sends_again_is_decided_again(tmp_path: Path, change: Callable[[Council], None], why: str) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        asked = intent("add", "a")
        assert (await gateway.submit(asked, wait=60)).state == "rejected"
        change(council)
        council.ahead = timedelta(days=10)  # past the day for which it was wanted at first
        council.desk(gateway).decide(asked.id, "approved", "operator.replay", "the vendor mended it")
        await settled(gateway, asked.id, "denied", "confirmed")
        with gateway._parts.state.read() as reader:
            whys = [each.why for each in gateway.deliveries.events(reader, asked.id)]
        assert whys[whys.index("operator.replay") + 1] == why

    ledger = Ledger(lambda number: "conflict" if number == 0 else "ok")
    drill(tmp_path, work, OPEN, ledger=ledger)
    assert ledger.landed("a") == (1 if why == "policy.allow" else 0)


def test_what_is_sent_again_past_its_first_term_meets_the_usual_retries(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        asked = intent("note", "a")
        assert (await gateway.submit(asked, wait=60)).state == "rejected"
        council.ahead = timedelta(days=10)  # past the week for which it was wanted at first
        council.desk(gateway).decide(asked.id, "approved", "operator.replay", "the vendor mended it")
        await settled(gateway, asked.id, "delivered", "expired")
        with gateway._parts.state.read() as reader:
            assert "to_retry" in [each.state for each in gateway.deliveries.events(reader, asked.id)]

    ledger = Ledger(lambda number: ("conflict", "overloaded", "overloaded", "ok")[number])
    assert drill(tmp_path, work, OPEN, ledger=ledger).landed("a") == 1
    assert ledger.asked == 4


def test_what_is_sent_again_is_wanted_for_a_week_and_no_longer(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        asked = intent("note", "a")
        await gateway.submit(asked, wait=60)
        council.ahead = timedelta(days=10)
        council.desk(gateway).decide(asked.id, "approved", "operator.replay", "the vendor mended it")
        await settled(gateway, asked.id, "to_retry")
        council.ahead = timedelta(days=18)
        await settled(gateway, asked.id, "expired")

    ledger = Ledger(lambda number: "conflict" if number == 0 else "overloaded")
    assert drill(tmp_path, work, OPEN, ledger=ledger).landed("a") == 0


@pytest.mark.parametrize("column", ["operation", "client", "digest"])
def test_rows_altered_after_the_approval_send_nothing_else_in_its_place(tmp_path: Path, column: str) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        name, other = await held(gateway), await held(gateway, "b")
        council.vote(gateway, name, "berthe")
        with gateway._parts.state.begin() as transaction:
            (digest,) = transaction.execute(select(intents.c.digest).where(intents.c.id == other)).one()
            values = {"operation": "note", "client": "intern", "digest": digest}
            transaction.execute(update(intents).where(intents.c.id == name).values({column: values[column]}))
        assert (await settled(gateway, name, "denied", "delivered", "confirmed")).why == "intent.altered"

    assert drill(tmp_path, work).asked == 0


def test_an_intent_at_rest_is_what_was_asked_and_its_digest_is_no_fact_of_the_log(tmp_path: Path) -> None:
    async def work(gateway: Gateway, council: Council) -> None:
        asked = replace(intent("add", "a"), person="hélène", headers=(("if-match", '"1"'),))
        await gateway.submit(asked, wait=60)
        with gateway._parts.state.read() as reader:
            assert kept(reader, gateway.sealing, gateway.deliveries.audit, asked.id) == asked
        council.vote(gateway, asked.id, "berthe")
        entries = gateway.deliveries.audit.entries()
        assert "approval.given" in [each.act for each in entries]
        assert not [each.act for each in entries if asked.digest.hex() in str(each.facts) + str(each.subject)]

    drill(tmp_path, work)


@pytest.mark.parametrize(("before", "why"), [("", "policy.pseudonymise"), ('@pseudonymise("nir")', "approved")])
def test_what_policy_wants_replaced_is_replaced_or_does_not_leave(tmp_path: Path, before: str, why: str) -> None:
    def masking(more: str) -> str:
        return rule("held", "permit", expires=LATER, more=f'{more} @hold("quorum=1;groups=rssi")')

    async def work(gateway: Gateway, council: Council) -> None:
        plain = intent("note", "a")
        asked = replace(plain, body=b'{"ref":"a","nir":"185057800608491"}')
        assert (await gateway.submit(asked, wait=60)).state == "held"
        council.vote(gateway, asked.id, "berthe")
        council.enact(masking('@pseudonymise("nir")'))
        await settled(gateway, asked.id, "denied", "delivered")
        with gateway._parts.state.read() as reader:
            assert [each.why for each in gateway.deliveries.events(reader, asked.id)][3] == why

    ledger = drill(tmp_path, work, masking(before))
    assert len(ledger.bodies) == (1 if why == "approved" else 0)
    assert not [body for body in ledger.bodies if b"185057800608491" in body]
