"""A denial for want of a policy carries the request that would open the flow; a red line carries none."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from sovereign.gateway.policy import CedarPolicy, Files
from tests.servers.council import CLOSED, OPEN
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import policy, rule

ADD = "/v1/connections/ledger/operations/add"
LINES = "/v1/connections/ledger/http/lines"
ELSEWHERE = rule("other", 'permit (principal == Client::"nobody", action, resource)', expires="2099-01-01")


def drill(tmp_path: Path, work: Callable[[Door], Awaitable[None]], *rules: str) -> Ledger:
    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, force=policy(*rules)) as at:
            await work(at)

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(run(url))
    return ledger


def test_a_denied_write_or_read_says_what_to_ask_and_by_which_policy(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = await at.ask("POST", ADD, json={"ref": "a"}, headers={"Idempotency-Key": "k"})
        assert told.status == 403
        asked = told.json()["request"]
        assert (asked["client"], asked["connection"], asked["operation"], asked["reads"]) == ("app", "ledger", "add", False)
        assert asked["owner"] == "agathe"
        assert asked["command"].startswith("sovereign opening file ledger add --client app --reason")
        made = CedarPolicy(Files({"50-flow.cedar": asked["policy"]}))
        assert [each.id for each in made.rules] == ["flow.app.ledger.add"]
        assert "POST /v1/openings" in told.json()["todo"]
        tried = await at.ask("POST", ADD, json={"ref": "a"}, headers={"Idempotency-Key": "x", "Sovereign-Dry-Run": "1"})
        assert (tried.status, tried.json()["request"]["operation"]) == (200, "add")
        passed = await at.ask("POST", LINES, data=b"{}", headers={"Idempotency-Key": "p", "Accept-Language": "fr"})
        assert (passed.json()["request"]["operation"], "ouverture" in passed.json()["todo"]) == ("http", True)
        read = await at.ask("GET", LINES)
        assert (read.status, read.json()["request"]["reads"]) == (403, True)
        assert 'action == Action::"read"' in read.json()["request"]["policy"]

    assert drill(tmp_path, work, ELSEWHERE).asked == 0


def test_a_red_line_offers_nothing(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        for told in (
            await at.ask("POST", ADD, json={"ref": "a"}, headers={"Idempotency-Key": "k"}),
            await at.ask("GET", LINES),
        ):
            assert (told.status, "request" in told.json()) == (403, False)
            assert "POST" not in told.json()["todo"]

    drill(
        tmp_path,
        work,
        OPEN,
        CLOSED,
        rule("shut", 'forbid (principal, action == Action::"read", resource)', expires="2099-01-01"),
    )


def test_an_application_files_its_request_once_and_reads_what_became_of_it(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        body = {"connection": "ledger", "operation": "add", "reason": "the new service"}
        made, again = await at.ask("POST", "/v1/openings", json=body), await at.ask("POST", "/v1/openings", json=body)
        assert (made.status, again.status, again.json()["times"]) == (201, 200, 2)
        assert made.json()["opening"] == again.json()["opening"]
        assert made.headers["Location"] == f"/v1/openings/{made.json()['opening']}"
        assert (await at.ask("GET", "/v1/openings", client="intern")).json() == {"openings": []}
        at.house.openings.refused(made.json()["opening"], "after the audit", by="berthe")
        (shown,) = (await at.ask("GET", "/v1/openings")).json()["openings"]
        assert (shown["state"], shown["answer"]) == ("refused", "after the audit")

    drill(tmp_path, work, ELSEWHERE)


def test_a_request_for_what_is_not_offered_or_badly_written_is_refused(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        good = {"connection": "ledger", "operation": "add", "reason": "r"}
        bad = [(403, {**good, "connection": "parks"}), (404, {**good, "operation": "none"})]
        bad += [(400, body) for body in ({**good, "more": 1}, {"reason": "r"}, [])]
        for status, body in bad:
            assert (await at.ask("POST", "/v1/openings", json=body)).status == status, body
        assert (await at.ask("POST", "/v1/openings", json={**good, "reason": " "})).status == 422
        assert (await at.ask("POST", "/v1/openings", data=b"{}")).status == 415
        assert (await at.ask("POST", "/v1/openings", json=good, client=None)).status == 401
        assert at.house.openings.list() == ()

    drill(tmp_path, work, ELSEWHERE)
