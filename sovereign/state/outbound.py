"""The tables of what leaves: people, clients and their rights; write intents, their decisions and their deliveries.

Columns named `sealed…` hold envelopes of the vault; what an application writes is nowhere else. A lane is a keyed pseudonym of
the entity that is written to.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from sovereign.state.schema import Instant, JsonText, metadata

people = Table(
    "people",
    metadata,
    Column("name", String, primary_key=True),
    Column("groups", JsonText, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("removed_at", Instant),
)
grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("subject_kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("value", String, nullable=False),
    Column("connection", String),
    Column("reason", String, nullable=False),
    Column("granted_by", String, nullable=False),
    Column("granted_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("revoked_by", String),
)
clients = Table(
    "clients",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("connections", JsonText, nullable=False),
    Column("limits", JsonText, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)
credentials = Table(
    "credentials",
    metadata,
    Column("id", String, primary_key=True),
    Column("client", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)
approvers = Table(
    "approvers",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("vkey", String, nullable=False),
    Column("enrolled_at", Instant, nullable=False),
    Column("enrolled_by", String, nullable=False),
    Column("revoked_at", Instant),
)
intents = Table(
    "intents",
    metadata,
    Column("id", String, primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("client", String, nullable=False),
    Column("person", String),
    Column("connection", String, nullable=False),
    Column("door", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("method", String, nullable=False),
    Column("lane", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("wrapped", JsonText, nullable=False),
    Column("sealed", LargeBinary),
    Column("expires_at", Instant),
)
decisions = Table(
    "decisions",
    metadata,
    Column("intent", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("effect", String, nullable=False),
    Column("policies", JsonText, nullable=False),
    Column("policy_set", String, nullable=False),
    Column("fr", String, nullable=False),
    Column("en", String, nullable=False),
    Column("findings", JsonText, nullable=False),
    Column("question", JsonText, nullable=False),
    Column("obligations", JsonText, nullable=False),
)
deliveries = Table(
    "deliveries",
    metadata,
    Column("intent", String, primary_key=True),
    Column("turn", BigInteger, nullable=False),
    Column("connection", String, nullable=False),
    Column("lane", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("blocks", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant),
    Column("holder", String),
    Column("status", Integer),
    Column("why", String),
    Column("outcome", JsonText, nullable=False),
    Column("sealed_outcome", LargeBinary),
)
delivery_events = Table(
    "delivery_events",
    metadata,
    Column("intent", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("was", String),
    Column("state", String, nullable=False),
    Column("why", String, nullable=False),
    Column("actor", String),
    Column("entry", BigInteger),
)
idempotency = Table(
    "idempotency",
    metadata,
    Column("client", String, primary_key=True),
    Column("digest_of_key", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("intent", String, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
circuits = Table(
    "circuits",
    metadata,
    Column("connection", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("until", Instant),
    Column("reason", String),
    Column("actor", String),
)
approval_requests = Table(
    "approval_requests",
    metadata,
    Column("intent", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("quorum", Integer, nullable=False),
    Column("groups", JsonText, nullable=False),
    Column("excluded", JsonText, nullable=False),
    Column("batch", String),
    Column("asked_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("state", String, nullable=False),
)
approval_verdicts = Table(
    "approval_verdicts",
    metadata,
    Column("intent", String, primary_key=True),
    Column("person", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("sealed_note", LargeBinary, nullable=False),
)
policy_sets = Table(
    "policy_sets",
    metadata,
    Column("digest", String, primary_key=True),
    Column("added_at", Instant, nullable=False),
    Column("added_by", String, nullable=False),
    Column("state", String, nullable=False),
    Column("files", JsonText, nullable=False),
    Column("signatures", JsonText, nullable=False),
)
