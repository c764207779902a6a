"""Faults as HTTP answers: problem details (RFC 9457) in the caller's language, with our stable code and what to do next."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from sovereign.language import Language, language
from vault.errors import Fault

MEDIA: Final = b"application/problem+json"
OF_CODE: Final[Mapping[str, int]] = {
    "gateway.key_reused": 422,
    "gateway.key_busy": 409,
    "gateway.operation": 404,
    "gateway.delivery": 404,
    "gateway.moved": 409,
    "gateway.step": 409,
    "gateway.payload_gone": 410,
    "gateway.cut": 503,
    "gateway.down": 503,
    "gateway.busy": 503,
    "gateway.stopping": 503,
    "gateway.not_asked": 404,
    "gateway.opening": 404,
    "gateway.bad_opening": 422,
    "gateway.openings": 429,
    "gateway.room": 507,
    "audit.not_entered": 410,
    "connector.payload": 422,
    "connector.operation": 404,
    "egress.timeout": 504,
}
"""Codes whose status says more than their kind."""
_OF_FAMILY: Final = (("vendor", 502), ("egress", 502), ("connector", 500), ("state", 503))
_OF_KIND: Final[Mapping[str, int]] = {
    "usage": 400, "unauthenticated": 401, "denied": 403, "held": 202, "locked": 409, "sealed": 503, "partial": 503,
}  # fmt: skip


def status_of(fault: Fault) -> int:
    """The HTTP status that tells a fault."""
    own = getattr(fault, "status", None)
    if isinstance(own, int) and fault.code.startswith("api"):
        return own
    if fault.code in OF_CODE:
        return OF_CODE[fault.code]
    family = fault.code.partition(".")[0]
    return next((status for name, status in _OF_FAMILY if name == family), _OF_KIND.get(fault.kind, 500))


def problem(fault: Fault, wanted: Language, **more: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:  # noqa: ANN401 - JSON
    """The status, headers and body that tell a fault. more: further members (RFC 9457 section 3.2)."""
    said, fields = fault.diagnostics(wanted), fault.fields
    made = told(status_of(fault), said.code, said.what, said.todo, wanted, **more, retry_after=fields.get("retry_after"))
    if made[0] == HTTPStatus.METHOD_NOT_ALLOWED:
        made[1].append((b"allow", str(fields.get("allowed", "")).encode()))
    return made


def told(
    status: int,
    code: str,
    what: str,
    todo: str,
    wanted: Language,
    *,
    retry_after: object = None,
    **more: Any,  # noqa: ANN401 - JSON
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The same, from its words. retry_after: seconds, None when there is nothing to wait for."""
    body = orjson.dumps(
        {
            "type": f"urn:sovereign:problem:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": what,
            "code": code,
            "todo": todo,
            **more,
        }
    )
    headers = [(b"content-type", MEDIA), (b"content-language", wanted.encode()), (b"content-length", b"%d" % len(body))]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="sovereign"'))
    if isinstance(retry_after, int):
        headers.append((b"retry-after", b"%d" % retry_after))
    return status, headers, body


def preferred(accepted: str | None) -> Language:
    """The language a caller reads best of those we speak (RFC 9110 section 12.5.4), else the process's."""
    best: tuple[float, Language] | None = None
    for part in (accepted or "")[:500].split(","):
        name, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters.strip().startswith("q="):
            try:
                quality = float(parameters.strip()[2:])
            except ValueError:
                continue
        spoken: Language | None = "fr" if name[:2].lower() == "fr" else "en" if name[:2].lower() == "en" else None
        if spoken and quality > 0 and (best is None or quality > best[0]):
            best = (quality, spoken)
    return best[1] if best else language()
