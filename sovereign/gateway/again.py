"""What was decided before, decided again with today's policy and today's rights, before a delivery takes its turn.

1. A question is asked again as it was kept, but for the instant and for who answers for the client now.
2. What people approved stands only while their voices verify, policy asks for no more than they were asked, and the client is
   still let in. What was never put to people does not stand once policy wants them to decide.
3. What is kept must still be what was decided on, by its digest: nobody has another write sent by altering rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import Connection, select

from saas_connectors.connector import Json
from sovereign.gateway.approvals import Asked
from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.deliveries import Delivery
from sovereign.gateway.errors import Altered
from sovereign.gateway.kept import kept
from sovereign.gateway.ports import Parts
from sovereign.gateway.questions import Questions
from sovereign.gateway.sealing import Sealing
from sovereign.state import StateError
from sovereign.state.outbound import decisions
from vault.errors import Fault

WHY: Final[Mapping[str, tuple[str, str]]] = {
    "intent.altered": (
        "Ce qui est gardé de cette écriture n'est plus ce qui a été demandé.",
        "What is kept of this write is no longer what was asked for.",
    ),
    "policy.deny": ("La politique refuse désormais cette écriture.", "Policy now denies this write."),
    "client.gone": ("L'application n'est plus admise.", "The application is no longer let in."),
    "approval.wanted": ("La politique veut désormais une approbation.", "Policy now wants an approval."),
    "approval.void": ("L'approbation qui a été donnée ne suffit plus.", "The approval that was given no longer suffices."),
    "policy.pseudonymise": (
        "La politique veut désormais remplacer davantage de son contenu.",
        "Policy now wants more of its content replaced.",
    ),
}
"""Why what was held, or sent again, does not leave after all: in French, in English."""


@dataclass(frozen=True, slots=True)
class Again:
    """Whether a delivery may take its turn after all; why: a code; facts: for the audit entry."""

    stands: bool
    why: str
    facts: dict[str, Json]


def again(
    parts: Parts,
    sealing: Sealing,
    questions: Questions,
    reader: Connection,
    delivery: Delivery,
    asked: Asked | None,
    outcome: str,
    now: datetime,
) -> tuple[Again, datetime | None]:
    """Decide again; gives the verdict, and until when the write makes sense (None: its payload is gone).

    asked: what was put to people, None when nothing was; outcome: what their voices come to now. Errors: StateError.
    """
    row = reader.execute(select(decisions).where(decisions.c.intent == delivery.intent)).one()
    question = questions.unpack(orjson.dumps(row.question).decode())
    ends, sound = None, True
    try:
        held = kept(reader, sealing, parts.audit, delivery.intent)
        ends = parts.terms.expiry(held.received_at, held.expires_at, delivery.wanted)
        sound = asked is None or parts.approvals.covers(asked, held.digest)
    except Altered:
        sound = False
    except StateError:
        raise
    except Fault:
        pass  # its payload is gone: in its turn it is closed, and nothing is sent
    return _judge(parts, question, asked, outcome, int(row.obligations.get("transforms", 0)), now, sound=sound), ends


def _judge(
    parts: Parts, before: Question, asked: Asked | None, outcome: str, transforms: int, now: datetime, *, sound: bool
) -> Again:
    """transforms: how many places of the kept body were pseudonymised. sound: whether it still is what was decided on."""
    standing = parts.standing(before.client, before.person)
    question = replace(
        before, at=now.astimezone(parts.zone), owner=standing.owner, roles=standing.roles, groups=standing.groups, dry_run=False
    )
    decision = parts.policy.decide(question)
    facts: dict[str, Json] = {
        "effect": decision.effect,
        "policies": list(decision.policies),
        "policy_set": decision.policy_set,
    }
    if not sound:
        return Again(False, "intent.altered", facts)
    if decision.effect == "deny":
        return Again(False, "policy.deny", facts)
    if not standing.live:
        return Again(False, "client.gone", facts)
    if asked is None and decision.effect == "hold":
        return Again(False, "approval.wanted", facts)
    if asked is not None and (outcome != "approved" or _stricter(decision, asked)):
        return Again(False, "approval.void", facts)
    if len(decision.transforms) > transforms:
        return Again(False, "policy.pseudonymise", facts)
    return Again(True, "policy.allow" if asked is None else "approved", facts)


def _stricter(decision: Decision, asked: Asked) -> bool:
    """Whether policy now asks for more than people were asked for."""
    more = decision.quorum > asked.quorum or not set(decision.groups) <= set(asked.groups)
    return decision.effect == "hold" and more
