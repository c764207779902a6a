"""What was decided on an intent, as it is kept and entered: its row, its first step, and what the log tells of it.

Nothing here is personal but what is given as a body, which the log seals: places of findings, the entity, the path, the person.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from sovereign.gateway.decision import Decision, Finding, Question, counts
from sovereign.gateway.deliveries import Step
from sovereign.gateway.intent import WriteIntent
from sovereign.state import State
from sovereign.state.outbound import decisions
from sovereign.state.schema import instant_text
from sovereign.state.statements import insert

_BECOMES: Final = {"allow": "queued", "deny": "denied", "hold": "held"}


class Rulings:
    """The decisions of a site."""

    def __init__(self, state: State) -> None:
        self._put = insert(
            state, "decisions", "intent", "at", "effect", "policies", "policy_set", "fr", "en", "findings", "question",
            "obligations",
        )  # fmt: skip

    def keep(
        self, transaction: Connection, intent: str, decision: Decision, question: str, now: datetime, *, masks: bool
    ) -> None:
        """Keep a decision. question: as `Questions.pack` gives it; masks: whether what it wants replaced was."""
        self._put(
            transaction, intent=intent, at=instant_text(now), effect=decision.effect, policies=_json(decision.policies),
            policy_set=decision.policy_set, fr=decision.fr, en=decision.en,
            findings=_json([[each.kind, each.count, each.sure] for each in decision.findings]), question=question,
            obligations=_json({
                "quorum": decision.quorum, "groups": decision.groups, "errors": decision.errors,
                "transforms": len(decision.transforms) if masks else 0,
                "within": None if decision.within is None else decision.within.total_seconds(),
            }),
        )  # fmt: skip

    @staticmethod
    def read(reader: Connection, intent: str) -> Decision:
        """The decision on an intent, its findings without their places."""
        row = reader.execute(select(decisions).where(decisions.c.intent == intent)).one()
        more = row.obligations
        within = None if more["within"] is None else timedelta(seconds=more["within"])
        findings = tuple(Finding(kind, "", count, sure) for kind, count, sure in row.findings)
        return Decision(
            row.effect, tuple(row.policies), row.fr, row.en, row.policy_set, findings, more["quorum"], tuple(more["groups"]),
            within, errors=tuple(more["errors"]),
        )  # fmt: skip


def said(decision: Decision) -> dict[str, Any]:
    """What the log tells of a decision."""
    told: dict[str, Any] = {
        "effect": decision.effect, "policies": list(decision.policies), "policy_set": decision.policy_set,
    }  # fmt: skip
    found = counts(decision.findings)
    return told | {"findings": found} if found else told


def first(decision: Decision) -> Step:
    """The step that a decision makes of an intent just received."""
    pointers = {"pointers": [each.pointer for each in decision.findings]} if decision.findings else {}
    return Step(_BECOMES[decision.effect], f"policy.{decision.effect}", said(decision), pointers, "intent.decided")


def arrival(intent: WriteIntent, question: Question) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the log tells of an intent that was received, in the open and sealed."""
    facts: dict[str, Any] = {
        "client": intent.client, "door": intent.door, "operation": intent.operation, "bytes": intent.size,
    }  # fmt: skip
    facts |= {"method": intent.method} if intent.method else {}
    facts |= {"classes": sorted(question.classes)} if question.classes else {}
    body = {"digest": intent.digest.hex(), "entity": intent.entity, "path": intent.path, "person": intent.person}
    return facts, body


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
