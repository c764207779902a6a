"""The reference of `sovereign.toml`, written from its fields: `python -m sovereign.settings.reference > docs/settings.md`."""

import sys
from collections.abc import Iterator
from typing import get_type_hints

import msgspec

from sovereign.settings import audit, backup, events, schema, subscribers
from sovereign.settings.tables import expectation, written

_HEAD = """\
# sovereign.toml

Generated from the fields by `python -m sovereign.settings.reference`; a test keeps it true. A field that is not here is
refused, and the nearest known one suggested; in a connection's own table, other fields are its connector's settings. Relative
paths start at the site's folder. No secret is written here: `secret` fields name one, sealed by `sovereign secret set`.
"""
_TABLES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("[site]", schema.SiteSettings),
    ("[keys]", schema.KeySettings),
    ("[limits]", schema.Limits),
    ("[gateway]", schema.GatewaySettings),
    ("[audit]", audit.AuditSettings),
    ("[audit.witnesses.NAME]", audit.Witness),
    ("[audit.timestamps]", audit.Timestamps),
    ("[audit.export]", audit.Export),
    ("[events.NAME]", events.EventSource),
    ("[subscribers.NAME]", subscribers.Subscriber),
    ("[connectors]", schema.ConnectorSettings),
    ("[backup]", backup.BackupSettings),
    ("[backup.keep]", backup.BackupKeep),
    ("[backup.targets.NAME]", backup.BackupTarget),
    ("[connections.NAME]", schema.Connection),
    ("[connections.NAME.network]", schema.Network),
    ("[connections.NAME.limits]", schema.ConnectionLimits),
    ("[connections.NAME.guards]", schema.Guards),
    ("[connections.NAME.treatment]", schema.Treatment),
)


def reference() -> str:
    """The text of docs/settings.md."""
    return _HEAD + "".join("".join(_table(title, kind)) for title, kind in _TABLES)


def _table(title: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    said = (kind.__doc__ or "").splitlines()[0].partition(": ")[2]
    yield f"\n## {title}\n\n{said[:1].upper()}{said[1:]}\n\n"
    yield "| field | default | expects | attend |\n|---|---|---|---|\n"
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        if field.name in ("name", "options") and kind is schema.Connection:
            continue
        fr, en = expectation(hints[field.name])
        yield f"| `{written(field.name)}` | {_default(field)} | {en} | {fr} |\n"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
    if value is None or callable(value) or isinstance(value, msgspec.Struct) or value in ((), {}):
        return ""
    if isinstance(value, schema.Size):
        return f"`{value // 2**20} MiB`"
    return f"`{msgspec.json.encode(value).decode()}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
