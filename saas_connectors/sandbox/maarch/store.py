"""What the server holds, in SQLite in memory, so that a clause of `POST /res/list` is the SQL that it is on a real one.

As there: the view joins document types, so a letter whose type is gone is in no list; a word of the denylist, even inside a
text, refuses the request; `jsonb` columns come as text; instants bear no zone.
"""

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from saas_connectors.sandbox.maarch import letters
from saas_connectors.sandbox.maarch.letters import Row

DENIED: Final = re.compile(
    r"\b(?:abort|alter|copy|create|delete|disgard|\ndrop|execute|grant|insert|load|lock|move|reset|truncate|update)\b",
    re.IGNORECASE,
)
_BOOLEANS: Final = {"retention_frozen", "binding", "in_signature_book", "in_send_attach"}
_TABLES: Final = """
CREATE TABLE doctypes (type_id INTEGER PRIMARY KEY, description TEXT, doctypes_first_level_id INT DEFAULT 1,
  doctypes_second_level_id INT DEFAULT 1);
CREATE TABLE entities (id INTEGER PRIMARY KEY, entity_id TEXT UNIQUE, entity_label TEXT, short_label TEXT,
  parent_entity_id TEXT, entity_type TEXT DEFAULT 'Service', enabled TEXT DEFAULT 'Y');
CREATE TABLE status (identifier INTEGER PRIMARY KEY, id TEXT UNIQUE, label_status TEXT, is_system TEXT DEFAULT 'Y',
  img_filename TEXT DEFAULT 'fm-letter', maarch_module TEXT DEFAULT 'apps', can_be_searched TEXT DEFAULT 'Y',
  can_be_modified TEXT DEFAULT 'Y');
CREATE TABLE users (id INTEGER PRIMARY KEY, user_id TEXT, firstname TEXT, lastname TEXT, status TEXT DEFAULT 'OK', mail TEXT,
  mode TEXT DEFAULT 'standard');
CREATE TABLE contacts (id INTEGER PRIMARY KEY, firstname TEXT, lastname TEXT, company TEXT, address_number TEXT,
  address_street TEXT, address_postcode TEXT, address_town TEXT, address_country TEXT, email TEXT, enabled INT DEFAULT 1,
  external_id TEXT DEFAULT '{}');
CREATE TABLE notes (id INTEGER PRIMARY KEY, identifier INT, user_id INT, creation_date TEXT, note_text TEXT);
CREATE TABLE res_attachments (res_id INTEGER PRIMARY KEY, res_id_master INT, identifier TEXT, title TEXT, typist INT,
  modified_by INT, creation_date TEXT, modification_date TEXT, relation INT DEFAULT 1, status TEXT DEFAULT 'A_TRA',
  attachment_type TEXT, format TEXT, in_signature_book INT DEFAULT 0, in_send_attach INT DEFAULT 0,
  external_state TEXT DEFAULT '{}');
CREATE TABLE history (id INTEGER PRIMARY KEY, table_name TEXT, record_id TEXT, event_type TEXT, user_id INT, event_date TEXT,
  info TEXT, event_id TEXT);
CREATE INDEX history_dates ON history (event_date);
CREATE TABLE files (kind TEXT, number INT, content BLOB, PRIMARY KEY (kind, number));
CREATE TABLE res_letterbox (res_id INTEGER PRIMARY KEY, subject TEXT, type_id INT, format TEXT, typist INT, creation_date TEXT,
  modification_date TEXT, doc_date TEXT, fingerprint TEXT, filesize INT, filename TEXT, status TEXT, destination TEXT,
  priority TEXT, initiator TEXT, dest_user INT, confidentiality TEXT, category_id TEXT, alt_identifier TEXT,
  admission_date TEXT, departure_date TEXT,
  opinion_limit_date TEXT, process_limit_date TEXT, closing_date TEXT, barcode TEXT, model_id INT,
  version INT, locker_user_id INT, locker_time TEXT, retention_frozen INT DEFAULT 0, binding INT,
  external_id TEXT DEFAULT '{}', custom_fields TEXT,
  integrations TEXT DEFAULT '{"inShipping": false, "inSignatureBook": false}',
  linked_resources TEXT DEFAULT '[]');
CREATE VIEW res_view_letterbox AS SELECT r.res_id, r.type_id, d.description AS type_label, d.doctypes_first_level_id,
  d.doctypes_second_level_id, r.format, r.typist, r.creation_date, r.modification_date, r.filename,
  CASE WHEN r.filename IS NULL THEN NULL ELSE coalesce(r.fingerprint, lazy_fingerprint(r.res_id)) END AS fingerprint,
  CASE WHEN r.filename IS NULL THEN NULL ELSE coalesce(r.filesize, lazy_size(r.res_id)) END AS filesize,
  r.status, r.doc_date, r.external_id, r.departure_date, r.opinion_limit_date, r.barcode, r.initiator, r.destination,
  r.dest_user, r.confidentiality, r.category_id, r.alt_identifier, r.admission_date, r.process_limit_date,
  r.closing_date, r.subject, r.priority, r.locker_user_id, r.locker_time, r.custom_fields, r.retention_frozen,
  r.binding, r.model_id, r.version,
  r.integrations, r.linked_resources, en.entity_label, en.entity_type AS entitytype
  FROM res_letterbox r JOIN doctypes d ON r.type_id = d.type_id LEFT JOIN entities en ON r.destination = en.entity_id;
"""


