"""What an application that gave a callback is promised, over a real gateway, a real vendor and a real receiver."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from sovereign.access import BadRight, UnknownClient
from sovereign.access.callbacks import Callbacks, checked
from sovereign.gateway.callbacks import Announcer, Schedule
from sovereign.gateway.messages import Messages, sweep
from sovereign.state.outbound import callback_messages
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving
from tests.servers.receiver import Heard, Receiver, genuine
from vault.secrets import Secrets

ADD = "/v1/connections/ledger/operations/add"
QUICK = Schedule(waits=(0.05, 0.1, 0.2, 0.2, 0.2), rest=0.1)


@dataclass
class Drill:
    at: Door
    callbacks: Callbacks
    announcer: Announcer

    async def write(self, ref: str, operation: str = "add", client: str = "app", **headers: str) -> Any:  # noqa: ANN401 - JSON
        told = await self.at.ask(
            "POST", ADD.replace("/add", f"/{operation}"), client=client, data=f'{{"ref":"{ref}"}}'.encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": ref, **headers},
        )  # fmt: skip
        return told.json()

    async def until(self, true: Callable[[], object]) -> None:
        """Tell what is due until it is so, within a minute."""
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, self.rows()
            await self.announcer.look()
            await asyncio.sleep(0.02)

    def rows(self) -> list[Any]:
        with self.at.house.state.read() as reader:
            return list(reader.execute(select(callback_messages)))

    def acts(self, act: str) -> list[Any]:
        return list(self.at.council.parts.audit.entries(act=act))


@asynccontextmanager
async def drill(root: Path, url: str, schedule: Schedule = QUICK) -> AsyncIterator[Drill]:
    async with door(root / "g", url) as at:
        parts = at.council.parts
        callbacks = Callbacks(parts.state, parts.audit, Secrets(parts.keys, root / "g" / "keys" / "secrets"), at.council.clock)
        messages = Messages(parts.state, parts.audit, at.house.gateway.sealing, at.council.clock)
        announcer = Announcer(callbacks, messages, at.council.clock, lambda: 0.0, schedule)
        moving, ended = None, asyncio.Event()
        try:
            moving = asyncio.create_task(at.house.gateway.run(ended))
            yield Drill(at, callbacks, announcer)
        finally:
            ended.set()
            if moving:
                await moving
            async with announcer.running():
                pass


def run(
    tmp_path: Path, work: Callable[[Drill], Awaitable[None]], ledger: Ledger | None = None, schedule: Schedule = QUICK
) -> None:
    async def main(url: str) -> None:
        async with drill(tmp_path, url, schedule) as opened:
            await work(opened)

    with serving(ledger or Ledger()) as url:
        asyncio.run(main(url))


def local(at: Drill, client: str, *urls: str) -> str:
    secret = at.callbacks.put(client, urls, network="loopback", plaintext=True)
    assert secret is not None
    return secret


def test_an_end_is_told_once_signed_with_the_secret_and_says_nothing_of_what_was_written(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver().listening() as there:
            secret = local(at, "app", there.url)
            told = await at.write("marie-curie")
            await at.until(lambda: there.heard and not at.announcer._hands)
            (heard,) = there.heard
            assert genuine(heard, secret)
            assert not genuine(heard, "whsec_" + "A" * 43 + "=")
            assert not genuine(Heard(heard.headers, heard.body + b" "), secret)
            said = heard.json()
            assert (said["type"], said["data"]) == (
                "delivery.confirmed", {"intent": told["intent"], "state": "confirmed", "delivery": told["delivery"]},
            )  # fmt: skip
            shown = await at.at.ask("GET", said["data"]["delivery"])
            assert shown.json()["state"] == "confirmed"
            assert b"marie-curie" not in heard.body + str(heard.headers).encode()
            await at.announcer.look()
            assert len(there.heard) == 1
        assert [each.facts for each in at.acts("callback.told")] == [{"attempts": 1, "state": "confirmed", "status": 204}]
        assert [each.subject["intent"] for each in at.acts("callback.due")] == [told["intent"]]

    run(tmp_path, work)


def test_every_application_is_told_of_its_own_writes_alone_and_those_without_callback_of_none(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver().listening() as mine, Receiver().listening() as theirs:
            local(at, "app", mine.url)
            local(at, "stranger", theirs.url)
            first = await at.write("a")
            await at.write("b", client="stranger")
            await at.write("c", client="intern")
            await at.until(lambda: mine.heard and theirs.heard and not at.announcer._hands)
            assert [each.json()["data"]["intent"] for each in mine.heard] == [first["intent"]]
            assert theirs.states() == ["denied"]
            assert len(at.rows()) == 2

    run(tmp_path, work)


def test_what_is_not_read_back_is_told_as_delivered_and_what_waits_for_a_person_is_told(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver().listening() as there:
            local(at, "app", there.url)
            await at.write("a", "set")
            await at.until(lambda: there.states() == ["delivered"])
            await at.write("b", "note")
            await at.until(lambda: there.states()[1:] == ["inconclusive"])

    run(tmp_path, work, Ledger(lambda number: "ok" if number == 0 else "reset_after"))


def test_a_receiver_that_is_down_is_told_when_it_is_back_under_the_same_id(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        there = Receiver(lambda number: 500 if number == 0 else 204)
        with there.listening():
            secret = local(at, "app", there.url)
        await at.write("a")
        await at.until(lambda: [row.attempts for row in at.rows()] == [1])
        with there.listening():
            await at.until(lambda: len(there.heard) == 2 and not at.announcer._hands)
        assert len({heard.headers["webhook-id"] for heard in there.heard}) == 1
        assert all(genuine(heard, secret) for heard in there.heard)
        assert [(row.outcome, row.attempts, row.next_at) for row in at.rows()] == [("told", 3, None)]

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("status", "attempts", "why"), [(410, 1, "http.410"), (500, 6, "http.500"), (302, 6, "egress.redirected")]
)
def test_a_receiver_that_never_takes_it_is_given_up_and_a_redirection_is_not_followed(
    tmp_path: Path, status: int, attempts: int, why: str
) -> None:
    async def work(at: Drill) -> None:
        with Receiver(lambda _: status).listening() as there:
            local(at, "app", there.url)
            await at.write("a")
            await at.until(lambda: at.acts("callback.given_up"))
            assert len(there.heard) == attempts
        assert [(row.outcome, row.attempts, row.why) for row in at.rows()] == [("given_up", attempts, why)]
        assert at.callbacks.told("app") == {"given_up": 1}

    run(tmp_path, work)


def test_a_receiver_that_does_not_answer_holds_up_no_other(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        free = threading.Event()

        def stuck(_: int) -> int:
            free.wait(120)
            return 204

        with Receiver(stuck).listening() as slow, Receiver().listening() as quick:
            local(at, "stranger", slow.url)
            local(at, "app", quick.url)
            for number in range(10):
                await at.write(f"s{number}", client="stranger")
            await at.until(lambda: len(slow.heard) == 2)
            told = await at.write("a")
            assert told["state"] == "confirmed"
            await at.until(lambda: quick.states() == ["confirmed"])
            assert len(slow.heard) == 2
            free.set()
            await at.until(lambda: len(slow.heard) == 10)

    run(tmp_path, work)


def test_an_application_names_one_of_its_addresses_and_no_other(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver().listening() as first, Receiver().listening() as second:
            local(at, "app", first.url, second.url)
            await asyncio.sleep(1.1)  # what is held in memory of applications is a second old at most
            await at.write("a", **{"Sovereign-Callback": second.url})
            await at.write("b")
            await at.until(lambda: first.heard and second.heard)
            assert (len(first.heard), len(second.heard)) == (1, 1)
            refused = await at.write("c", **{"Sovereign-Callback": second.url + "/more"})
            assert (refused["status"], refused["code"]) == (403, "api.callback")
            assert (await at.write("d", client="intern", **{"Sovereign-Callback": first.url}))["code"] == "api.callback"

    run(tmp_path, work)


def test_a_new_secret_signs_beside_the_former_for_a_day_then_alone(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver().listening() as there:
            former = local(at, "app", there.url)
            renewed = at.callbacks.rotate("app")
            await at.write("a")
            await at.until(lambda: len(there.heard) == 1 and not at.announcer._hands)
            assert genuine(there.heard[0], former)
            assert genuine(there.heard[0], renewed)
            at.at.council.ahead = timedelta(days=1, minutes=1)
            assert len(at.callbacks.keys("app")) == 1
            assert at.callbacks.put("app", [there.url], network="loopback", plaintext=True) is None

    run(tmp_path, work)


def test_what_an_operator_takes_back_is_told_no_more(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver(lambda _: 500).listening() as there:
            local(at, "app", there.url)
            local(at, "stranger", there.url)
            await at.write("a")
            await at.write("b", client="stranger")
            await at.until(lambda: [row.attempts > 0 for row in at.rows()] == [True, True] and not at.announcer._hands)
            at.callbacks.remove("app")
            at.at.house.clients.revoke("stranger")
            before = len(there.heard)
            await at.until(lambda: {row.outcome for row in at.rows()} == {"dropped"})
            assert len(there.heard) == before
        with pytest.raises(UnknownClient):
            at.callbacks.remove("app")
        sweep(at.at.house.state, 1, at.at.council.clock() + timedelta(days=2))
        assert at.rows() == []

    run(tmp_path, work, schedule=Schedule(waits=(0.05,) * 1000, rest=0.1))


@pytest.mark.parametrize(
    "url",
    ["http://example.org/a", "https://127.0.0.1/a", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "ftp://a/",
     "https://user:pw@example.org/", "https://example.org/#a", "https://0x7f.1/", "example.org", ""],
)  # fmt: skip
def test_an_address_beyond_the_public_network_is_refused_unless_the_operator_opens_it(url: str) -> None:
    with pytest.raises(BadRight):
        checked("app", [url], "public", plaintext=False)
    assert checked("app", ["https://10.0.0.1/a"], "private", plaintext=False).urls == ("https://10.0.0.1/a",)
    with pytest.raises(BadRight):
        checked("app", ["https://127.0.0.1/a"], "private", plaintext=False)


def test_a_name_that_leads_to_this_machine_is_refused_as_it_is_dialled(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        with Receiver().listening() as there:
            at.callbacks.put("app", [f"http://localhost:{there.port}/told"], plaintext=True)
            await at.write("a")
            await at.until(lambda: [row.why for row in at.rows()] == ["egress.refused"])
            assert there.heard == []

    run(tmp_path, work)


def test_steps_are_found_by_their_index(tmp_path: Path) -> None:
    async def work(at: Drill) -> None:
        messages = at.announcer._messages
        with at.at.house.state.read() as reader:
            plan = reader.execute(text("EXPLAIN QUERY PLAN " + messages._steps._sql.replace("?", "1"))).all()
        assert any("delivery_events_told" in str(row) for row in plan), plan

    run(tmp_path, work)
