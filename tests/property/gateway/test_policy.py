"""Whatever the policies and the question: never allowed over a forbid, an error, a hold, or on an expired permit alone."""

from dataclasses import dataclass
from datetime import timedelta

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
