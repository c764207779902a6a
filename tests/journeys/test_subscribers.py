"""Subscribers through a whole site: declared in its settings, told by `serve` in their order, whatever is killed or is down."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.eventing import described
from tests.journeys.test_flows import SYSTEMS, agent
from tests.journeys.test_flows import town as departures
from tests.journeys.test_schemathesis import CONNECTION
from tests.servers.receiver import Receiver, genuine
from tests.servers.service import Service, service
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
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@dataclass
class Town:
    """A site over a vendor, with an application that writes."""

    site: Service
    token: str

    def write(self, address: str, ref: str) -> str:
        told = requests.post(
            f"{address}/v1/connections/guichet/operations/create", json={"ref": ref, "subject": "s"},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": ref}, timeout=60,
        )  # fmt: skip
        assert told.status_code == 200, told.text
        return str(told.json()["intent"])

    def states(self, name: str) -> list[str]:
        return [each["outcome"] for each in reversed(self.site.run("subscriber", "show", name))]


@contextmanager
def town(folder: Path, settings: str) -> Iterator[Town]:
    vendor = Vendor({"letters": Table.of(({"id": "l0", "ref": "R0", "subject": "s"},), ["id"])})
    with Sandbox(vendor) as sandbox:
        site = service(folder, CONNECTION.format(url=sandbox.url) + settings)
        token = site.client("desk", "guichet")
        site.allow("desk", "guichet", "create")
        yield Town(site, token)


def events(there: Receiver) -> list[dict[str, Any]]:
    return [each.json() for each in there.heard]


def free() -> Receiver:
    """A receiver with a port of its own, where nobody listens for now."""
    there = Receiver()
    with there.listening():
        return there


def test_a_subscriber_is_told_in_order_of_writes_and_copies_signed_and_without_a_personal_value(tmp_path: Path) -> None:
    with Receiver().listening() as there, Receiver().listening() as other:
        wanted = declared("si", there.url, "sovereign.write.*", "sovereign.snapshot.committed")
        wanted += declared("autre", other.url, "sovereign.write.failed")
        with town(tmp_path, wanted) as here:
            secret = here.site.run("subscriber", "secret", "si")[0]["secret"]
            here.site.run("subscriber", "secret", "autre")
            with here.site.serving() as address:
                intent = here.write(address, "marie-curie")
                here.site.run("sync", "run", "guichet")
                until(lambda: len(there.heard) >= 3)
                asked = {"Authorization": f"Bearer {here.token}"}
                document = requests.get(f"{address}/v1/asyncapi.json", headers=asked, timeout=30).json()
            told = events(there)
            for each in told:
                validator(document, each["type"]).validate(each)
            (whole,) = here.site.run("event", "asyncapi")
            assert sorted(whole["document"]["operations"]) == ["tell-autre", "tell-si"]
            assert [each["type"].removeprefix("sovereign.") for each in told] == [
                "write.delivered", "write.confirmed", "snapshot.committed",
            ]  # fmt: skip
            assert [int(each["sequence"]) for each in told] == [1, 2, 3]
            assert all(genuine(heard, secret) for heard in there.heard)
            assert all(heard.headers["content-type"] == "application/cloudevents+json" for heard in there.heard)
            assert [heard.headers["webhook-id"] for heard in there.heard] == [each["id"] for each in told]
            assert told[0]["data"] == {"intent": intent, "connection": "guichet", "client": "desk", "state": "delivered",
                                       "why": told[0]["data"]["why"]}  # fmt: skip
            assert (told[2]["subject"], told[2]["data"]["rows"], told[2]["data"]["snapshot"]) == ("guichet/letters", 2, 1)
            assert b"marie-curie" not in b"".join(heard.body for heard in there.heard)
            assert other.heard == []
            assert here.states("si") == ["told"] * 3
            here.site.run("audit", "verify")
            (listed, *_) = [each for each in here.site.run("subscriber", "list") if each["subscriber"] == "si"]
            assert (listed["told"], listed["waiting"], listed["given_up"]) == (3, 0, 0)
            renewed = here.site.run("subscriber", "secret", "si")[0]["secret"]
            here.site.run("subscriber", "test", "si")
            with here.site.serving():
                until(lambda: len(there.heard) == 4)
            assert events(there)[3]["type"] == "sovereign.subscriber.tested"
            assert genuine(there.heard[3], secret)
            assert genuine(there.heard[3], renewed)
            shown = here.site.run("subscriber", "show", "si", "test.4")
            assert json.loads(shown[0]["body"]) == events(there)[3]


def test_what_is_to_be_told_survives_a_kill_and_a_subscriber_that_is_down_slows_no_other(tmp_path: Path) -> None:
    there, down = free(), free()
    wanted = declared("si", there.url, "sovereign.write.confirmed") + declared("down", down.url, "sovereign.write.confirmed")
    with town(tmp_path, wanted) as here:
        for name in ("si", "down"):
            here.site.run("subscriber", "secret", name)
        with here.site.process() as (process, address):
            intents = [here.write(address, f"n{number}") for number in range(5)]
            until(lambda: len(here.states("si")) == 5)
            process.kill()
        assert set(here.states("si")) == {"waiting"}
        with there.listening(), here.site.serving() as address:
            until(lambda: here.states("si") == ["told"] * 5)
            assert [each["data"]["intent"] for each in events(there)] == intents
            assert here.states("down") == ["waiting"] * 5
            assert down.heard == []
            shown = requests.get(f"{address}/metrics", timeout=30).text
            assert "\nsovereign_subscribers_waiting 5\n" in shown
            first = here.site.run("subscriber", "show", "down", "--state", "waiting")[-1]["event"]
            here.site.run("subscriber", "drop", "down", first)
            assert here.states("down") == ["dropped"] + ["waiting"] * 4
            here.site.run("subscriber", "drop", "down", first, code=2)
            assert here.site.run("subscriber", "replay", "down", first)[0]["events"] == 1
            here.site.run("subscriber", "replay", "nobody", code=2)
            with down.listening():
                until(lambda: here.states("down") == ["told"] * 5)
        assert [int(each["sequence"]) for each in events(down)] == [1, 2, 3, 4, 5]


def test_the_rows_that_changed_and_what_a_flow_did_are_told_to_whom_is_cleared_for_them(tmp_path: Path) -> None:
    with departures(tmp_path) as here, Receiver().listening() as there, Receiver().listening() as curious:
        rows = 'changes = ["rh.agents"]\nclearance = "personal"\nowner = "{}"'
        wanted = declared("si", there.url, "sovereign.flow.*", more=rows.format("agathe"))
        wanted += declared("curieux", curious.url, "sovereign.snapshot.committed", more=rows.format("personne"))
        with (here.site.root / "sovereign.toml").open("a") as settings:
            settings.write(wanted)
        for name in ("si", "curieux"):
            here.run("subscriber", "secret", name)
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
