"""The map of a real site shows what was declared and what went by, marks where the two differ, and invents nothing."""

import csv
import io
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import requests
from sqlalchemy import create_engine, text

from tests.journeys.test_flows import SYSTEMS, Town, agent, town
from tests.servers.pages import read
from tests.servers.served import Door

FORMULA = "=HYPERLINK('http://x')"


def survey(here: Town, *more: str) -> tuple[dict[str, Any], dict[tuple[str, str], Any], dict[str, Any]]:
    """The items by kind and name, the exchanges by their ends, the lines of the record by name."""
    told = here.run("flow", "map", *more)
    items = {f"{each['kind']}:{each['name']}": each for each in told if each["type"] == "flow.item"}
    edges = {(each["source"], each["target"]): each for each in told if each["type"] == "flow.exchange"}
    return items, edges, {each["name"]: each for each in told if each["type"] == "flow.treatment"}


def settle(here: Town, change: Any) -> None:  # noqa: ANN401 - a function of the text
    file = here.site.root / "sovereign.toml"
    file.write_text(change(file.read_text()))


def add(door: Door, name: str, lane: str) -> None:
    url = f"{door.address}/v1/connections/annuaire/operations/add"
    got = requests.post(url, json={"ref": name, "lane": lane}, headers=door.headers("app", name, {}), timeout=60)
    assert got.status_code < 300, got.text


