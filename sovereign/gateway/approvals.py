"""Approvals: what is asked, who answered, and whether that is enough.

1. A voice is a note signed by the approver's own key over the intent's digest (`ballot`). The gateway holds public keys alone,
   and checks every signature again each time it counts: rows written into the database approve nothing.
2. The requester and who answers for the application may refuse, never approve; one voice a person, the first one; only people
   who may approve for that connection, at the instant they are counted. A refusal by one ends it.
3. After its end a request can no longer be approved, whatever was signed before.
4. Signed notes name people: they are kept sealed.

Moving the delivery is the gateway's business: `vote` says what came of it, in the transaction it was given.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import ColumnElement, Connection, insert, select, update

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.gateway import batch as batches
from sovereign.gateway.ballot import Ballot, Verdict, met, parse, plain
from sovereign.gateway.decision import Decision
from sovereign.gateway.digests import Digests
from sovereign.gateway.errors import BadBallot, NotAsked
from sovereign.gateway.intent import WriteIntent
from sovereign.state import State
from sovereign.state.outbound import approval_requests, approval_verdicts, approvers, intents
from vault import approver, envelope, notes
from vault.errors import VaultError
from vault.keys import Keys

SKEW: Final = timedelta(minutes=5)
"""How far an approver's clock may be ahead of ours."""
PATIENCE: Final = timedelta(hours=24)
"""How long a request stands when policy does not say."""
APPROVE: Final = "writes.approve"


class Voters(Protocol):
    """What is asked about people; `sovereign.access.Rights` answers."""

    def may(self, person: str, permission: str, *, connection: str | None = None) -> bool:
        """Whether someone may do this now."""
        ...

    def groups(self, person: str) -> frozenset[str]:
        """The groups someone is in."""
        ...


@dataclass(frozen=True, slots=True)
class Approver:
    """A key that may speak for someone. `revoked_at` is None while it counts."""

    key_id: str
    person: str
    vkey: str
    enrolled_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for approval. state: `open`, `approved`, `refused`, `expired` or `cancelled`. keyed: its intent's digest."""

    intent: str
    connection: str
    client: str
    keyed: bytes = field(repr=False)
    quorum: int
    groups: tuple[str, ...]
    batch: str | None
    asked_at: datetime
    expires_at: datetime
    state: str
    operation: str = ""

    @property
    def together(self) -> str:
        """What it may be decided together with: its batch, else the requests of the same client for the same operation."""
        return self.batch or f"{self.client}/{self.connection}/{self.operation}"


