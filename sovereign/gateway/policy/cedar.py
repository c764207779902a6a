"""The Policy port over Cedar: forbid, then hold, then permit, and denied when nothing speaks.

1. A `forbid` that applies denies, whatever permits.
2. Else a live `permit` must apply, with `@hold` or without; when none does, it is denied. An expired permit does not count.
3. Else anything with `@hold` that applies holds: a `permit` (this flow opens by approval alone) or a `forbid` (this condition
   asks for an approval on any flow; it opens none). Several holds are joined: every group, highest quorum, shortest delay.
4. Else it is allowed.
5. Cedar skips a policy that fails while it is evaluated, and may then allow: any failure denies, and so does a question off the
   schema, a reason that we do not know, and anything raised.

Cedar is asked once for all questions that the set cannot tell apart (`sight`). It names the forbids that apply, else the
permits that apply; so forbids with `@hold` are asked as permits,
the one change made to what is written: they open nothing, since rule 2 wants a real permit among those named. Parsed sets are
kept; ids are ours, never positions. The question is not checked against the schema each time: the policies were, the encoder is
tested against it, and what would be missing fails the policy that reads it, hence denies.
"""

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import cedarpy

from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.policy import questions
from sovereign.gateway.policy.load import Files, parse
from sovereign.gateway.policy.rules import Hold, Rule, joined
from sovereign.gateway.policy.sentences import DEFAULT, ERROR, EXPIRED, denied
from sovereign.gateway.policy.sight import Sight

_ALLOW, _DENY = cedarpy.Decision.Allow, cedarpy.Decision.Deny
_MOST: Final = 20
"""How many failures a decision names."""
_REMEMBERED: Final = 4096
"""How many answers a set keeps."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What one policy says of a question, asked alone: it applies, it does not, or it failed; and whether its day is past."""

    rule: Rule
    says: Literal["speaks", "silent", "failed"]
    expired: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    decision: cedarpy.Decision
    spoke: tuple[str, ...]
    errors: tuple[str, ...]


class CedarPolicy:
    """A set of policies, ready to decide. Safe to use from several threads."""

    def __init__(self, files: Files) -> None:
        """Parse a set; errors: BadPolicy."""
        self.files, self.digest = files, files.digest
        self.rules: tuple[Rule, ...] = parse(files)
        self._of = {rule.id: rule for rule in self.rules}
        self._handle = _handle(self.rules)
        self._sight = Sight(rule.body for rule in self.rules)
        self._answers: dict[Hashable, _Answer] = {}

    def decide(self, question: Question) -> Decision:
        """Answer one question; never raises."""
        try:
            return self._decide(question)
        except Exception:  # noqa: BLE001 — an error while deciding is a denial, whatever it is
            return denied(ERROR, question, self.digest, errors=(ERROR.id,))

    def explain(self, question: Question) -> tuple[Voice, ...]:
        """What each policy says of a question, each asked alone."""
        request, known = questions.request(question), questions.entities(question)
        voices = []
        for rule, handle in zip(self.rules, self._alone, strict=True):
            answer = _ask(handle, request, known)
            says: Literal["speaks", "silent", "failed"] = "failed" if answer.errors else "speaks" if answer.spoke else "silent"
            voices.append(Voice(rule, says, rule.expired(question.at)))
        return tuple(voices)

    @cached_property
    def _alone(self) -> tuple[cedarpy.PolicySet, ...]:
        return tuple(_handle((rule,)) for rule in self.rules)

    def _decide(self, question: Question) -> Decision:
        answer = self._answer(question)
        if answer.errors:
            return denied(ERROR, question, self.digest, errors=answer.errors)
        spoke = [self._of[each] for each in answer.spoke]
        if answer.decision is _DENY:
            if any(rule.kind != "forbid" for rule in spoke):
                return denied(ERROR, question, self.digest, errors=(ERROR.id,))
            return self._said("deny", spoke, question) if spoke else denied(DEFAULT, question, self.digest)
        if answer.decision is not _ALLOW:
            return denied(ERROR, question, self.digest, errors=(ERROR.id,))
        opening = [rule for rule in spoke if rule.opens]
        if not opening:
            return denied(DEFAULT, question, self.digest)
        live = [rule for rule in opening if not rule.expired(question.at)]
        if not live:
            return denied(EXPIRED, question, self.digest, beside=tuple(sorted(rule.id for rule in opening)))
        # A condition goes on past its day; a permit, with a hold or without, does not.
        holding = [rule for rule in spoke if rule.hold is not None and (not rule.opens or not rule.expired(question.at))]
        masked = frozenset[str]().union(*(rule.pseudonymise for rule in live))
        transforms = tuple(dict.fromkeys(each.pointer for each in question.findings if each.kind in masked))
        if holding:
            return self._said("hold", holding, question, transforms)
        return self._said("allow", live, question, transforms)

    def _answer(self, question: Question) -> _Answer:
        """What Cedar says, remembered for the questions that this set cannot tell apart."""
        seen = self._sight.of(question)
        answer = self._answers.get(seen) if seen is not None else None
        if answer is None:
            answer = _ask(self._handle, questions.request(question), questions.entities(question))
            if seen is not None and not answer.errors:
                if len(self._answers) >= _REMEMBERED:
                    self._answers.clear()
                self._answers[seen] = answer
        return answer

    def _said(
        self,
        effect: Literal["allow", "deny", "hold"],
        spoke: Sequence[Rule],
        question: Question,
        transforms: tuple[str, ...] = (),
    ) -> Decision:
        spoke = sorted(spoke, key=lambda rule: rule.id)
        asked: Hold | None = joined([rule.hold for rule in spoke if rule.hold is not None]) if effect == "hold" else None
        return Decision(
            effect, tuple(rule.id for rule in spoke),
            " ".join(dict.fromkeys(rule.fr for rule in spoke)), " ".join(dict.fromkeys(rule.en for rule in spoke)),
            self.digest, findings=question.findings, transforms=transforms,
            quorum=asked.quorum if asked else 0, groups=asked.groups if asked else (), within=asked.within if asked else None,
        )  # fmt: skip


def _handle(rules: Iterable[Rule]) -> cedarpy.PolicySet:
    policies = {rule.id: {**rule.body, "effect": "permit"} if rule.kind == "hold" else rule.body for rule in rules}
    return cedarpy.PolicySet.from_json_str(json.dumps({"staticPolicies": policies, "templates": {}, "templateLinks": []}))


def _ask(handle: cedarpy.PolicySet, request: dict[str, Any], known: cedarpy.Entities) -> _Answer:
    result = cedarpy.is_authorized(request, handle, known)
    said = result.diagnostics
    # Cedar names the policy that failed between backquotes; its message may quote values, so only the name is kept.
    errors = tuple((each.split("`")[1:2] or [ERROR.id])[0] for each in said.errors)[:_MOST]
    return _Answer(result.decision, tuple(said.reasons), errors)
