"""The page of a departure tells what was asked, done, proved, late and left to decide; that of all of them, who is to move."""

import json
import re
from itertools import product
from pathlib import Path

from sqlalchemy import create_engine, text

from sovereign.audit.receipt import Receipt
from tests.journeys.test_flows import CANCEL, FLOW, SYSTEMS, UNDO, Town, agent, town
from tests.servers.pages import Page, read
from tests.servers.policies import rule


def page(here: Town, *line: str, lang: str = "en") -> Page:
    path = here.site.root.parent / f"page{len(list(here.site.root.parent.glob('page*')))}.html"
    here.run("flow", *line, "--html", str(path), "--lang", lang)
    assert path.stat().st_mode & 0o077 == 0
    return read(path.read_text())


def held(here: Town) -> None:
    policy = rule("held", "permit", expires="2099-01-01", more='@hold("quorum=1;groups=rssi;within=48h")')
    (here.site.root / "policies" / "drill.cedar").write_text(policy)


def leaves(here: Town, *agents: object) -> None:
    here.agents.put(*agents)  # type: ignore[arg-type]
    here.pull()
    here.run("flow", "run")


def test_the_page_of_a_departure_shows_each_system_its_seconds_and_evidence_that_anyone_can_check(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        leaves(here, agent(3, "parti"))
        shown = page(here, "show", "depart", "--key", "m003")
        systems = shown.tables["systems-systems"]
        assert [(row["step"], row["where it stands"]) for row in systems] == [(name, "done") for name in sorted(SYSTEMS)]
        assert all(0 <= float(row["seconds, to read-back"]) < 90 for row in systems)
        (occasion,) = shown.tables["asked-occasions"]
        assert "the copy rh.agents changes, from no. 1 to no. 2" in occasion["what made it"]
        logged = {each["seq"]: each for each in here.run("audit", "show", "--limit", "1000") if each["type"] == "entry"}
        told = {int(number): logged[int(number)]["act"] for number in re.findall(r"\d+", occasion["entries of the log"])}
        assert list(told.values()) == ["sync.committed", "flow.acted"]
        entries = shown.tables["evidence-entries"]
        acts = {each["seq"]: each["act"] for each in logged.values()}
        assert {acts[int(row["entry no."])] for row in entries} >= {
            "intent.received",
            "delivery.in_flight",
            "delivery.delivered",
        }
        receipts = shown.tables["evidence-receipts"]
        with here.site.site() as site:
            for row in receipts:
                receipt = Receipt.decode(row["proof (C2SP tlog-proof)"] + "\n")
                receipt.verify(site.audit.checkpoints.verifier)
                entered = json.loads(receipt.entry)
                assert entered["act"].startswith("delivery.")
        assert len(receipts) == len(SYSTEMS)
        assert "m003" not in shown.text
        assert "compte-003" not in shown.text
        made = [each for each in here.run("audit", "show", "--act", "report.made") if each["type"] == "entry"]
        assert [(each["facts"]["kind"], each["facts"]["names"]) for each in made] == [("departure", False)]
        assert "m003" in page(here, "show", "depart", "--key", "m003", "--names").text


def test_a_page_says_who_decides_on_what_is_held_or_refused_and_marks_what_is_late(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        held(here)
        here.run("flow", "enable", "depart")
        leaves(here, agent(3, "parti"), agent(4, "parti", "2099-12-31"))
        due = page(here, "show", "depart", "--key", "m003").tables["due-due"]
        assert {row["who decides"] for row in due} == {"the approvers: rssi (1 voice)"}
        assert all("sovereign approval approve" in row["what to do"] for row in due)
        dated = page(here, "show", "depart", "--key", "m004").tables["due-dated"]
        assert {row["until"][:10] for row in dated} == {"2099-12-31"}
        assert here.run("flow", "pending", "--late") == []
        rows = here.run("flow", "pending", "--late", "--grace", "0")
        assert [(row["who"], row["left"], row["done"]) for row in rows] == [(["approvers"], ["held"] * 3, "0/3")]
        assert rows[0]["late_seconds"] > 0
        shown = page(here, "pending", "--grace", "0")
        (late,) = shown.tables["late-late"]
        assert late["late"].startswith("▲ late by ")
        assert shown.alarms >= 2
        (waits,) = shown.tables["dated-dated"]
        assert waits["what to do"] == "nothing before its date"
        (here.site.root / "policies" / "drill.cedar").write_text(rule("shut", "forbid", expires="2099-01-01"))
        leaves(here, agent(5, "parti"))
        refused = {row["who decides"] for row in page(here, "show", "depart", "--key", "m005").tables["due-due"]}
        assert refused == {"dsi (shut)"}
        assert page(here, "pending").alarms == 3, "a step that failed is marked, late or not"


def test_what_was_taken_back_or_undone_is_told_and_is_no_longer_pending(tmp_path: Path) -> None:
    with town(tmp_path, FLOW + CANCEL, undo=UNDO) as here:
        here.run("flow", "enable", "depart")
        leaves(here, agent(3, "parti"), agent(4, "parti", "2099-12-31"))
        assert [row["done"] for row in here.run("flow", "pending")] == ["0/3"]
        leaves(here, agent(3), agent(4))
        undone = page(here, "show", "depart", "--key", "m003").tables["undone-undone"]
        assert [(row["step"], row["how it ended"]) for row in undone] == [(name, "undone") for name in sorted(SYSTEMS)]
        gone = page(here, "show", "depart", "--key", "m004").tables["undone-undone"]
        assert {row["how it ended"] for row in gone} == {"cancelled"}
        assert here.run("flow", "pending") == []


def test_an_occasion_that_is_held_is_for_the_owner_and_a_flow_that_is_not_in_force_says_so(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        leaves(here, *(agent(number, "parti") for number in range(6)))
        rows = here.run("flow", "pending")
        assert {(row["what"][0], row["who"][0]) for row in rows} == {("release", "owner")}
        assert len({row["record"] for row in rows}) == 6
        (troubled,) = page(here, "pending").tables["troubled-troubled"]
        assert troubled["why"].startswith("more rows than the flow allows")
        (occasion,) = here.run("flow", "show", "depart")
        here.run("flow", "release", "depart", occasion["occasion"], "--reason", "seen")
        here.run("flow", "disable", "depart")
        assert {row["what"][0] for row in here.run("flow", "pending")} == {"enable"}
        assert {row["record"] for row in here.run("flow", "pending", "depart", "--names")} == {f"m00{n}" for n in range(6)}
        made = [each["facts"] for each in here.run("audit", "show", "--act", "report.made") if each["type"] == "entry"]
        assert [(each["kind"], each["names"]) for each in made] == [("pending", False), ("pending", True)]


def test_an_entry_that_was_altered_is_no_evidence(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        leaves(here, agent(3, "parti"))
        engine = create_engine(f"sqlite:///{here.site.root / 'state.db'}")
        with engine.begin() as transaction:
            alter = "UPDATE audit_entries SET entry = replace(entry, 'annuaire', 'messagerie') WHERE act = 'delivery.delivered'"
            transaction.execute(text(alter))
        engine.dispose()
        shown = page(here, "show", "depart", "--key", "m003")
        altered = [row for row in shown.tables["evidence-entries"] if "not what was written" in row["digest in the log"]]
        assert [row["step"] for row in altered] == ["annuaire"]
        assert "annuaire" not in {row["step"] for row in shown.tables["evidence-receipts"]}


def test_pages_are_whole_in_both_languages_and_nobody_is_told_of_a_record_that_never_was(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        leaves(here, agent(3, "parti"), agent(4, "parti", "2099-12-31"))
        for tongue, line in product(("fr", "en"), (("show", "depart", "--key", "m003"), ("pending",))):
            page(here, *line, lang=tongue).sound(tongue)
        here.run("flow", "show", "depart", "--key", "m999", "--html", str(tmp_path / "none.html"), code=2)
        here.run("flow", "show", "depart", "--html", str(tmp_path / "none.html"), code=2)
        assert not (tmp_path / "none.html").exists()
