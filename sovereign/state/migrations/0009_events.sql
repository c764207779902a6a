-- Events that came in, each once. Their bytes are sealed. {BYTES} is the engine's type for bytes.

CREATE TABLE events (
    position INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    signed_at TEXT,
    bytes INTEGER NOT NULL,
    sealed {BYTES} NOT NULL
);

CREATE INDEX events_by_type ON events (type, position);
