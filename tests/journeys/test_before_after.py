"""What a held write would change is shown before it is decided, out of the local copy, as far as a clearance sees."""

import base64
import json
import re
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import update

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.cli.main import main
from sovereign.cli.output import Output
from sovereign.clock import now
from sovereign.comparing import Comparison
from sovereign.gateway.effect import Effect
from sovereign.gateway.intent import BY_HTTP, WriteIntent
from sovereign.gateway.looking import Look
from sovereign.gateway.policy.opening import Flow
from sovereign.site import Site
from sovereign.state.outbound import intents
from tests.journeys.test_gateway import SETTINGS, Town, town
from vault import approver, notes

__all__ = ["town"]
MORE = """
[connections.mail.operations.amend]
method = "PATCH"
path = "/letters/{{id}}"
stream = "letters"
schema = {{ required = ["id"], properties = {{ id = {text}, ref = {text}, subject = {text} }} }}

[connections.mail.operations.put]
method = "PUT"
path = "/letters/{{id}}"
stream = "letters"
schema = {{ required = ["id"], properties = {{ id = {text}, ref = {text}, subject = {text} }} }}

[connections.mail.operations.drop]
method = "DELETE"
path = "/letters/{{id}}"
stream = "letters"
schema = {{ required = ["id"], properties = {{ id = {text} }} }}
""".replace("{text}", '{{ type = "string" }}')


