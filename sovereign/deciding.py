"""What approvers see and do, put together for a site: a request with its payload, who may decide, and a voice that moves it.

Whoever holds the site may look; only the key of an enrolled approver decides.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sovereign.gateway import batch
from sovereign.gateway.approvals import Asked
from sovereign.gateway.ballot import Ballot, Verdict
from sovereign.gateway.deliveries import Deliveries
from sovereign.gateway.entitled import Entitled, entitled
from sovereign.gateway.errors import Altered, NotAsked, PayloadGone
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.kept import kept
from sovereign.gateway.receipt import heard
from sovereign.gateway.sealing import Sealing
from sovereign.state.outbound import decisions
from vault import notes
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be decided: the request, the intent in clear (None once erased), why it was held, who spoke, who can."""

    asked: Asked
    intent: WriteIntent | None
    fr: str
    en: str
    policies: tuple[str, ...]
    findings: tuple[Any, ...]
    voices: tuple[Ballot, ...]
    who: tuple[Entitled, ...]


def clearance(site: "Site", person: str, connection: str) -> str | None:
    """The highest class that someone may read of a connection. Errors: UnknownPerson."""
    site.outbound.people.get(person)
    return site.outbound.rights.clearance(person, connection=connection)


def request(site: "Site", intent: str) -> Request:
    """Look at one request. Errors: NotAsked, Altered. The look is entered by `looked`, once it is known at which clearance."""
    outbound, approvals = site.outbound, site.outbound.approvals
    with site.state.read() as reader:
        asked = approvals.find(reader, intent)
        decided = reader.execute(select(decisions).where(decisions.c.intent == intent)).one()
        voices = sorted(approvals.voices(reader, intent).values(), key=lambda each: each.at)
        who = entitled(reader, approvals, asked, outbound.people, outbound.rights) if asked.state == "open" else ()
        held = None
        with suppress(PayloadGone):  # its time is past: what was decided stays told
            held = kept(reader, _sealing(site), site.audit, intent)
    if held is not None and not approvals.covers(asked, held.digest):
        raise Altered(intent=intent)
    found = tuple(decided.findings)
    return Request(asked, held, decided.fr, decided.en, tuple(decided.policies), found, tuple(voices), who)


def sent(site: "Site", intent: str) -> WriteIntent | None:
    """The intent in clear; None where it can no longer be shown."""
    with site.state.read() as reader, suppress(PayloadGone, Altered):
        return kept(reader, _sealing(site), site.audit, intent)
    return None


def looked(site: "Site", asked: Asked, clearance: str | None, person: str | None = None) -> None:
    """Enter that a request was looked at, at which clearance, and by whom when it is known."""
    subject, body = {"connection": asked.connection, "intent": asked.intent}, {} if person is None else {"person": person}
    site.audit.append("approval.shown", subject, {"clearance": clearance}, body)


def decide(site: "Site", intent: str, verdict: Verdict, person: str, signer: notes.Signer, reason: str = "") -> str:
    """Sign a verdict and have it counted; gives what it came to. Errors: BadBallot, NotAsked, PayloadGone, Altered."""
    approvals = site.outbound.approvals
    with site.state.read() as reader:
        asked = approvals.find(reader, intent)
        held = kept(reader, _sealing(site), site.audit, intent)
    note = notes.sign(approvals.ballot(asked, held.digest, verdict, person, reason).text(), signer)
    return _counted(site, note)


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of one request of a batch: its outcome, or the fault that kept its voice from counting."""

    intent: str
    outcome: str | None
    fault: Fault | None = None


def together(site: "Site", name: str) -> tuple[Asked, ...]:
    """The open requests of a batch (`Asked.together` is its name), by intent. Errors: NotAsked when there is none."""
    found = sorted((each for each in site.outbound.approvals.list() if each.together == name), key=lambda each: each.intent)
    if not found:
        raise NotAsked(intent=name)
    return tuple(found)


def decide_all(
    site: "Site", asked: Sequence[Asked], verdict: Verdict, person: str, signer: notes.Signer, reason: str = ""
) -> tuple[Decided, ...]:
    """Sign one note over many requests, and have each voice counted alone. Errors: BadBallot when there are too many.

    What can no longer be shown is not signed. One voice that does not count leaves the others as they are.
    """
    approvals, now, done = site.outbound.approvals, site.clock(), []
    ballots: list[Ballot] = []
    for each in asked:
        try:
            with site.state.read() as reader:
                held = kept(reader, _sealing(site), site.audit, each.intent)
        except Fault as fault:
            done.append(Decided(each.intent, None, fault))
        else:
            ballots.append(approvals.ballot(each, held.digest, verdict, person, reason))
    if not ballots:
        return tuple(done)
    leaves = [batch.leaf(each) for each in ballots]
    note = notes.sign(batch.text(leaves, verdict, person, now, reason), signer)
    for ballot, voice in zip(ballots, batch.members(note, leaves), strict=True):
        try:
            done.append(Decided(ballot.intent, _counted(site, voice)))
        except Fault as fault:
            done.append(Decided(ballot.intent, None, fault))
    return tuple(done)


def _counted(site: "Site", voice: str) -> str:
    with site.state.begin() as transaction:
        intent, outcome = site.outbound.approvals.vote(transaction, voice)
        heard(Deliveries(site.state, site.audit), transaction, intent, outcome, site.clock())
    return outcome


def _sealing(site: "Site") -> Sealing:
    return Sealing(site.keys, site.settings.keys.period)
