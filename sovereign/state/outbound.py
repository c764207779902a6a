"""The tables of what leaves: people, clients and their rights; write intents, their decisions and their deliveries.

Columns named `sealed…` hold envelopes of the vault; what an application writes is nowhere else. A lane is a keyed pseudonym of
the entity that is written to.
"""

from sqlalchemy import BigInteger, Integer, LargeBinary, String

from sovereign.state.schema import Instant, JsonText, table

people = table("people", {"name": String}, {"groups": JsonText, "added_at": Instant}, maybe={"removed_at": Instant})
grants = table(
    "grants",
    {"id": String},
    {
        "subject_kind": String,
        "subject": String,
        "kind": String,
        "value": String,
        "reason": String,
        "granted_by": String,
        "granted_at": Instant,
    },
    maybe={"connection": String, "expires_at": Instant, "revoked_at": Instant, "revoked_by": String},
)
clients = table(
    "clients",
    {"id": String},
    {"owner": String, "purpose": String, "connections": JsonText, "limits": JsonText, "added_at": Instant},
    maybe={"expires_at": Instant, "revoked_at": Instant},
)
credentials = table(
    "credentials",
    {"id": String},
    {"client": String, "kind": String, "digest": LargeBinary, "added_at": Instant},
    maybe={"expires_at": Instant, "revoked_at": Instant},
)
client_callbacks = table(
    "client_callbacks",
    {"client": String},
    {"urls": JsonText, "network": String, "plaintext": Integer, "since": BigInteger},
)
approvers = table(
    "approvers",
    {"key_id": String},
    {"person": String, "vkey": String, "enrolled_at": Instant, "enrolled_by": String},
    maybe={"revoked_at": Instant},
)
intents = table(
    "intents",
    {"id": String},
    {
        "received_at": Instant,
        "client": String,
        "connection": String,
        "door": String,
        "operation": String,
        "method": String,
        "lane": String,
        "priority": Integer,
        "digest": LargeBinary,
        "bytes": BigInteger,
        "wrapped": JsonText,
    },
    maybe={"person": String, "sealed": LargeBinary, "expires_at": Instant},
)
decisions = table(
    "decisions",
    {"intent": String},
    {
        "at": Instant,
        "effect": String,
        "policies": JsonText,
        "policy_set": String,
        "fr": String,
        "en": String,
        "findings": JsonText,
        "question": JsonText,
        "obligations": JsonText,
    },
)
deliveries = table(
    "deliveries",
    {"intent": String},
    {
        "turn": BigInteger,
        "connection": String,
        "lane": String,
        "priority": Integer,
        "state": String,
        "blocks": Integer,
        "version": Integer,
        "since": Instant,
        "attempts": Integer,
        "outcome": JsonText,
    },
    maybe={"next_at": Instant, "holder": String, "status": Integer, "why": String, "sealed_outcome": LargeBinary},
)
delivery_events = table(
    "delivery_events",
    {"intent": String, "number": Integer},
    {"at": Instant, "state": String, "why": String},
    maybe={"was": String, "actor": String, "entry": BigInteger},
)
callback_messages = table(
    "callback_messages",
    {"intent": String, "number": Integer},
    {"client": String, "url": String, "state": String, "at": Instant, "attempts": Integer, "outcome": String, "since": Instant},
    maybe={"next_at": Instant, "why": String},
)
idempotency = table(
    "idempotency",
    {"client": String, "digest_of_key": LargeBinary},
    {"digest": LargeBinary, "intent": String, "added_at": Instant, "expires_at": Instant},
)
circuits = table(
    "circuits",
    {"connection": String},
    {"state": String, "since": Instant, "failures": Integer},
    maybe={"until": Instant, "reason": String, "actor": String},
)
refusals = table(
    "refusals",
    {"connection": String, "way": String},
    {"mark": String, "since": Instant, "until": Instant, "times": Integer, "why": String},
)
approval_requests = table(
    "approval_requests",
    {"intent": String},
    {
        "digest": LargeBinary,
        "quorum": Integer,
        "groups": JsonText,
        "excluded": JsonText,
        "asked_at": Instant,
        "expires_at": Instant,
        "state": String,
    },
    maybe={"batch": String},
)
approval_verdicts = table(
    "approval_verdicts",
    {"intent": String, "person": String},
    {"key_id": String, "verdict": String, "at": Instant, "sealed_note": LargeBinary},
)
openings = table(
    "openings",
    {"id": String},
    {
        "client": String,
        "connection": String,
        "operation": String,
        "reads": Integer,
        "owner": String,
        "asked_at": Instant,
        "times": Integer,
        "state": String,
        "sealed_reason": LargeBinary,
    },
    maybe={
        "entity": String, "decided_at": Instant, "decided_by": String, "policy": String, "sealed_answer": LargeBinary,
    },
)  # fmt: skip
policy_sets = table(
    "policy_sets",
    {"digest": String},
    {"added_at": Instant, "added_by": String, "state": String, "files": JsonText, "signatures": JsonText},
)
