"""What takes a departure back, puts it off or settles it by hand: the last word about a record holds."""

import time
from datetime import timedelta
from pathlib import Path

from sovereign import service
from sovereign.clock import now
from sovereign.eventing import diary
from sovereign.events.reading import Told
from sovereign.flowing import bus
from sovereign.flows.ready import templates
from tests.journeys.test_flows import CANCEL, FLOW, UNDO, WORD, agent, in_days, town
from tests.servers.policies import rule
from tests.servers.served import LATER
from vault.errors import Fault


def test_a_departure_that_is_taken_back_is_undone_where_it_was_done_and_cancelled_where_it_waited(tmp_path: Path) -> None:
    with town(tmp_path, FLOW + CANCEL, undo=UNDO) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(agent(3, "parti"), agent(4, "parti", "2099-12-31"))
        here.pull()
        here.run("flow", "run")
        here.until(["compte-003"])
        here.agents.put(agent(3), agent(4))
        here.pull()
        here.run("flow", "run")
        here.until(["compte-003", "retour-compte-003"])
        told = here.run("flow", "show", "depart", "--key", "m004")
        assert {(row["undo"], row["standing"], row["why"]) for row in told} == {
            (False, "cancelled", "cancelled"), (True, "cancelled", "undo.nothing"),
        }  # fmt: skip
        here.agents.put(agent(3, "parti"))  # once more: done again, and undone by what came since alone
        here.pull()
        here.run("flow", "run")
        here.until(["compte-003", "compte-003", "retour-compte-003"])


def test_a_departure_that_no_one_said_how_to_undo_is_left_to_a_person(tmp_path: Path) -> None:
    with town(tmp_path, FLOW + CANCEL) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(agent(3, "parti"))
        here.pull()
        here.run("flow", "run")
        here.agents.put(agent(3))
        here.pull()
        here.run("flow", "run")
        here.until(["compte-003"])
        stopped = [row for row in here.run("flow", "show", "depart", "--key", "m003") if row["undo"]]
        assert {(row["standing"], row["why"]) for row in stopped} == {("stopped", "undo.none")}


def test_a_write_that_still_waits_for_an_approval_is_taken_back_and_nothing_is_undone(tmp_path: Path) -> None:
    with town(tmp_path, FLOW + CANCEL, undo=UNDO) as here:
        held = rule("held", "permit", expires="2099-01-01", more='@hold("quorum=1;groups=rssi;within=48h")')
        (here.site.root / "policies" / "drill.cedar").write_text(held)
        here.run("flow", "enable", "depart")
        here.agents.put(agent(3, "parti"))
        here.pull()
        here.run("flow", "run")
        assert set(here.site.states().values()) == {"held"}
        here.agents.put(agent(3))
        here.pull()
        here.run("flow", "run")
        assert set(here.site.states().values()) == {"cancelled"}
        here.until([])


def test_a_departure_that_is_put_off_is_done_on_its_new_date_alone(tmp_path: Path) -> None:
    dated = FLOW.replace("before.statut <> 'parti')", "before.statut <> 'parti' OR before.quitte_le <> after.quitte_le)")
    with town(tmp_path, dated) as here:
        here.run("flow", "enable", "depart")
        for day in (10, 20):
            here.agents.put(agent(3, "parti", f"{now() + timedelta(days=day):%Y-%m-%d}"))
            here.pull()
            here.run("flow", "run")
        for day, wanted in ((15, []), (25, ["compte-003"]), (40, ["compte-003"])):
            here.site.clock = in_days(day)
            with here.site.site() as site, service.fronted(site) as front:
                while bus(site).work(front):
                    pass
            here.site.clock = now
            here.until(wanted)
        told = [(row["standing"], row["why"]) for row in here.run("flow", "show", "depart", "--key", "m003")]
        assert sorted(told)[:3] == [("cancelled", "replaced")] * 3
        assert len(told) == 6


def test_the_last_word_about_a_record_holds_when_several_come_before_one_look(tmp_path: Path) -> None:
    text = FLOW.replace('{ change = "rh.agents" }', '{ event = "rh.word" }').partition("select =")[0] + WORD
    words = {
        "1": ((True, None), (False, None)),
        "2": ((True, None), (False, None), (True, None)),
        "3": ((False, None), (True, None), (False, None), (True, "2099-01-01")),
        "4": ((True, "2099-01-01"), (False, None), (True, None)),
    }
    with town(tmp_path, text, undo=UNDO) as here:
        here.run("flow", "enable", "depart")
        with here.site.site() as site:
            for matricule, said in words.items():
                for number, (parti, quitte_le) in enumerate(said):
                    data = {"matricule": matricule, "compte": matricule, "parti": parti, "quitte_le": quitte_le}
                    diary(site).take("rh", f"{matricule}-{number}", Told("rh.word", data), b"{}", None)
        here.run("flow", "run")
        here.until(["2", "4"])
        told = [row for row in here.run("flow", "show", "depart", "--key", "3") if row["standing"] == "waiting"]
        assert [row["due_at"][:10] for row in told] == ["2098-12-31"] * 3


