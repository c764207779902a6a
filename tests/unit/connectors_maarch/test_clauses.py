"""Every condition that the connector asks is SQL for PostgreSQL, on columns of the types that Maarch gives them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from saas_connectors.sandbox.maarch import Maarch
from tests.servers import postgres
from tests.unit.connectors_maarch.pulling import NOW, Town, agent

TABLES = """
CREATE TABLE doctypes (type_id bigint PRIMARY KEY, description varchar(255));
CREATE TABLE entities (entity_id varchar(32) PRIMARY KEY, entity_label varchar(255));
CREATE TABLE notes (id serial, identifier bigint NOT NULL, creation_date timestamp NOT NULL, note_text text);
CREATE TABLE history (table_name varchar(32), record_id varchar(255), event_type varchar(32), event_date timestamp NOT NULL);
CREATE TABLE res_attachments (res_id bigint, status varchar(10), modification_date timestamp, res_id_master bigint);
CREATE TABLE res_letterbox (res_id bigint, subject text, type_id bigint, format varchar(50), typist int,
  creation_date timestamp, modification_date timestamp, doc_date timestamp, fingerprint varchar(255), filesize bigint,
  filename varchar(255), status varchar(10), destination varchar(50), priority varchar(16), initiator varchar(50),
  dest_user int, confidentiality char(1), category_id varchar(32), alt_identifier varchar(255), admission_date timestamp,
  departure_date timestamp, opinion_limit_date timestamp, process_limit_date timestamp, closing_date timestamp, barcode text,
  model_id int, version int, retention_frozen boolean, binding boolean, external_id jsonb, custom_fields jsonb,
  integrations jsonb, linked_resources jsonb);
CREATE VIEW res_view_letterbox AS SELECT r.*, d.description AS type_label, en.entity_label FROM res_letterbox r
  JOIN doctypes d ON r.type_id = d.type_id LEFT JOIN entities en ON r.destination = en.entity_id;
INSERT INTO doctypes VALUES (101, 'Réclamation');
INSERT INTO res_letterbox (res_id, type_id, destination, creation_date, modification_date)
  SELECT n, 101, 'PE', '2025-10-25', '2025-10-25' FROM generate_series(101, 140) n;
INSERT INTO notes (identifier, creation_date) VALUES (105, '2025-10-25'), (106, '2027-01-01'), (107, '2025-10-25');
INSERT INTO history VALUES ('notes', '3', 'UP', '2027-01-01'), ('res_letterbox', 'any', 'UP', '2027-01-01'),
  ('res_attachments', '2', 'VIEW', '2027-01-01'), ('res_attachments', '3', 'UP', '2027-01-01');
INSERT INTO res_attachments VALUES (1, 'TRA', '2025-10-25', 111), (2, 'TRA', '2025-10-25', 112), (3, 'TRA', '2025-10-25', 113),
  (4, 'DEL', '2027-01-01', 114);
"""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    with postgres.running() as running:
        running.run(TABLES)
        yield running


def asked(here: Town) -> list[dict[str, Any]]:
    here.pull()
    return [json.loads(call.body) for call in here.server.calls if call.path.endswith("/res/list")]


def answered(server: postgres.Postgres, body: dict[str, Any], select: str | None = None) -> list[str]:
    """Ask as Maarch does: the condition joined as it is to others, then the order and the limit."""
    order = f"ORDER BY {', '.join(body['orderBy'])} LIMIT {body['limit']}"
    columns = select or body["select"]
    return server.ask(f"SELECT {columns} FROM res_view_letterbox WHERE {body['clause']} AND 1=1 {order}")  # noqa: S608 - theirs


def test_every_condition_is_understood(server: postgres.Postgres) -> None:
    here = Town(Maarch(60, accounts=(agent(),)), {"where": "destination = 'PE' OR destination IS NULL"})
    bodies = asked(here)
    here.now = NOW + timedelta(minutes=1)
    bodies += asked(here)
    here.settings["survey_every"] = 3_600
    bodies += asked(here)
    assert len({body["clause"] for body in bodies}) > 8
    for body in bodies:
        answered(server, body)


def test_what_moved_under_letters_is_what_the_vendor_s_tables_say(server: postgres.Postgres) -> None:
    here = Town(Maarch(2, accounts=(agent(),)), {"streams": ["attachments", "notes"]})
    here.pull()
    bodies = [body for body in asked(here) if "history" in body["clause"]]
    found = {body["clause"]: answered(server, body, "res_id") for body in bodies if "res_id > 0" in body["clause"]}
    assert sorted(found.values()) == [["106", "107"], ["113", "114"]]
