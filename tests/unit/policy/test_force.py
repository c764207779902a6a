"""Which set is in force, through changes, breakages, restarts and signatures."""

from pathlib import Path

import pytest

from sovereign.gateway.policy import CedarPolicy, Policies, read_folder, signing
from sovereign.gateway.policy.errors import UnsignedSet
from sovereign.state.outbound import policy_sets
from tests.servers.policies import House, asked, rule
from vault.notes import Signer

OPEN, SHUT = rule("open", "permit"), rule("open", "permit") + rule("red", "forbid")
BROKEN = rule("open", "permit", "when { context. }")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def effect(policies: Policies) -> str:
    return policies.decide(asked()).effect


def test_without_policies_everything_is_denied(house: House) -> None:
    policies = house.open()
    assert (policies.decide(asked()).policies, policies.digest) == (("policy.none",), "")
    assert policies.trouble is not None


def test_a_change_of_the_files_is_in_force_a_second_later_with_its_diff_sealed(house: House) -> None:
    house.put(OPEN)
    policies = house.open()
    assert effect(policies) == "allow"
    house.put(SHUT)
    assert effect(policies) == "allow"
    house.later()
    assert effect(policies) == "deny"
    first, second = house.acts("policy.changed")
    assert (first.facts["before"], second.facts["before"]) == (None, first.subject["set"])
    assert second.subject["set"] == policies.digest == policies.decide(asked()).policy_set
    assert second.facts["changed"] == ["all.cedar"]
    assert '+@id("red")' in second.body["diff"]


def test_a_broken_file_leaves_the_former_set_in_force_through_a_restart_and_is_told(house: House) -> None:
    house.put(SHUT.replace("red", "line"))
    policies = house.open()
    former = policies.digest
    house.put(BROKEN)
    house.later()
    assert policies.decide(asked()).policies == ("line",)
    assert policies.trouble is not None
    (refused,) = house.acts("policy.refused")
    assert (refused.facts["file"], refused.facts["line"], refused.facts["in_force"]) == ("all.cedar", 1, former)
    house.later()
    effect(policies)
    assert len(house.acts("policy.refused")) == 1
    again = house.open()
    assert (again.digest, again.decide(asked()).policies) == (former, ("line",))
    house.put(OPEN)
    house.later()
    assert (effect(again), again.trouble) == ("allow", None)


def test_a_set_that_somebody_puts_in_the_database_is_not_believed(house: House) -> None:
    house.put(SHUT)
    house.open()
    house.put(BROKEN)
    with house.state.begin() as transaction:
        transaction.execute(policy_sets.update().values(files={"all.cedar": OPEN}))
    assert house.open().decide(asked()).policies == ("policy.none",)
    house.put(OPEN, "own/all.cedar")
    with house.state.begin() as transaction:
        transaction.execute(policy_sets.update().values(digest=read_folder(house.folder / "own").digest))
    assert house.open().decide(asked()).policies == ("policy.none",)


def test_a_change_that_cannot_be_entered_does_not_count(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put(SHUT)
    policies = house.open()
    house.put(OPEN)
    house.later()
    with monkeypatch.context() as patch:
        patch.setattr("sovereign.audit.entry.MAX_BODY", 10)
        patch.setattr("sovereign.audit.log.MAX_BODY", 10)
        assert effect(policies) == "deny"
        assert policies.trouble is not None
    house.later()
    assert effect(policies) == "allow"


def test_two_processes_put_one_set_in_force_once(house: House) -> None:
    house.put(OPEN)
    one, two = house.open(), house.open()
    house.put(SHUT)
    house.later()
    assert (effect(one), effect(two)) == ("deny", "deny")
    assert len(house.acts("policy.changed")) == 2


def sign(house: House, after: str, signer: Signer | None = None) -> None:
    signing.sign(house.folder, read_folder(house.folder), "ville", after, signer or house.signer)


def test_where_signatures_are_asked_an_unsigned_set_is_not_put_in_force(house: House) -> None:
    house.put(OPEN)
    policies = house.open(signed=True)
    assert policies.decide(asked()).policies == ("policy.none",)
    sign(house, "", Signer("berthe", b"x" * 32))
    house.later()
    assert isinstance(effect(policies) and policies.trouble, UnsignedSet)
    sign(house, "")
    house.later()
    assert effect(policies) == "allow"
    house.put(SHUT)
    house.later()
    assert effect(policies) == "allow"
    assert isinstance(policies.trouble, UnsignedSet)
    sign(house, policies.digest)
    house.later()
    assert effect(policies) == "deny"
    assert [entry.facts["signed"] for entry in house.acts("policy.changed")] == [True, True]
    assert house.open(signed=True).decide(asked()).policies == ("red",)


def test_a_former_signed_set_put_back_is_not_signed_again_by_that(house: House) -> None:
    house.put(OPEN)
    sign(house, "")
    policies, note = house.open(signed=True), (house.folder / signing.NOTE).read_bytes()
    house.put(SHUT)
    sign(house, policies.digest)
    house.later()
    assert effect(policies) == "deny"
    house.put(OPEN)
    (house.folder / signing.NOTE).write_bytes(note)
    house.later()
    assert effect(policies) == "deny"
    assert isinstance(policies.trouble, UnsignedSet)


def test_a_set_that_came_in_unsigned_does_not_survive_a_restart_where_signatures_are_asked(house: House) -> None:
    house.put(OPEN)
    assert effect(house.open()) == "allow"
    assert effect(house.open(signed=True)) == "deny"


def test_two_people_may_sign_one_set(house: House) -> None:
    house.put(OPEN)
    other = Signer("denis", b"d" * 32)
    sign(house, "")
    sign(house, "", other)
    files = read_folder(house.folder)
    for each in (house.signer, other):
        signing.check(house.folder, files, "ville", "", [each.verifier])
    with pytest.raises(UnsignedSet):
        signing.check(house.folder, files, "autre-ville", "", [other.verifier])


def test_a_proposed_set_is_asked_beside_never_decides_and_its_differences_are_told(house: House) -> None:
    house.put(OPEN)
    house.put(SHUT, "proposed/all.cedar")
    policies = house.open()
    for _ in range(5):
        assert effect(policies) == "allow"
    policies.close()
    told = [entry.facts for entry in house.acts("policy.differed")]
    assert [facts["count"] for facts in told] == [1, 2, 4]
    assert {(f["was"], f["would"], tuple(f["would_by"]), f["set"]) for f in told} == {
        ("allow", "deny", ("red",), CedarPolicy(read_folder(house.folder / "proposed")).digest)
    }
    (house.folder / "proposed" / "all.cedar").unlink()
    house.later()
    effect(policies)
    assert policies.proposed is None
