"""What the server shows besides lists of letters: one letter, its files, notes and attachments; people, services, types."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import orjson

from saas_connectors.sandbox.maarch.desk import OUT, said, wrong
from saas_connectors.sandbox.maarch.door import Account
from saas_connectors.sandbox.maarch.letters import Row
from saas_connectors.sandbox.maarch.store import Store
from saas_connectors.sandbox.wire import Call, Reply

_CONTACTS: Final = (
    "id, firstname, lastname, company, address_number AS addressNumber, address_street AS addressStreet, "
    "address_postcode AS addressPostcode, address_town AS addressTown, address_country AS addressCountry, enabled"
)
_KIND: Final = {"pdf": "application/pdf", "txt": "text/plain"}


class Shown:
    """The reading routes, but lists of letters."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, route: str, account: Account, number: int, call: Call) -> Reply:
        """Answer a GET."""
        if route.startswith("GET/resources/"):
            if not self._store.allowed(number, account.clause):
                return OUT
            return self._of_letter(route, account, number, call)
        if route.startswith("GET/attachments/"):
            return self._attachment(route, account, number, call)
        if route == "GET/contacts":
            return self._contacts(account, call)
        if route == "GET/history":
            return self._history(account, call)
        return self._one(route, account, number) if number else self._referred(route, account)

    def _one(self, route: str, account: Account, number: int) -> Reply:
        if route == "GET/contacts/{id}":
            held = self._store.one(f"SELECT {_CONTACTS}, email FROM contacts WHERE id = ?", number)  # noqa: S608
            return wrong("Contact does not exist") if held is None else said(held)
        held = self._store.one("SELECT * FROM notes WHERE id = ?", number)
        if held is None or not self._store.allowed(held["identifier"], account.clause):
            return wrong("Note out of perimeter", 403)
        return said({**held, "value": held["note_text"], "entities": []})

    def _referred(self, route: str, account: Account) -> Reply:
        match route:
            case "GET/users":
                if "admin_users" not in account.privileges:
                    return wrong("Service forbidden", 403)
                return said({"users": self._store.rows("SELECT * FROM users WHERE status <> 'DEL' ORDER BY id"), "quota": []})
            case "GET/entities":
                rows = self._store.rows("SELECT * FROM entities ORDER BY entity_label")
                own = ({"serialId": row["id"], "id": row["entity_id"], "allowed": True} for row in rows)
                return said({"entities": [row | more for row, more in zip(rows, own, strict=True)]})
            case "GET/statuses":
                return said({"statuses": self._store.rows("SELECT * FROM status ORDER BY label_status")})
        return said({"doctypes": self._store.rows("SELECT * FROM doctypes ORDER BY description")})

    def _of_letter(self, route: str, account: Account, number: int, call: Call) -> Reply:
        held = self._store.one("SELECT * FROM res_letterbox WHERE res_id = ?", number)
        if held is None:
            return wrong("Document does not exist")
        if route.endswith(("/content", "/originalContent")):
            if held["filename"] is None:
                return wrong("Document has no file")
            self._store.told("res_letterbox", number, "VIEW", "Document affiché", account.number)
            content = self._store.file("letter", number) or b""
            return _file(content, str(held["format"]), str(held["subject"] or "document"), call)
        if route.endswith("/notes"):
            rows = self._store.rows(
                "SELECT n.id, n.identifier, n.user_id, n.creation_date, n.note_text AS value, u.firstname, u.lastname "
                "FROM notes n LEFT JOIN users u ON u.id = n.user_id WHERE n.identifier = ? ORDER BY n.creation_date DESC",
                number,
            )
            return said({"notes": [row | {"entity_label": None} for row in rows]})
        if route.endswith("/attachments"):
            rows = self._store.rows(
                "SELECT * FROM res_attachments WHERE res_id_master = ? AND status NOT IN ('DEL', 'OBS') "
                "AND attachment_type NOT IN ('signed_response', 'summary_sheet') ORDER BY modification_date DESC",
                number,
            )
            listed = [{k: v for k, v in _shown(row).items() if k != "format"} for row in rows]
            return said({"attachments": listed, "mailevaEnabled": False})
        services = {row["entity_id"]: row["id"] for row in self._store.rows("SELECT id, entity_id FROM entities")}
        beside = self._store.beside.get(number, {})
        return said(_letter(held, services, beside, light=bool(call.query.get("light"))))

    def _attachment(self, route: str, account: Account, number: int, call: Call) -> Reply:
        held = self._store.one("SELECT * FROM res_attachments WHERE res_id = ? AND status NOT IN ('DEL', 'OBS')", number)
        if held is None:
            return wrong("Attachment does not exist")
        if not self._store.allowed(held["res_id_master"], account.clause):
            return wrong("Attachment out of perimeter", 403 if route.endswith("Content") else 400)
        if route.endswith("/originalContent"):
            return _file(self._store.file("attachment", number) or b"", held["format"], held["title"] or "piece", call)
        return said(_shown(held) | {"versions": []})

    def _contacts(self, account: Account, call: Call) -> Reply:
        if "admin_contacts" not in account.privileges:
            return wrong("Service forbidden", 403)
        start, most = _number(call, "offset", 0), _number(call, "limit", 25)
        rows = self._store.rows(f"SELECT {_CONTACTS} FROM contacts ORDER BY id LIMIT ? OFFSET ?", most, start)  # noqa: S608
        total = (self._store.one("SELECT count(*) AS n FROM contacts") or {"n": 0})["n"]
        filled: Row = {"isUsed": False, "filling": {"rate": 80, "thresholdLevel": "third"}, "sector": None}
        return said(
            {"contacts": [row | filled | {"enabled": bool(row["enabled"])} for row in rows], "count": total if rows else 0}
        )

    def _history(self, account: Account, call: Call) -> Reply:
        if "view_history" not in account.privileges:
            return wrong("Service forbidden", 403)
        start, most = _number(call, "offset", 0), _number(call, "limit", 25)
        since, until = call.query.get("startDate", ""), call.query.get("endDate", "9999")
        rows = self._store.rows(
            "SELECT record_id, event_date, user_id, info, NULL AS remote_ip FROM history "
            "WHERE event_date > ? AND event_date < ? ORDER BY event_date DESC, id DESC LIMIT ? OFFSET ?",
            since, until, most, start,
        )  # fmt: skip
        counted = self._store.one("SELECT count(*) AS n FROM history WHERE event_date > ? AND event_date < ?", since, until)
        return said({"history": [row | {"userLabel": "—"} for row in rows], "count": (counted or {"n": 0})["n"] if rows else 0})


