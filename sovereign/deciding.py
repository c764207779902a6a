"""What approvers see and do, put together for a site: a request with its payload, and a voice that moves the delivery.

Whoever holds the site may look; only the key of an enrolled approver decides.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sovereign.gateway.approvals import Asked
from sovereign.gateway.ballot import Verdict
from sovereign.gateway.deliveries import Deliveries
from sovereign.gateway.errors import Altered
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.kept import kept
from sovereign.gateway.receipt import heard
from sovereign.gateway.sealing import Sealing
from sovereign.state.outbound import decisions
from vault import notes

if TYPE_CHECKING:
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be decided: the request, the intent in clear, why it was held, and who spoke."""

    asked: Asked
    intent: WriteIntent
    fr: str
    en: str
    policies: tuple[str, ...]
    findings: tuple[Any, ...]
    voices: dict[str, str]


def request(site: "Site", intent: str) -> Request:
    """Look at one request; the look is entered. Errors: NotAsked, PayloadGone, Altered."""
    approvals = site.outbound.approvals
    with site.state.read() as reader:
        asked = approvals.find(reader, intent)
        decided = reader.execute(select(decisions).where(decisions.c.intent == intent)).one()
        voices = {person: ballot.verdict for person, ballot in approvals.voices(reader, intent).items()}
        held = kept(reader, Sealing(site.keys, site.settings.keys.period), site.audit, intent)
    if not approvals.covers(asked, held.digest):
        raise Altered(intent=intent)
    site.audit.append("approval.shown", {"connection": asked.connection, "intent": intent})
    return Request(asked, held, decided.fr, decided.en, tuple(decided.policies), tuple(decided.findings), voices)


def decide(site: "Site", intent: str, verdict: Verdict, person: str, signer: notes.Signer) -> str:
    """Sign a verdict and have it counted; gives what it came to. Errors: BadBallot, NotAsked, PayloadGone, Altered."""
    approvals = site.outbound.approvals
    with site.state.read() as reader:
        held = kept(reader, Sealing(site.keys, site.settings.keys.period), site.audit, intent)
        ballot = approvals.ballot(approvals.find(reader, intent), held.digest, verdict, person)
    note = notes.sign(ballot.text(), signer)
    with site.state.begin() as transaction:
        _, outcome = approvals.vote(transaction, note)
        heard(Deliveries(site.state, site.audit), transaction, intent, outcome, site.clock())
    return outcome
