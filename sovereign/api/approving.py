"""Requests for approval over HTTP: what an application sees of its own, what an approver who signs for it sees, and votes.

1. An application sees its own, with what they change as far as whoever answers for it may read; no body, no approver's name.
2. An approver who may approve there sees the request whole, as far as their own clearance, by a note that their key signs.
3. A vote is a signed note: the signature says who votes, and is checked before anything else.
"""

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from sovereign.api.answers import requested
from sovereign.api.errors import bad
from sovereign.gateway.approvals import APPROVE, Asked
from sovereign.gateway.effect import Effect
from sovereign.gateway.entitled import entitled
from sovereign.gateway.errors import BadBallot
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.kept import kept
from sovereign.gateway.looking import Once
from sovereign.gateway.looking import parse as parse_look
from sovereign.gateway.receipt import heard
from sovereign.language import Language

if TYPE_CHECKING:
    from sovereign.api.app import House


class Approving:
    """The requests of a house. Everything here may be called in a thread."""

    def __init__(self, house: "House") -> None:
        self._house, self._once = house, Once()

    def own(self, intent: str, owner: str, language: Language) -> dict[str, Any]:
        """A request as its own application sees it. owner: who answers for it. Errors: NotAsked, PayloadGone, Altered."""
        asked, sent = self._held(intent)
        effect = self._house.compare(sent, self._house.rights.clearance(owner, connection=asked.connection))
        return requested(asked, sent) | {"effect": effect.record(language)}

    def look(self, intent: str, note: str, language: Language) -> dict[str, Any]:
        """A request as an approver sees it. Errors: BadBallot, NotAsked, PayloadGone, Altered."""
        house = self._house
        person, text = house.approvals.signer(note)
        wish = parse_look(text)
        if wish.person != person or wish.intent != intent:
            raise BadBallot(reason_fr="il porte sur autre chose", reason_en="it is about something else")
        asked, sent = self._held(intent)
        if not house.rights.may(person, APPROVE, connection=asked.connection):
            raise BadBallot(reason_fr="sans le droit d'approuver ici", reason_en="without the right to approve here")
        self._once.take(wish, house.site, house.clock())
        clearance = house.rights.clearance(person, connection=asked.connection)
        effect = house.compare(sent, clearance)
        subject = {"connection": asked.connection, "intent": intent}
        house.gateway.deliveries.audit.append("approval.shown", subject, {"clearance": clearance}, {"person": person})
        with house.state.read() as reader:
            voices = sorted(house.approvals.voices(reader, intent).values(), key=lambda each: each.at)
            who = entitled(reader, house.approvals, asked, house.people, house.rights)
        decided = house.gateway.receipt(intent).decision
        said = None if decided is None else decided.fr if language == "fr" else decided.en
        return _seen(asked, sent, effect) | {
            "sentence": said, "effect": effect.record(language),
            "voices": [{"person": v.person, "verdict": v.verdict, "at": v.at.isoformat(), "reason": v.reason} for v in voices],
            "who": [
                {
                    "person": w.person, "groups": list(w.groups), "can": w.why is None,
                    "why": w.reason if w.why is None else w.why[language == "en"],
                }
                for w in who
            ],
        }  # fmt: skip

    def vote(self, intent: str, note: str) -> str:
        """Have a voice counted; gives what the request came to. Errors: BadBallot, NotAsked, BadRequest."""
        house = self._house
        # Whoever is nobody's key costs one look, and never a write transaction.
        if house.approvals.signed(note) != intent:
            raise bad("la note porte sur une autre demande", "the note is about another request")
        with house.state.begin() as transaction:
            _, outcome = house.approvals.vote(transaction, note)
            heard(house.gateway.deliveries, transaction, intent, outcome, house.clock())
            return outcome

    def _held(self, intent: str) -> tuple[Asked, WriteIntent]:
        house = self._house
        with house.state.read() as reader:
            asked = house.approvals.find(reader, intent)
            return asked, kept(reader, house.gateway.sealing, house.gateway.deliveries.audit, intent)


def _seen(asked: Asked, sent: WriteIntent, effect: Effect) -> dict[str, Any]:
    """What will be sent, as far as a clearance covers it: what lies above it is null."""
    told = requested(asked, sent) | {"client": asked.client}
    if effect.hides_names:
        told |= {"entity": None, "path": None}
    shown = sent.upload is None and effect.covers(effect.classes)  # a long body is told by its length and its hash
    return told | {"body": b64encode(sent.body).decode() if shown else None}
