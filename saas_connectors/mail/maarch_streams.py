"""The streams of MaarchCourrier: their fields, keys and classes, declared beforehand.

1. Instants come without a zone: they are placed in the server's, and kept in UTC. Of the hour that comes twice in October the
   first is taken: the vendor does not say which.
2. `jsonb` columns come as text and stay text. Numbers and statuses are internal; subjects, texts, names, addresses and files
   are personal. A setting may say otherwise.
3. `resources` has only columns of `res_view_letterbox`; a server that lacks one of the optional ones is asked without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import pyarrow as pa

from saas_connectors.connector import Class, Stream, SyncMode
from saas_connectors.stream_settings import StreamSettings
from saas_connectors.values import INSTANT, arrow_type, convert

Row = Mapping[str, Any]
GROUP: Final = "letters"
_JSON: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Shape:
    """One stream: its fields with their types (those of `values`), what names a record, what is personal."""

    title: str
    key: tuple[str, ...]
    fields: Mapping[str, str]
    personal: frozenset[str] = frozenset()
    cursor: str | None = None
    document: str | None = None
    group: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """The vendor's name of a field, where it is not ours."""


_LETTER: Final = {
    "res_id": "int", "alt_identifier": "string", "category_id": "string", "status": "string", "subject": "string",
    "type_id": "int", "priority": "string", "destination": "string", "creation_date": "timestamp",
    "modification_date": "timestamp", "doc_date": "timestamp", "admission_date": "timestamp", "process_limit_date": "timestamp",
    "closing_date": "timestamp", "external_id": "string", "format": "string", "filename": "string", "filesize": "int",
    "fingerprint": "string",
}  # fmt: skip
_OPTIONAL: Final = {
    "type_label": "string", "entity_label": "string", "typist": "int", "dest_user": "int", "initiator": "string",
    "confidentiality": "string", "departure_date": "timestamp", "opinion_limit_date": "timestamp", "barcode": "string",
    "model_id": "int", "version": "int", "retention_frozen": "bool", "binding": "bool", "custom_fields": "string",
    "integrations": "string", "linked_resources": "string",
}  # fmt: skip
LIGHT: Final = (
    "res_id", "status", "modification_date", "closing_date", "fingerprint", "external_id", "destination", "priority", "type_id",
    "process_limit_date", "alt_identifier", "category_id", "dest_user", "version", "departure_date", "retention_frozen",
    "binding", "opinion_limit_date", "linked_resources", "integrations",
)  # fmt: skip
"""Columns of the survey: short, and moved by people. Locks are left out: looking at a letter moves them."""

STREAMS: Final[Mapping[str, Shape]] = {
    "resources": Shape(
        "Courriers", ("res_id",), {**_LETTER, **_OPTIONAL}, frozenset({"subject", "barcode", "custom_fields"}),
        "modification_date", group=GROUP,
    ),
    "documents": Shape(
        "Fichiers des courriers", ("res_id",),
        {
            "res_id": "int", "document": "string", "size": "int", "sha256": "string", "fingerprint": "string",
            "format": "string", "state": "string", "modification_date": "timestamp",
        },
        frozenset({"document"}), "modification_date", "document", GROUP,
    ),
    "attachments": Shape(
        "Pièces jointes", ("id",),
        {
            "id": "int", "res_id": "int", "chrono": "string", "title": "string", "type": "string", "status": "string",
            "relation": "int", "typist": "int", "typist_label": "string", "creation_date": "timestamp",
            "modification_date": "timestamp", "in_signature_book": "bool", "in_send_attach": "bool", "document": "string",
            "size": "int", "sha256": "string", "state": "string",
        },
        frozenset({"title", "typist_label", "document"}), "modification_date", "document",
        names={
            "id": "resId", "res_id": "resIdMaster", "typist_label": "typistLabel", "creation_date": "creationDate",
            "modification_date": "modificationDate", "in_signature_book": "inSignatureBook", "in_send_attach": "inSendAttach",
        },
    ),
    "notes": Shape(
        "Annotations", ("id",),
        {
            "id": "int", "res_id": "int", "user_id": "int", "firstname": "string", "lastname": "string",
            "entity_label": "string", "creation_date": "timestamp", "value": "string",
        },
        frozenset({"firstname", "lastname", "value"}), "creation_date", names={"res_id": "identifier"},
    ),
    "contacts": Shape(
        "Contacts", ("id",),
        {
            "id": "int", "firstname": "string", "lastname": "string", "company": "string", "address_number": "string",
            "address_street": "string", "address_additional1": "string", "address_additional2": "string",
            "address_postcode": "string", "address_town": "string", "address_country": "string", "sector": "string",
            "enabled": "bool",
        },
        frozenset({
            "firstname", "lastname", "company", "address_number", "address_street", "address_additional1",
            "address_additional2", "address_postcode", "address_town", "address_country", "sector",
        }),
        names={
            "address_number": "addressNumber", "address_street": "addressStreet", "address_additional1": "addressAdditional1",
            "address_additional2": "addressAdditional2", "address_postcode": "addressPostcode", "address_town": "addressTown",
            "address_country": "addressCountry",
        },
    ),
    "users": Shape(
        "Utilisateurs", ("id",),
        {
            "id": "int", "user_id": "string", "firstname": "string", "lastname": "string", "mail": "string", "status": "string",
            "mode": "string",
        },
        frozenset({"user_id", "firstname", "lastname", "mail"}),
    ),
    "entities": Shape(
        "Services", ("entity_id",),
        {"entity_id": "string", "id": "int", "entity_label": "string", "parent_entity_id": "string"}, names={"id": "serialId"},
    ),
    "statuses": Shape(
        "États", ("id",),
        {"id": "string", "label_status": "string", "can_be_searched": "string", "can_be_modified": "string"},
    ),
    "doctypes": Shape(
        "Types de courrier", ("type_id",),
        {"type_id": "int", "description": "string", "doctypes_first_level_id": "int", "doctypes_second_level_id": "int"},
    ),
}  # fmt: skip
WORDS: Final = frozenset(
    {"DEL", "OBS", "incoming", "outgoing", "internal", "rest", "standard", "root_visible", "root_invisible"}
)
"""What Maarch itself writes as statuses, categories and modes of users."""
OPTIONAL: Final = tuple(_OPTIONAL)
CORE: Final = tuple(_LETTER)


