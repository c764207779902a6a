"""Many requests decided by one signed act: each voice is counted alone; nothing that was not shown is signed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.gateway import batch
from sovereign.gateway.ballot import Ballot, parse
from sovereign.gateway.errors import BadBallot, NotAsked
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.looking import parse as parse_look
from tests.unit.gateway.test_approvals import House, house
from vault import notes
from vault.errors import VaultError

__all__ = ["house"]
VECTORS = Path(__file__).parents[2] / "vectors" / "approval"
AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
SIGNER = notes.Signer("berthe", bytes([1]) * 32)


def verified(note: str) -> str:
    return notes.verify(note, [SIGNER.verifier])


def ballots(count: int) -> list[Ballot]:
    return [
        Ballot(f"w-{n:026d}", bytes([n % 256]) * 32, "approve", "berthe", AT, AT + timedelta(days=1), 1, ("rssi",))
        for n in range(count)
    ]


def signed(count: int, reason: str = "") -> tuple[list[Ballot], tuple[str, ...]]:
    made = ballots(count)
    leaves = [batch.leaf(each) for each in made]
    return made, batch.members(notes.sign(batch.text(leaves, "approve", "berthe", AT, reason), SIGNER), leaves)


def read(given_: str) -> Ballot:
    one = batch.member(given_)
    assert one is not None
    return batch.ballot(one, verified)


@pytest.mark.parametrize("count", [1, 2, 3, 40, 255, 256, 257, 1000])
def test_each_member_gives_the_voice_on_its_own_intent(count: int) -> None:
    made, members = signed(count)
    assert [read(each) for each in members] == made
    assert max(len(each) for each in members) < 4096, "one fits in a vote"


def test_a_batch_of_none_or_of_too_many_is_not_signed() -> None:
    for count in (0, batch.MOST + 1):
        with pytest.raises(BadBallot):
            batch.text([batch.leaf(each) for each in ballots(count)], "approve", "berthe", AT)


@given(st.integers(1, 40), st.data())
def test_no_leaf_passes_for_another_or_for_one_that_was_not_signed(count: int, data: st.DataObject) -> None:
    _, members = signed(count)
    index = data.draw(st.integers(0, count - 1))
    held = json.loads(members[index])
    other = ballots(count + 1)[data.draw(st.integers(0, count).filter(lambda each: each != index))]
    change = data.draw(st.sampled_from(["leaf", "index", "proof", "note"]))
    if change == "leaf":
        held["leaf"] = batch.leaf(other)
    elif change == "index":
        held["index"] = index + data.draw(st.integers(1, 2000))
    elif change == "proof":
        held["proof"] = [*held["proof"], "00" * 32]
    else:
        held["note"] = held["note"].replace("verdict approve", "verdict refuse")
    with pytest.raises((BadBallot, VaultError)):
        read(json.dumps(held))


@pytest.mark.parametrize(
    "given_", ["{", '{"index": 0}', "{}", '{"index":0,"leaf":"x","note":"","proof":[],"more":1}', "{\ud800"]
)
def test_what_is_no_member_is_refused_and_said(given_: str) -> None:
    with pytest.raises(BadBallot):
        read(given_)


def vote_all(house: House, person: str, *intents: str, verdict: str = "approve") -> dict[str, str]:
    made = [house.ballot(each, person) for each in intents]
    leaves = [batch.leaf(each) for each in made]
    note = notes.sign(batch.text(leaves, verdict, person, house.at, "seen together"), house.signers[person])  # type: ignore[arg-type]
    came = {}
    for intent, voice in zip(intents, batch.members(note, leaves), strict=True):
        try:
            with house.state.begin() as transaction:
                came[intent] = house.approvals.vote(transaction, voice)[1]
        except (BadBallot, NotAsked) as fault:
            came[intent] = fault.code
    return came


def test_one_signed_act_counts_on_each_request_by_its_own_quorum_exclusions_and_state(house: House) -> None:
    alone, two, own, gone, late = house.ask(), house.ask(2), house.ask(person="berthe"), house.ask(), house.ask()
    house.vote(gone, "denis", "refuse")
    assert vote_all(house, "berthe", alone, two, own, gone) == {
        alone: "approved",
        two: "open",
        own: "gateway.bad_ballot",
        gone: "gateway.not_asked",
    }
    house.at += timedelta(hours=2)
    assert vote_all(house, "berthe", late) == {late: "gateway.bad_ballot"}
    with house.state.read() as reader:
        assert house.approvals.voices(reader, two)["berthe"].reason == "seen together"
    assert house.outcome(alone) == "approved"


def test_a_voice_out_of_a_batch_is_void_once_less_is_asked_or_its_key_is_revoked(house: House) -> None:
    intent, other = house.ask(), house.ask()
    assert vote_all(house, "berthe", intent, other) == {intent: "approved", other: "approved"}
    (key,) = [each.key_id for each in house.approvals.approvers() if each.person == "berthe"]
    house.approvals.revoke(key, by="root")
    assert (house.outcome(intent), house.outcome(other)) == ("open", "open")


def test_a_batch_can_refuse(house: House) -> None:
    intent, other = house.ask(2), house.ask(2)
    assert vote_all(house, "berthe", intent, other, verdict="refuse") == {intent: "refused", other: "refused"}


def test_the_bytes_of_a_voice_a_look_and_a_batch_never_change() -> None:
    expected = json.loads((VECTORS / "expected.json").read_text())
    until = AT + timedelta(days=1)
    assert SIGNER.verifier.vkey == expected["vkey"]
    made = []
    for each in expected["intents"]:
        given_ = {name: each[name] for name in ("id", "client", "connection", "door", "operation", "content_type", "entity")}
        intent = WriteIntent(**given_, body=each["body"].encode(), received_at=AT, person=each["person"])
        assert intent.digest.hex() == each["digest"]
        made.append(
            Ballot(intent.id, intent.digest, "approve", "berthe", AT, until, 2, ("dsi", "rssi"), "vu avec le responsable")
        )
    assert [batch.leaf(each) for each in made] == expected["leaves"]
    assert notes.sign(made[0].text(), SIGNER) == (VECTORS / "voice.txt").read_text()
    assert parse(verified((VECTORS / "voice.txt").read_text())) == made[0]
    assert parse(verified((VECTORS / "voice-plain.txt").read_text())).reason == ""
    assert parse_look(verified((VECTORS / "look.txt").read_text())).intent == made[0].intent
    note = notes.sign(batch.text(expected["leaves"], "approve", "berthe", AT, "vu avec le responsable"), SIGNER)
    assert note == (VECTORS / "batch.txt").read_text()
    members = (VECTORS / "members.jsonl").read_text().splitlines()
    assert list(batch.members(note, expected["leaves"])) == members
    assert [read(each) for each in members] == made
