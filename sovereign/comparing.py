"""Before and after: what a held write would change, held against the last snapshot of the site's own copy.

1. The connector says which records a write touches (`Writer.changes`, `Writer.passed`); the copy says what they hold. Only what
   is written is compared, or the whole record when it is replaced or deleted.
2. The copy is read at the highest class of the fields compared, so that a change is seen for what it is; what is given back is
   cut to the clearance of who looks. The question is entered like any other.
3. A record that the copy does not hold is a creation, whatever the vendor may say since: the age of the copy stands beside.
4. Where nothing can be compared, it says why.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from saas_connectors import registry
from saas_connectors.comparison import COORDINATES, differences
from saas_connectors.connector import Change, Json
from saas_connectors.payloads import decode
from snapshots.dataset import CLASSES, DatasetId, visible
from snapshots.errors import BadName, NoSnapshot
from sovereign.gateway.effect import Effect, FieldEffect, RecordEffect
from sovereign.gateway.intent import BY_HTTP, WriteIntent
from sovereign.withheld import declared
from vault.errors import Fault

if TYPE_CHECKING:
    from snapshots.manifest import Manifest
    from sovereign.site import Site

MOST: Final = 200
"""Records compared in one write."""
_UNSAID: Final = (
    "Le connecteur ne dit pas quels enregistrements cette écriture touche : rien n'est comparé.",
    "The connector does not say which records this write touches: nothing is compared.",
)
_MANY: Final = (
    f"Cette écriture touche plus de {MOST} enregistrements : rien n'est comparé.",
    f"This write touches more than {MOST} records: nothing is compared.",
)


class Comparison:
    """Compares writes with a site's own copy; see `sovereign.gateway.effect.Compare`."""

    def __init__(self, site: "Site") -> None:
        self._site = site

    def __call__(self, intent: WriteIntent, clearance: str | None) -> Effect:
        """Compare one write."""
        try:
            changes, classes = self._changes(intent)
        except Fault:
            return Effect(clearance, (), frozenset({"personal"}), _UNSAID)
        if not changes:
            return Effect(clearance, (), classes, _UNSAID)
        if len(changes) > MOST:
            return Effect(clearance, (), classes, _MANY)
        records, oldest = [], None
        for change in changes:
            name = f"{intent.connection}.{change.stream}"
            try:
                manifest = self._site.snapshot(DatasetId(intent.connection, change.stream))
                record, found = self._compared(manifest, change, clearance)
            except (NoSnapshot, BadName):
                fr, en = (
                    f"Aucune copie locale de {name} : rien n'est comparé.",
                    f"No local copy of {name}: nothing is compared.",
                )
                return Effect(clearance, (), classes, (fr, en))
            except Fault as fault:
                fr, en = fault.diagnostics("fr").what, fault.diagnostics("en").what
                absent = (f"La copie locale de {name} ne répond pas : {fr}", f"The local copy of {name} does not answer: {en}")
                return Effect(clearance, (), classes, absent)
            records.append(record)
            classes |= found
            taken = datetime.fromisoformat(manifest.created)
            oldest = taken if oldest is None else min(oldest, taken)
        age = None if oldest is None else max(0, int((self._site.clock() - oldest).total_seconds()))
        return Effect(clearance, tuple(records), classes, None, oldest, age)

    def _changes(self, intent: WriteIntent) -> tuple[tuple[Change, ...], frozenset[str]]:
        """What the connector says of a write, and the classes of what it carries. Errors: those of connector and payload."""
        settings = self._site.connection(intent.connection)
        allowed = self._site.settings.connectors.allow
        writer = registry.writer(settings.connector, intent.connection, settings.options, allowed)
        if intent.operation != BY_HTTP:
            payload = decode(intent.body)
            return writer.changes(intent.operation, payload), frozenset(writer.classes(intent.operation, payload))
        body = None if intent.upload is None else ""  # a long body is no JSON: a connector says nothing of it either
        if intent.body:
            try:
                body = decode(intent.body)
            except Fault:
                body = intent.body.decode("latin-1")  # no object: a connector says nothing of it
        changes = writer.passed(intent.method, intent.path, body)
        return changes, frozenset() if changes else frozenset({"personal"})

    def _compared(self, manifest: "Manifest", change: Change, clearance: str | None) -> tuple[RecordEffect, frozenset[str]]:
        """One record, as far as a clearance sees it; and the classes of all that is written of it."""
        known = self._classes(manifest)
        held = self._held(manifest, change, known)
        fields = dict(change.fields)
        if change.kind == "replace":
            fields = {**dict.fromkeys(known), **fields}
        elif change.kind == "delete":
            fields = dict.fromkeys(known)
        names = dict(change.names)
        seen = frozenset() if clearance is None else frozenset(visible(clearance))
        shown = []
        for name, after in fields.items():
            if name in names:
                continue
            before, class_ = (held or {}).get(name), known.get(name, "personal")
            if before is None and after is None:
                continue
            changes = bool(differences(after, _like(before, after), tolerance=COORDINATES))
            visible_ = class_ in seen
            shown.append(
                FieldEffect(
                    name, class_, _plain(before) if visible_ else None, _plain(after) if visible_ else None, changes, visible_
                )
            )
        kind: Any = "create" if held is None else "delete"
        if change.kind == "delete" and held is None:
            kind = "unchanged"
        elif change.kind != "delete" and held is not None:
            kind = "update" if any(each.changes for each in shown) else "unchanged"
        told = tuple((name, value if known.get(name, "personal") in seen else None) for name, value in change.names)
        written = frozenset(known.get(name, "personal") for name in (*change.fields, *names))
        return RecordEffect(kind, change.stream, told, tuple(shown)), written

    def _classes(self, manifest: "Manifest") -> Mapping[str, str]:
        """The class of each field of a copy today: that of the snapshot, or of the settings where they are stricter."""
        readable = self._site.repository.readable(manifest)
        shape = self._site.repository.shape(manifest, [each for each in CLASSES if each in readable])
        now = declared(self._site, manifest.id)
        found = dict(zip(shape.schema.names, shape.classes, strict=True))
        return {name: max(class_, now.get(name, class_), key=CLASSES.index) for name, class_ in found.items()}

    def _held(self, manifest: "Manifest", change: Change, known: Mapping[str, str]) -> Mapping[str, Json] | None:
        """The record that the copy holds, None when it holds none. Errors: those of a question."""
        if not change.names or any(name not in known for name, _ in change.names):
            return None
        touched = known if change.kind in ("replace", "delete") else {*change.fields, *dict(change.names)} & known.keys()
        clearance = max((known[name] for name in touched), key=CLASSES.index, default="internal")
        table = f"{_quoted(manifest.id.connection)}.{_quoted(manifest.id.stream)}"
        kept = " AND ".join(f"CAST({_quoted(name)} AS VARCHAR) = ?" for name, _ in change.names)
        columns = ", ".join(_quoted(name) for name in touched) or "1"
        sql = f"SELECT {columns} FROM {table} WHERE {kept} LIMIT 1"  # noqa: S608 - quoted names
        with self._site.query(sql, clearance=clearance, parameters=[value for _, value in change.names]) as answer:
            rows = [row for batch in answer.reader for row in batch.to_pylist()]
        return rows[0] if rows else None


def _like(before: Json, after: Json) -> Json:
    """A value of the copy in the form of what is written: nested values may be kept as JSON text, instants as such."""
    if isinstance(before, str) and isinstance(after, Mapping | list):
        try:
            return json.loads(before)
        except ValueError:
            return before
    return before.isoformat() if hasattr(before, "isoformat") else before


def _plain(value: Json) -> Json:
    return value if isinstance(value, str | int | bool | None) else json.loads(json.dumps(value, default=str))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
