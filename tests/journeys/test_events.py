"""Human resources tell of a departure by a signed webhook, and every account is closed within seconds; once."""

import json
import time
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from sovereign.clock import now
from sovereign.eventing import diary
from sovereign.events.reading import Told
from sovereign.gateway.webhooks import headers_of
from tests.journeys.test_flows import SYSTEMS, Town, town

KEY = b"a secret that both of them share"
FLOW = """
title = "Départ annoncé"
owner = "agathe"
on = { event = "rh.departure" }
clearance = "personal"
key = ["matricule"]
select = "SELECT matricule, compte FROM event"
"""
SETTINGS = '\n[events.rh]\nscheme = "standard"\nprefix = "rh."\ntype_field = "event"\n'


def post(address: str, name: str, data: dict[str, str], key: bytes = KEY) -> requests.Response:
    body = json.dumps(data).encode()
    return requests.post(f"{address}/v1/events/rh", data=body, headers=dict(headers_of(name, now(), body, [key])), timeout=30)


def ready(here: Town, folder: Path) -> None:
    with (here.site.root / "sovereign.toml").open("a") as settings:
        settings.write(SETTINGS)
    (folder / "shared").write_bytes(b"whsec_" + b64encode(KEY))
    here.run("event", "secret", "rh", "--file", str(folder / "shared"))
    here.run("flow", "enable", "depart")


def test_a_signed_event_closes_every_account_once_however_often_it_is_sent(tmp_path: Path) -> None:
    with town(tmp_path, FLOW) as here:
        ready(here, tmp_path)
        with here.site.serving() as door:
            told = post(door.address, "msg-1", {"event": "departure", "matricule": "m003", "compte": "compte-003"})
            assert (told.status_code, told.json()["new"]) == (202, True)
            here.until(["compte-003"])
            again = post(door.address, "msg-1", {"event": "departure", "matricule": "m003", "compte": "compte-003"})
            assert (again.status_code, again.json()) == (200, {"event": told.json()["event"], "new": False})
            assert post(door.address, "msg-2", {"event": "arrival", "matricule": "m9", "compte": "c9"}).status_code == 202
            time.sleep(1.5)
        here.until(["compte-003"])
        (row, *_) = here.run("flow", "show", "depart", "--key", "m003")
        assert row["standing"] in ("delivered", "confirmed")
        listed = here.run("event", "list")
        assert [each["kind"] for each in listed] == ["rh.arrival", "rh.departure"]
        assert "m003" not in json.dumps(listed)
        (source,) = here.run("event", "sources")
        assert source["secrets"] == "webhook"


def test_what_is_not_signed_is_refused_as_a_source_that_does_not_exist_is(tmp_path: Path) -> None:
    with town(tmp_path, FLOW) as here:
        ready(here, tmp_path)
        with here.site.serving() as door:
            forged = post(door.address, "msg-1", {"event": "departure", "matricule": "m1", "compte": "c1"}, b"another secret")
            again = post(door.address, "msg-1", {"event": "departure", "matricule": "m1", "compte": "c1"}, b"another secret")
            assert again.status_code == 401
            nobody = requests.post(f"{door.address}/v1/events/nobody", data=b"{}", timeout=30)
            assert forged.status_code == nobody.status_code == 401
            assert forged.json()["code"] == nobody.json()["code"] == "event.signature"
            long = requests.post(f"{door.address}/v1/events/rh", data=b"x" * (2**20 + 1), timeout=30)
            assert long.status_code == 413
        assert here.run("event", "list") == []
        assert {name: here.refs(name) for name in SYSTEMS} == {name: [] for name in SYSTEMS}
        acts = [entry["act"] for entry in here.run("audit", "show", "--limit", "20")]
        assert acts.count("event.refused") == 1


def test_an_event_that_its_flow_cannot_read_keeps_none_of_the_others_waiting(tmp_path: Path) -> None:
    with town(tmp_path, FLOW) as here:
        ready(here, tmp_path)
        with here.site.serving() as door:
            for name, data in (("msg-1", {"nothing": "of it"}), ("msg-2", {"matricule": "m003", "compte": "compte-003"})):
                assert post(door.address, name, {"event": "departure", **data}).status_code == 202
            here.until(["compte-003"])
        told = {row["standing"] for row in here.run("flow", "show", "depart")}
        assert told == {"failed", "taken"}