class Approvals:
    """The approvals of a site."""

    def __init__(self, state: State, audit: AuditLog, keys: Keys, clock: Clock, voters: Voters) -> None:
        self._state, self._audit, self._clock, self._voters = state, audit, clock, voters
        self._sealing, self._naming = keys.derive("approval/note"), keys.derive("approval/person")
        self._digests = Digests(keys)
        self._digests.settle(state)

    # Keys

    def enrol(self, person: str, vkey: str, *, by: str) -> Approver:
        """Let a public key speak for someone. Errors: BadBallot when it is no key, or speaks for somebody already."""
        try:
            verifier = notes.Verifier.parse(vkey)
        except VaultError:
            raise BadBallot(reason_fr="ce n'est pas une clé publique", reason_en="this is no public key") from None
        name = approver.fingerprint(verifier)
        with self._state.begin() as transaction:
            if transaction.execute(select(approvers.c.key_id).where(approvers.c.key_id == name)).first():
                raise BadBallot(reason_fr="cette clé sert déjà", reason_en="this key serves already")
            made = Approver(name, person, verifier.vkey, self._clock(), None)
            row = {"key_id": name, "person": person, "vkey": made.vkey, "enrolled_at": made.enrolled_at, "enrolled_by": by}
            transaction.execute(insert(approvers).values(**row))
            self._audit.append("approver.enrolled", {"key": name}, {}, {"person": person, "by": by}, within=transaction)
        return made

    def revoke(self, key_id: str, *, by: str) -> None:
        """Let a key speak no more; what it signed before counts no more either. Errors: BadBallot when there is none."""
        with self._state.begin() as transaction:
            live = (approvers.c.key_id == key_id) & approvers.c.revoked_at.is_(None)
            if not transaction.execute(update(approvers).where(live).values(revoked_at=self._clock())).rowcount:
                raise BadBallot(reason_fr="aucune clé de ce nom ne sert", reason_en="no key of that name serves")
            self._audit.append("approver.revoked", {"key": key_id}, {}, {"by": by}, within=transaction)

    def approvers(self) -> tuple[Approver, ...]:
        """Every key, by the time of enrolment."""
        with self._state.read() as reader:
            return self._approvers(reader)

    # Requests and voices

    def ask(
        self, transaction: Connection, intent: WriteIntent, decision: Decision, *, owner: str, batch: str | None = None
    ) -> datetime:
        """Ask for what a decision that holds wants; gives the instant at which the request ends.

        owner: who answers for the client. batch: what it is decided together with.
        """
        present = self._clock()
        ends = present + (decision.within or PATIENCE)
        if intent.expires_at is not None:
            ends = min(ends, intent.expires_at)
        excluded = sorted({self._alike(name) for name in (owner, intent.person) if name})
        row = {
            "intent": intent.id, "digest": self._digests.intent(intent.id, intent.digest), "groups": list(decision.groups),
            "quorum": max(decision.quorum, len(decision.groups), 1), "excluded": excluded, "batch": batch, "asked_at": present,
            "expires_at": ends, "state": "open",
        }  # fmt: skip
        transaction.execute(insert(approval_requests).values(**row))
        return ends

    def covers(self, asked: Asked, digest: bytes) -> bool:
        """Whether a request is about an intent of this digest."""
        return hmac.compare_digest(self._digests.intent(asked.intent, digest), asked.keyed)

    def excludes(self, reader: Connection, intent: str, person: str) -> bool:
        """Whether someone may not approve a request because it is theirs, or their application's."""
        held = select(approval_requests.c.excluded).where(approval_requests.c.intent == intent)
        return self._alike(person) in reader.execute(held).scalar_one()

    def ballot(self, asked: Asked, digest: bytes, verdict: Verdict, person: str, reason: str = "") -> Ballot:
        """What someone is to sign now to decide on a request. digest: of the intent that they were shown."""
        return Ballot(
            asked.intent, digest, verdict, person, self._clock(), asked.expires_at, asked.quorum, asked.groups, reason
        )  # fmt: skip

    def find(self, reader: Connection, intent: str) -> Asked:
        """One request. Errors: NotAsked."""
        found = self._asked(reader, approval_requests.c.intent == intent)
        if not found:
            raise NotAsked(intent=intent)
        return found[0]

    def list(self, *, open_only: bool = True, client: str | None = None) -> tuple[Asked, ...]:
        """The requests, oldest first; of one application when it is named."""
        wanted = [approval_requests.c.state == "open"] if open_only else []
        wanted += [] if client is None else [intents.c.client == client]
        with self._state.read() as reader:
            return tuple(self._asked(reader, *wanted))

    def voices(self, reader: Connection, intent: str) -> dict[str, Ballot]:
        """The voices on an intent that verify now, by person, whatever the database says of them."""
        asked = self.find(reader, intent)
        keys = {each.key_id: each for each in self._approvers(reader) if each.revoked_at is None}
        excluded = set(
            reader.execute(select(approval_requests.c.excluded).where(approval_requests.c.intent == intent)).scalar_one()
        )
        found: dict[str, Ballot] = {}
        for row in reader.execute(select(approval_verdicts).where(approval_verdicts.c.intent == intent)):
            try:
                note = envelope.open(self._sealing, _context(intent, row.key_id), row.sealed_note).decode()
                ballot = self._checked(note, asked, keys)
            except (BadBallot, VaultError, UnicodeDecodeError):
                continue
            if ballot.verdict == "refuse" or self._alike(ballot.person) not in excluded:
                found.setdefault(ballot.person, ballot)
        return found

    def outcome(self, reader: Connection, intent: str) -> str:
        """What the voices that verify now amount to: `open`, `approved`, `refused` or `expired`."""
        asked = self.find(reader, intent)
        voices = self.voices(reader, intent)
        if any(ballot.verdict == "refuse" for ballot in voices.values()):
            return "refused"
        approving: Mapping[str, frozenset[str]] = {
            person: self._voters.groups(person)
            for person in voices
            if self._voters.may(person, APPROVE, connection=asked.connection)
        }
        if asked.state == "approved" or self._clock() <= asked.expires_at:
            return "approved" if met(approving, asked.quorum, asked.groups) else "open"
        return "expired"

    def signed(self, note: str) -> str:
        """The intent that a note is about, once an enrolled key is seen to have signed it. Errors: BadBallot."""
        intent = _named(note)
        with self._state.read() as reader:
            known = self._approvers(reader)
        signed = _note(note)
        if not any(each.revoked_at is None and _signed(signed, each) for each in known):
            raise _unsigned()
        return intent

    def signer(self, note: str) -> tuple[str, str]:
        """Whose enrolled key signed a note, and its text. Errors: BadBallot."""
        with self._state.read() as reader:
            known = self._approvers(reader)
        found = next((each for each in known if each.revoked_at is None and _signed(note, each)), None)
        if found is None:
            raise _unsigned()
        return found.person, notes.verify(note, [notes.Verifier.parse(found.vkey)])

    def vote(self, transaction: Connection, note: str) -> tuple[str, str]:
        """Take a voice, a note or one out of a batch; gives the intent, and what it came to: `open`, `approved` or `refused`.

        Errors: BadBallot, NotAsked. Whoever signs may sign anything: the note is checked against the request, its end, the
        key's owner and their rights.
        """
        intent = _named(note)
        asked = self.find(transaction, intent)
        if asked.state != "open":
            raise NotAsked(intent=intent)
        present = self._clock()
        if present > asked.expires_at:
            raise BadBallot(reason_fr="la demande est échue", reason_en="the request has expired")
        keys = {each.key_id: each for each in self._approvers(transaction) if each.revoked_at is None}
        ballot = self._checked(note, asked, keys)
        if ballot.at > present + SKEW or ballot.at < asked.asked_at - SKEW:
            raise BadBallot(reason_fr="signé à un instant impossible", reason_en="signed at an impossible instant")
        if ballot.verdict == "approve" and self.excludes(transaction, intent, ballot.person):
            raise BadBallot(reason_fr="on n'approuve pas sa propre demande", reason_en="nobody decides on their own request")
        if not self._voters.may(ballot.person, APPROVE, connection=asked.connection):
            raise BadBallot(reason_fr="sans le droit d'approuver ici", reason_en="without the right to approve here")
        if asked.groups and not self._voters.groups(ballot.person) & set(asked.groups):
            raise BadBallot(reason_fr="d'aucun des groupes demandés", reason_en="of none of the groups asked")
        if ballot.person in self.voices(transaction, intent):
            raise BadBallot(reason_fr="cette personne a déjà tranché", reason_en="this person has decided already")
        key = next(each.key_id for each in keys.values() if each.person == ballot.person and _signed(_note(note), each))
        row = {
            "intent": intent, "person": self._pseudonym(ballot.person), "key_id": key, "verdict": ballot.verdict, "at": present,
            "sealed_note": envelope.seal(self._sealing, _context(intent, key), note.encode()),
        }  # fmt: skip
        mine = (approval_verdicts.c.intent == intent) & (approval_verdicts.c.person == row["person"])
        if transaction.execute(update(approval_verdicts).where(mine).values(**row)).rowcount == 0:
            transaction.execute(insert(approval_verdicts).values(**row))
        facts = {"verdict": ballot.verdict, "key": key}  # the digest of a short body can be guessed: it is in the sealed note
        subject = {"connection": asked.connection, "intent": intent}
        self._audit.append("approval.given", subject, facts, {"person": ballot.person, "note": note}, within=transaction)
        outcome = self.outcome(transaction, intent)
        self.settle(transaction, intent, outcome)
        return intent, outcome

    def settle(self, transaction: Connection, intent: str, outcome: str) -> None:
        """Note what a request came to."""
        one = approval_requests.c.intent == intent
        transaction.execute(update(approval_requests).where(one).values(state=outcome))

    def due(self, reader: Connection) -> tuple[str, ...]:
        """The intents whose request has ended with nobody having decided."""
        over = approval_requests.c.state == "open", approval_requests.c.expires_at < self._clock()
        return tuple(each.intent for each in self._asked(reader, *over))

    def _checked(self, given: str, asked: Asked, keys: Mapping[str, Approver]) -> Ballot:
        """Read a voice that an enrolled key signed for its own person, on this very request. Errors: BadBallot."""
        one = batches.member(given)
        note = given if one is None else one.note
        signer = next((each for each in keys.values() if _signed(note, each)), None)
        if signer is None:
            raise _unsigned()
        known = [notes.Verifier.parse(signer.vkey)]
        ballot = (
            parse(notes.verify(note, known)) if one is None else batches.ballot(one, lambda each: notes.verify(each, known))
        )
        if ballot.person != signer.person:
            raise BadBallot(reason_fr="signé par la clé d'un autre", reason_en="signed by somebody else's key")
        if ballot.intent != asked.intent or not self.covers(asked, ballot.digest):
            raise BadBallot(reason_fr="il porte sur une autre demande", reason_en="it is about another request")
        if (ballot.until, ballot.quorum, ballot.groups) != (asked.expires_at, asked.quorum, asked.groups):
            raise BadBallot(reason_fr="il répond à d'autres conditions", reason_en="it answers other terms")
        return ballot

    def _approvers(self, reader: Connection) -> tuple[Approver, ...]:
        rows = reader.execute(select(approvers).order_by(approvers.c.enrolled_at)).all()
        return tuple(Approver(row.key_id, row.person, row.vkey, row.enrolled_at, row.revoked_at) for row in rows)

    def _asked(self, reader: Connection, *wanted: ColumnElement[bool]) -> Sequence[Asked]:
        joined = approval_requests.join(intents, intents.c.id == approval_requests.c.intent)
        query = (
            select(approval_requests, intents.c.connection, intents.c.client, intents.c.operation)
            .select_from(joined)
            .where(*wanted)
            .order_by(approval_requests.c.asked_at)
        )
        return [
            Asked(
                row.intent, row.connection, row.client, row.digest, row.quorum, tuple(row.groups), row.batch, row.asked_at,
                row.expires_at, row.state, row.operation,
            )
            for row in reader.execute(query)
        ]  # fmt: skip

    def _alike(self, name: str) -> str:
        """One pseudonym for every way of writing a name: nobody escapes their own exclusion by an accent or a capital."""
        return self._pseudonym(plain(name))

    def _pseudonym(self, name: str) -> str:
        return hmac.digest(self._naming, name.encode(), hashlib.sha256)[:16].hex()


def _unsigned() -> BadBallot:
    return BadBallot(reason_fr="aucune clé inscrite ne l'a signé", reason_en="no enrolled key signed it")


def _named(given: str) -> str:
    one = batches.member(given)
    return parse(given.rpartition("\n\n")[0] + "\n").intent if one is None else batches.intent_of(one)


def _note(given: str) -> str:
    """The signed note of a voice."""
    one = batches.member(given)
    return given if one is None else one.note


def _signed(note: str, key: Approver) -> bool:
    try:
        notes.verify(note, [notes.Verifier.parse(key.vkey)])
    except VaultError:
        return False
    return True


def _context(intent: str, key_id: str) -> bytes:
    return f"sovereign-approval/1:{intent}:{key_id}".encode()
