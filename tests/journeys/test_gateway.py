"""Applications write through `sovereign serve`: allowed, denied, held and approved, with every act in the audit log."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from saas_connectors.sandbox import Sandbox, Table, Trouble, Vendor
from sovereign.cli import demo_writes
from sovereign.site import Site
from tests.servers.sites import credentials

SETTINGS = demo_writes.SETTINGS.replace("guichet", "mail") + 'key_header = "Idempotency-Key"\n'


@dataclass(frozen=True)
class Town:
    root: Path
    vendor: Vendor
    environment: dict[str, str]

    def run(self, *line: str, code: int = 0) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "sovereign.cli.main", *line, "--json"],
            env=self.environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return [json.loads(each) for each in done.stdout.splitlines()]

    @contextmanager
    def site(self, actor: str | None = None) -> Iterator[Site]:
        """Open it here."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CREDENTIALS_DIRECTORY", self.environment["CREDENTIALS_DIRECTORY"])
            with Site.open(self.root, actor=actor) as site:
                yield site

    @contextmanager
    def serving(self) -> Iterator[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "sovereign.cli.main", "serve", "--json"],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said = json.loads(line)
                if said["type"] == "gateway":
                    yield said["address"]
                    break
            else:
                raise AssertionError(process.stderr.read() if process.stderr else "")
        finally:
            process.send_signal(signal.SIGTERM)
            _, error = process.communicate(timeout=60)
        assert process.returncode in (0, 130, 143), error

    def token(self, client: str) -> str:
        made = self.run("client", "add", client, "--owner", "agathe", "--purpose", "p", "--connection", "mail")
        return str(made[0]["token"])


@contextmanager
def opened(folder: Path) -> Iterator[Town]:
    """A town in a folder, with a vendor of letters; nobody writes yet."""
    environment = os.environ | {
        "CREDENTIALS_DIRECTORY": str(credentials(folder)), "SOVEREIGN_SITE": str(folder / "town"),
        "SOVEREIGN_LANG": "en",
    }  # fmt: skip
    vendor = Vendor({"letters": Table.of(({"id": f"l{n}", "ref": f"R{n}", "subject": "s"} for n in range(3)), ["id"])})
    with Sandbox(vendor) as sandbox:
        town = Town(folder / "town", vendor, environment)
        town.run("init", str(town.root), "--keys", "systemd-cred:sovereign")
        with (town.root / "sovereign.toml").open("a") as file:
            file.write(SETTINGS.format(url=sandbox.url))
        yield town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with opened(tmp_path) as made:
        yield made


def _write(address: str, token: str, ref: str, **more: str) -> requests.Response:
    return requests.post(
        f"{address}/v1/connections/mail/operations/create",
        json={"ref": ref, "subject": "Bonjour"},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f'"{ref}"', "Accept-Language": "en"} | more,
        timeout=60,
    )


def test_an_allowed_write_lands_once_and_is_read_back_and_a_stranger_is_denied_with_a_sentence(town: Town) -> None:
    token, other = town.token("desk"), town.token("stranger")
    town.run("policy", "open", "mail", "create", "--client", "desk", "--add")
    with town.serving() as address:
        first = _write(address, token, "N1")
        assert first.status_code in (200, 201), first.text
        assert _write(address, token, "N1").json()["intent"] == first.json()["intent"]
        denied = _write(address, other, "N2")
        assert denied.status_code == 403
        assert denied.headers["Content-Type"].startswith("application/problem+json")
        assert denied.json()["detail"]
        assert requests.get(f"{address}/v1/deliveries/{first.json()['intent']}", timeout=60).status_code == 401
    assert [done for done in town.vendor.desk.done if "N1" in str(done)] != []
    assert sum("N1" in str(done) for done in town.vendor.desk.done) == 1
    assert all("N2" not in str(done) for done in town.vendor.desk.done)
    acts = [entry["act"] for entry in town.run("audit", "show", "--limit", "100")]
    assert {"intent.received", "delivery.in_flight", "delivery.confirmed", "intent.decided"} <= set(acts)
    town.run("audit", "verify")


def test_a_vendor_that_takes_a_write_and_breaks_off_is_probed_and_found_to_have_landed(town: Town) -> None:
    token = town.token("desk")
    town.run("policy", "open", "mail", "create", "--client", "desk", "--add")
    with town.serving() as address:
        town.vendor.troubles.plan(Trouble("lands_then_resets", method="POST"))
        said = _write(address, token, "N1", Prefer="wait=20")
        intent = said.json()["intent"]
        for _ in range(300):
            state = requests.get(
                f"{address}/v1/deliveries/{intent}", headers={"Authorization": f"Bearer {token}"}, timeout=60
            ).json()["state"]
            if state in ("landed", "confirmed"):
                break
            time.sleep(0.2)
    assert state in ("landed", "confirmed")
    assert sum("N1" in str(done) for done in town.vendor.desk.done) == 1


