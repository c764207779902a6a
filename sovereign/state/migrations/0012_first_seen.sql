-- When an occasion was first seen, however often its rows were looked for since: the order of words about one record.

ALTER TABLE flow_occasions ADD COLUMN first_at TEXT;
