"""`sovereign policy`, as it is typed."""

import re
from pathlib import Path

import pytest

from sovereign import governing
from sovereign.gateway.decision import Question
from sovereign.site import Site
from tests.cli.conftest import Run
from vault import approver

CLIENT = ("--client", "eau", "--connection", "geo", "--operation", "create_item")


def test_a_new_site_has_policies_that_open_nothing(site: Path, run: Run) -> None:
    listed = run("policy", "list", "--json")
    assert {"red.secret", "red.nir", "hold.sensitive"} <= {row["id"] for row in listed.of("policy")}
    assert {row["kind"] for row in listed.of("policy")} == {"forbid", "hold"}
    for name in ("10-red-lines.cedar", "20-holds.cedar"):
        assert (site / "policies" / name).stat().st_mode & 0o777 == 0o600
    (decision,) = run("policy", "explain", *CLIENT, "--json").of("decision")
    assert (decision["effect"], decision["policies"]) == ("deny", ["policy.default"])


def test_a_flow_is_opened_by_a_text_that_was_reviewed(pulled: Path, run: Run) -> None:
    asked = ("policy", "open", "geo", "create_item", "--client", "eau")
    shown = run(*asked)
    assert shown.code == 0
    assert 'Operation::"geo/create_item"' in shown.out
    assert run("policy", "explain", *CLIENT, "--json").of("decision")[0]["effect"] == "deny"
    assert run(*asked, "--add").code == 0
    said = run("policy", "explain", *CLIENT, "--json")
    assert said.of("decision")[0]["effect"] == "allow"
    assert [row["id"] for row in said.of("voice") if row["says"] == "speaks"] == ["flow.eau.geo.create_item"]
    assert run("policy", "explain", *CLIENT, "--found", "nir=2", "--json").of("decision")[0]["policies"] == ["red.nir"]
    held = run("policy", "explain", *CLIENT, "--class", "sensitive", "--json").of("decision")[0]
    assert (held["effect"], held["groups"]) == ("hold", ["rssi"])
    assert run("policy", "open", "nowhere", "x", "--client", "eau").code == 2


def test_a_wrong_policy_is_told_by_file_and_line(site: Path, run: Run) -> None:
    assert run("policy", "check").code == 0
    (site / "policies" / "60-own.cedar").write_text("// mine\n\npermit (principal, action, resource);\n")
    refused = run("policy", "check", "--json")
    assert refused.code == 2
    assert [(each["code"], each["file"], each["line"]) for each in refused.errors] == [("policy.bad", "60-own.cedar", 3)]


def test_missing_starting_policies_are_put_back_and_others_left(site: Path, run: Run) -> None:
    (site / "policies" / "10-red-lines.cedar").unlink()
    (site / "policies" / "20-holds.cedar").write_text("// ours\n")
    assert run("policy", "defaults", "--json").records[0]["files"] == ["10-red-lines.cedar"]
    assert (site / "policies" / "20-holds.cedar").read_text() == "// ours\n"


def test_a_set_is_tried_and_replayed_before_it_counts(pulled: Path, run: Run, tmp_path: Path) -> None:
    assert run("policy", "open", "geo", "create_item", "--client", "eau", "--add").code == 0
    proposed = tmp_path / "next"
    proposed.mkdir()
    (proposed / "10-red-lines.cedar").write_text((pulled / "policies" / "10-red-lines.cedar").read_text())
    assert run("policy", "shadow", str(proposed)).code == 0
    with Site.open(pulled) as site:
        policies = governing.policies(site)
        question = Question("eau", "geo", "", "operation", "create_item", "", "", site.clock())
        assert policies.decide(question).effect == "allow"
        policies.close()
    (difference,) = run("policy", "shadow", "--json").of("difference")
    assert (difference["was"], difference["would"], difference["would_by"]) == ("allow", "deny", ["policy.default"])
    assert "in force" in run("policy", "check").err
    assert run("policy", "shadow", "--stop").code == 0
    assert run("policy", "shadow").code == 2
    (told,) = run("policy", "replay", str(proposed), "--json").of("replay")
    assert (told["asked"], told["changed"]) == (0, 0)


def test_only_an_enrolled_security_officer_signs_a_set(
    site: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, phrase = tmp_path / "berthe.key", tmp_path / "phrase"
    phrase.write_text("a long phrase of berthe\n")
    phrase.chmod(0o600)
    monkeypatch.setenv("SOVEREIGN_APPROVER_PASSPHRASE_FILE", str(phrase))
    verifier = approver.create(key, "berthe", "a long phrase of berthe")
    assert run("policy", "sign", "--key", str(key)).code == 5
    with Site.open(site) as opened:
        opened.outbound.people.put("berthe", ["rssi"])
        opened.outbound.approvals.enrol("berthe", verifier.vkey, by="agathe")
    assert run("policy", "sign", "--key", str(key)).code == 5
    with Site.open(site) as opened:
        opened.outbound.rights.grant("person", "berthe", "role", "rssi", by="agathe", reason="her job")
    toml = site / "sovereign.toml"
    toml.write_text(toml.read_text().replace("[limits]", "[gateway]\nsigned_policies = true\n\n[limits]", 1))
    with Site.open(site) as opened:
        assert governing.policies(opened).digest == ""
    assert run("policy", "sign", "--key", str(key)).code == 0
    with Site.open(site) as opened:
        assert governing.policies(opened).digest
        assert governing.in_force(opened) == governing.Kept(governing.policies(opened).digest, signed=True)


def test_doctor_tells_a_policy_that_is_due_and_a_wrong_one(site: Path, run: Run) -> None:
    assert "hold.sensitive" not in run("doctor").out
    path = site / "policies" / "20-holds.cedar"
    path.write_text(re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "2020-01-01", path.read_text(), count=1))
    assert "to be reviewed before 2020-01-01" in run("doctor").out
    path.write_text("permit")
    assert "20-holds.cedar, line 1" in run("doctor").out
