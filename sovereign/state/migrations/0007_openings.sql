-- Requests to open a flow that policy denied, each until somebody decides. {BYTES} is the engine's type for bytes.
-- What people write (why it is asked, why it is refused) is in sealed columns alone.

CREATE TABLE openings (
    id TEXT NOT NULL PRIMARY KEY,
    client TEXT NOT NULL REFERENCES clients (id),
    connection TEXT NOT NULL,
    operation TEXT NOT NULL,
    reads INTEGER NOT NULL,
    entity TEXT,
    owner TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    times INTEGER NOT NULL,
    state TEXT NOT NULL,
    sealed_reason {BYTES} NOT NULL,
    decided_at TEXT,
    decided_by TEXT,
    policy TEXT,
    sealed_answer {BYTES}
);

CREATE UNIQUE INDEX openings_open ON openings (client, connection, operation, reads) WHERE state = 'open';
CREATE INDEX openings_by_state ON openings (state, asked_at);
