-- Runs, attempts, leases, jobs and the audit log. {BYTES} is the engine's type for bytes.
-- Instants are text of fixed width, UTC: 2026-11-23T18:45:00.000000Z. JSON is text. No personal value and no cursor in any table.

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('audit', 0);

CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    waiting_until TEXT,
    attempts INTEGER NOT NULL,
    verdict TEXT,
    error TEXT,
    counts TEXT NOT NULL,
    outcome TEXT
);

CREATE INDEX runs_by_connection ON runs (connection, id);

CREATE TABLE attempts (
    run TEXT NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    state TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (run, number)
);

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL,
    holder TEXT,
    place TEXT NOT NULL,
    pid BIGINT NOT NULL,
    born BIGINT NOT NULL,
    expires_at TEXT NOT NULL
);

CREATE TABLE jobs (
    connection TEXT NOT NULL PRIMARY KEY,
    cadence TEXT NOT NULL,
    due_at TEXT,
    last_due_at TEXT,
    last_run TEXT,
    last_state TEXT
);

CREATE TABLE occurrences (
    id TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    due_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    state TEXT NOT NULL,
    run TEXT,
    error TEXT
);

CREATE INDEX occurrences_by_connection ON occurrences (connection, due_at);

CREATE TABLE audit_entries (
    seq BIGINT NOT NULL PRIMARY KEY,
    entry TEXT NOT NULL,
    leaf {BYTES} NOT NULL,
    at TEXT NOT NULL,
    act TEXT NOT NULL,
    connection TEXT,
    stream TEXT
);

CREATE INDEX audit_entries_by_subject ON audit_entries (connection, stream, act, seq);

CREATE INDEX audit_entries_by_act ON audit_entries (act, seq);

CREATE TABLE audit_bodies (
    seq BIGINT NOT NULL PRIMARY KEY REFERENCES audit_entries (seq),
    sealed {BYTES} NOT NULL
);