class Refused(Exception):
    """The server does not take this request."""


class Store:
    """The tables; `clock` gives the instant, `zone` is that of the server, `size` that of generated documents."""

    def __init__(
        self, count: int, size: int, *, zone: str, clock: Callable[[], datetime], notes_every: int, attachments_every: int
    ) -> None:
        self.zone, self.clock, self.size = zone, clock, size
        self.lock = threading.RLock()
        self.beside: dict[int, dict[str, Any]] = {}
        self._seen: dict[int, str] = {}
        self._last: datetime | None = None
        self._base = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._base.create_function("lazy_fingerprint", 1, self._fingerprint)
        self._base.create_function("lazy_size", 1, lambda number: len(self.file("letter", number) or b""))
        self._base.executescript(_TABLES)
        self._fill(count, notes_every, attachments_every)

    def _fill(self, count: int, notes_every: int, attachments_every: int) -> None:
        base = self._base
        base.execute("BEGIN")
        base.executemany("INSERT INTO doctypes (type_id, description) VALUES (?, ?)", letters.DOCTYPES)
        base.executemany(
            "INSERT INTO entities (id, entity_id, entity_label, short_label, parent_entity_id) VALUES (?, ?, ?, ?, ?)",
            letters.ENTITIES,
        )
        base.executemany("INSERT INTO status (id, label_status) VALUES (?, ?)", letters.STATUSES)
        for n in range(1, 6):
            first, last = letters.person(n * 13)
            self.add("users", id=n, user_id=f"u{n:03}", firstname=first, lastname=last, mail=f"u{n:03}@ville.example")
        for n in range(1, 41):
            first, last = letters.person(n)
            self.add("contacts", id=n, firstname=first, lastname=last, address_street="rue des Tilleuls", address_number=str(n),
                     address_postcode="42000", address_town="Saint-Fictif", email=f"contact{n}@example.org")  # fmt: skip
        numbered = attached = 0
        for n, row in enumerate(letters.letters(count, self.zone)):
            self.add("res_letterbox", **row)
            if notes_every and n % notes_every == 0:
                numbered += 1
                said = f"Appelé le demandeur, rappel prévu ({numbered})"
                self.add("notes", id=numbered, identifier=row["res_id"], user_id=1 + n % 5, creation_date=row["creation_date"],
                         note_text=said)  # fmt: skip
            if attachments_every and n % attachments_every == 0:
                attached += 1
                self.add("res_attachments", res_id=attached, res_id_master=row["res_id"], identifier=f"PJ/{attached}",
                         title=f"Projet de réponse {attached}", typist=1 + n % 5, creation_date=row["creation_date"],
                         modification_date=row["creation_date"], attachment_type="response_project", format="pdf")  # fmt: skip
        base.execute("COMMIT")

    def now(self) -> str:
        """The server's clock, as a timestamp; two readings differ, as the microseconds of a real one do."""
        with self.lock:
            moment = self.clock()
            if self._last is not None and moment <= self._last < moment + timedelta(seconds=1):
                moment = self._last + timedelta(microseconds=1)
            self._last = moment
            return letters.stamp(moment, self.zone)

    def add(self, table: str, **row: Any) -> int:  # noqa: ANN401 - any value of a column
        """Insert a row; gives its number. Tables and columns are named by this package alone."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        with self.lock:
            done = self._base.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
        return int(done.lastrowid or 0)

    def change(self, table: str, key: str, number: object, **row: Any) -> None:  # noqa: ANN401 - any value of a column
        """Update the rows whose `key` is `number`."""
        names = ", ".join(f"{name} = ?" for name in row)
        with self.lock:
            self._base.execute(f"UPDATE {table} SET {names} WHERE {key} = ?", (*row.values(), number))  # noqa: S608

    def drop(self, table: str, key: str, number: object) -> None:
        """Delete the rows whose `key` is `number`."""
        with self.lock:
            self._base.execute(f"DELETE FROM {table} WHERE {key} = ?", (number,))  # noqa: S608

    def rows(self, query: str, *values: object) -> list[Row]:
        """Select."""
        with self.lock:
            return [_plain(row) for row in self._base.execute(query, values)]

    def one(self, query: str, *values: object) -> Row | None:
        """Select the first row."""
        return next(iter(self.rows(query, *values)), None)

    def list(
        self, select: Sequence[str], clause: str, perimeter: str | None, order: Sequence[str], limit: int | None
    ) -> list[Row]:
        """Answer `POST /res/list`; errors: Refused."""
        named = " AND ".join(select)
        if DENIED.search(clause) or DENIED.search(named) or re.search(r"\bselect\b", named, re.IGNORECASE):
            raise Refused
        where = f"({clause})" if perimeter is None else f"({clause}) AND ({perimeter})"
        ordered = f" ORDER BY {', '.join(order)}" if order else ""
        most = f" LIMIT {int(limit)}" if limit else ""
        query = f"SELECT {', '.join(select)} FROM res_view_letterbox WHERE {where}{ordered}{most}"  # noqa: S608 - as they do
        with self.lock:
            self._base.set_authorizer(_reading)
            try:
                return self.rows(query)
            except (sqlite3.Error, sqlite3.Warning):
                raise Refused from None
            finally:
                self._base.set_authorizer(None)

    def allowed(self, number: int, perimeter: str | None) -> bool:
        """Whether a letter is in an account's perimeter; an unknown one never is, unless the account is root."""
        if perimeter is None:
            return True
        if not perimeter:
            return False
        try:
            return bool(self.list(["res_id"], f"res_id = {int(number)}", perimeter, (), 1))
        except Refused:
            return False

    def file(self, kind: str, number: int) -> bytes | None:
        """Give the bytes of a letter's or an attachment's document: those that were stored, else those that are made."""
        held = self.one("SELECT content FROM files WHERE kind = ? AND number = ?", kind, number)
        if held is not None:
            return bytes(held["content"])
        return letters.document(kind, number, self.size)

    def keep(self, kind: str, number: int, content: bytes) -> None:
        """Store a document's bytes."""
        with self.lock:
            self._base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (kind, number, content))

    def told(self, table: str, number: int, event: str, info: str, user: int) -> None:
        """Write a line of history."""
        self.add("history", table_name=table, record_id=str(number), event_type=event, user_id=user, event_date=self.now(),
                 info=info, event_id="sandbox")  # fmt: skip

    def _fingerprint(self, number: int) -> str:
        if number not in self._seen:
            self._seen[number] = hashlib.sha512(letters.document("letter", number, self.size)).hexdigest()
        return self._seen[number]


def _plain(row: Mapping[str, Any]) -> Row:
    return {
        name: bool(row[name]) if name in _BOOLEANS and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118
    }


def _reading(action: int, *_: object) -> int:
    reads = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)
    return sqlite3.SQLITE_OK if action in reads else sqlite3.SQLITE_DENY
