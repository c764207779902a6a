"""What approvers see and do, put together for a site: a request with its payload, and a voice that moves the delivery.

Whoever holds the site may look; only the key of an enrolled approver decides.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sovereign.gateway.approvals import Asked
from sovereign.gateway.ballot import Verdict
from sovereign.gateway.deliveries import Deliveries
from sovereign.gateway.receipt import heard
from sovereign.gateway.sealing import Sealing
from sovereign.state.outbound import decisions, intents
from vault import notes

if TYPE_CHECKING:
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be decided: the request, who asks for what, why it was held, who spoke, and the payload in clear."""

    asked: Asked
    client: str
    operation: str
    method: str
    received_at: datetime
    fr: str
    en: str
    policies: tuple[str, ...]
    findings: tuple[Any, ...]
    voices: dict[str, str]
    path: str = field(repr=False)
    body: bytes = field(repr=False)


def request(site: "Site", intent: str) -> Request:
    """Look at one request; the look is entered. Errors: NotAsked, PayloadGone."""
    from sovereign.gateway.sender import load
    from sovereign.gateway.terms import Terms

    approvals = site.outbound.approvals
    with site.state.read() as reader:
        asked = approvals.find(reader, intent)
        row = reader.execute(select(intents).where(intents.c.id == intent)).one()
        decided = reader.execute(select(decisions).where(decisions.c.intent == intent)).one()
        voices = {person: ballot.verdict for person, ballot in approvals.voices(reader, intent).items()}
        held = load(reader, Sealing(site.keys, site.settings.keys.period), intent, Terms())
    site.audit.append("approval.shown", {"connection": asked.connection, "intent": intent})
    return Request(
        asked, row.client, row.operation, row.method, row.received_at, decided.fr, decided.en, tuple(decided.policies),
        tuple(decided.findings), voices, held.path, held.body,
    )  # fmt: skip


def decide(site: "Site", intent: str, verdict: Verdict, person: str, signer: notes.Signer) -> str:
    """Sign a verdict and have it counted; gives what it came to. Errors: BadBallot, NotAsked."""
    approvals = site.outbound.approvals
    with site.state.read() as reader:
        ballot = approvals.ballot(approvals.find(reader, intent), verdict, person)
    note = notes.sign(ballot.text(), signer)
    with site.state.begin() as transaction:
        _, outcome = approvals.vote(transaction, note)
        heard(Deliveries(site.state, site.audit), transaction, intent, outcome, site.clock())
    return outcome
