"""Approvals over HTTP: approvers vote with their own keys, an application sees what it asked for, and strangers cost little."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.servers.council import CLOSED, HELD, OPEN
from tests.servers.door import Door, Told, door
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy
from vault import notes

ADD = "/v1/connections/ledger/operations/add"
LINES = "/v1/connections/ledger/http/lines"


def drill(tmp_path: Path, work: Callable[[Door], Awaitable[None]], ledger: Ledger | None = None) -> Ledger:
    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, force=policy(HELD)) as opened:
            stop = asyncio.Event()
            running = asyncio.create_task(opened.house.gateway.run(stop))
            try:
                await work(opened)
            finally:
                stop.set()
                await running

    held = ledger or Ledger()
    with serving(held) as url:
        asyncio.run(run(url))
    return held


async def asked(at: Door, ref: str = "a", *, client: str = "app", person: str = "") -> Told:
    headers = {"Content-Type": "application/json", "Idempotency-Key": ref}
    if person:
        headers["Sovereign-Person"] = person
    return await at.ask("POST", ADD, client=client, data=b'{"ref":"%s"}' % ref.encode(), headers=headers)


async def voted(at: Door, intent: str, note: str | bytes) -> Told:
    return await at.ask("POST", f"/v1/approvals/{intent}/votes", client=None, data=note)


async def settled(at: Door, intent: str, *states: str, client: str = "app") -> str:
    for _ in range(1500):
        state = str((await at.ask("GET", f"/v1/deliveries/{intent}", client=client)).json()["state"])
        if state in states:
            return state
        await asyncio.sleep(0.1)
    pytest.fail(f"still {state}")


def test_a_signed_approval_lets_the_write_leave_and_counts_once(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        held = await asked(at)
        assert (held.status, held.json()["state"]) == (202, "held")
        intent = held.json()["intent"]
        note = at.council.ballot(intent, "berthe")
        told = await voted(at, intent, note)
        assert (told.status, told.json()) == (200, {"intent": intent, "outcome": "approved"})
        again = await voted(at, intent, note)
        assert (again.status, again.json()["code"]) == (404, "gateway.not_asked")
        assert await settled(at, intent, "confirmed") == "confirmed"
        assert (await asked(at)).json()["intent"] == intent

    assert drill(tmp_path, work).landed("a") == 1


def test_a_signed_refusal_ends_the_request_for_whoever_asked(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent = (await asked(at)).json()["intent"]
        told = await voted(at, intent, at.council.ballot(intent, "berthe", "refuse"))
        assert (told.status, told.json()["outcome"]) == (200, "refused")
        assert await settled(at, intent, "refused") == "refused"
        assert ((await asked(at)).status, (await asked(at)).json()["code"]) == (403, "delivery.refused")

    assert drill(tmp_path, work).asked == 0


def test_what_policy_denies_by_the_time_it_was_approved_is_told_so(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent = (await asked(at)).json()["intent"]
        at.council.enact(OPEN, CLOSED)
        await voted(at, intent, at.council.ballot(intent, "berthe"))
        await settled(at, intent, "denied")
        told = await asked(at)
        assert (told.status, told.json()["detail"]) == (403, "Policy now denies this write.")

    assert drill(tmp_path, work).asked == 0


def test_a_note_that_no_enrolled_key_signed_or_about_another_request_changes_nothing(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent, other = [(await asked(at, ref)).json()["intent"] for ref in ("a", "b")]
        text, sound = at.council.ballot(intent, "berthe").partition("\n\n")[0] + "\n", at.council.ballot(intent, "berthe")
        foreign = notes.sign(text, notes.Signer("k1", b"9" * 32))
        altered = sound.replace("verdict approve", "verdict refuse")
        with at.house.state.begin():  # nobody else may write: a note of nobody's is refused without asking to
            for note, status, code in (
                (foreign, 403, "gateway.bad_ballot"),
                (altered, 403, "gateway.bad_ballot"),
                (b"\xff", 400, "api.request"),
            ):
                told = await voted(at, intent, note)
                assert (told.status, told.json()["code"]) == (status, code)
                await asyncio.sleep(0.6)  # two a second from one address
            told = await voted(at, other, sound)
            assert (told.status, told.json()["code"]) == (400, "api.request")
        assert [each.state for each in at.house.approvals.list()] == ["open", "open"]

    assert drill(tmp_path, work).asked == 0


def test_a_vote_is_short_and_one_address_posts_few(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent = (await asked(at)).json()["intent"]
        told = [await voted(at, intent, "x") for _ in range(8)]
        assert 429 in [each.status for each in told]
        assert {each.status for each in told} == {403, 429}
        assert (await at.ask("GET", f"/v1/deliveries/{intent}")).status == 200, "applications are not slowed by it"
        await asyncio.sleep(1.1)
        assert (await voted(at, intent, b"a" * 16_385)).status == 413

    drill(tmp_path, work)


def test_what_will_be_sent_is_shown_to_whoever_asked_without_credential_nor_body(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        headers = {
            "Content-Type": "application/json", "Idempotency-Key": "k", "If-Match": '"7"', "Cookie": "session=hush",
            "X-Api-Key": "hush", "Sovereign-Person": "hélène",
        }  # fmt: skip
        made = await at.ask("POST", f"{LINES}?dry=1", data=b'{"ref":"a"}', headers=headers)
        intent = made.json()["intent"]
        told = await at.ask("GET", f"/v1/approvals/{intent}")
        assert told.status == 200
        wanted = {
            "operation": "http", "method": "POST", "path": "/lines?dry=1", "entity": "/lines", "person": "hélène",
            "content_type": "application/json", "bytes": 11,
        }  # fmt: skip
        assert {name: told.json()[name] for name in wanted} == wanted
        assert ["if-match", '"7"'] in told.json()["headers"]
        assert b"hush" not in told.body
        assert at.council.tokens["app"].encode() not in told.body
        assert (await at.ask("GET", f"/v1/approvals/{intent}", client="intern")).status == 404

    drill(tmp_path, work)


def test_an_application_sees_the_requests_that_it_made_and_no_other(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        mine = (await asked(at)).json()["intent"]
        theirs = (await asked(at, "b", client="intern")).json()["intent"]
        for client, intent in (("app", mine), ("intern", theirs)):
            (shown,) = (await at.ask("GET", "/v1/approvals", client=client)).json()["approvals"]
            assert (shown["intent"], shown["quorum"], shown["groups"]) == (intent, 1, ["rssi"])
        assert (await at.ask("GET", "/v1/approvals", client="stranger")).json() == {"approvals": []}
        assert (await at.ask("POST", f"/v1/deliveries/{mine}/cancel", client="intern")).status == 404
        assert (await at.ask("POST", f"/v1/deliveries/{mine}/cancel")).json()["state"] == "cancelled"
        assert (await at.ask("GET", "/v1/approvals")).json() == {"approvals": []}
        late = notes.sign(at.council.ballot(mine, "berthe").partition("\n\n")[0] + "\n", at.council.signers["berthe"])
        assert (await voted(at, mine, late)).status == 404

    drill(tmp_path, work)


@pytest.mark.parametrize("path", [ADD, LINES])
@pytest.mark.parametrize("person", [b"h\xe9l\xe8ne", "he\u0301le\u0300ne".encode(), b"a" * 201, b"a\tb"])
def test_a_persons_name_that_can_be_written_in_two_ways_is_refused(tmp_path: Path, path: str, person: bytes) -> None:
    async def work(at: Door) -> None:
        told = await at.raw(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {at.council.tokens['app']}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: k\r\nAccept-Language: en\r\nConnection: close\r\n"
            "Content-Length: 11\r\nSovereign-Person: ".encode() + person + b'\r\n\r\n{"ref":"a"}'
        )  # fmt: skip
        assert told.startswith(b"HTTP/1.1 400 "), told
        assert b'"api.request"' in told
        assert b"Sovereign-Person" in told.partition(b"\r\n\r\n")[2]
        assert not at.house.approvals.list()

    drill(tmp_path, work)


def test_whoever_is_named_by_the_application_does_not_approve_under_any_spelling(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        intent = (await asked(at, person="HÉLÈNE")).json()["intent"]
        told = await voted(at, intent, at.council.ballot(intent, "hélène"))
        assert (told.status, told.json()["code"]) == (403, "gateway.bad_ballot")
        assert (await voted(at, intent, at.council.ballot(intent, "hélène", "refuse"))).json()["outcome"] == "refused"

    drill(tmp_path, work)
