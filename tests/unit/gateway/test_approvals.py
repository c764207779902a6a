from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, update

from sovereign.access import People, Rights
from sovereign.audit import AuditLog
from sovereign.gateway.approvals import Approvals
from sovereign.gateway.ballot import Ballot, met, parse
from sovereign.gateway.decision import Decision
from sovereign.gateway.errors import BadBallot, NotAsked
from sovereign.gateway.intent import WriteIntent, new_id
from sovereign.state import State
from sovereign.state.outbound import approval_requests, approval_verdicts, intents
from tests.servers.masters import Mortal
from vault import notes
from vault.keys import Keys

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
PEOPLE = {"berthe": ["rssi"], "carole": ["dsi"], "denis": ["rssi"], "emile": [], "agathe": ["rssi"]}


class House:
    def __init__(self, folder: Path) -> None:
        self.at = AT
        self.keys = Keys.create(folder / "keys", Mortal(), self.clock)
        self.state = State(folder / "state.db", self.clock)
        audit = AuditLog(self.state, self.keys, self.clock, actor="root")
        people = People(self.state, audit, self.clock)
        self.rights = Rights(self.state, audit, self.clock, people)
        self.approvals = Approvals(self.state, audit, self.keys, self.clock, self.rights)
        self.signers: dict[str, notes.Signer] = {}
        self.digests: dict[str, bytes] = {}
        self.people = people
        for name, groups in PEOPLE.items():
            self.know(name, groups)

    def know(self, name: str, groups: list[str]) -> None:
        self.people.put(name, groups)
        self.rights.grant("person", name, "role", "rssi", by="root", reason="r")
        number = len(self.signers) + 1
        self.signers[name] = notes.Signer(f"k{number}", bytes([number]) * 32)
        self.approvals.enrol(name, self.signers[name].verifier.vkey, by="root")

    def clock(self) -> datetime:
        return self.at

    def ask(self, quorum: int = 1, groups: tuple[str, ...] = (), person: str | None = None) -> str:
        number = len(self.digests)
        intent = WriteIntent(
            new_id(self.at, number.to_bytes),
            "paie",
            "rh",
            "operation",
            "close",
            b"{}",
            "application/json",
            "a",
            self.at,
            person,
        )
        row = {
            "id": intent.id, "received_at": self.at, "client": "paie", "connection": "rh", "door": "operation",
            "operation": "close", "method": "", "lane": "x", "priority": 5, "digest": intent.digest, "bytes": 2,
            "wrapped": {}, "sealed": b"",
        }  # fmt: skip
        held = Decision("hold", ("p",), "fr", "en", "0", quorum=quorum, groups=groups, within=timedelta(hours=1))
        with self.state.begin() as transaction:
            transaction.execute(insert(intents).values(**row))
            self.approvals.ask(transaction, intent, held, owner="agathe")
        self.digests[intent.id] = intent.digest
        return intent.id

    def ballot(self, intent: str, person: str, verdict: str = "approve") -> Ballot:
        with self.state.read() as reader:
            asked = self.approvals.find(reader, intent)
            return self.approvals.ballot(asked, self.digests[intent], verdict, person)  # type: ignore[arg-type]

    def vote(self, intent: str, person: str, verdict: str = "approve", *, key: str | None = None) -> str:
        note = notes.sign(self.ballot(intent, person, verdict).text(), self.signers[key or person])
        with self.state.begin() as transaction:
            return self.approvals.vote(transaction, note)[1]

    def outcome(self, intent: str) -> str:
        with self.state.read() as reader:
            return self.approvals.outcome(reader, intent)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.state.close()


def test_a_quorum_of_different_people_of_each_group_approves(house: House) -> None:
    intent = house.ask(2, ("rssi", "dsi"))
    assert house.vote(intent, "berthe") == "open"
    assert house.vote(intent, "denis") == "open"
    assert house.vote(intent, "carole") == "approved"
    with pytest.raises(NotAsked):
        house.vote(intent, "emile")


def test_a_refusal_by_one_ends_it(house: House) -> None:
    intent = house.ask(2)
    house.vote(intent, "berthe")
    assert house.vote(intent, "denis", "refuse") == "refused"
    with pytest.raises(NotAsked):
        house.vote(intent, "carole")


@pytest.mark.parametrize(
    ("person", "key"),
    [("agathe", None), ("emile", None), ("berthe", "denis"), ("carole", "berthe")],
    ids=["whoever answers for the client", "of no group asked", "somebody else's key", "somebody else's name"],
)
def test_a_voice_that_may_not_count_is_refused(house: House, person: str, key: str | None) -> None:
    intent = house.ask(1, ("rssi",))
    with pytest.raises(BadBallot):
        house.vote(intent, person, key=key)
    assert house.outcome(intent) == "open"


def test_the_requester_never_decides_on_their_own_request(house: House) -> None:
    intent = house.ask(1, person="berthe")
    with pytest.raises(BadBallot):
        house.vote(intent, "berthe")
    assert house.vote(intent, "denis") == "approved"


