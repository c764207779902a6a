-- Who is told what happens here, and what each is to be told, in the order of its sequence. Bodies are sealed.
-- {BYTES} is the engine's type for bytes.

CREATE TABLE subscribers (
    name TEXT NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    digest TEXT NOT NULL,
    removed_at TEXT
);

CREATE TABLE subscriber_messages (
    subscriber TEXT NOT NULL REFERENCES subscribers (name),
    sequence BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    since TEXT NOT NULL,
    next_at TEXT,
    status INTEGER,
    why TEXT,
    sealed {BYTES} NOT NULL,
    PRIMARY KEY (subscriber, sequence)
);

CREATE UNIQUE INDEX subscriber_messages_by_id ON subscriber_messages (subscriber, id);
CREATE INDEX subscriber_messages_due ON subscriber_messages (subscriber, sequence) WHERE next_at IS NOT NULL;
CREATE INDEX subscriber_messages_by_outcome ON subscriber_messages (subscriber, outcome, since);
CREATE INDEX flow_rows_by_intent ON flow_rows (intent) WHERE intent IS NOT NULL;
