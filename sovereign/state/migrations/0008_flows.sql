-- Flows: which are enabled, what made them act, and each write they asked for. {BYTES} is the engine's type for bytes.
-- A row's key is a keyed pseudonym; what a person would recognise is in sealed columns alone.

CREATE TABLE flows (
    flow TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    position TEXT NOT NULL,
    due_at TEXT
);

CREATE TABLE flow_occasions (
    flow TEXT NOT NULL REFERENCES flows (flow),
    occasion TEXT NOT NULL,
    at TEXT NOT NULL,
    state TEXT NOT NULL,
    found INTEGER NOT NULL,
    why TEXT,
    PRIMARY KEY (flow, occasion)
);

CREATE INDEX flow_occasions_by_state ON flow_occasions (state, at);

CREATE TABLE flow_rows (
    flow TEXT NOT NULL,
    occasion TEXT NOT NULL,
    record {BYTES} NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at TEXT NOT NULL,
    since TEXT NOT NULL,
    undo INTEGER NOT NULL,
    intent TEXT,
    why TEXT,
    sealed {BYTES} NOT NULL,
    PRIMARY KEY (flow, occasion, record, step, undo),
    FOREIGN KEY (flow, occasion) REFERENCES flow_occasions (flow, occasion)
);

CREATE INDEX flow_rows_due ON flow_rows (state, due_at);
CREATE INDEX flow_rows_by_record ON flow_rows (flow, record, since);
