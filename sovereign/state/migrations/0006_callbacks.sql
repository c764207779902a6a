-- Where applications are told what became of their writes, and what they are to be told. A message holds no personal value.

CREATE TABLE client_callbacks (
    client TEXT NOT NULL PRIMARY KEY REFERENCES clients (id),
    urls TEXT NOT NULL,
    network TEXT NOT NULL,
    plaintext INTEGER NOT NULL,
    since BIGINT NOT NULL
);

CREATE TABLE callback_messages (
    intent TEXT NOT NULL REFERENCES intents (id),
    number INTEGER NOT NULL,
    client TEXT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    since TEXT NOT NULL,
    next_at TEXT,
    why TEXT,
    PRIMARY KEY (intent, number)
);

CREATE INDEX callback_messages_due ON callback_messages (client, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX callback_messages_by_outcome ON callback_messages (outcome, since);
CREATE INDEX delivery_events_told ON delivery_events (entry) WHERE state IN ('cancelled', 'confirmed', 'delivered', 'denied', 'did_not_happen', 'expired', 'failed', 'inconclusive', 'landed', 'refused', 'rejected');
