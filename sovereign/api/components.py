"""The shapes that the description names: what comes back, what may be asked with, and each refusal by its status."""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from sovereign.gateway.effect import KINDS
from sovereign.gateway.states import STATES

Say = Callable[[str, str], str]
"""Chooses the French or the English of two sentences."""
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
INTENT: Final = "^w-[0-9a-hjkmnp-tv-z]{26}$"
_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_NO_TEXT, _NO_COUNT, _INSTANT = (
    {"type": ["string", "null"]},
    {"type": ["integer", "null"]},
    {"type": "string", "format": "date-time"},
)
_TEXTS, _STATE = {"type": "array", "items": _TEXT}, {"type": "string", "enum": list(STATES)}


def schema(name: str) -> dict[str, Any]:
    """Name a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: dict[str, Any], maybe: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | (maybe or {})}


_MAYBE_DECISION: Final = {"anyOf": [schema("Decision"), {"type": "null"}]}
_FINDING: Final = _object({"kind": _TEXT, "pointer": _TEXT, "count": _COUNT, "sure": {"type": "boolean"}})
_DECISION: Final = _object(
    {
        "effect": {"type": "string", "enum": ["allow", "deny", "hold"]},
        "policies": _TEXTS,
        "policy_set": _TEXT,
        "sentence": _TEXT,
        "quorum": _COUNT,
        "groups": _TEXTS,
        "findings": {"type": "array", "items": _FINDING},
    }
)
_RECEIPT: Final = {
    "intent": {"type": "string", "pattern": INTENT},
    "state": _STATE,
    "why": _NO_TEXT,
    "status": _NO_COUNT,
    "vendor_id": _NO_TEXT,
    "entry": _NO_COUNT,
    "created_at": _INSTANT,
    "delivery": _NO_TEXT,
    "decision": _MAYBE_DECISION,
}
_EVENT: Final = _object({"at": _INSTANT, "was": _NO_TEXT, "state": _STATE, "why": _TEXT, "entry": _NO_COUNT})
_ASKED: Final = {
    "intent": {"type": "string", "pattern": INTENT},
    "connection": _TEXT,
    "quorum": _COUNT,
    "groups": _TEXTS,
    "asked_at": _INSTANT,
    "expires_at": _INSTANT,
    "state": _TEXT,
}
_CHANGED: Final = _object(
    {"field": _TEXT, "class": _TEXT, "changes": {"type": "boolean"}, "seen": {"type": "boolean"}}, {"before": {}, "after": {}}
)
_RECORD: Final = _object(
    {
        "kind": {"type": "string", "enum": list(KINDS)},
        "stream": _TEXT,
        "key": {"type": "object", "additionalProperties": _NO_TEXT},
        "fields": {"type": "array", "items": _CHANGED},
    }
)
_CONTENT: Final = {
    "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "operation": _TEXT,
    "method": _TEXT,
    "path": _NO_TEXT,
    "entity": _NO_TEXT,
    "person": _NO_TEXT,
    "content_type": _TEXT,
    "headers": {"type": "array", "items": _TEXTS},
    "bytes": _COUNT,
    "sha256": _NO_TEXT,
    "effect": schema("Effect"),
}
_VOICE: Final = _object({"person": _TEXT, "verdict": _TEXT, "at": _INSTANT, "reason": _TEXT})
_WHO: Final = _object({"person": _TEXT, "groups": _TEXTS, "can": {"type": "boolean"}, "why": _TEXT})
_OFFERED: Final = _object(
    {
        "client": _TEXT,
        "connection": _TEXT,
        "operation": _TEXT,
        "reads": {"type": "boolean"},
        "entity": _NO_TEXT,
        "owner": _TEXT,
        "policy": _NO_TEXT,
        "file": _object({"method": {"const": "POST"}, "href": _TEXT}),
        "command": _TEXT,
    }
)
SCHEMAS: Final[dict[str, Any]] = {
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT,
            "code": {"type": "string", "pattern": r"^[a-z_]+(\.[a-z_]+)*$"},
            "todo": _TEXT,
        },
        {
            "intent": _TEXT,
            "state": _STATE,
            "why": _NO_TEXT,
            "entry": _NO_COUNT,
            "decision": _MAYBE_DECISION,
            "request": _OFFERED,
        },
    ),
    "Decision": _DECISION,
    "Receipt": _object(_RECEIPT, {"dry_run": {"type": "boolean"}}),
    "Delivery": _object(_RECEIPT | {"events": {"type": "array", "items": _EVENT}}),
    "ApprovalRequest": _object(_ASKED),
    "ApprovalContent": _object(_ASKED | _CONTENT),
    "ApprovalLook": _object(
        _ASKED
        | _CONTENT
        | {
            "client": _TEXT,
            "body": _NO_TEXT,
            "sentence": _NO_TEXT,
            "voices": {"type": "array", "items": _VOICE},
            "who": {"type": "array", "items": _WHO},
        }
    ),
    "Effect": _object(
        {
            "compared": {"type": "boolean"},
            "absent": _NO_TEXT,
            "clearance": _NO_TEXT,
            "copy_at": _NO_TEXT,
            "copy_age": _NO_COUNT,
            "counts": {"anyOf": [{"type": "object", "additionalProperties": _COUNT}, {"type": "null"}]},
            "records": {"type": "array", "items": _RECORD},
        }
    ),
    "Opening": _object(
        {
            "opening": {"type": "string", "pattern": "^o-[0-9a-f]{16}$"},
            "connection": _TEXT,
            "operation": _TEXT,
            "reads": {"type": "boolean"},
            "asked_at": _INSTANT,
            "times": _COUNT,
            "state": {"type": "string", "enum": ["open", "accepted", "refused"]},
            "reason": _TEXT,
            "decided_at": _NO_TEXT,
            "answer": _NO_TEXT,
        }
    ),
    "EventTaken": _object({"event": _TEXT, "new": {"type": "boolean"}}),
    "Vote": _object({"intent": _TEXT, "outcome": _TEXT}),
    "Connections": _object({"connections": {"type": "array", "items": _object({"name": _TEXT, "operations": _TEXTS})}}),
    "Operations": _object(
        {"operations": {"type": "array", "items": _object({"name": _TEXT, "title": _TEXT, "schema": {"type": "object"}})}}
    ),
    "Callback": _object(
        {
            "type": _TEXT,
            "timestamp": _INSTANT,
            "data": _object({"intent": {"type": "string", "pattern": INTENT}, "state": _STATE, "delivery": _TEXT}),
        }
    ),
    "Health": _object({"status": _TEXT}),
    "Description": {"type": "object", "required": ["openapi", "info", "paths"]},
    "EventsDescription": {"type": "object", "required": ["asyncapi", "info", "channels", "operations"]},
}


def parameters(say: Say, callbacks: Sequence[str]) -> dict[str, Any]:
    """What a request may say beside its body. callbacks: where the application may be told."""
    key = say(
        "Une clé tirée au hasard par écriture voulue (un UUID) ; la même quand on redemande.",
        "A random key for each write that is wanted (a UUID); the same one when asking again.",
    )
    trial = say("1 : la décision seule, rien n'est écrit.", "1: the decision alone, nothing is written.")
    prefer = say(
        "RFC 7240 : « wait=N », secondes au plus, ou « respond-async ».",
        "RFC 7240: `wait=N`, seconds at most, or `respond-async`.",
    )
    person = say(
        "Pour qui l'application demande ; UTF-8, sous forme composée (NFC).",
        "On whose behalf the application asks; UTF-8, in composed form (NFC).",
    )
    told = say(
        "Où prévenir de la suite : une des adresses permises à l'application, à la lettre ; la première d'office.",
        "Where to tell what follows: an address that the application is allowed, to the letter; the first when left out.",
    )
    return {
        "key": _field("Idempotency-Key", key, {"type": "string", "pattern": "^[!-~]{1,255}$"}, required=True),
        "trial": _field("Sovereign-Dry-Run", trial, {"type": "string", "enum": ["0", "1"]}),
        "prefer": _field("Prefer", prefer, {"type": "string", "examples": ["wait=5", "respond-async"]}),
        "person": _field("Sovereign-Person", person, {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f]{1,200}$"}),
        "callback": _field("Sovereign-Callback", told, {"type": "string", "enum": list(callbacks) or [""]}),
        "language": _field(
            "Accept-Language", say("« fr » ou « en ».", "`fr` or `en`."), {"type": "string", "examples": ["fr", "en"]}
        ),
        "intent": {
            "name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": INTENT},
            "description": say("Le nom de l'écriture, que donne Location.", "The name of the write, as Location gives it."),
        },
    }  # fmt: skip


def parameter(*names: str) -> list[dict[str, str]]:
    """Name parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _field(name: str, said: str, shape: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": said, "schema": shape}


_ON: Final[dict[int, tuple[str, str]]] = {
    400: ("demande mal formée, ou sans clé d'idempotence", "not well formed, or without an idempotency key"),
    401: ("aucun justificatif qui ouvre", "no credential that opens"),
    403: ("refusé par la politique, ou hors des connexions permises", "denied by policy, or not a connection that is allowed"),
    404: ("rien de ce nom pour cette application", "nothing of that name for this application"),
    405: ("l'adresse n'accepte pas cette méthode", "the address does not take this method"),
    408: ("n'est pas arrivé à temps", "did not arrive in time"),
    409: ("la même clé est en cours, ou trop tard pour ce pas", "the same key is in hand, or too late for this step"),
    410: ("échue ou retirée avant d'être envoyée", "expired or taken back before it was sent"),
    413: ("corps trop long", "body too long"),
    415: ("le corps n'est pas du JSON", "the body is not JSON"),
    421: ("un autre hôte que les nôtres", "a host that is not ours"),
    422: ("non conforme au schéma, ou clé d'une autre demande", "not as the schema says, or the key of another request"),
    429: ("au-delà des limites de l'application", "beyond the limits of the application"),
    431: ("en-têtes trop longs", "headers too long"),
    500: ("erreur de la passerelle", "error of the gateway"),
    502: ("le fournisseur a refusé pour de bon, ou répond mal", "the vendor refused for good, or answers badly"),
    503: ("pas de place, à l'arrêt, fournisseur coupé ou en panne", "no room, stopping, a vendor cut off or down"),
    504: ("le fournisseur ne répond pas à temps", "the vendor does not answer in time"),
    507: ("le disque ne peut pas recevoir ce corps", "the disk cannot take this body"),
}  # fmt: skip
ALWAYS: Final = (400, 405, 408, 413, 421, 431, 500, 503)
"""What any address may answer."""
NEEDED: Final = (401, 429)
"""What any address may answer that wants a credential."""
_WAIT: Final = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "s"}}
_WITH: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": _TEXT}},
    405: {"Allow": {"required": True, "schema": _TEXT}},
    429: {"Retry-After": {**_WAIT["Retry-After"], "required": True}},
    503: _WAIT,
}


def responses(say: Say) -> dict[str, Any]:
    """The refusals, each by its status: problems (RFC 9457)."""
    return {
        f"{status}": {
            "description": f"{HTTPStatus(status).phrase}: {say(*said)}",
            "headers": {"Content-Language": {"schema": {"type": "string", "enum": ["fr", "en"]}}, **_WITH.get(status, {})},
            "content": {PROBLEM: {"schema": schema("Problem")}},
        }
        for status, said in _ON.items()
    }


def refusals(statuses: Iterable[int]) -> dict[str, Any]:
    """Name refusals."""
    return {f"{status}": {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def marks(*, place: bool = False, replay: bool = True) -> dict[str, Any]:
    """The headers that go with a receipt. place: the address of its delivery; replay: whether it may be told again."""
    held: dict[str, Any] = {
        "Sovereign-Intent": {"schema": {"type": "string", "pattern": INTENT}},
        "Sovereign-State": {"schema": _STATE},
    }
    if replay:
        held["Idempotency-Replayed"] = {"schema": {"type": "string", "enum": ["true"]}}
    if place:
        held["Location"] = {"required": True, "schema": _TEXT}
    return held
