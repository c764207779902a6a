"""Past questions put to a set that is only proposed: what would have been decided otherwise, without touching anything.

The questions are those that were kept with each decision; findings, classes, volumes and instants are those of the day. What
was decided is what was kept, not what today's set would say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import text

from sovereign.gateway.decision import Policy, Question
from sovereign.gateway.policy.errors import UnknownQuestion
from sovereign.gateway.policy.shadow import Difference
from sovereign.gateway.questions import Questions
from sovereign.state import State
from sovereign.state.schema import instant_text
from vault.errors import Fault

_SINCE: Final = text("SELECT intent, effect, policies, question FROM decisions WHERE at >= :since ORDER BY at")
_ONE: Final = text("SELECT question FROM decisions WHERE intent = :intent")
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many questions were asked again, how many could not be read, and what would change, with one intent of each kind."""

    asked: int
    unreadable: int
    changes: tuple[tuple[Difference, str], ...]


@dataclass(slots=True)
class _Seen:
    intent: str
    count: int = field(default=0)


def replay(state: State, questions: Questions, policy: Policy, since: datetime) -> Replayed:
    """Ask a policy every question kept since an instant. Errors: those of the state."""
    asked = unreadable = 0
    found: dict[tuple[str, str, str, str, str, tuple[str, ...], tuple[str, ...]], _Seen] = {}
    for intent, effect, policies, packed in _rows(state, since):
        asked += 1
        try:
            question = questions.unpack(packed)
        except (Fault, ValueError, KeyError, TypeError):
            unreadable += 1
            continue
        would = policy.decide(question)
        if would.effect == effect:
            continue
        was_by = tuple(orjson.loads(policies))
        key = (question.client, question.connection, question.operation, effect, would.effect, was_by, would.policies)
        found.setdefault(key, _Seen(intent)).count += 1
    ranked = sorted(found.items(), key=lambda each: -each[1].count)
    return Replayed(asked, unreadable, tuple((Difference(*key, seen.count), seen.intent) for key, seen in ranked))


def question_of(state: State, questions: Questions, intent: str) -> Question:
    """The question that was decided for an intent; errors: UnknownQuestion."""
    with state.read() as reader:
        packed = reader.execute(_ONE, {"intent": intent}).scalar_one_or_none()
    if packed is None:
        raise UnknownQuestion(intent=intent)
    return questions.unpack(packed)


def _rows(state: State, since: datetime) -> Iterator[tuple[str, str, str, str]]:
    with state.read() as reader:
        rows = reader.execution_options(yield_per=_BATCH).execute(_SINCE, {"since": instant_text(since)})
        for row in rows:
            yield row.intent, row.effect, row.policies, row.question