def test_the_template_follows_a_departure_through_all_that_its_source_may_say_of_it(tmp_path: Path) -> None:
    text = templates()["leaver"].text.partition("\n[[do]]")[0].replace('owner = "rh"', 'owner = "agathe"')
    with town(tmp_path, text, undo=UNDO) as here:

        def told(statut: str | None, quitte_le: str | None) -> None:
            here.agents.put(agent(3, "", quitte_le) | {"matricule": "m003", "courriel": None, "statut": statut})
            here.pull()
            here.run("flow", "run")

        told("présent", None)
        here.run("flow", "enable", "depart")
        told("parti", "2020-01-01")
        here.until(["compte-003"])
        told("parti", "2099-01-01")
        here.until(["compte-003", "retour-compte-003"])
        assert {row["record"] for row in here.run("flow", "pending", "depart")}, "it waits for its new date"
        told("parti", "2098-01-01")
        told(None, None)
        here.until(["compte-003", "retour-compte-003"])
        left = [
            row["due_at"][:4] for row in here.run("flow", "show", "depart", "--key", "m003") if row["standing"] == "waiting"
        ]
        assert left == []


def test_a_step_that_failed_for_good_stays_told_until_a_person_says_that_it_was_done_by_hand(tmp_path: Path) -> None:
    with town(tmp_path, FLOW + CANCEL, undo=UNDO) as here:
        here.run("flow", "enable", "depart")
        (here.site.root / "policies" / "drill.cedar").write_text(
            rule("open", "permit", 'unless { resource in Connection::"marches" }', expires=LATER)
        )
        here.agents.put(agent(3, "parti"))
        here.pull()
        here.run("flow", "run")
        (left,) = here.run("flow", "pending")
        assert here.refs("marches") == []
        here.run("flow", "settle", "depart", "--key", "m003", "--step", "annuaire", "--reason", "it did not fail", code=2)
        (settled,) = here.run("flow", "settle", "depart", "--key", "m003", "--reason", "done by hand at the vendor")
        assert (left["flow"], settled["steps"]) == ("depart", ["marches"])
        assert here.run("flow", "pending") == []
        here.run("flow", "settle", "depart", "--key", "m003", "--reason", "again", code=2)
        here.run("flow", "settle", "depart", "--key", "nobody", "--reason", "unknown", code=2)
        assert len([each for each in here.run("audit", "show", "--limit", "50") if each["act"] == "flow.settled"]) == 1
        here.agents.put(agent(3))
        here.pull()
        here.run("flow", "run")
        told = {row["step"]: row["why"] for row in here.run("flow", "show", "depart", "--key", "m003") if row["undo"]}
        assert told["marches"] == "undo.settled"


def test_an_event_that_could_not_be_read_in_its_turn_closes_no_account_whose_departure_was_taken_back_since(
    tmp_path: Path,
) -> None:
    text = FLOW.replace('{ change = "rh.agents" }', '{ event = "rh.word" }').partition("select =")[0] + WORD
    with town(tmp_path, text, undo=UNDO) as here:
        file = here.site.root / "flows" / "depart.toml"
        here.run("flow", "enable", "depart")

        def told(name: str, who: str, *, parti: bool, **more: None) -> None:
            data = {"matricule": who, "compte": who, "parti": parti, **more}
            with here.site.site() as site:
                diary(site).take("rh", name, Told("rh.word", data), b"{}", None)

        def act(minutes: int) -> list[str]:
            faults: list[Fault] = []
            here.site.clock = lambda: now() + timedelta(minutes=minutes)
            with here.site.site() as site, service.fronted(site) as front:
                acting = bus(site, diary(site))
                acting.look(faults.append)
                while acting.work(front):
                    pass
            here.site.clock = now
            return [fault.code for fault in faults]

        told("left-1", "1", parti=True)
        told("left-2", "2", parti=True)
        assert act(0), "these lack a column that the question takes"
        told("back-1", "1", parti=False, quitte_le=None)
        assert act(0) == []
        file.write_text(file.read_text().replace("compte, quitte_le FROM", "compte FROM").replace('when = "quitte_le"\n', ""))
        here.run("flow", "enable", "depart")
        assert act(2) == []
        here.until(["2"])
        rows = [row for row in here.run("flow", "show", "depart", "--key", "1") if not row["undo"]]
        assert [(row["standing"], row["why"]) for row in rows] == [("held", "late")] * 3
        assert here.run("flow", "pending"), "whoever decides is told"
        asked = ("flow", "release", "depart", rows[0]["occasion"], "--reason", "it is right all the same")
        here.run(*asked, code=2)
        here.run(*asked, "--older")
        act(4)
        here.until(["1", "2"])


def test_a_write_that_failed_is_not_sent_again_once_its_departure_was_taken_back(tmp_path: Path) -> None:
    with town(tmp_path, FLOW + CANCEL, undo=UNDO) as here:
        here.ledgers["marches"].mood = lambda _: "conflict"
        here.run("flow", "enable", "depart")
        for statut in ("parti", "présent"):
            here.agents.put(agent(3, statut))
            here.pull()
            here.run("flow", "run")
        last = time.monotonic() + 60
        while here.refs("annuaire") != ["compte-003", "retour-compte-003"] and time.monotonic() < last:
            here.run("flow", "run")
        rows = [row for row in here.run("flow", "show", "depart", "--key", "m003") if row["step"] == "marches"]
        assert {(row["undo"], row["standing"], row["why"]) for row in rows if row["undo"]} == {
            (True, "cancelled", "undo.nothing")
        }
        (intent,) = [row["delivery"] for row in rows if row["standing"] == "rejected"]
        here.run("delivery", "replay", intent, "--reason", "the vendor is right again", code=2)
        here.ledgers["marches"].mood = lambda _: "ok"
        here.run("delivery", "replay", intent, "--reason", "it is right all the same", "--older")
