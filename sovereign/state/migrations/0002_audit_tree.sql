-- The Merkle tree over the audit entries, and the checkpoints that were signed over it. {BYTES} is the engine's type for bytes.
-- What was entered before is moved into the tree when the log is next opened.

CREATE TABLE audit_tiles (
    level INTEGER NOT NULL,
    number BIGINT NOT NULL,
    hashes {BYTES} NOT NULL,
    PRIMARY KEY (level, number)
);

CREATE TABLE audit_checkpoints (
    size BIGINT NOT NULL PRIMARY KEY,
    note TEXT NOT NULL
);