def test_the_service_prunes_an_event_in_its_time_and_it_stays_known_when_it_is_sent_again(tmp_path: Path) -> None:
    with town(tmp_path, FLOW) as here:
        ready(here, tmp_path)
        data = {"event": "departure", "matricule": "m003", "compte": "compte-003"}
        with here.site.serving() as door:
            told = post(door.address, "msg-1", data).json()
            here.until(["compte-003"])
            assert post(door.address, "msg-2", {"event": "arrival", "matricule": "m9", "compte": "c9"}).status_code == 202
        assert here.run("event", "prune")[0]["events"] == 0
        here.site.clock = lambda: now() + timedelta(days=91)
        with here.site.site() as site:
            site.housekeep()
        here.site.clock = now
        assert [each["kind"] for each in here.run("event", "list")] == ["rh.arrival"]
        with here.site.serving() as door:
            again = post(door.address, "msg-1", data)
            assert (again.status_code, again.json()) == (200, {"event": told["event"], "new": False})
            time.sleep(1.5)
        here.until(["compte-003"])


def test_an_event_that_no_column_holds_and_a_date_that_no_calendar_has_stop_no_flow(tmp_path: Path) -> None:
    dated = FLOW.replace("key =", 'when = "quitte_le"\nkey =').replace("compte FROM", "compte, quitte_le FROM")
    with town(tmp_path, dated) as here:
        ready(here, tmp_path)
        odd = (
            {"quitte_le": "0001-01-01"},
            {"quitte_le": None, "list": [1, "a"], "long": 10**30, "nothing": {}, "deep": [{"a": {}}, {"a": {}}]},
        )
        with here.site.serving() as door:
            for number, data in enumerate((*odd, {"quitte_le": None})):
                told = {"event": "departure", "matricule": f"m{number}", "compte": f"compte-{number}", **data}
                assert post(door.address, f"msg-{number}", told).status_code == 202
            here.until(["compte-1", "compte-2"])
        rows = here.run("flow", "show", "depart", "--key", "m0")
        assert {(row["standing"], row["why"]) for row in rows} == {("stopped", "when")}
        for number, said in enumerate(('{"matricule"', "[]", "\udcff")):
            (tmp_path / f"{number}.json").write_text(said, "utf-8", "surrogateescape")
            here.run("flow", "dry-run", "depart", "--event", str(tmp_path / f"{number}.json"), code=2)


def test_a_date_beyond_the_calendar_stops_its_row_and_no_other_of_the_same_question(tmp_path: Path) -> None:
    with town(tmp_path, FLOW) as here:
        ready(here, tmp_path)
        file = here.site.root / "flows" / "depart.toml"
        far = "SELECT matricule, compte, TIMESTAMP '290000-01-01' AS loin, 'autre' AS lu FROM event"
        near = "SELECT 'm9', 'compte-9', TIMESTAMP '2026-01-01', 'autre' FROM event"
        text = file.read_text().replace("SELECT matricule, compte FROM event", f"{far} UNION ALL {near}")
        file.write_text(text.replace("key =", 'when = "loin"\nkey ='))
        here.run("flow", "enable", "depart")
        with here.site.site() as site:
            diary(site).take("rh", "one", Told("rh.departure", {"matricule": "m1", "compte": "compte-1"}), b"{}", None)
        here.run("flow", "run")
        here.until(["compte-9"])
        assert {(row["standing"], row["why"]) for row in here.run("flow", "show", "depart", "--key", "m1")} == {
            ("stopped", "when")
        }


def test_a_flow_reads_no_event_of_a_class_above_its_clearance_and_loses_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with town(tmp_path, FLOW.replace('clearance = "personal"\n', "")) as here:
        settings, flow = here.site.root / "sovereign.toml", here.site.root / "flows" / "depart.toml"
        before = settings.read_text()
        settings.write_text(before + SETTINGS)
        for verb in ("check", "enable"):
            here.run("flow", verb, "depart", code=5)
            assert '"code":"flow.event_class"' in capsys.readouterr().err, "what nobody classed is personal"
        settings.write_text(before + SETTINGS + 'class = "internal"\n')
        here.run("flow", "enable", "depart")
        settings.write_text(before + SETTINGS)  # as a site that was before events had a class
        with here.site.site() as site:
            diary(site).take("rh", "one", Told("rh.departure", {"matricule": "m1", "compte": "c1"}), b"{}", None)
        assert [row["writes"] for row in here.run("flow", "run")] == [0]
        assert '"code":"flow.event_class"' in capsys.readouterr().err
        assert here.run("flow", "show", "depart") == [], "it is neither read nor failed: it waits"
        assert ["depart" in row["what"] for row in here.run("doctor", code=1) if row.get("check") == "doctor.flow"] == [True]
        flow.write_text(flow.read_text().replace("key =", 'clearance = "personal"\nkey ='))
        here.run("flow", "enable", "depart")
        here.run("flow", "run")
        here.until(["c1"])