def test_the_map_counts_what_went_by_and_marks_what_never_did(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(agent(3, "parti"))
        here.pull()
        here.run("flow", "run")
        with here.site.serving() as door:
            add(door, "L1", "a")
            here.site.settled()
        items, edges, _ = survey(here)
        pulled = edges["vendor:127.0.0.1", "connection:rh"]
        with here.site.site() as site:
            runs = list(site.runs.runs.list("rh", limit=10))
        assert pulled["rows"] == sum(run.counts["rows"] for run in runs)
        assert pulled["bytes"] == sum(run.counts["bytes_in"] for run in runs) > 0
        assert (edges["connection:rh", "dataset:rh.agents"]["rows"], items["dataset:rh.agents"]["classes"]) == (
            20,
            ["personal"],
        )
        assert edges["dataset:rh.agents", "flow:depart"]["rows"] == 1
        for name in SYSTEMS:
            written = edges["flow:depart", f"target:{name}"]
            assert (written["what"], written["writes"], written["done"], written["marks"]) == (["leave"], 1, 1, [])
        asked, delivered = edges["client:app", "door:annuaire"], edges["door:annuaire", "target:annuaire"]
        assert (asked["what"], asked["writes"], delivered["writes"], delivered["done"]) == (["add"], 1, 1, 1)
        assert items["dataset:annuaire.lines"]["marks"] == ["unseen"]
        assert edges["vendor:127.0.0.1", "connection:marches"]["marks"] == ["unseen"]
        assert items["connection:rh"]["marks"] == []
        _, later, _ = survey(here, "--from", "2999-01-01")
        assert (later["client:app", "door:annuaire"]["writes"], later["client:app", "door:annuaire"]["last"]) == (
            0,
            asked["last"],
        )


def test_reads_through_the_gateway_events_and_backups_are_on_the_map_or_in_the_record(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        more = '\n[events.rh]\ntype = "rh.departure"\n[backup.targets.loin]\nurl = "https://s3.example"\nbucket = "ville"\n'
        settle(here, lambda held: held + more + 'access_key = "k"\nsecret = "s3"\n')
        with here.site.serving() as door:
            got = requests.get(
                f"{door.address}/v1/connections/annuaire/http/lines", headers=door.headers("app", "", {}), timeout=60
            )
            assert got.status_code == 200
            here.site.settled()
        items, edges, record = survey(here)
        kinds = [each for each in here.run("flow", "map") if each.get("kind") == "ask"]
        assert [(each["source"], each["target"], each["rows"]) for each in kinds] == [("client:app", "door:annuaire", 1)]
        assert edges["client:app", "door:annuaire"]["last"] is not None
        assert items["sender:rh"]["marks"] == items["event:rh.departure"]["marks"] == ["unseen"]
        assert items["client:app"]["marks"] == []
        kept = {line["name"]: line for line in here.run("flow", "map") if line.get("kind") in ("events", "backup")}
        assert (kept["rh"]["data"], kept["rh"]["retention"]) == (["rh.departure"], ["to_complete", "events:90"])
        assert kept["rh"]["classes"] == items["sender:rh"]["classes"] == items["event:rh.departure"]["classes"] == ["personal"]
        assert kept["loin"]["transfers"] == ["s3.example:to_complete"]
        assert "safeguards" in kept["loin"]["missing"]
        assert {"depart", "loin"} <= set(record)


def test_what_settings_no_longer_name_and_what_went_silent_is_marked(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        settle(here, lambda held: held.replace("[connections.rh]", '[connections.rh]\nevery = "15 minutes"'))
        assert survey(here)[0]["connection:rh"]["marks"] == []
        engine = create_engine(f"sqlite:///{here.site.root / 'state.db'}")
        with engine.begin() as transaction:
            transaction.execute(text("UPDATE runs SET finished_at = replace(finished_at, substr(finished_at, 1, 4), '2020')"))
        engine.dispose()
        items, edges, _ = survey(here)
        assert items["connection:rh"]["marks"] == ["silent"]
        assert edges["vendor:127.0.0.1", "connection:rh"]["marks"] == ["silent"]
        here.run("connection", "remove", "rh")
        (here.site.root / "flows" / "depart.toml").unlink()
        items, edges, _ = survey(here, "--marked")
        assert items["connection:rh"]["marks"] == ["undeclared"]
        assert items["dataset:rh.agents"]["marks"] == ["undeclared"]
        assert edges["connection:rh", "dataset:rh.agents"]["marks"] == ["undeclared"]
        assert all(each["marks"] for each in items.values())


def test_data_of_a_class_above_the_declared_one_is_marked_in_copies_and_in_writes(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        classes = 'classes = { id = "internal", compte = "internal", statut = "internal", quitte_le = "internal" }'
        settle(here, lambda held: held.replace('path = "/page/agents"', f'path = "/page/agents", {classes}', 1))
        here.agents.put(agent(3, "parti"))
        here.pull()
        assert survey(here)[0]["dataset:rh.agents"]["marks"] == []
        here.agents.put({**agent(4), "banque": "FR76 3000 6000 0112 3456 7890 189"})
        here.pull()
        items, edges, _ = survey(here)
        assert items["dataset:rh.agents"]["marks"] == ["above"]
        assert edges["connection:rh", "dataset:rh.agents"]["found"] == ["internal", "personal"]
        with here.site.serving() as door:
            add(door, "L1", "FR76 3000 6000 0112 3456 7890 189")
            here.site.settled()
        written = survey(here)[1]["client:app", "door:annuaire"]
        assert (written["classes"], written["found"], written["marks"]) == (["personal"], ["sensitive"], ["above"])


def test_the_record_says_what_is_declared_and_what_is_left_to_be_completed(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        treatment = (
            f'treatment = {{ purpose = "{FORMULA}", owner = "DRH", basis = "mission", persons = ["agents"], '
            'data = ["identité"], country = "US", retention = "5 ans après le départ" }'
        )
        settle(here, lambda held: held.replace("[connections.rh]", f"[connections.rh]\n{treatment}"))
        _, _, record = survey(here)
        assert record["rh"]["missing"] == ["safeguards"]
        assert (record["rh"]["transfers"], record["rh"]["classes"]) == (["127.0.0.1:US"], ["personal"])
        assert "plaintext" in record["rh"]["measures"]
        assert "cleared:personal:1" in record["rh"]["recipients"]
        assert (record["depart"]["purpose"], record["depart"]["owner"], record["depart"]["persons"]) == (
            "Départ d'un agent", "agathe", ["agents"],
        )  # fmt: skip
        assert record["annuaire"]["purpose"] == "to_complete"
        path = tmp_path / "register.csv"
        here.run("flow", "map", "--article30", str(path), "--lang", "en")
        assert path.stat().st_mode & 0o077 == 0
        rows = {row["processing activity"]: row for row in csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig")))}
        assert rows["rh"]["purpose"] == f"'{FORMULA}"
        assert rows["annuaire"]["purpose"] == "to be completed"
        assert not [cell for row in rows.values() for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_the_page_and_the_drawing_are_private_whole_in_both_languages_and_entered(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        for tongue, kind in product(("fr", "en"), ("html", "svg")):
            path = tmp_path / f"map-{tongue}.{kind}"
            here.run("flow", "map", f"--{kind}", str(path), "--lang", tongue)
            assert path.stat().st_mode & 0o077 == 0
            if kind == "svg":
                assert ET.parse(path).getroot().get("lang") == tongue  # noqa: S314 - our own
                continue
            shown = read(path.read_text())
            shown.sound(tongue)
            assert shown.tags["svg"] == 1
            assert {each[("de", "from")[tongue == "en"]].partition(" ")[0] for each in shown.tables["exchanges-edges"]} >= {
                "rh"
            }
            assert shown.tables["article30-register"]
        made = [each["facts"] for each in here.run("audit", "show", "--act", "report.made") if each["type"] == "entry"]
        assert [each["kind"] for each in made] == ["map"] * 4
        here.run("flow", "map", "--svg", str(tmp_path / "map-fr.svg"), code=2)