def stream(name: str, said: StreamSettings, classes: Mapping[str, Class], columns: Sequence[str] | None = None) -> Stream:
    """Describe a stream; `columns`: the fields of `resources` that the server has."""
    shape = STREAMS[name]
    fields = {each: kind for each, kind in shape.fields.items() if columns is None or each in columns}
    given: dict[str, Class] = {each: "personal" if each in shape.personal else "internal" for each in fields}
    given |= {each: held for each, held in classes.items() if each in fields}
    modes: tuple[SyncMode, ...] = ("full_refresh", "incremental") if shape.cursor else ("full_refresh",)
    made = Stream(
        name=name,
        title=shape.title,
        primary_key=shape.key,
        schema=pa.schema([(each, arrow_type(kind)) for each, kind in fields.items()]),
        classes=given,
        modes=modes,
        cursor=shape.cursor,
        contract=said.contract,
        group=shape.group,
    )
    return replace(made, document=shape.document) if shape.document else made


@dataclass(slots=True)
class Tables:
    """Turns the rows of one stream into tables; counts the values that are not what their column holds, which become null."""

    name: str
    schema: pa.Schema
    zone: str
    suspect: int = 0

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Make a table of rows in the vendor's words."""
        shape = STREAMS[self.name]
        columns = []
        for held in self.schema:
            told = shape.names.get(held.name, held.name)
            values = [row[told] if told in row else row.get(held.name) for row in rows]
            columns.append(self._column(values, shape.fields[held.name], held.type))
        return pa.table(columns, schema=self.schema)

    def _column(self, values: list[Any], kind: str, target: pa.DataType) -> pa.Array:
        if kind == "timestamp":
            return self._instants([_text(value) for value in values])
        plain = {"int": _integer, "bool": _truth}.get(kind, _text)
        made = [plain(value) for value in values]
        self.suspect += sum(value is not None and kept is None for value, kept in zip(values, made, strict=True))
        return pa.array(made, type=target)

    def _instants(self, values: list[str | None]) -> pa.Array:
        placed = convert(pa.chunked_array([pa.array(values, pa.string())]), "timestamp", self.zone)
        if placed.type == INSTANT:
            return placed.combine_chunks()
        kept: list[Any] = []
        for value in values:
            one = convert(pa.chunked_array([pa.array([value], pa.string())]), "timestamp", self.zone)
            good = one.type == INSTANT
            self.suspect += not good
            kept.append(one[0].as_py() if good else None)
        return pa.array(kept, type=INSTANT)


def number(value: object) -> int | None:
    """Read an identifier: PHP writes it as a number or as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 1 << 63 else None
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else None


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value[:1] == "-":
        found = number(value[1:])
        return -found if found is not None else None
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 0:
        return value
    return number(value)


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"t": True, "true": True, "Y": True, "1": True, "f": False, "false": False, "N": False, "0": False}.get(str(value))


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _JSON.encode(value).decode()