def asked(operation: str, payload: dict[str, str], *, method: str = "", path: str = "") -> WriteIntent:
    return WriteIntent(
        "w-" + "0" * 26, "desk", "mail", "http" if path else "operation", operation, json.dumps(payload).encode(),
        "application/json", "x", now(), method=method, path=path,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("town") / "site"
    made = Site.create(root, passphrase=lambda: "cheval exact pile agrafe")
    rows = ({"id": f"l{n}", "ref": f"R{n}", "subject": f"canari {n}"} for n in range(3))
    with Sandbox(Vendor({"letters": Table.of(rows, ["id"])})) as sandbox:
        with (root / "sovereign.toml").open("a") as file:
            file.write((SETTINGS + MORE).format(url=sandbox.url))
        made = Site.open(root, passphrase=lambda: "cheval exact pile agrafe")
        made.syncs.run("mail")
    return made


def effect(site: Site, intent: WriteIntent, clearance: str | None = "personal") -> Effect:
    return Comparison(site)(intent, clearance)


def test_each_field_is_shown_before_and_after_with_its_class_the_counts_and_the_age_of_the_copy(site: Site) -> None:
    found = effect(site, asked("amend", {"id": "l1", "ref": "R1", "subject": "Bonjour"}))
    (record,) = found.records
    assert (record.kind, record.stream, record.names) == ("update", "letters", (("id", "l1"),))
    assert {f.name: (f.class_, f.before, f.after, f.changes) for f in record.fields} == {
        "ref": ("internal", "R1", "R1", False),
        "subject": ("personal", "canari 1", "Bonjour", True),
    }
    assert (dict(found.counts)["update"], found.absent) == (1, None)
    assert found.age is not None
    assert timedelta() <= timedelta(seconds=found.age) < timedelta(minutes=10)


def test_a_field_above_the_clearance_is_said_to_change_or_not_and_its_values_are_nowhere(site: Site) -> None:
    for subject, changes in (("Bonjour", True), ("canari 1", False)):
        found = effect(site, asked("amend", {"id": "l1", "subject": subject}), "internal")
        (field,) = found.records[0].fields
        assert (field.name, field.class_, field.seen, field.changes) == ("subject", "personal", False, changes)
        assert (field.before, field.after) == (None, None)
        said = json.dumps(found.record("en"))
        assert "canari" not in said
        assert "Bonjour" not in said
        assert not found.covers(found.classes)


def test_without_any_clearance_not_even_what_names_the_record_is_shown(site: Site) -> None:
    found = effect(site, asked("amend", {"id": "l1", "subject": "Bonjour"}), None)
    assert found.records[0].names == (("id", None),)
    assert found.hides_names
    assert not found.covers(frozenset())


@pytest.mark.parametrize(
    ("intent", "kind", "fields"),
    [
        (asked("put", {"id": "l1", "ref": "R1"}), "update", {"ref": ("R1", "R1"), "subject": ("canari 1", None)}),
        (asked("drop", {"id": "l1"}), "delete", {"ref": ("R1", None), "subject": ("canari 1", None)}),
        (asked("drop", {"id": "l9"}), "unchanged", {}),
        (asked("amend", {"id": "l9", "subject": "s"}), "create", {"subject": (None, "s")}),
        (asked("amend", {"id": "l1", "subject": "canari 1"}), "unchanged", {"subject": ("canari 1", "canari 1")}),
        (
            asked(BY_HTTP, {"subject": "s"}, method="PATCH", path="/records/letters/l2"),
            "update",
            {"subject": ("canari 2", "s")},
        ),
        (
            asked(BY_HTTP, {}, method="DELETE", path="/records/letters/l2"),
            "delete",
            {"ref": ("R2", None), "subject": ("canari 2", None)},
        ),
        (
            asked(BY_HTTP, {"ref": "R9", "subject": "s"}, method="POST", path="/records/letters"),
            "create",
            {"ref": (None, "R9"), "subject": (None, "s")},
        ),
    ],
)  # fmt: skip
def test_what_a_write_does_to_a_record_is_named(
    site: Site, intent: WriteIntent, kind: str, fields: dict[str, tuple[object, object]]
) -> None:
    (record,) = effect(site, intent).records
    assert record.kind == kind
    assert {f.name: (f.before, f.after) for f in record.fields} == fields


@pytest.mark.parametrize(
    "intent",
    [
        asked("create", {"ref": "N1", "subject": "s"}),  # no stream says where it goes
        asked(BY_HTTP, {}, method="POST", path="/records/elsewhere"),
        WriteIntent("w-" + "0" * 26, "desk", "mail", "http", BY_HTTP, b"<xml/>", "text/xml", "x", now(), method="PUT",
                    path="/records/letters/l1"),
        asked("none", {}),
    ],
)  # fmt: skip
def test_where_nothing_can_be_compared_it_is_said_in_both_languages(site: Site, intent: WriteIntent) -> None:
    found = effect(site, intent)
    assert (found.records, found.absent is not None) == ((), True)
    assert {found.record(each)["absent"] for each in ("fr", "en")} == set(found.absent or ())
    assert found.record("en")["counts"] is None


def test_a_copy_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    made = Site.create(tmp_path / "site", passphrase=lambda: "cheval exact pile agrafe")
    with (made.root / "sovereign.toml").open("a") as file:
        file.write((SETTINGS + MORE).format(url="http://127.0.0.1:9"))
    with Site.open(made.root, passphrase=lambda: "cheval exact pile agrafe") as site:
        found = effect(site, asked("amend", {"id": "l1", "subject": "s"}))
    made.close()
    assert found.absent is not None
    assert "mail.letters" in found.absent[1]


def test_a_held_write_is_shown_before_and_after_at_the_command_line_and_to_an_approver_who_signs_for_it(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def typed(*line: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(line, out=Output()) == code
        return capsys.readouterr().out

    def run(*line: str, code: int = 0) -> list[dict[str, Any]]:
        return [json.loads(each) for each in typed(*line, "--json", code=code).splitlines()]

    with (town.root / "sovereign.toml").open("a") as file:
        file.write(MORE.replace("{{", "{").replace("}}", "}"))
    (tmp_path / "signing").write_text("lanterne verte\n")
    town.environment["SOVEREIGN_APPROVER_PASSPHRASE_FILE"] = str(tmp_path / "signing")
    for name, value in town.environment.items():
        monkeypatch.setenv(name, value)
    approver.create(tmp_path / "berthe.key", "berthe", "lanterne verte")
    signer = approver.unlock(tmp_path / "berthe.key", "lanterne verte")
    with town.site("root") as opened:
        for person in ("berthe", "agathe"):
            opened.outbound.people.put(person, ["rssi"])
            opened.outbound.rights.grant("person", person, "role", "rssi", by="root", reason="named by the mayor")
        opened.outbound.approvals.enrol("berthe", signer.verifier.vkey, by="root")
        token = opened.outbound.clients.add("desk", owner="agathe", purpose="p", connections=["mail"]).token
        flow = Flow("desk", "mail", "amend", "rssi", date(2099, 1, 1), hold="quorum=1;groups=rssi;within=1h")
        (town.root / "policies" / flow.file).write_text(flow.text())
        opened.syncs.run("mail")
        name = opened.keys.verifier.name
    with town.serving() as address:

        def amend(letter: str, **more: str) -> str:
            answer = requests.post(
                f"{address}/v1/connections/mail/operations/amend",
                json={"id": letter, "subject": "Bonjour"},
                headers={"Authorization": f"Bearer {token}", "Idempotency-Key": letter, **more},
                timeout=60,
            )
            return str(answer.json()["intent"])

        intent = amend("l1")
        (shown,) = run("approval", "show", intent, "--clearance", "personal")
        (field,) = shown["effect"]["records"][0]["fields"]
        assert (field["before"], field["after"], field["class"]) == ("s", "Bonjour", "personal")
        assert shown["effect"]["counts"]["update"] == 1
        assert {each["person"]: (each["can"], each["why"]) for each in shown["who"]} == {
            "berthe": (True, "named by the mayor"),
            "agathe": (False, "the request is their own, or their application's"),
        }
        printed = typed("approval", "show", intent, "--clearance", "personal")
        assert "~ letters id=l1\n    subject [personal]: s → Bonjour\n" in printed
        assert "1 to update" in printed
        assert re.search(r"berthe +yes +named by the mayor +rssi", printed), printed
        assert not [each for each in printed.splitlines() if re.fullmatch(r"[a-z ]+  +·?", each)], printed
        (shown,) = run("approval", "show", intent, "--as", "berthe")  # she may read nothing yet
        assert "Bonjour" not in json.dumps(shown)

        def look() -> requests.Response:
            note = notes.sign(Look(name, intent, "berthe", now()).text(), signer)
            return requests.post(f"{address}/v1/approvals/{intent}/look", data=note.encode(), timeout=60)

        told = look()
        assert (told.status_code, told.json()["body"], told.json()["entity"]) == (200, None, None)
        assert "Bonjour" not in told.text
        run("access", "grant", "berthe", "--clearance", "personal", "--until", "2099-01-01", "--reason", "to approve")
        told = look()
        assert base64.b64decode(told.json()["body"]) == b'{"id": "l1", "subject": "Bonjour"}'
        assert told.json()["effect"]["records"][0]["fields"][0]["before"] == "s"

        own, new = amend("l2", **{"Sovereign-Person": "Berthe"}), amend("l9")
        (lot,) = run("approval", "list", "--batch")
        assert (lot["batch"], lot["requests"]) == ("desk/mail/amend", 3)
        assert {kind: count for kind, count in lot["counts"].items() if count} == {"update": 2, "create": 1}
        act = ("approval", "approve", "--all-of", "desk/mail/amend", "--as", "berthe", "--key", str(tmp_path / "berthe.key"))
        run(*act, "--count", "2", code=2)
        said = run(*act, "--count", "3", "--reason", "seen together", code=3)
        came = {each["intent"]: each["outcome"] or each["code"] for each in said if each["type"] == "decided"}
        assert came == {intent: "approved", new: "approved", own: "gateway.bad_ballot"}
        assert said[-1]["outcomes"] == {"approved": 2}
        for _ in range(300):
            if len(town.vendor.desk.done) >= 2:
                break
            time.sleep(0.2)
        (shown,) = run("approval", "show", intent)
        assert [(each["person"], each["reason"]) for each in shown["voices"]] == [("berthe", "seen together")]
        assert [each["state"] for each in run("approval", "list", "--all")] == ["approved", "open", "approved"]
    assert all("l2" not in str(done) for done in town.vendor.desk.done)
    with town.site() as opened, opened.state.begin() as transaction:
        transaction.execute(update(intents).values(sealed=None))  # as housekeeping does once their time is past
    (shown,) = run("approval", "show", intent)
    assert (shown["payload"], shown["effect"], shown["state"]) == ("erased, its time past", None, "approved")
    assert shown["voices"][0]["person"] == "berthe"
