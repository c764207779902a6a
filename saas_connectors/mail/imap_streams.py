"""The streams of a mailbox: folders, messages, attachments; their fields, keys and classes.

1. A message is named by its folder, the folder's UIDVALIDITY and its UID: a message in two folders is two records, that share
   `identity`: its Message-ID and the SHA-256 of its bytes (their number where they were not fetched).
2. Whatever people wrote, addresses and names of folders included, is personal; numbers and dates are internal.
3. `attachments.part` counts the attachments of a message from 1, to `imap_structure.MOST`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from saas_connectors.connector import Class, Stream
from saas_connectors.stream_settings import StreamSettings
from saas_connectors.values import INSTANT

GROUP: Final = "mail"
_TEXTS: Final = pa.list_(pa.string())
_KEY: Final = (("folder", pa.string()), ("uidvalidity", pa.int64()), ("uid", pa.int64()))
_NUMBERS: Final = frozenset({
    "uidvalidity", "uid", "uidnext", "highestmodseq", "messages", "unseen", "size", "modseq", "date", "internal_date", "seen",
    "answered", "flagged", "part", "section", "attachments", "state", "media_type", "encoded_size", "read", "delimiter",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """One stream."""

    title: str
    key: tuple[str, ...]
    schema: pa.Schema
    document: str | None = None
    incremental: bool = True


SHAPES: Final[Mapping[str, Shape]] = {
    "folders": Shape(
        "Folders / Dossiers",
        ("name",),
        pa.schema(
            [
                ("name", pa.string()), ("server_name", pa.string()), ("flags", _TEXTS), ("delimiter", pa.string()),
                ("read", pa.bool_()), ("uidvalidity", pa.int64()), ("uidnext", pa.int64()), ("highestmodseq", pa.int64()),
                ("messages", pa.int64()), ("unseen", pa.int64()),
            ]
        ),
        incremental=False,
    ),
    "messages": Shape(
        "Messages / Messages",
        ("folder", "uidvalidity", "uid"),
        pa.schema(
            [
                *_KEY, ("identity", pa.string()), ("message_id", pa.string()), ("in_reply_to", pa.string()),
                ("references", _TEXTS), ("subject", pa.string()), ("date", INSTANT), ("internal_date", INSTANT),
                ("from_name", pa.string()), ("from_addresses", _TEXTS), ("to_addresses", _TEXTS), ("cc_addresses", _TEXTS),
                ("flags", _TEXTS), ("seen", pa.bool_()), ("answered", pa.bool_()), ("flagged", pa.bool_()),
                ("size", pa.int64()), ("modseq", pa.int64()), ("text", pa.string()), ("attachments", pa.int64()),
                ("state", pa.string()), ("document", pa.string()), ("sha256", pa.string()),
            ]
        ),
        "document",
    ),
    "attachments": Shape(
        "Attachments / Pièces jointes",
        ("folder", "uidvalidity", "uid", "part"),
        pa.schema(
            [
                *_KEY, ("part", pa.int64()), ("section", pa.string()), ("filename", pa.string()), ("media_type", pa.string()),
                ("encoded_size", pa.int64()), ("size", pa.int64()), ("sha256", pa.string()), ("state", pa.string()),
                ("document", pa.string()),
            ]
        ),
        "document",
    ),
}  # fmt: skip


def stream(name: str, said: StreamSettings, classes: Mapping[str, Class]) -> Stream:
    """Describe a stream."""
    shape = SHAPES[name]
    held: dict[str, Class] = {field: "internal" if field in _NUMBERS else "personal" for field in shape.schema.names}
    return Stream(
        name, shape.key, shape.schema, {**held, **classes},
        ("full_refresh", "incremental") if shape.incremental else ("full_refresh",),
        "modseq" if name == "messages" else "uid" if shape.incremental else None,
        said.contract, GROUP if shape.incremental else None, shape.title, document=shape.document,
    )  # fmt: skip


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Make a table of rows of a stream."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SHAPES[name].schema)


def keys(name: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Make a table of keys of a stream."""
    shape = SHAPES[name]
    return pa.table(
        {field: pa.array([row[n] for row in rows], shape.schema.field(field).type) for n, field in enumerate(shape.key)}
    )
