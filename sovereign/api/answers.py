"""What a receipt becomes over HTTP: the vendor's own answer by the pass-through, else JSON that says where the write stands."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from saas_connectors.errors import refusal
from saas_connectors.request import Headers
from sovereign.api.problems import told
from sovereign.api.relay import inward
from sovereign.gateway.again import WHY
from sovereign.gateway.approvals import Asked
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.receipt import Receipt
from sovereign.language import Language

Answered = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers, body."""
_DONE: Final = frozenset({"delivered", "confirmed", "landed"})
_OVER: Final = {"rejected": 502, "failed": 502, "refused": 403, "expired": 410, "cancelled": 410}


def _nothing(_policies: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Offer nothing."""
    return "", {}


def as_json(status: int, value: object, *more: tuple[bytes, bytes]) -> Answered:
    """An answer in JSON."""
    body = orjson.dumps(value)
    return status, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more], body


def shown(receipt: Receipt, language: Language) -> dict[str, Any]:
    """What an application is told of its write."""
    decision = receipt.decision
    return {
        "intent": receipt.intent, "state": receipt.state, "why": receipt.why, "status": receipt.status,
        "vendor_id": receipt.vendor_id, "entry": receipt.entry, "created_at": receipt.created_at.isoformat(),
        "delivery": f"/v1/deliveries/{receipt.intent}",
        "decision": None if decision is None else {
            "effect": decision.effect, "policies": list(decision.policies), "policy_set": decision.policy_set,
            "sentence": decision.fr if language == "fr" else decision.en, "quorum": decision.quorum,
            "groups": list(decision.groups),
            "findings": [{"kind": f.kind, "pointer": f.pointer, "count": f.count, "sure": f.sure} for f in decision.findings],
        },
    }  # fmt: skip


def requested(asked: Asked, intent: WriteIntent | None = None) -> dict[str, Any]:
    """What an application is told of a request for approval. intent: what will be sent, to be shown but for its body."""
    told = {
        "intent": asked.intent, "connection": asked.connection, "quorum": asked.quorum,
        "groups": list(asked.groups), "asked_at": asked.asked_at.isoformat(), "expires_at": asked.expires_at.isoformat(),
        "state": asked.state,
    }  # fmt: skip
    if intent is None:
        return told
    return told | {
        "digest": intent.digest.hex(), "operation": intent.operation, "method": intent.method, "path": intent.path,
        "entity": intent.entity,
        "person": intent.person, "content_type": intent.content_type, "headers": [list(pair) for pair in intent.headers],
        "bytes": intent.size, "sha256": None if intent.upload is None else intent.upload.sha256.hex(),
    }  # fmt: skip


def answer(
    receipt: Receipt,
    language: Language,
    *,
    connection: str = "",
    origin: str = "",
    offer: Callable[[Sequence[str]], tuple[str, dict[str, Any]]] = _nothing,
) -> Answered:
    """Tell what became of a write.

    connection, origin: of the pass-through, whose caller expects the vendor's own answer. offer: what to do about a denial by
    these policies, and the members that go with it.
    """
    decision, said, place = receipt.decision, shown(receipt, language), f"/v1/deliveries/{receipt.intent}".encode()
    marks = [(b"sovereign-intent", receipt.intent.encode()), (b"sovereign-state", receipt.state.encode())]
    if receipt.replayed:
        marks.append((b"idempotency-replayed", b"true"))
    if receipt.dry_run:
        denied = decision.policies if decision is not None and decision.effect == "deny" else ()
        return as_json(200, {**said, "dry_run": True, "delivery": None, **offer(denied)[1]}, *marks)
    if receipt.state == "denied":
        sentence = (said["decision"] or {}).get("sentence", "")
        if decision is not None and decision.effect != "deny" and (why := WHY.get(receipt.why or "")):
            sentence = why[0 if language == "fr" else 1]
        denied = decision.policies if decision is not None and decision.effect == "deny" else ()
        todo, more = offer(denied)
        status, headers, body = told(403, "policy.denied", sentence, todo, language, **{k: said[k] for k in _MEMBERS}, **more)
        return status, [*headers, *marks], body
    # What will be sent again is not the vendor's answer yet: a caller that saw a 503 would ask twice.
    settled = receipt.state in _DONE or receipt.state == "rejected"
    if origin and settled and receipt.status is not None and receipt.body is not None:
        headers = inward(Headers(receipt.headers), connection, origin)
        length = (b"content-length", b"%d" % len(receipt.body))
        return receipt.status, [*headers, length, (b"link", b"<" + place + b'>; rel="status"'), *marks], receipt.body
    if receipt.state in _DONE:
        return as_json(200, said, *marks)
    if receipt.state in _OVER:
        what = f"La remise est « {receipt.state} »." if language == "fr" else f"The delivery is `{receipt.state}`."
        todo = f"GET /v1/deliveries/{receipt.intent}"
        if receipt.why and (known := refusal(receipt.why, receipt.status, language)):
            what, todo = f"{what} {known.what}", f"{known.todo} {todo}"
        members = {k: said[k] for k in _MEMBERS}
        status, headers, body = told(_OVER[receipt.state], f"delivery.{receipt.state}", what, todo, language, **members)
        return status, [*headers, *marks], body
    return as_json(202, said, (b"location", place), *marks)


_MEMBERS: Final = ("intent", "state", "why", "entry", "decision")
