"""The catalog of an Opendatasoft portal: what it says of a dataset, and the stream that this makes.

1. Only what is declared is believed of a field: its name, its type, whether it holds several values, whether it names the
   record. A type that is not known is kept as JSON text.
2. What was seen of a dataset when the catalog was read (when its data were last processed, how many records) travels with the
   stream's schema, so that a read of what did not change asks the portal nothing more.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.connector import Class, Json, Stream
from saas_connectors.request import Request, Response
from saas_connectors.stream_settings import StreamSettings, Text, Texts
from saas_connectors.urban.odsql import writable
from saas_connectors.urban.ranges import KINDS
from saas_connectors.values import INSTANT, arrow_type

_POINT: Final = pa.struct([("lon", pa.float64()), ("lat", pa.float64())])
_TYPES: Final[Mapping[str, tuple[pa.DataType, str]]] = {
    "text": (pa.string(), ""),
    "int": (pa.int64(), ""),
    "double": (pa.float64(), ""),
    "boolean": (pa.bool_(), "bool"),
    "date": (pa.date32(), "date"),
    "datetime": (INSTANT, "timestamp"),
    "geo_point_2d": (_POINT, ""),
}
_JSON: Final = (pa.string(), "json")
WORDS: Final = frozenset({*_TYPES, "geo_shape", "file", "json_blob"})
"""The names of types: the interface's own words."""
_KEYS: Final = ("id", "unique")
_NOTE: Final = b"opendatasoft"
_RESERVED: Final = {"_key", "_op"}


class DatasetSettings(StreamSettings, frozen=True, forbid_unknown_fields=True):
    """What can be said of one dataset."""

    dataset: Text | None = None
    key: Texts | None = None
    cursor: Text | None = None
    lookback: int | None = None
    split: Text | None = None
    exports: bool = True
    types: dict[str, str] = msgspec.field(default_factory=dict)


class _Field(msgspec.Struct):
    name: str
    type: str = "text"
    annotations: Any = None

    @property
    def marks(self) -> Collection[str]:
        """Names of its annotations, which versions write as a table or as a list."""
        held = self.annotations
        if isinstance(held, dict):
            return {name for name, value in held.items() if value is not None}
        return {str(each.get("name")) for each in held if isinstance(each, dict)} if isinstance(held, list) else ()


class Entry(msgspec.Struct):
    """A dataset as the catalog shows it."""

    dataset_id: str
    fields: list[_Field] = []
    has_records: bool = True
    metas: Any = None

    def said(self, name: str) -> Json:
        """A metadata of the default template; None when there is none."""
        held = self.metas.get("default") if isinstance(self.metas, dict) else None
        return held.get(name) if isinstance(held, dict) else None


class Note(msgspec.Struct, frozen=True):
    """What was seen of a dataset: its identifier, when its data were processed, its records, its fields and their kinds.

    `hashed`: nothing names its records, so that their content does.
    """

    dataset: str
    processed: str | None
    count: int | None
    kinds: dict[str, str]
    hashed: str | None

    def mark(self, more: Json) -> str | None:
        """A name for this state of the dataset under these settings; None when the portal does not say when it changed."""
        if self.processed is None:
            return None
        return hashlib.sha256(msgspec.json.encode([msgspec.to_builtins(self), more], order="deterministic")).hexdigest()

    def order(self, said: DatasetSettings, key: tuple[str, ...]) -> tuple[str | None, str | None]:
        """The field that ranges are made of, and the field that pages are ordered by; None where none will do."""
        own = [key[0]] if len(key) == 1 and not self.hashed else []
        asked = [*([said.split] if said.split else []), *own, *([said.cursor] if said.cursor else []), *self.kinds]
        usable = [name for name in asked if writable(name)]
        ranged = next((name for name in usable if self.kinds.get(name) in KINDS), None)
        paged = next((name for name in usable if self.kinds.get(name) in (*KINDS, "text")), None)
        return ranged, paged


