"""An approver who is elsewhere sees a request by signing for it: once, in its time, with the right to approve there."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from sovereign.gateway.looking import Look
from tests.servers.council import HELD
from tests.servers.door import Door, Told, door
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy
from vault import notes

ADD = "/v1/connections/ledger/operations/add"


def drill(tmp_path: Path, work: Callable[[Door], Awaitable[None]]) -> None:
    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, force=policy(HELD)) as at:
            await work(at)

    with serving(Ledger()) as url:
        asyncio.run(run(url))


async def asked(at: Door, ref: str = "a") -> str:
    headers = {"Idempotency-Key": ref}
    return str((await at.ask("POST", ADD, json={"ref": ref}, headers=headers)).json()["intent"])


async def look(at: Door, intent: str, person: str = "berthe", *, signer: str = "", site: str = "town", ago: float = 0) -> Told:
    wish = Look(site, intent, person, at.council.clock() - timedelta(seconds=ago))
    note = notes.sign(wish.text(), at.council.signers[signer or person])
    await asyncio.sleep(0.6)  # one address posts two notes a second
    return await at.ask("POST", f"/v1/approvals/{intent}/look", client=None, data=note.encode())


def test_an_approver_sees_the_request_whole_and_who_can_decide_and_the_look_is_entered(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent = await asked(at)
        told = await look(at, intent)
        assert told.status == 200, told.body
        shown = told.json()
        assert (shown["intent"], shown["client"], shown["effect"]["compared"]) == (intent, "app", False)
        assert shown["body"] is None, "berthe was given no clearance"
        can = {each["person"]: each["can"] for each in shown["who"]}
        assert can == {"agathe": False, "berthe": True, "carole": False, "hélène": True}
        why = {each["person"]: each["why"] for each in shown["who"]}
        assert why["carole"] == "of none of the groups asked"
        (entry,) = at.house.gateway.deliveries.audit.entries(act="approval.shown")
        assert (entry.body or {})["person"] == "berthe"

    drill(tmp_path, work)


def test_a_look_opens_once_and_for_its_own_site_intent_person_and_time_alone(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent, other = await asked(at), await asked(at, "b")
        note = notes.sign(Look("town", intent, "berthe", at.council.clock()).text(), at.council.signers["berthe"]).encode()
        place = f"/v1/approvals/{intent}/look"
        assert (await at.ask("POST", place, client=None, data=note)).status == 200
        assert (await at.ask("POST", place, client=None, data=note)).status == 403
        await asyncio.sleep(1.1)
        assert (await at.ask("POST", f"/v1/approvals/{other}/look", client=None, data=note)).status == 403
        assert (await look(at, intent, site="elsewhere")).status == 403
        assert (await look(at, intent, "hélène", signer="berthe")).status == 403
        assert (await look(at, intent, ago=600)).status == 403
        assert (await look(at, intent, ago=-600)).status == 403
        at.council.people.remove("berthe")
        assert (await look(at, intent)).status == 403
        (key,) = [each.key_id for each in at.council.approvals.approvers() if each.person == "hélène"]
        at.council.approvals.revoke(key, by="root")
        assert (await look(at, intent, "hélène")).status == 403

    drill(tmp_path, work)


def test_a_look_decides_nothing_and_a_vote_shows_nothing(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent = await asked(at)
        ballot = at.council.ballot(intent, "berthe").encode()
        assert (await at.ask("POST", f"/v1/approvals/{intent}/look", client=None, data=ballot)).status == 403
        note = notes.sign(Look("town", intent, "berthe", at.council.clock()).text(), at.council.signers["berthe"]).encode()
        assert (await at.ask("POST", f"/v1/approvals/{intent}/votes", client=None, data=note)).status == 403
        assert [each.state for each in at.house.approvals.list()] == ["open"]

    drill(tmp_path, work)
