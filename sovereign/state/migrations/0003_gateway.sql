-- People, clients and their rights; write intents, their decisions and their deliveries. {BYTES} is the engine's type for bytes.
-- Instants are text of fixed width, UTC. JSON is text. What an application writes is in sealed columns alone; lanes are keyed pseudonyms.

CREATE TABLE people (
    name TEXT NOT NULL PRIMARY KEY,
    groups TEXT NOT NULL,
    added_at TEXT NOT NULL,
    removed_at TEXT
);

CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    subject_kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    connection TEXT,
    reason TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    revoked_by TEXT
);

CREATE INDEX grants_by_subject ON grants (subject_kind, subject);

CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    purpose TEXT NOT NULL,
    connections TEXT NOT NULL,
    limits TEXT NOT NULL,
    added_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
);

CREATE TABLE credentials (
    id TEXT NOT NULL PRIMARY KEY,
    client TEXT NOT NULL REFERENCES clients (id),
    kind TEXT NOT NULL,
    digest {BYTES} NOT NULL,
    added_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
);

CREATE UNIQUE INDEX credentials_by_digest ON credentials (kind, digest);

CREATE TABLE approvers (
    key_id TEXT NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    vkey TEXT NOT NULL,
    enrolled_at TEXT NOT NULL,
    enrolled_by TEXT NOT NULL,
    revoked_at TEXT
);

CREATE TABLE intents (
    id TEXT NOT NULL PRIMARY KEY,
    received_at TEXT NOT NULL,
    client TEXT NOT NULL,
    person TEXT,
    connection TEXT NOT NULL,
    door TEXT NOT NULL,
    operation TEXT NOT NULL,
    method TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL,
    digest {BYTES} NOT NULL,
    bytes BIGINT NOT NULL,
    wrapped TEXT NOT NULL,
    sealed {BYTES},
    expires_at TEXT
);

CREATE INDEX intents_by_client ON intents (client, connection, received_at);

CREATE TABLE decisions (
    intent TEXT NOT NULL PRIMARY KEY REFERENCES intents (id),
    at TEXT NOT NULL,
    effect TEXT NOT NULL,
    policies TEXT NOT NULL,
    policy_set TEXT NOT NULL,
    fr TEXT NOT NULL,
    en TEXT NOT NULL,
    findings TEXT NOT NULL,
    question TEXT NOT NULL,
    obligations TEXT NOT NULL
);

CREATE TABLE deliveries (
    intent TEXT NOT NULL PRIMARY KEY REFERENCES intents (id),
    turn BIGINT NOT NULL,
    connection TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    blocks INTEGER NOT NULL,
    version INTEGER NOT NULL,
    since TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at TEXT,
    holder TEXT,
    status INTEGER,
    why TEXT,
    outcome TEXT NOT NULL,
    sealed_outcome {BYTES}
);

CREATE UNIQUE INDEX deliveries_by_turn ON deliveries (turn);
CREATE INDEX deliveries_by_state ON deliveries (state, turn);
CREATE INDEX deliveries_blocking ON deliveries (connection, lane, turn) WHERE blocks = 1;
CREATE INDEX deliveries_waiting ON deliveries (connection, priority, turn) WHERE state = 'queued';
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE delivery_events (
    intent TEXT NOT NULL REFERENCES intents (id),
    number INTEGER NOT NULL,
    at TEXT NOT NULL,
    was TEXT,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    actor TEXT,
    entry BIGINT,
    PRIMARY KEY (intent, number)
);

CREATE TABLE idempotency (
    client TEXT NOT NULL,
    digest_of_key {BYTES} NOT NULL,
    digest {BYTES} NOT NULL,
    intent TEXT NOT NULL REFERENCES intents (id),
    added_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (client, digest_of_key)
);

CREATE TABLE circuits (
    connection TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    failures INTEGER NOT NULL,
    until TEXT,
    reason TEXT,
    actor TEXT
);

CREATE TABLE approval_requests (
    intent TEXT NOT NULL PRIMARY KEY REFERENCES intents (id),
    digest {BYTES} NOT NULL,
    quorum INTEGER NOT NULL,
    groups TEXT NOT NULL,
    excluded TEXT NOT NULL,
    batch TEXT,
    asked_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    state TEXT NOT NULL
);

CREATE TABLE approval_verdicts (
    intent TEXT NOT NULL REFERENCES approval_requests (intent),
    person TEXT NOT NULL,
    key_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    at TEXT NOT NULL,
    sealed_note {BYTES} NOT NULL,
    PRIMARY KEY (intent, person)
);

CREATE TABLE policy_sets (
    digest TEXT NOT NULL PRIMARY KEY,
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL,
    state TEXT NOT NULL,
    files TEXT NOT NULL,
    signatures TEXT NOT NULL
);