@pytest.mark.parametrize(
    "spelling",
    ["BERTHE", " Berthe ", "\uff42\uff45\uff52\uff54\uff48\uff45", "Berthé", "Berthe\u0301", "BER\u200bTHE", "ber\u00adthe"],
)
def test_no_spelling_of_a_name_escapes_its_exclusion(house: House, spelling: str) -> None:
    intent = house.ask(1, person=spelling)
    with pytest.raises(BadBallot):
        house.vote(intent, "berthe")


def test_an_accent_left_out_does_not_escape_an_exclusion_and_another_name_is_not_excluded(house: House) -> None:
    for name, spelling, counts in (
        ("hélène", "HELENE", False),
        ("hélène", "He\u0301le\u0300ne", False),
        ("hélène", "helena", True),
    ):
        if name not in house.signers:
            house.know(name, ["rssi"])
        intent = house.ask(1, person=spelling)
        if counts:
            assert house.vote(intent, name) == "approved"
        else:
            with pytest.raises(BadBallot):
                house.vote(intent, name)
        house.at += timedelta(seconds=1)


def test_the_requester_may_refuse(house: House) -> None:
    intent = house.ask(1, person="berthe")
    assert house.vote(intent, "berthe", "refuse") == "refused"
    assert house.outcome(intent) == "refused"


def test_nobody_has_two_voices(house: House) -> None:
    intent = house.ask(2)
    second = notes.Signer("berthe", b"9" * 32)
    house.approvals.enrol("berthe", second.verifier.vkey, by="root")
    house.vote(intent, "berthe")
    house.signers["again"] = second
    with pytest.raises(BadBallot):
        house.vote(intent, "berthe", key="again")


def test_a_foreign_key_a_revoked_key_and_a_lost_right_do_not_count(house: House) -> None:
    intent = house.ask(2)
    house.signers["foreign"] = notes.Signer("berthe", b"8" * 32)
    with pytest.raises(BadBallot):
        house.vote(intent, "berthe", key="foreign")
    house.vote(intent, "berthe")
    house.approvals.revoke(next(a.key_id for a in house.approvals.approvers() if a.person == "berthe"), by="root")
    assert house.vote(intent, "denis") == "open"
    grant = next(g for g in house.rights.list() if g.subject == "carole")
    house.rights.revoke(grant.id, by="root")
    with pytest.raises(BadBallot):
        house.vote(intent, "carole")


def test_after_its_end_a_request_is_not_approved(house: House) -> None:
    intent = house.ask(1)
    early = notes.sign(house.ballot(intent, "berthe").text(), house.signers["berthe"])
    house.at += timedelta(hours=1, seconds=1)
    with house.state.begin() as transaction, pytest.raises(BadBallot):
        house.approvals.vote(transaction, early)
    assert house.outcome(intent) == "expired"
    with house.state.read() as reader:
        assert house.approvals.due(reader) == (intent,)


def test_a_voice_given_for_one_request_does_not_serve_another(house: House) -> None:
    first = house.ask(1)
    text = house.ballot(first, "berthe").text()
    house.at += timedelta(seconds=1)
    second = house.ask(1)
    for wrong in (
        text,
        text.replace(first, second),
        house.ballot(second, "berthe").text().replace("quorum 1", "quorum 9"),
        house.ballot(second, "berthe").text() + "more\n",
    ):
        with house.state.begin() as transaction, pytest.raises((BadBallot, NotAsked)):
            house.approvals.vote(transaction, notes.sign(wrong, house.signers["denis"]))
    assert house.outcome(second) == "open"


def test_rows_written_into_the_database_approve_nothing(house: House) -> None:
    intent = house.ask(2)
    house.vote(intent, "berthe")
    row = {"intent": intent, "person": "x", "key_id": "k", "verdict": "approve", "at": house.at, "sealed_note": b"forged"}
    with house.state.begin() as transaction:
        transaction.execute(insert(approval_verdicts).values(**row))
    assert house.outcome(intent) == "open"
    with house.state.begin() as transaction:
        transaction.execute(update(approval_requests).values(quorum=1))
    assert house.outcome(intent) == "open", "a quorum lowered afterwards voids the voices given for another"


def test_a_ballot_is_read_as_it_was_written_and_nothing_else_is() -> None:
    ballot = Ballot("w-" + "0" * 26, b"d" * 32, "approve", "berthe", AT, AT + timedelta(hours=1), 2, ("dsi", "rssi"))
    assert parse(ballot.text()) == ballot
    for wrong in ("", ballot.text()[:-1], ballot.text().replace("approve", "maybe"), "x" + ballot.text()):
        with pytest.raises(BadBallot):
            parse(wrong)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.frozensets(st.sampled_from("xyz"))), st.integers(0, 4),
       st.lists(st.sampled_from("xyz"), unique=True))  # fmt: skip
def test_no_fewer_people_than_the_quorum_and_one_a_group_are_ever_enough(
    voices: dict[str, frozenset[str]], quorum: int, groups: list[str]
) -> None:
    able = {person: held for person, held in voices.items() if not groups or held & set(groups)}
    if met(voices, quorum, groups):
        assert len(able) >= max(quorum, 1, len(groups))
        assert all(any(group in held for held in able.values()) for group in groups)
    elif len(able) >= max(quorum, 1) and not groups:
        raise AssertionError("enough people, and nothing else was asked")
