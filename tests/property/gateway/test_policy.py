"""Whatever the policies and the question: never allowed over a forbid, an error, a hold, or on an expired permit alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign.gateway.decision import Finding, Question
from tests.servers.policies import AT, asked, policy, rule

FAILS = "context.bytes * 9223372036854775807 * 2 == 0"
"""Overflows, hence fails, as soon as there are bytes."""


@dataclass(frozen=True)
class Written:
    """A policy of the test, and what it is to say: its condition is over bytes, nir and hour alone."""

    kind: str
    test: str
    bound: int
    life: int

    def text(self, name: str) -> str:
        condition = {
            "nir": f"context.found.nir > {self.bound}",
            "hour": f"context.writes_this_hour >= {self.bound}",
            "fails": FAILS,
            "both": f"context.found.nir > {self.bound} && {FAILS}",
        }[self.test]
        head = "forbid" if self.kind in ("forbid", "condition") else "permit"
        more = '@hold("quorum=1")' if self.kind in ("hold", "condition") else ""
        return rule(
            name, head, f"when {{ {condition} }}", expires=(AT + timedelta(days=self.life)).date().isoformat(), more=more
        )

    def says(self, question: Question) -> str:
        nir = sum(each.count for each in question.findings) > self.bound
        failing = "failed" if question.bytes else "speaks"
        speaks = {"nir": nir, "hour": question.hour >= self.bound}.get(self.test)
        if self.test == "both":
            return failing if nir else "silent"
        return failing if speaks is None else "speaks" if speaks else "silent"


WRITTEN = st.builds(
    Written,
    st.sampled_from(["permit", "permit", "forbid", "hold", "condition"]),
    st.sampled_from(["nir", "hour", "hour", "fails", "both"]),
    st.integers(0, 4),
    st.integers(-2, 2),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WRITTEN, max_size=6), st.integers(0, 4), st.integers(0, 5), st.sampled_from([0, 0, 7]))
def test_the_decision_is_what_the_order_of_forbid_hold_and_permit_says(
    written: list[Written], nir: int, hour: int, size: int
) -> None:
    question = asked(findings=(Finding("nir", "/a", nir),) if nir else (), hour=hour, bytes=size)
    made = policy(*(each.text(f"p{place}") for place, each in enumerate(written)))
    said = [(each, each.says(question)) for each in written]
    live = {each.kind for each, what in said if what == "speaks" and (each.life >= 0 or each.kind in ("forbid", "condition"))}
    decision = made.decide(question)
    if any(what == "failed" for _, what in said) or "forbid" in live or not live & {"permit", "hold"}:
        expected = "deny"
    else:
        expected = "hold" if live & {"hold", "condition"} else "allow"
    assert decision.effect == expected
    assert decision.fr
    assert decision.en
    assert decision.policies
    assert [voice.says for voice in made.explain(question)] == [what for _, what in said]


TWICE = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
"""In the hour that comes twice."""
QUESTIONS = st.builds(
    asked,
    hour=st.integers(0, 6),
    bytes=st.integers(0, 4),
    client=st.sampled_from(["desk", "other"]),
    method=st.sampled_from(["", "PUT", "DELETE"]),
    person=st.sampled_from([None, "agathe"]),
    findings=st.sampled_from([
        (), (Finding("nir", "/a", 1),), (Finding("nir", "/a", 3),), (Finding("nir", "/b", 3, sure=False),),
        (Finding("nir", "/b"), Finding("odd", "/c", 2)),
    ]),
    at=st.sampled_from([AT, AT + timedelta(microseconds=1), AT + timedelta(hours=2), TWICE, TWICE.replace(fold=1)]),
    departure=st.booleans(),
    groups=st.sampled_from([frozenset(), frozenset({"drh"})]),
)  # fmt: skip
CONDITIONS = (
    "context.writes_this_hour >= 3",
    "context.writes_this_hour == 2 || 4 < context.bytes",
    "context.bytes + 1 > context.writes_this_hour",
    'context.method == "DELETE"',
    'context has person && context.person == Person::"agathe"',
    "context.found.nir > 1",
    "[context.found.nir, 1].contains(context.bytes)",
    "context.classes.isEmpty()",
    "context.bytes < -1 || context.bytes == -(-2)",
    "(if context.departure then context.bytes else context.writes_this_hour) > 2",
    '{"<": context.bytes, "Var": 1, ".": context.writes_this_hour}["<"] == 3',
    "{a: context.bytes, b: 2} == {a: 2, b: context.writes_this_hour}",
    "(if context.departure then context else context).bytes > 1",
    "context has found.nir && context.suspected.nir >= context.found.nir",
    'context.at >= datetime("2026-10-25T01:00:00Z") && context.hour < 9',
    'context.at.durationSince(datetime("2026-11-23T09:00:00Z")).toMinutes() > 60',
    'context.method like "D*" || context["method"] == ""',
    'principal is Client in Group::"drh" || context.found.other == 2',
    "(context.bytes < 2) == (context.departure)",
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["permit", "forbid"]), st.sampled_from(CONDITIONS)), min_size=1, max_size=4),
    st.lists(QUESTIONS, min_size=2, max_size=12),
)
def test_an_answer_that_is_remembered_is_the_one_that_cedar_gives(
    written: list[tuple[str, str]], questions: list[Question]
) -> None:
    texts = [rule(f"p{place}", head, f"when {{ {test} }}") for place, (head, test) in enumerate(written)]
    remembers = policy(*texts)
    for question in questions:
        assert remembers.decide(question) == policy(*texts).decide(question)


def test_questions_that_differ_by_a_number_alone_are_asked_once_for_each_side_of_its_bounds() -> None:
    made = policy(rule("open", "permit", "when { context.writes_this_hour < 3 }"))
    effects = [made.decide(asked(hour=hour, day=hour, bytes=hour)).effect for hour in range(6)]
    assert effects == ["allow"] * 3 + ["deny"] * 3
    assert len(made._answers) == 3  # below the bound, at it, above it


def test_where_findings_stand_makes_no_other_question_and_what_cannot_be_asked_gets_no_answer_of_another() -> None:
    made = policy(rule("open", "permit", "when { context.found.nir < 3 }"))
    assert {made.decide(asked(findings=(Finding("nir", f"/{place}"),))).effect for place in range(9)} == {"allow"}
    assert len(made._answers) == 1
    for size in (2**63, -(2**63) - 1, 1.0):
        assert made.decide(asked(bytes=size, findings=(Finding("nir", "/a"),))).policies == ("policy.error",)


def test_a_use_of_the_context_that_is_not_read_has_each_question_asked() -> None:
    made = policy(rule("open", "permit", "when { [context].containsAny([context]) }"))
    for hour in range(3):
        made.decide(asked(hour=hour))
    assert made._answers == {}
