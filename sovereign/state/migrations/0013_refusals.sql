-- Credentials that a vendor refused, by connection and by way: they are not shown again but rarely, whatever restarts.

CREATE TABLE refusals (
    connection TEXT NOT NULL,
    way TEXT NOT NULL,
    mark TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    times INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (connection, way)
);
