-- The names of events that were removed in their time: one that is sent again is still the same event.

CREATE TABLE event_names (
    id TEXT NOT NULL PRIMARY KEY
);