def entries(request: Request, response: Response) -> tuple[list[Entry], int]:
    """Read a page of the catalog, and the datasets it says there are; raises `VendorError`."""
    accept(request, response)
    found = decode(request, response)
    try:
        listed = msgspec.convert(found["results"], list[Entry], strict=False)
        return listed, int(found["total_count"])
    except (msgspec.ValidationError, KeyError, TypeError, ValueError):
        raise _no_catalog(request, response) from None


def entry(request: Request, response: Response) -> Entry:
    """Read one dataset of the catalog; raises `VendorError`."""
    accept(request, response)
    try:
        return msgspec.convert(decode(request, response), Entry, strict=False)
    except msgspec.ValidationError:
        raise _no_catalog(request, response) from None


def _no_catalog(request: Request, response: Response) -> Exception:
    return malformed(request, response, "un catalogue Explore v2.1 était attendu", "an Explore v2.1 catalog was expected")


def stream_name(dataset: str, taken: Collection[str]) -> str:
    """Name a stream after its dataset, in our letters."""
    plain = unicodedata.normalize("NFKD", dataset).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_]+", "_", plain).strip("_") or "dataset"
    name = (name if name[0].isalpha() else f"d_{name}")[:60]
    stem, number = name[:56], 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def column(field: str) -> str:
    """The column of a field: its own name, unless that is one of ours."""
    return f"field{field}" if field.lower() in _RESERVED else field


def types_of(fields: Mapping[str, str], said: DatasetSettings) -> dict[str, str]:
    """Declared types of the fields, as `Records` takes them."""
    known = {name: _TYPES.get(kind, _JSON)[1] for name, kind in fields.items() if not kind.endswith("*")}
    return {name: form for name, form in known.items() if form} | dict(said.types)


def kind_of(kind: str) -> pa.DataType | None:
    """The Arrow type of a field's kind; None where only the values can tell (several of another type than text)."""
    if kind.endswith("*"):
        return pa.list_(pa.string()) if kind == "text*" else None
    return _TYPES.get(kind, _JSON)[0]


def stream_of(name: str, found: Entry, said: DatasetSettings, classes: Mapping[str, Class]) -> Stream:
    """Describe the stream of a dataset."""
    kinds = {each.name: each.type + ("*" if "multivalued" in each.marks else "") for each in found.fields if each.name}
    candidates = [each.name for each in found.fields if any(mark in each.marks for mark in _KEYS)]
    key = list(said.key or candidates)
    hashed = None
    if not key:
        hashed = "content_hash"
        while hashed in kinds:
            hashed += "_"
        key = [hashed]
    fields = [
        (column(field), arrow_type(said.types[field]) if field in said.types else kind_of(kinds[field])) for field in kinds
    ]
    schema = [(hashed, pa.string())] if hashed else []
    schema += [(field, kind) for field, kind in fields if kind is not None]
    processed, count = found.said("data_processed") or found.said("modified"), found.said("records_count")
    note = Note(
        found.dataset_id,
        processed if isinstance(processed, str) and processed else None,
        count if type(count) is int else None,
        kinds,
        hashed,
    )
    held: dict[str, Class] = {field: "personal" for field, _ in schema}
    held |= {field: "personal" for field, _ in fields}
    title = found.said("title")
    return Stream(
        name,
        tuple(column(field) for field in key),
        pa.schema(schema).with_metadata({_NOTE: msgspec.json.encode(note)}),
        held | dict(classes),
        ("full_refresh", "incremental") if said.cursor else ("full_refresh",),
        column(said.cursor) if said.cursor else None,
        said.contract,
        title=title if isinstance(title, str) else "",
        found=frozenset(name for name, _ in schema) - set(said.types),
    )


def note_of(stream: Stream) -> Note:
    """What was seen of the dataset of a stream when the catalog was read."""
    return msgspec.json.decode((stream.schema.metadata or {})[_NOTE], type=Note)
