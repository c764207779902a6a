"""Entries as OCSF events, for a security team's own tools (https://schema.ocsf.io, version 1.5.0).

1. An event is made of its entry and of nothing else: the actor is the pseudonym, no sealed body is opened, so nothing personal
   is in it.
2. One entry is one event. `metadata.log_name` (the log's origin) and `metadata.sequence` (the entry's number) tell it from
   every other: the same pair is the same event, and a missing number is a missing event. `metadata.uid` is the leaf's hash, so
   that it can be proved (`sovereign audit prove`).
3. Every act has a class by its noun; the table is docs/formats/ocsf.md. `unmapped` holds what the class has no place for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sovereign import __version__
from sovereign.audit.acts import ACTS
from sovereign.audit.entry import Entry

VERSION: Final = "1.5.0"
PRODUCT: Final = {"name": "Sovereign", "vendor_name": "Sovereign", "version": __version__}
OTHER: Final = 99
UNKNOWN: Final = 0
INFORMATIONAL, LOW, MEDIUM, CRITICAL = 1, 2, 3, 5
SUCCESS, FAILURE = 1, 2


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the schema: its number, name, category, and what its activities are called here."""

    uid: int
    name: str
    category: int
    activities: Mapping[str, int]


EVENT_LOG: Final = Class(1008, "Event Log Activity", 1, {"delete": 2, "export": 3, "archive": 4})
ACCOUNT: Final = Class(3001, "Account Change", 3, {"create": 1, "password change": 3, "disable": 5})
ENTITY: Final = Class(
    3004,
    "Entity Management",
    3,
    {"create": 1, "read": 2, "update": 3, "delete": 4, "enroll": 6, "unenroll": 7, "enable": 8, "disable": 9},
)
LIFECYCLE: Final = Class(6002, "Application Lifecycle", 6, {"install": 1, "start": 3, "stop": 4})
API: Final = Class(6003, "API Activity", 6, {"create": 1, "read": 2, "update": 3, "delete": 4})
DATASTORE: Final = Class(
    6005, "Datastore Activity", 6, {"read": 1, "update": 2, "query": 4, "write": 5, "delete": 7, "list": 8}
)

NOUNS: Final[Mapping[str, tuple[Class, Mapping[str, str]]]] = MappingProxyType({
    "site": (LIFECYCLE, {"created": "install"}),
    "serve": (LIFECYCLE, {"started": "start", "stopped": "stop"}),
    "job": (LIFECYCLE, {}),
    "flow": (LIFECYCLE, {}),
    "event": (API, {"taken": "create", "repeated": "read", "shown": "read", "pruned": "delete"}),
    "subscriber": (
        API,
        {"added": "create", "changed": "update", "removed": "delete", "told": "create", "shown": "read"},
    ),
    "report": (LIFECYCLE, {}),
    "settings": (ENTITY, {"changed": "update"}),
    "connection": (
        ENTITY, {"added": "create", "changed": "update", "removed": "delete", "checked": "read", "discovered": "read"},
    ),
    "secret": (ENTITY, {"stored": "create", "removed": "delete"}),
    "keys": (
        ENTITY,
        {"created": "create", "rotated": "update", "retired": "disable", "destroyed": "delete", "checked": "read"},
    ),
    "passphrase": (ENTITY, {"changed": "update"}),
    "recovery": (ENTITY, {"exported": "read", "restored": "update"}),
    "access": (ENTITY, {"person_put": "update", "person_removed": "delete", "granted": "create", "revoked": "delete"}),
    "approver": (ENTITY, {"enrolled": "enroll", "revoked": "unenroll"}),
    "approval": (ENTITY, {"shown": "read", "given": "update"}),
    "opening": (ENTITY, {}),
    "policy": (ENTITY, {"changed": "update", "signed": "update", "proposed": "create", "withdrawn": "delete"}),
    "vendor": (ENTITY, {"cut": "disable", "restored": "enable"}),
    "circuit": (ENTITY, {"opened": "disable", "closed": "enable"}),
    "credential": (ENTITY, {"refused": "disable", "accepted": "enable", "changed": "enable"}),
    "firewall": (ENTITY, {"exported": "read"}),
    "quarantine": (ENTITY, {"released": "enable", "discarded": "delete"}),
    "client": (ACCOUNT, {"added": "create", "rotated": "password change", "revoked": "disable"}),
    "sync": (DATASTORE, {"committed": "write", "replayed": "write", "discarded": "delete"}),
    "snapshot": (
        DATASTORE,
        {"recovered": "write", "amended": "update", "swept": "delete", "verified": "read", "compared": "read",
         "exported": "read"},
    ),
    "backup": (DATASTORE, {"created": "read", "failed": "read", "pruned": "delete", "verified": "read"}),
    "raw": (DATASTORE, {"expired": "delete"}),
    "document": (DATASTORE, {"listed": "list", "opened": "read", "refused": "read", "destroyed": "delete"}),
    "query": (DATASTORE, {"ran": "query", "refused": "query"}),
    "payload": (DATASTORE, {"erased": "delete", "swept": "delete"}),
    "egress": (API, {}),
    "intent": (API, {}),
    "delivery": (API, {"confirmed": "update", "delivered": "update"}),
    "callback": (API, {}),
    "read": (API, {"passed": "read", "failed": "read", "denied": "read", "mirrored": "read"}),
    "audit": (EVENT_LOG, {"pruned": "delete", "erased": "delete", "exported": "export"}),
    "witness": (EVENT_LOG, {}),
})  # fmt: skip
"""The class of each noun, and the activity of its verbs; a verb that is not here is `Other`, named by its act."""

