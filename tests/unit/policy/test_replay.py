"""Past questions, asked again."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from sovereign.gateway.decision import Finding, Question
from sovereign.gateway.policy.errors import UnknownQuestion
from sovereign.gateway.policy.replay import question_of, replay
from sovereign.gateway.questions import Questions
from sovereign.state.schema import instant_text
from tests.servers.policies import AT, House, asked, policy, rule


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def decided(house: House, name: str, question: Question | None, *, days: int = 0) -> None:
    """A decision as the gateway keeps it."""
    packed = "{}" if question is None else Questions(house.keys).pack(question)
    row = {"i": name, "at": instant_text(AT - timedelta(days=days)), "q": packed}
    with house.state.begin() as transaction:
        transaction.execute(text("PRAGMA defer_foreign_keys=ON"))
        transaction.execute(
            text(
                "INSERT INTO intents (id, received_at, client, connection, door, operation, method, lane, priority, digest,"
                " bytes, wrapped) VALUES (:i, :at, 'eau', 'geo', 'operation', 'create_item', '', '', 5, '', 0, '{}')"
            ),
            row,
        )
        transaction.execute(
            text(
                "INSERT INTO decisions (intent, at, effect, policies, policy_set, fr, en, findings, question, obligations)"
                " VALUES (:i, :at, 'allow', '[\"open\"]', '', '', '', '[]', :q, '{}')"
            ),
            row,
        )


def test_what_would_change_is_told_with_an_example_and_nothing_is_touched(house: House) -> None:
    decided(house, "w-1", asked(findings=(Finding("nir", "/a"),)))
    decided(house, "w-2", asked(findings=(Finding("nir", "/b"),)))
    decided(house, "w-3", asked())
    decided(house, "w-4", None)
    decided(house, "w-5", asked(findings=(Finding("nir", "/c"),)), days=40)
    proposed = policy(rule("open", "permit"), rule("red", "forbid", "when { context.found.nir > 0 }"))
    found = replay(house.state, Questions(house.keys), proposed, AT - timedelta(days=30))
    assert (found.asked, found.unreadable) == (4, 1)
    ((difference, example),) = found.changes
    assert (difference.was, difference.would, difference.would_by, difference.count) == ("allow", "deny", ("red",), 2)
    assert example in {"w-1", "w-2"}


def test_the_question_of_an_intent_comes_back_as_it_was_asked(house: House) -> None:
    question = asked(findings=(Finding("nir", "/a"),), person="jean", classes=frozenset({"personal"}))
    decided(house, "w-1", question)
    assert question_of(house.state, Questions(house.keys), "w-1") == question
    with pytest.raises(UnknownQuestion):
        question_of(house.state, Questions(house.keys), "w-9")
