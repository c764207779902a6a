"""Subscribers through a whole site: declared in its settings, told by `serve` in their order, whatever is killed or is down."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests

from sovereign.egress.policy import EgressPolicy
from sovereign.eventing import described, rows
from sovereign.events.gathering import Rows
from sovereign.events.news import News
from sovereign.events.subscribing import Told
from tests.journeys.test_flows import SYSTEMS, Town, agent
from tests.journeys.test_flows import town as departures
from tests.servers.receiver import Receiver, genuine
from tests.unit.events.test_asyncapi import validator

DECLARED = """
[subscribers.{name}]
url = "{url}"
types = {types}
network = {{ loopback = true, plaintext = true }}
{more}
"""


def declared(name: str, url: str, *types: str, more: str = "") -> str:
    return DECLARED.format(name=name, url=url, types=json.dumps(types), more=more)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def states(here: Town, name: str) -> list[str]:
    """Where each event of a subscriber stands, in its order."""
    return [each["outcome"] for each in reversed(here.run("subscriber", "show", name))]


def declare(here: Town, *tables: str) -> dict[str, str]:
    """Declare subscribers; gives the secret of each."""
    with (here.site.root / "sovereign.toml").open("a") as settings:
        settings.write("".join(tables))
    with here.site.site() as site:
        names = sorted(site.settings.subscribers)
    return {name: here.run("subscriber", "secret", name)[0]["secret"] for name in names}


def events(there: Receiver) -> list[dict[str, Any]]:
    return [each.json() for each in there.heard]


def free() -> Receiver:
    """A receiver with a port of its own, where nobody listens for now."""
    there = Receiver()
    with there.listening():
        return there


def test_a_subscriber_is_told_in_order_of_writes_and_copies_signed_and_without_a_personal_value(tmp_path: Path) -> None:
    with departures(tmp_path) as here, Receiver().listening() as there, Receiver().listening() as other:
        wanted = declared("si", there.url, "sovereign.write.*", "sovereign.snapshot.committed")
        secret = declare(here, wanted, declared("autre", other.url, "sovereign.write.failed"))["si"]
        with here.site.serving() as door:
            intent = door.write("annuaire", "add", "marie-curie").body["intent"]
            until(lambda: len(there.heard) >= 2)
            here.agents.put(agent(50))
            here.pull()
            until(lambda: len(there.heard) >= 3)
            document = door.get("/v1/asyncapi.json").json()
        told = events(there)
        for each in told:
            validator(document, each["type"]).validate(each)
        (whole,) = here.run("event", "asyncapi")
        assert sorted(whole["document"]["operations"]) == ["tell-autre", "tell-si"]
        assert [each["type"].removeprefix("sovereign.") for each in told] == [
            "write.delivered", "write.confirmed", "snapshot.committed",
        ]  # fmt: skip
        assert [int(each["sequence"]) for each in told] == [1, 2, 3]
        assert all(genuine(heard, secret) for heard in there.heard)
        assert all(heard.headers["content-type"] == "application/cloudevents+json" for heard in there.heard)
        assert [heard.headers["webhook-id"] for heard in there.heard] == [each["id"] for each in told]
        about = {"intent": intent, "connection": "annuaire", "client": "app", "state": "delivered"}
        assert {name: told[0]["data"][name] for name in about} == about
        assert (told[2]["subject"], told[2]["data"]["rows"], told[2]["data"]["inserted"]) == ("rh/agents", 21, 1)
        assert b"marie-curie" not in b"".join(heard.body for heard in there.heard)
        assert other.heard == []
        assert states(here, "si") == ["told"] * 3
        assert here.site.check_log() > 0
        (listed,) = [each for each in here.run("subscriber", "list") if each["subscriber"] == "si"]
        assert (listed["told"], listed["waiting"], listed["given_up"]) == (3, 0, 0)
        renewed = here.run("subscriber", "secret", "si")[0]["secret"]
        trial = here.run("subscriber", "test", "si")[0]["event"]
        with here.site.serving():
            until(lambda: len(there.heard) == 4)
        assert events(there)[3]["type"] == "sovereign.subscriber.tested"
        assert genuine(there.heard[3], secret)
        assert genuine(there.heard[3], renewed)
        (shown,) = here.run("subscriber", "show", "si", trial)
        assert json.loads(shown["body"]) == events(there)[3]


def test_what_is_to_be_told_survives_a_kill_and_a_subscriber_that_is_down_slows_no_other(tmp_path: Path) -> None:
    there, down = free(), free()
    with departures(tmp_path) as here:
        declare(
            here, *(declared(name, each.url, "sovereign.write.confirmed") for name, each in (("si", there), ("down", down)))
        )
        with here.site.serving(ends=(-signal.SIGKILL,)) as door:
            intents = [door.write("annuaire", "add", f"n{number}").body["intent"] for number in range(5)]
            until(lambda: len(states(here, "si")) == 5)
            door.process.kill()
            door.process.wait(60)
        assert set(states(here, "si")) == {"waiting"}
        with there.listening(), here.site.serving() as door:
            until(lambda: states(here, "si") == ["told"] * 5)
            assert sorted(each["data"]["intent"] for each in events(there)) == sorted(intents)
            assert states(here, "down") == ["waiting"] * 5
            assert down.heard == []
            assert "\nsovereign_subscribers_waiting 5\n" in requests.get(f"{door.address}/metrics", timeout=30).text
            first = here.run("subscriber", "show", "down", "--state", "waiting")[-1]["event"]
            here.run("subscriber", "drop", "down", first)
            assert states(here, "down") == ["dropped"] + ["waiting"] * 4
            here.run("subscriber", "drop", "down", first, code=2)
            assert here.run("subscriber", "replay", "down", first)[0]["events"] == 1
            here.run("subscriber", "replay", "nobody", code=2)
            with down.listening():
                until(lambda: states(here, "down") == ["told"] * 5)
        assert [int(each["sequence"]) for each in events(down)] == [1, 2, 3, 4, 5]


def test_the_rows_that_changed_and_what_a_flow_did_are_told_to_whom_is_cleared_for_them(tmp_path: Path) -> None:
    with departures(tmp_path) as here, Receiver().listening() as there, Receiver().listening() as curious:
        rows = 'changes = ["rh.agents"]\nclearance = "personal"\nowner = "{}"'
        wanted = declared("si", there.url, "sovereign.flow.*", more=rows.format("agathe"))
        wanted += declared("curieux", curious.url, "sovereign.snapshot.committed", more=rows.format("personne"))
        declare(here, wanted)
        here.run("flow", "enable", "depart")
        with here.site.serving():
            here.agents.put(agent(3, "parti"), agent(50))
            here.pull()
            here.until(["compte-003"])
            until(lambda: len(there.heard) >= 6)
            until(lambda: curious.heard)
        told = events(there)
        changed = [each["data"] for each in told if each["type"] == "sovereign.row.changed"]
        assert sorted((each["change"], each["after"]["statut"]) for each in changed) == [
            ("inserted", "présent"), ("updated", "parti"),
        ]  # fmt: skip
        assert {each["before"]["statut"] for each in changed if each["before"]} == {"présent"}
        assert {each["after"]["id"] for each in changed} == {"m003", "m050"}
        done = [each["data"] for each in told if each["type"] == "sovereign.flow.done"]
        assert sorted(each["step"] for each in done) == sorted(SYSTEMS)
        assert {each["flow"] for each in done} == {"depart"}
        assert len({each["record"] for each in done}) == 1
        assert "m003" not in json.dumps(done)
        assert [each["type"] for each in events(curious)] == ["sovereign.snapshot.committed"]
        acts = [entry for entry in here.run("audit", "show", "--limit", "200") if entry["act"] == "subscriber.withheld"]
        assert [(each["subject"]["subscriber"], each["facts"]["why"]) for each in acts] == [("curieux", "clearance")]
        with here.site.site() as site:
            document = described(site, "en")
        for each in (*told, *events(curious)):
            validator(document, each["type"]).validate(each)


def test_a_row_that_no_calendar_holds_is_withheld_and_keeps_no_subscriber_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with departures(tmp_path) as here:
        declare(
            here, declared("si", "http://127.0.0.1:9", more='changes = ["rh.agents"]\nowner = "agathe"\nclearance = "personal"')
        )
        here.agents.put(agent(3, "parti"))
        here.pull()
        with here.site.site() as site:
            far = pa.array([9_000_000_000_000_000], pa.timestamp("ms"))
            row = pa.StructArray.from_arrays([far], ["quitte_le"])
            changed = pa.RecordBatch.from_arrays([pa.array(["i"]), row, row], ["_op", "before", "after"])
            monkeypatch.setattr(type(site), "changes", lambda *_, **__: iter([changed]))
            told = Told("si", site.settings.subscribers["si"], 0, EgressPolicy("si", "http://127.0.0.1:9"))
            news = News("1.0", "sovereign.snapshot.committed", "", "rh/agents", 1, "rh", {
                "connection": "rh", "stream": "agents", "snapshot": 2,
            })  # fmt: skip
            assert rows(site)(told, news) == Rows(why="unreadable")
