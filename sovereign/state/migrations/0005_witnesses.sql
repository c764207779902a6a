-- What each witness of the audit log saw last, and how it answers. Instants are text of fixed width, UTC.

CREATE TABLE audit_witnesses (
    name TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    told INTEGER NOT NULL,
    note TEXT,
    seen_at TEXT,
    reason TEXT
);
