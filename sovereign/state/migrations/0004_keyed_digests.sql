-- Digests of intents and of requests are kept keyed from now on (gateway/digests.py). Where there are some of before, this row asks
-- the first process that opens the database with the site's keys to replace them; it takes the row away when it has.

INSERT INTO counters (name, value) SELECT 'digests', 0 WHERE EXISTS (SELECT 1 FROM intents);
