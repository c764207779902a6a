"""What became of a send, judged from what is provable, never from what is likely. Pure.

    nothing left (name, network, TLS, refusal of ours, a look-up that failed)   to_retry, or failed when trying again is no use
    429, 425, 503 with Retry-After                                              to_retry: the vendor says it did not take it
    2xx                                                                         delivered
    the credential was refused (a 401, a refused token or login; not a 403)     to_retry: nothing was done; the connection shuts
    another 4xx                                                                 rejected, unless an earlier one may have arrived
    a refusal because what was looked at changed meanwhile (`Moved`)            to_retry: the vendor did nothing
    503 without Retry-After, 408, other 5xx, 3xx, silence, a reset              to_retry if twice is once, else unknown

Twice is once (`again`): the operation is idempotent, or the vendor honours our key. After an attempt that may have arrived, a
refusal proves nothing (a second creation is a conflict, a second deletion finds nothing): the outcome is unknown.

Whether a write changed something (`changed`) is kept with its delivery, for whoever undoes it: by the vendor's answer, or by
the look just before it. Where neither told, or the process died meanwhile, it is not known, and never guessed.

A 401 is about the credential (RFC 9110 section 15.5.2) unless the connector knows it as something else, or it says itself that
a scope is missing (RFC 6750 section 3.1). What else speaks against that is the sender's to know: `plain` judges as any refusal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from saas_connectors.connector import Applied
from saas_connectors.errors import (
    BadPayload,
    Moved,
    Rejected,
    SettingsError,
    TokenDenied,
    UnknownOperation,
    VendorError,
    refuses,
)
from saas_connectors.request import Headers
from sovereign.egress.errors import Busy, CredentialRefused, EgressError, NoCredential, Refused, Waiting
from sovereign.egress.waiting import retry_after
from sovereign.gateway.vendor import Sent
from vault.errors import Fault, NoSecret

Ends = Literal["delivered", "rejected", "to_retry", "failed", "unknown"]
NOT_TAKEN: Final = frozenset({425, 429})
"""Statuses by which a vendor says that it did not take the request (RFC 8470 section 5.2, RFC 6585 section 4)."""
OVERLOADED: Final = 503
REFUSED: Final = 401


@dataclass(frozen=True, slots=True)
class Outcome:
    """ends: the state. why: a code. until: when the vendor asked us back. arrived: whether it may have received it.

    sick: whether it speaks against the vendor's health (None: it says nothing of it). refused: the vendor refused the
    credential itself: in an `answer` to a request, or at its `door` (no token, no login, no secret of ours).
    """

    ends: Ends
    why: str
    status: int | None = None
    until: datetime | None = None
    arrived: bool = False
    sick: bool | None = None
    refused: Literal["", "answer", "door"] = ""


def plain(refused: Outcome, *, maybe: bool) -> Outcome:
    """Judge a 401 that is not about the credential after all, as any other refusal."""
    return replace(refused, ends="unknown" if maybe else "rejected", arrived=True, sick=None, refused="")


def of_status(status: int, headers: Headers, now: datetime, *, again: bool, maybe: bool) -> Outcome:
    """Judge what a vendor answered to the writing request. maybe: an earlier attempt may have arrived."""
    why, until = f"status.{status}", retry_after(headers, now)
    if 200 <= status < 300:
        return Outcome("delivered", why, status, arrived=True, sick=False)
    if status in NOT_TAKEN or (status == OVERLOADED and until is not None):
        return Outcome("to_retry", why, status, until, sick=status == OVERLOADED or None)
    if status == REFUSED and "insufficient_scope" not in (headers.get("WWW-Authenticate") or ""):
        return Outcome("to_retry", why, status, refused="answer")
    if 400 <= status < 500 and status != 408:
        return Outcome("unknown" if maybe else "rejected", why, status, arrived=True, sick=False)
    return Outcome("to_retry" if again else "unknown", why, status, until, arrived=True, sick=status >= 500 or None)


def of_fault(error: Exception, sent: Sent, now: datetime, *, again: bool, maybe: bool) -> Outcome:
    """Judge a fault. What the vendor answered to the writing request decides, when it answered."""
    why = _why(error)
    if sent.response is not None:
        if 200 <= sent.response.status < 300:
            # Accepted by its status, refused by its words, or not understood: only a definite refusal is one.
            if isinstance(error, Rejected) and error.definitive and not maybe:
                return Outcome("rejected", why, sent.response.status, arrived=True, sick=False)
            return Outcome("unknown", why, sent.response.status, arrived=True)
        if isinstance(error, Moved):
            return Outcome("to_retry", why, sent.response.status, sick=False)
        judged = of_status(sent.response.status, sent.response.headers, now, again=again, maybe=maybe)
        known = isinstance(error, Rejected) and error.code != Rejected.code  # the connector knows what that refusal means
        if known and judged.refused:
            judged = plain(judged, maybe=maybe)
        return replace(judged, why=why) if known and judged.ends == "rejected" else judged
    if sent.unseen and isinstance(error, CredentialRefused):  # its own look showed it, and what was to follow did not leave
        return Outcome("to_retry", f"status.{REFUSED}", REFUSED, refused="answer")
    if sent.writing and not (isinstance(error, EgressError) and not error.may_have_arrived):
        return Outcome("to_retry" if again else "unknown", why, arrived=True, sick=isinstance(error, EgressError) or None)
    return _not_sent(error, why, maybe=maybe)


def _why(error: Exception) -> str:
    """The code of a fault, and the word for why when a refusal has one."""
    if isinstance(error, Rejected) and error.reason != "status":
        return f"{error.code}.{error.reason}"
    return error.code if isinstance(error, Fault) else f"defect.{type(error).__name__}"


def of_applied(applied: Applied) -> Outcome:
    """Judge a conversation that ended well."""
    return Outcome("delivered", f"status.{applied.status}", applied.status, arrived=True, sick=False)


def changed(applied: Applied | None, sent: Sent) -> bool | None:
    """Whether a write changed something at the vendor, by its answer, or by the look before it; None when nothing tells."""
    if applied is not None and applied.changed is not None:
        return applied.changed
    if applied is not None and not sent.writing:
        return False  # the look showed all as asked: nothing was sent
    return None if sent.holds is None else not sent.holds


def witnessed(known: Mapping[str, Any], changed: bool | None) -> dict[str, Any]:
    """What is known of a delivery, with what an attempt saw.

    Once one may have arrived, what a later one finds done may be its work: the first word stands, else that there was something
    to change.
    """
    told = {} if changed is None else {"changed": changed}
    if known.get("maybe"):
        return {**(told if changed else {}), **known}
    return {**{name: value for name, value in known.items() if name != "changed"}, **told}


def _not_sent(error: Exception, why: str, *, maybe: bool) -> Outcome:
    """Judge a fault from before the writing request left."""
    if isinstance(error, Waiting):
        until = error.fields["until"]
        return Outcome("to_retry", why, until=until if isinstance(until, datetime) else None)
    if isinstance(error, NoSecret | TokenDenied) or (isinstance(error, NoCredential) and error.refused):
        return Outcome("to_retry", why, refused="door")
    if isinstance(error, EgressError) and not isinstance(error, Refused):
        ours = isinstance(error, Busy | CredentialRefused)  # our own budget, our own prudence, are no fault of theirs
        return Outcome("to_retry", why, sick=None if ours else True)
    if refuses(error):
        return Outcome("to_retry", why, REFUSED, refused="answer")
    if isinstance(error, VendorError):
        status = error.fields.get("status")
        if isinstance(status, int) and 400 <= status < 500 and status not in (*NOT_TAKEN, 408):
            return Outcome("unknown" if maybe else "rejected", why, status, sick=False)
        if isinstance(status, int) and status >= 400:
            return Outcome("to_retry", why, status, sick=status >= 500 or None)
        return Outcome("to_retry", why)
    if isinstance(error, BadPayload | SettingsError | UnknownOperation | Refused):
        return Outcome("failed", why)
    return Outcome("failed", why)