def test_a_held_write_leaves_once_the_quorum_has_signed_it_and_never_by_its_own_requester(town: Town, tmp_path: Path) -> None:
    token = town.token("desk")
    (tmp_path / "signing").write_text("lanterne verte\n")
    town.environment["SOVEREIGN_APPROVER_PASSPHRASE_FILE"] = str(tmp_path / "signing")
    for person, group in (("berthe", "rssi"), ("agathe", "rssi")):
        town.run("access", "grant", person, "--role", "rssi", "--group", group, "--reason", "named")
        town.run("approval", "enrol", person, "--key", str(tmp_path / f"{person}.key"))
    town.run("policy", "open", "mail", "create", "--client", "desk", "--hold", "quorum=1;groups=rssi;within=1h", "--add")
    with town.serving() as address:
        held = _write(address, token, "N1")
        assert held.status_code == 202, held.text
        intent = held.json()["intent"]
        assert '"N1"' not in str(town.run("approval", "show", intent)[0]["payload"])
        shown = town.run("approval", "show", intent, "--clearance", "personal")[0]
        assert '"N1"' in shown["payload"]
        assert (shown["content_type"], bool(shown["entity"])) == ("application/json", True)
        own = ("approval", "approve", intent, "--as", "agathe", "--key", str(tmp_path / "agathe.key"))
        town.run(*own, code=5)
        assert town.vendor.desk.done == []
        said = town.run("approval", "approve", intent, "--as", "berthe", "--key", str(tmp_path / "berthe.key"))
        assert said[0]["outcome"] == "approved"
        for _ in range(300):
            seen = town.run("delivery", "show", intent)[0]["state"]
            if seen == "confirmed":
                break
            time.sleep(0.2)
        assert seen == "confirmed"
    assert sum("N1" in str(done) for done in town.vendor.desk.done) == 1


@pytest.mark.parametrize("opened", [True, False])
def test_a_rejected_write_that_an_operator_sends_again_leaves_only_if_policy_still_opens_it(town: Town, opened: bool) -> None:
    token = town.token("desk")
    town.run("policy", "open", "mail", "create", "--client", "desk", "--add")
    with town.serving() as address:
        town.vendor.troubles.plan(Trouble("status", 409, method="POST"))
        rejected = _write(address, token, "N1")
        assert rejected.status_code == 502, rejected.text
        intent = rejected.json()["intent"]
        if not opened:
            town.run("client", "revoke", "desk")
        town.run("delivery", "replay", intent, "--reason", "the vendor mended it")
        for _ in range(300):
            state = town.run("delivery", "show", intent)[0]["state"]
            if state in ("confirmed", "denied"):
                break
            time.sleep(0.2)
        shown = town.run("delivery", "show", intent)
    assert (state, shown[0]["why"] == "client.gone") == (("confirmed", False) if opened else ("denied", True))
    assert sum("N1" in str(done) for done in town.vendor.desk.done) == int(opened)


def test_a_read_is_answered_from_the_copy_while_the_vendor_is_down_and_only_to_those_cleared_for_it(town: Town) -> None:
    token = town.token("desk")
    town.run("sync", "run", "mail")
    town.run("policy", "open", "mail", "http", "--client", "desk", "--reads", "--add")
    asked = {"Authorization": f"Bearer {token}"}
    with town.serving() as address:
        page = f"{address}/v1/connections/mail/http/records/letters/l1"
        live = requests.get(page, headers=asked, timeout=60)
        assert (live.status_code, live.json()["ref"], "Cache-Status" in live.headers) == (200, "R1", False)
        town.vendor.troubles.plan(Trouble("reset", times=0))
        assert requests.get(page, headers=asked, timeout=60).status_code >= 500, "nobody is cleared yet"
        town.run("access", "grant", "agathe", "--role", "owner", "--reason", "named")
        town.run("access", "grant", "agathe", "--clearance", "internal", "--connection", "mail", "--reason", "named")
        copy = requests.get(page, headers=asked, timeout=60)
        assert copy.status_code == 200, copy.text
        assert (copy.json()["ref"], "subject" in copy.json()) == ("R1", False), "the subject is personal"
        assert "vendor-down" in copy.headers["Cache-Status"]
        town.run("access", "grant", "dpo", "--clearance", "personal", "--until", "2099-01-01", "--reason", "named")
        named = requests.get(page, headers=asked | {"Sovereign-Person": "dpo"}, timeout=60)
        assert "subject" not in named.text, "naming somebody gives nobody's rights"
        assert 0 <= int(copy.headers["Age"]) < 600
    acts = [entry["act"] for entry in town.run("audit", "show", "--limit", "100")]
    assert {"read.passed", "read.failed", "read.mirrored"} <= set(acts)


def test_nothing_personal_of_a_write_is_readable_in_the_site(town: Town) -> None:
    token = town.token("desk")
    town.run("policy", "open", "mail", "create", "--client", "desk", "--add")
    with town.serving() as address:
        assert _write(address, token, "CANARI-7f3a").status_code in (200, 201)
    secret = token.rpartition("_")[2].encode()
    for file in town.root.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"CANARI-7f3a" not in data, file.name
            assert b"Bonjour" not in data, file.name
            assert secret not in data, file.name
