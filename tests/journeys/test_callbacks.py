"""A callback through a whole site: set on the command line, told by `serve`, and not lost when `serve` is killed."""

import time
from collections.abc import Callable
from pathlib import Path

import requests
from sqlalchemy import update

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.state.outbound import callback_messages
from tests.journeys.test_schemathesis import CONNECTION
from tests.servers.receiver import Receiver, genuine
from tests.servers.service import Service, service


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def waiting(site: Service) -> dict[str, int]:
    with site.site() as opened:
        return dict(opened.outbound.callbacks.told("desk"))


def test_what_an_application_is_to_be_told_survives_a_kill_and_a_receiver_that_was_down(tmp_path: Path) -> None:
    vendor, there = Vendor({"letters": Table.of(({"id": "l0", "ref": "R0", "subject": "s"},), ["id"])}), Receiver()
    with Sandbox(vendor) as sandbox:
        site = service(tmp_path, CONNECTION.format(url=sandbox.url))
        with there.listening():
            pass  # a port of its own, where nobody listens for now
        made = site.run(
            "client", "add", "desk", "--owner", "agathe", "--purpose", "p", "--connection", "guichet", "--callback", there.url,
            "--network", "loopback", "--plaintext",
        )  # fmt: skip
        said = {each["type"]: each for each in made}
        token, secret = said["client"]["token"], said["callback.secret"]["secret"]
        site.allow("desk", "guichet", "create")
        with site.process() as (process, address):
            told = requests.post(
                f"{address}/v1/connections/guichet/operations/create", json={"ref": "N1", "subject": "s"},
                headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"}, timeout=60,
            )  # fmt: skip
            assert told.status_code == 200, told.text
            until(lambda: waiting(site))
            process.kill()
        assert waiting(site) == {"waiting": 1}
        with there.listening(), site.serving():
            until(lambda: there.heard)
            until(lambda: waiting(site) == {"told": 1})
    assert {heard.json()["data"]["intent"] for heard in there.heard} == {told.json()["intent"]}
    assert all(genuine(heard, secret) for heard in there.heard)
    shown = {each["type"]: each for each in site.run("client", "callback", "desk")}
    assert (shown["callback"]["url"], shown["callback.messages"]["told"]) == (there.url, 1)
    site.run("audit", "verify")
    with site.site() as opened:
        assert not [each for each in opened.doctor() if each.code == "doctor.callback"]
        with opened.state.begin() as transaction:
            transaction.execute(update(callback_messages).values(outcome="given_up"))
        assert [each.subject for each in opened.doctor() if each.code == "doctor.callback"] == ["desk"]
    assert site.run("client", "callback", "desk", "--rotate")[0]["secret"] != secret
    site.run("client", "callback", "desk", "--remove")
    site.run("client", "callback", "desk", "--remove", "--rotate", code=2)