FAILED: Final = frozenset({
    "sync.failed", "sync.interrupted", "sync.cancelled", "sync.quarantined", "query.refused", "egress.refused", "read.failed",
    "document.refused", "subscriber.overflowed", "backup.failed",
    "read.denied", "delivery.denied", "delivery.refused", "delivery.expired", "delivery.rejected", "delivery.failed",
    "event.refused", "policy.refused", "job.missed",
    "snapshot.missed", "circuit.opened", "credential.refused", "witness.unreachable", "witness.declined",
    "witness.contradicted",
})  # fmt: skip
"""Acts that say that something did not happen."""
UNDECIDED: Final = frozenset({"delivery.unknown", "delivery.inconclusive", "delivery.to_retry"})
SEVERITIES: Final[Mapping[str, int]] = MappingProxyType({
    "witness.contradicted": CRITICAL, "vendor.bypassed": CRITICAL, "witness.forgot": MEDIUM,
    "credential.refused": MEDIUM, "snapshot.missed": MEDIUM, "keys.destroyed": MEDIUM,
    "document.destroyed": MEDIUM, "backup.failed": MEDIUM, "backup.pruned": MEDIUM,
    "audit.erased": MEDIUM, "audit.pruned": MEDIUM, "vendor.cut": MEDIUM, "recovery.exported": MEDIUM,
    "delivery.unknown": MEDIUM, "delivery.inconclusive": MEDIUM, "egress.refused": MEDIUM,
})  # fmt: skip
"""Severities that are not `Informational`, or for a failure `Low`."""


def event(seq: int, entry: Entry, leaf: bytes, origin: str) -> dict[str, Any]:
    """The event of an entry. seq: its number; leaf: its hash; origin: the log's name."""
    noun, _, verb = entry.act.partition(".")
    kind, verbs = NOUNS.get(noun, (ENTITY, {}))
    activity = kind.activities.get(verbs.get(verb, ""), OTHER)
    failed = entry.act in FAILED or entry.facts.get("effect") == "deny"
    label = ACTS.get(entry.act)
    return {
        "activity_id": activity,
        **({"activity_name": entry.act} if activity == OTHER else {}),
        "category_uid": kind.category,
        "class_uid": kind.uid,
        "type_uid": kind.uid * 100 + activity,
        "time": int(entry.at.timestamp() * 1000),
        "severity_id": SEVERITIES.get(entry.act, LOW if failed else INFORMATIONAL),
        "status_id": FAILURE if failed else UNKNOWN if entry.act in UNDECIDED else SUCCESS,
        "message": label.en if label else entry.act,
        "metadata": {
            "version": VERSION,
            "product": PRODUCT,
            "uid": leaf.hex(),
            "sequence": seq,
            "log_name": origin,
            "event_code": entry.act,
            "original_time": entry.time,
            **({"profiles": ["host"]} if kind is LIFECYCLE else {}),  # the profile by which this class has an actor
        },
        "actor": {"user": {"uid": entry.actor}},
        **_of_class(kind, noun, seq, entry, origin),
        "unmapped": {"subject": entry.subject, "facts": entry.facts, "body": entry.body},
    }


def shortened(event: Mapping[str, Any]) -> dict[str, Any]:
    """The same event without its unmapped part, for a message that would be too long; the entry itself stays in the log."""
    return {**event, "unmapped": {"truncated": True}}


def _of_class(kind: Class, noun: str, seq: int, entry: Entry, origin: str) -> dict[str, Any]:
    """What the class of an event wants beside what all events have."""
    subject = entry.subject
    connection, here = subject.get("connection"), {"src_endpoint": {"svc_name": origin}}
    if kind is EVENT_LOG:
        return {"log_name": origin, "log_provider": "Sovereign"}
    if kind is LIFECYCLE:
        return {"app": {"name": "Sovereign", "version": __version__, "uid": origin}}
    if kind is API:
        service = {"service": {"name": connection}} if connection else {}
        request = {"request": {"uid": str(subject["intent"])}} if "intent" in subject else {}
        return {"api": {"operation": entry.act, **service, **request}, **here}
    if kind is DATASTORE:
        table = {"table": {"name": str(subject["stream"])}} if subject.get("stream") else {}
        return {"database": {"name": str(connection or origin), "type_id": OTHER, "type": "Sovereign"}, **table, **here}
    names = (noun, "key", "grant", "set", "intent", "connection")
    uid = next((str(subject[name]) for name in names if subject.get(name)), f"{origin}#{seq}")
    if kind is ACCOUNT:
        return {"user": {"uid": uid, "type_id": OTHER, "type": "Application"}}
    return {"entity": {"type": noun, "type_id": OTHER, "uid": uid}}
