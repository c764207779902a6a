"""Where the server is written to, with the habits of a real one.

A creation is never refused for having been done before; a status moves no `modification_date`; a letter is never deleted (`DEL`
is a status); external information sets a status as well.

Every write that took place is in `done`, in order: (route, the number written to, body).
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from saas_connectors.sandbox.maarch.door import Account
from saas_connectors.sandbox.maarch.letters import CLOSING, FIRST
from saas_connectors.sandbox.maarch.rules import Rules, content_of
from saas_connectors.sandbox.maarch.store import Store
from saas_connectors.sandbox.wire import Reply

Body = Mapping[str, Any]
OUT: Final = Reply(403, b'{"errors":"Document out of perimeter"}')
_DATES: Final = {
    "documentDate": "doc_date",
    "arrivalDate": "admission_date",
    "departureDate": "departure_date",
    "processLimitDate": "process_limit_date",
}
_FIELDS: Final = {"subject": "subject", "priority": "priority", **_DATES}
BESIDE: Final = ("tags", "folders", "senders", "recipients")
"""What is kept beside a letter: a change of the letter replaces it whole."""


def said(value: Any, status: int = 200) -> Reply:  # noqa: ANN401 - JSON
    """Write an answer."""
    return Reply(status, orjson.dumps(value))


def wrong(error: str, status: int = 400) -> Reply:
    """Write a refusal."""
    return said({"errors": error}, status)


class Desk:
    """The writing routes."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store, self._rules = store, rules
        self.done: list[tuple[str, int, Body]] = []

    def create(self, account: Account, body: Body) -> Reply:
        """`POST /resources`."""
        if not account.can_index:
            return wrong("Service forbidden", 403)
        asked, body = body, self._rules.filled(body)
        if refusal := self._rules.creation(account, body):
            return wrong(refusal)
        store, now, content = self._store, self._store.now(), content_of(body)
        told = {**body, **self._rules.priority(body)}
        with store.lock:
            last = store.one("SELECT max(res_id) AS n FROM res_letterbox")
            number = max(FIRST, (last or {}).get("n") or 0) + 1
            store.add("res_letterbox", res_id=number, type_id=body.get("doctype"), model_id=body["modelId"],
                      typist=account.number, status=body.get("status"), destination=self._entity(body.get("destination")),
                      initiator=self._entity(body.get("initiator")), creation_date=now, barcode=body.get("barcode"),
                      modification_date=now, version=1, category_id="incoming", alt_identifier=f"MAARCH/2026A/{number}",
                      confidentiality="Y" if body.get("confidentiality") else "N",
                      external_id=_jsonb(body.get("externalId") or {}),
                      custom_fields=_jsonb(body["customFields"]) if body.get("customFields") else None,
                      **{column: told.get(name) for name, column in _FIELDS.items()},
                      **_stored(content, body, number))  # fmt: skip
            if content is not None:
                store.keep("letter", number, content)
            store.beside[number] = {name: body[name] for name in BESIDE if body.get(name)}
            store.told("res_letterbox", number, "ADD", "Document ajouté", account.number)
            self.done.append(("POST/resources", number, asked))
        return said({"resId": number})

    def update(self, account: Account, number: int, body: Body, *, only: bool) -> Reply:
        """`PUT /resources/{resId}`: the one write that moves `modification_date`; what a body does not name stays."""
        if "update_resources" not in account.privileges or not self._store.allowed(number, account.clause):
            return wrong("Service forbidden", 403)
        asked = body
        body = {name: value for name, value in self._rules.filled(body).items() if name != "destination"}
        held = self._store.one("SELECT * FROM res_letterbox WHERE res_id = ?", number) or {}
        if refusal := self._rules.update(held, body, only=only):
            return wrong(refusal)
        content = content_of(body)
        changed: dict[str, Any] = {"modification_date": self._store.now()}
        if not only:
            told = {**body, **self._rules.priority(body)}
            changed |= {column: told[name] for name, column in _FIELDS.items() if name in told} | {"type_id": body["doctype"]}
            changed |= {"confidentiality": "Y" if body["confidentiality"] else "N"} if "confidentiality" in body else {}
            changed |= {"initiator": self._entity(body["initiator"])} if "initiator" in body else {}
            changed |= {"custom_fields": _jsonb(body["customFields"])} if body.get("customFields") else {}
            self._store.beside[number] = {name: body[name] for name in BESIDE if body.get(name)}
        with self._store.lock:
            if content is not None:
                changed |= _stored(content, body, number) | {"version": (held["version"] or 0) + 1}
                self._store.keep("letter", number, content)
            self._store.change("res_letterbox", "res_id", number, **changed)
            self._store.told("res_letterbox", number, "UP", "Document modifié", account.number)
            self.done.append(("PUT/resources/{resId}", number, asked))
        return Reply(204, b"")

    def status(self, account: Account, body: Body) -> Reply:
        """`PUT /res/resource/status`."""
        if "update_status_mail" not in account.privileges:
            return wrong("Service forbidden", 403)
        status = body.get("status") or "COU"
        if self._status(status) is None:
            return wrong("Ce statut n'existe pas")
        named, column = (body["chrono"], "alt_identifier") if body.get("chrono") else (body.get("resId"), "res_id")
        if not isinstance(named, list) or not named:
            return wrong("Bad Request")
        for name in named:
            held = self._store.one(f"SELECT res_id, closing_date FROM res_letterbox WHERE {column} = ?", name)  # noqa: S608
            if held is None:
                return wrong("Document introuvable")
            if not self._store.allowed(held["res_id"], account.clause):
                return OUT
            if status not in CLOSING:
                self._store.change("res_letterbox", "res_id", held["res_id"], status=status, closing_date=None)
            elif held["closing_date"] is None:  # a letter that was closed keeps its status, under a success
                self._store.change("res_letterbox", "res_id", held["res_id"], status=status, closing_date=self._store.now())
            self._store.told("res_letterbox", held["res_id"], "UP", body.get("historyMessage") or "Statut", account.number)
            self.done.append(("PUT/res/resource/status", held["res_id"], body))
        return said({"success": "success"})

    def external(self, account: Account, body: Body) -> Reply:
        """`PUT /res/externalInfos`: the identifier goes under the key `publikId`."""
        told = body.get("externalInfos")
        if not told:
            return wrong("Bad Request : externalInfos is empty")
        if not body.get("status"):
            return wrong("Bad Request : status is empty")
        for one in told:
            if not isinstance(one.get("res_id"), int):
                return wrong("Bad Request: invalid res_id")
            if not isinstance(one.get("external_id"), str) or not one["external_id"]:
                return wrong(f"Bad Request: invalid external_id for element : {one['res_id']}")
        for one in told:
            held = self._store.one("SELECT external_id FROM res_letterbox WHERE res_id = ?", one["res_id"])
            if held is None:
                return wrong("Document introuvable")
            if not self._store.allowed(one["res_id"], account.clause):
                return OUT
            known = orjson.loads(held["external_id"] or "{}") | {"publikId": one["external_id"]}
            self._store.change("res_letterbox", "res_id", one["res_id"], external_id=_jsonb(known), status=body["status"])
            self.done.append(("PUT/res/externalInfos", one["res_id"], body))
        return said({"success": "success"})

    def find(self, _account: Account, body: Body) -> Reply:
        """`PUT /resources/external`: a look-up, whatever the perimeter; the value is JSON, so a text must bear its quotes."""
        for name in ("type", "value"):
            if not body.get(name):
                return wrong(f"Missing externalId {name}", 403)
        try:
            value = orjson.loads(str(body["value"]))
        except ValueError:
            return wrong("externalId type or value has wrong format")
        for held in self._store.rows("SELECT res_id, external_id FROM res_letterbox ORDER BY res_id"):
            if value == orjson.loads(held["external_id"] or "{}").get(body["type"]):
                return said({"resId": held["res_id"]})
        return wrong("Document not found")

    def note(self, account: Account, body: Body) -> Reply:
        """`POST /notes`."""
        if not isinstance(body.get("value"), str) or not body["value"]:
            return wrong("Body value is empty or not a string")
        if not isinstance(body.get("resId"), int):
            return wrong("Body resId is empty or not an integer")
        if not self._store.allowed(body["resId"], account.clause):
            return OUT
        with self._store.lock:
            number = self._store.add("notes", identifier=body["resId"], user_id=account.number, creation_date=self._store.now(),
                                     note_text=body["value"])  # fmt: skip
            self._store.told("notes", number, "ADD", "Annotation ajoutée", account.number)
            self._store.told("res_letterbox", body["resId"], "ADD", "Annotation ajoutée", account.number)
            self.done.append(("POST/notes", number, body))
        return said({"noteId": number})

    def edit_note(self, account: Account, number: int, body: Body | None) -> Reply:
        """`PUT /notes/{id}`, or its DELETE (no body): its author's alone."""
        held = self._store.one("SELECT * FROM notes WHERE id = ?", number)
        if held is None or held["user_id"] != account.number:
            return wrong("Note out of perimeter", 403)
        if body is None:
            self._store.drop("notes", "id", number)
        elif not body.get("value"):
            return wrong("Body value is empty or not a string")
        else:
            self._store.change("notes", "id", number, note_text=body["value"])
        event = "DEL" if body is None else "UP"
        self._store.told("notes", number, event, "Annotation", account.number)
        self._store.told("res_letterbox", held["identifier"], event, "Annotation", account.number)
        self.done.append(("DELETE/notes/{id}" if body is None else "PUT/notes/{id}", number, body or {}))
        return Reply(204, b"")

    def attach(self, account: Account, body: Body) -> Reply:
        """`POST /attachments`."""
        content = content_of(body)
        if not body.get("encodedFile"):
            return wrong("Body encodedFile is empty")
        if not isinstance(body.get("type"), str) or not body["type"]:
            return wrong("Body type is empty or not a string")
        if not isinstance(body.get("resIdMaster"), int) or not self._store.allowed(body["resIdMaster"], account.clause):
            return wrong("Body resIdMaster is out of perimeter")
        if (refusal := self._rules.file(body)) or content is None:
            return wrong(refusal or "Body encodedFile is empty")
        with self._store.lock:
            now = self._store.now()
            number = self._store.add("res_attachments", res_id_master=body["resIdMaster"], title=body.get("title"),
                                     typist=account.number, creation_date=now, modification_date=now, format=body["format"],
                                     attachment_type=body["type"], status=body.get("status") or "A_TRA")  # fmt: skip
            self._store.keep("attachment", number, content)
            self._store.told("res_attachments", number, "ADD", "Pièce jointe ajoutée", account.number)
            self._store.told("res_letterbox", body["resIdMaster"], "ADD", "Pièce jointe ajoutée", account.number)
            self.done.append(("POST/attachments", number, body))
        return said({"id": number})

    def edit_attachment(self, account: Account, number: int, body: Body | None) -> Reply:
        """`PUT /attachments/{id}`, or its DELETE (no body), which is a status."""
        held = self._store.one("SELECT * FROM res_attachments WHERE res_id = ? AND status NOT IN ('DEL', 'OBS')", number)
        if held is None:
            return wrong("Attachment does not exist")
        if not self._store.allowed(held["res_id_master"], account.clause):
            return wrong("Attachment out of perimeter") if body is not None else OUT
        if body is None:
            self._store.change("res_attachments", "res_id", number, status="DEL")
        else:
            content = content_of(body)
            if refusal := self._rules.file(body):
                return wrong(refusal)
            if not body.get("type"):
                return wrong("Body type is empty or not a string")
            if content is not None:
                self._store.keep("attachment", number, content)
            self._store.change("res_attachments", "res_id", number, title=body.get("title", held["title"]),
                               modification_date=self._store.now(), modified_by=account.number)  # fmt: skip
        event = "DEL" if body is None else "UP"
        self._store.told("res_attachments", number, event, "Pièce jointe", account.number)
        self._store.told("res_letterbox", held["res_id_master"], event, "Pièce jointe", account.number)
        self.done.append(("DELETE/attachments/{id}" if body is None else "PUT/attachments/{id}", number, body or {}))
        return Reply(204, b"")

    def _status(self, status: object) -> object:
        return self._store.one("SELECT 1 FROM status WHERE id = ?", status)

    def _entity(self, number: object) -> str | None:
        held = self._store.one("SELECT entity_id FROM entities WHERE id = ?", number) if number else None
        return held["entity_id"] if held else None


def _stored(content: bytes | None, body: Body, number: int) -> dict[str, Any]:
    if content is None:
        return {}
    digest = hashlib.sha512(content).hexdigest()
    return {
        "fingerprint": digest,
        "filesize": len(content),
        "format": body["format"],
        "filename": f"{number:08}.{body['format']}",
    }


def _jsonb(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write JSON as PostgreSQL shows a jsonb: a space after each colon and comma, keys by length."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_jsonb(str(k))}: {_jsonb(v)}" for k, v in sorted(value.items(), key=lambda kv: (len(kv[0]), kv[0])))
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_jsonb, value)) + "]"
    return orjson.dumps(value).decode()
