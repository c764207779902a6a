"""What a run tells of a vendor's drift: news, by class, and no name that may be personal.

1. A field of class `internal` is named; fields of the other classes are counted, since a name may say something of people, and
   this goes on screens, in `state.db` and in logs. `snapshot show` names them to who holds the keys of the class.
2. Drift that the current snapshot already took in is no news: a new field that it has, a type that it has already grown to.
   What the contract discards is told each time, since each time something is missing from the copy.
3. That a field is absent is told of a full read, when the last full read that was published had not told it, and when the copy
   changed: otherwise the field held nothing. In an incremental read a record may just have no value.

Nothing here decides whether a copy is published; `snapshots.drift` finds what is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from saas_connectors.connector import Json, Stream, SyncMode
from snapshots.columns import described
from vault.errors import Shredded

if TYPE_CHECKING:
    from snapshots.manifest import Drift, Manifest
    from snapshots.repository import Repository


@dataclass(frozen=True, slots=True)
class Before:
    """What the current snapshot already knows: the type of each field, and the fields that the last full read lacked."""

    types: Mapping[str, Json] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


def before(repository: "Repository", head: "Manifest | None") -> Before:
    """Give what a snapshot knows, as far as its keys open; nothing when there is none."""
    if head is None:
        return Before()
    shape = repository.shape(head, repository.readable(head))
    history = (made for made in reversed(repository.manifests(head.id)) if made.sequence <= head.sequence)
    full = next((made for made in history if made.mode == "full_refresh"), None)
    absent = {each.field for each in _drift(repository, full) if each.action == "absent"} if full else set()
    return Before({each.name: described(each.type) for each in shape.schema}, frozenset(absent))


def _drift(repository: "Repository", manifest: "Manifest") -> Sequence["Drift"]:
    try:
        return repository.drift(manifest, "sensitive")
    except Shredded:
        return manifest.drift


def news(drift: Iterable["Drift"], known: Before, mode: SyncMode, *, changed: bool) -> list["Drift"]:
    """Keep of a run's drift what is new; `changed`: whether the run changed the copy."""
    return [each for each in drift if _is_new(each, known, mode, changed=changed)]


def _is_new(each: "Drift", known: Before, mode: SyncMode, *, changed: bool) -> bool:
    match each.action:
        case "added" | "widened" | "text":
            return bool(known.types.get(each.field) != each.now)
        case "absent":
            return mode == "full_refresh" and changed and each.field not in known.absent
    return True


def told(drift: Iterable["Drift"], stream: Stream) -> tuple[dict[str, Json], ...]:
    """Write drift as it may be kept and shown: `action`, `class`, `fields` (how many), `values`, and `field` when internal."""
    found: dict[tuple[str, str, str], dict[str, Json]] = {}
    counted: dict[tuple[str, str, str], set[str]] = {}
    for each in drift:
        of = stream.classes.get(each.field, "personal")
        key = (each.action, of, each.field if of == "internal" else "")
        named = {"field": each.field} if of == "internal" else {}
        entry = found.setdefault(key, {"action": each.action, "class": of, "fields": 0, "values": 0, **named})
        counted.setdefault(key, set()).add(each.field)
        entry["fields"] = len(counted[key])
        entry["values"] += each.values
    return tuple(found.values())