def _number(call: Call, name: str, default: int) -> int:
    written = call.query.get(name, "")
    return int(written) if written.isdigit() else default


def _file(content: bytes, extension: str, name: str, call: Call) -> Reply:
    kind = _KIND.get(extension, "application/octet-stream")
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)[:30]
    if call.query.get("mode") == "base64":
        encoded = base64.b64encode(content).decode()
        told = {"encodedDocument": encoded, "extension": extension, "mimeType": kind, "filename": f"{plain}.{extension}"}
        return said(told)
    return Reply(200, content, {"Content-Type": kind, "Content-Disposition": f"attachment; filename={plain}.{extension}"})


def _shown(row: Row) -> Row:
    changed = row["modification_date"] if row["modification_date"] != row["creation_date"] else None
    return {
        "resId": row["res_id"], "resIdMaster": row["res_id_master"], "chrono": row["identifier"], "title": row["title"],
        "typist": row["typist"], "modifiedBy": row["modified_by"], "creationDate": row["creation_date"],
        "modificationDate": changed, "relation": row["relation"], "status": row["status"], "type": row["attachment_type"],
        "inSignatureBook": row["in_signature_book"], "inSendAttach": row["in_send_attach"], "format": row["format"],
        "external_state": orjson.loads(row["external_state"]), "typistLabel": "—", "typeLabel": "Projet de réponse",
        "canConvert": True, "canUpdate": False, "canDelete": False,
    }  # fmt: skip


def _letter(row: Row, services: Mapping[str, int], beside: Mapping[str, Any], *, light: bool) -> dict[str, Any]:
    told = {
        "resId": row["res_id"], "modelId": row["model_id"], "categoryId": row["category_id"], "chrono": row["alt_identifier"],
        "status": row["status"], "closingDate": row["closing_date"], "creationDate": row["creation_date"],
        "modificationDate": row["modification_date"], "retentionFrozen": row["retention_frozen"], "binding": row["binding"],
        "integrations": orjson.loads(row["integrations"]), "subject": row["subject"], "priority": row["priority"],
        "processLimitDate": row["process_limit_date"], "statusLabel": row["status"], "typist": row["typist"],
    }  # fmt: skip
    told |= {name: beside.get(name, []) for name in ("senders", "recipients")}
    if not light:
        told |= {
            "doctype": row["type_id"], "destination": services.get(row["destination"]), "documentDate": row["doc_date"],
            "arrivalDate": row["admission_date"], "departureDate": row["departure_date"], "barcode": row["barcode"],
            "initiator": services.get(row["initiator"]), "confidentiality": row["confidentiality"] == "Y",
            "customFields": orjson.loads(row["custom_fields"]) if row["custom_fields"] else [],
            "tags": beside.get("tags", []), "folders": beside.get("folders", []),
        }  # fmt: skip
    return told
