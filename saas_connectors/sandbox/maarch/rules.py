"""What the server checks of a letter before it keeps it, in its own order and in its own words.

1. An indexing model may disable fields, which are then reset to its values whenever a body names the model; it may ask for
   fields, but not of web-service users when they create.
2. A service is one that the account's groups may create for; a status may forbid that its letters be changed; a file is of a
   known format and of a size that PHP takes.
3. With a limit and a priority together, the priority is worked out of the limit.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from saas_connectors.sandbox.maarch.door import Account
from saas_connectors.sandbox.maarch.store import Store

Body = Mapping[str, Any]
FORMATS: Final = frozenset({"pdf", "txt", "docx", "odt", "xlsx", "ods", "png", "jpg", "eml", "html"})
URGENT: Final = "poiuytre1391nbvc"
"""The priority of what is due within `SOON`."""
NORMAL: Final = "poiuytre1357nbvc"
SOON: Final = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class Model:
    """An indexing model: what it disables, with the value that it gives; what it asks for; whether it asks for a file."""

    disabled: Mapping[str, Any] = field(default_factory=dict)
    mandatory: frozenset[str] = frozenset()
    file: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """Checks bodies; `largest`: bytes of a file that PHP takes."""

    store: Store
    models: Mapping[int, Model]
    largest: int = 64 << 20

    def filled(self, body: Body) -> dict[str, Any]:
        """A body as the model that it names makes it."""
        model = self.models.get(body.get("modelId", 0))
        return {**body, **(model.disabled if model else {})}

    def creation(self, account: Account, body: Body) -> str | None:
        """The first thing that is wrong with a new letter."""
        if not isinstance(body.get("modelId"), int):
            return "Body modelId is empty or not an integer"
        if account.mode == "rest" and not body.get("status"):
            return "Body status is empty or not a string"
        if "doctype" in body and self.store.one("SELECT 1 FROM doctypes WHERE type_id = ?", body["doctype"]) is None:
            return "Body doctype does not exist"
        model = self.models.get(body["modelId"])
        if model is None:
            return "Body modelId does not exist"
        if model.file and not body.get("encodedFile"):
            return "File is mandatory for this indexing model"
        wrong = self.file(body) or ("" if account.mode == "rest" else self._asked(model, body, updating=False))
        if not wrong and body.get("destination") and not self._may(account, body["destination"]):
            wrong = "Body destination is out of your indexing parameters"
        wrong = wrong or self._dates(body, None)
        if not wrong and body.get("status") and self.store.one("SELECT 1 FROM status WHERE id = ?", body["status"]) is None:
            wrong = "Body status does not exist"
        return wrong or None

    def update(self, held: Mapping[str, Any], body: Body, *, only: bool) -> str | None:
        """The first thing that is wrong with a change of a letter; only: of its file alone."""
        if not body:
            return "Body is not set or empty"
        found = self.store.one("SELECT can_be_modified FROM status WHERE id = ?", held["status"])
        if not held["status"]:
            return "Resource status is empty. It can not be modified"
        if found is None or found["can_be_modified"] != "Y":
            return "Resource can not be modified because of status"
        if only:
            return self.file(body) or (None if body.get("encodedFile") else "Body encodedFile is not set or empty")
        wrong = self.file(body)
        if not wrong and not isinstance(body.get("doctype"), int):
            wrong = "Body doctype is not an integer"
        model = self.models.get(held["model_id"], Model())
        return wrong or self._asked(model, body, updating=True) or self._dates(body, held["process_limit_date"]) or None

    def file(self, body: Body) -> str:
        """What is wrong with the file of a body; empty when nothing is."""
        if not body.get("encodedFile"):
            return ""
        if not isinstance(body.get("format"), str) or not body["format"]:
            return "Body format is empty or not a string"
        content = content_of(body)
        if content is None or body["format"].lower() not in FORMATS:
            return f"Format with this mimeType is not allowed : {body['format']} application/octet-stream"
        return "Body encodedFile size is over limit" if len(content) > self.largest else ""

    def priority(self, body: Body) -> dict[str, Any]:
        """The priority of a body, where the server works it out."""
        if not body.get("processLimitDate") or not body.get("priority"):
            return {}
        due = datetime.fromisoformat(body["processLimitDate"]).date() - self._today()
        return {"priority": URGENT if due <= SOON else NORMAL}

    def _asked(self, model: Model, body: Body, *, updating: bool) -> str:
        missing = (name for name in sorted(model.mandatory) if body.get(name) is None)
        return next((f"Body {name} is not set" for name in missing if not (updating and name == "destination")), "")

    def _may(self, account: Account, service: object) -> bool:
        known = self.store.one("SELECT id FROM entities WHERE id = ?", service) is not None
        return known and (account.services is None or service in account.services)

    def _dates(self, body: Body, limit: str | None) -> str:
        today, tomorrow = self._today(), self._today() + timedelta(days=1)
        for name in ("documentDate", "arrivalDate", "departureDate", "processLimitDate"):
            try:
                told = datetime.fromisoformat(body[name]).date() if body.get(name) else None
            except (TypeError, ValueError):
                return f"Body {name} is not a date"
            if told is None:
                continue
            if name in ("documentDate", "arrivalDate") and told > tomorrow:
                wrong = "cannot be a date in the future" if name == "documentDate" else "is not a valid date"
                return f"Body {name} {wrong}"
            if name == "processLimitDate" and body[name] != limit and told < today:
                return f"Body {name} is not a valid date"
        return ""

    def _today(self) -> date:
        return datetime.fromisoformat(self.store.now()).date()


def content_of(body: Body) -> bytes | None:
    """The file of a body; None when there is none, or it is not base64."""
    if not body.get("encodedFile"):
        return None
    try:
        return base64.b64decode(str(body["encodedFile"]).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
