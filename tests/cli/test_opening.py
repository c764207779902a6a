"""`sovereign opening`, as it is typed: filed for an application, then accepted as a reviewed policy, or refused."""

from pathlib import Path

from tests.cli.conftest import Run

CLIENT = ("--client", "eau", "--connection", "geo", "--operation", "create_item")
FILE = ("opening", "file", "geo", "create_item", "--client", "eau", "--reason", "the new survey", "--json")


def test_a_flow_is_asked_for_reviewed_and_opened_with_its_owner_its_day_and_its_sentences(pulled: Path, run: Run) -> None:
    assert run("client", "add", "eau", "--owner", "jeanne", "--purpose", "p", "--connection", "geo").code == 0
    (made,) = run(*FILE).of("opening")
    assert (made["owner"], made["times"], made["state"]) == ("jeanne", 1, "open")
    assert run(*FILE).of("opening")[0]["times"] == 2
    (listed,) = run("opening", "list", "--json").of("opening")
    assert (listed["opening"], listed["reason"]) == (made["opening"], "the new survey")
    shown = run("opening", "show", made["opening"])
    assert 'Operation::"geo/create_item"' in shown.out
    assert "the new survey" in shown.out
    accept = (
        "opening",
        "accept",
        made["opening"],
        "--owner",
        "rssi",
        "--days",
        "30",
        "--hold",
        "quorum=1;groups=rssi;within=1h",
    )
    assert run(*accept, "--fr", "Une phrase.").code == 2
    said = run(*accept, "--fr", "L'eau relève.", "--en", "Water surveys.", "--json").of("opening")[0]
    assert (said["state"], said["policy"]) == ("accepted", "50-flow.eau.geo.create_item.cedar")
    (rule,) = [row for row in run("policy", "list", "--json").of("policy") if row["id"] == "flow.eau.geo.create_item"]
    assert (rule["owner"], rule["said"]) == ("rssi", "Water surveys.")
    assert run("policy", "explain", *CLIENT, "--json").of("decision")[0]["effect"] == "hold"
    assert run(*accept).code == 2, "it is decided"
    acts = [each["act"] for each in run("audit", "show", "--act", "opening", "--json").of("entry")]
    assert sorted(acts) == ["opening.accepted", "opening.filed"]


def test_a_refusal_opens_nothing_and_a_live_policy_is_not_replaced_but_a_past_one_is(pulled: Path, run: Run) -> None:
    assert run("client", "add", "eau", "--owner", "jeanne", "--purpose", "p", "--connection", "geo").code == 0
    (made,) = run(*FILE).of("opening")
    assert run("opening", "refuse", made["opening"], "--reason", "after the audit", "--json").of("opening")[0]["answer"]
    place = pulled / "policies" / "50-flow.eau.geo.create_item.cedar"
    assert not place.exists()
    assert run("opening", "accept", made["opening"]).code == 2
    assert not place.exists(), "what was refused is not opened by accepting it afterwards"

    assert run("policy", "open", "geo", "create_item", "--client", "eau", "--add").code == 0
    live = place.read_text()
    (again,) = run(*FILE).of("opening")
    assert run("opening", "accept", again["opening"], "--days", "10").code != 0
    assert place.read_text() == live
    place.write_text(live.replace('@expires("2', '@expires("1'))
    assert run("opening", "accept", again["opening"], "--days", "10").code == 0
    assert run("policy", "explain", *CLIENT, "--json").of("decision")[0]["effect"] == "allow"
    assert run("opening", "list").out.strip()
