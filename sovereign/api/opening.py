"""What a denial offers: the request to open the flow, filled in already; and the requests that an application files.

1. Only a denial for want of a policy offers one (`openings.opens`): a red line does not.
2. The request names what was asked, never what it held. The policy in it is a proposal: nobody is bound by it, and the security
   officer writes their own terms when accepting.
3. An application files for itself alone, and sees its own requests with what became of them.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from saas_connectors.payloads import decode
from sovereign.access.clients import Client
from sovereign.api.answers import Answered, as_json
from sovereign.api.errors import NotReached, bad
from sovereign.api.problems import told as refused
from sovereign.gateway.errors import ReadDenied
from sovereign.gateway.intent import BY_HTTP, WriteIntent
from sovereign.gateway.openings import Opening, Wanted, opens
from sovereign.gateway.policy.errors import BadPolicy
from sovereign.gateway.policy.opening import YEAR, Flow
from sovereign.language import Language
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.api.app import House

PLACE: Final = "/v1/openings"


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/openings`."""

    connection: str
    operation: str
    reason: str
    reads: bool = False


_DECODER: Final = msgspec.json.Decoder(_Asked)


def offered(
    house: "House", client: Client, policies: Sequence[str], connection: str, operation: str, *, reads: bool, entity: str | None
) -> dict[str, Any]:
    """The member `request` of a denial; none when no policy could have opened it. policies: what decided."""
    if not opens(policies):
        return {}
    policy = _policy(client.id, connection, operation, client.owner, _until(house.clock(), house.zone), reads)
    named = f"{connection} {operation} --client {client.id}{' --reads' if reads else ''}"
    return {
        "request": {
            "client": client.id, "connection": connection, "operation": operation, "reads": reads, "entity": entity,
            "owner": client.owner, "policy": policy, "file": {"method": "POST", "href": PLACE},
            "command": f"sovereign opening file {named} --reason …",
        }
    }  # fmt: skip


def offer(
    house: "House", client: Client, intent: WriteIntent, language: Language, policies: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """What a denied write is told to do, and the member `request` when there is one."""
    if not opens(policies):
        return todo(policies, language), {}
    made = offered(house, client, policies, intent.connection, intent.operation, reads=False, entity=kind_of(house, intent))
    return todo(policies, language), made


def read_denied(house: "House", client: Client, denied: ReadDenied, language: Language) -> Answered:
    """A read that policy refused, with what can be asked for."""
    policies = tuple(map(str, denied.fields.get("by") or ()))  # type: ignore[call-overload]
    more = offered(house, client, policies, str(denied.fields["connection"]), BY_HTTP, reads=True, entity=None)
    said = denied.diagnostics(language)
    return refused(403, said.code, said.what, todo(policies, language), language, **more)


def kind_of(house: "House", intent: WriteIntent) -> str | None:
    """The kind of thing that a write is to, as the connector's stream names it; None when it does not say."""
    try:
        writer = house.vendors(intent.connection).writer
        if writer is None:
            return None
        if intent.operation == BY_HTTP:
            changes = writer.passed(intent.method, intent.path, None)
        else:
            changes = writer.changes(intent.operation, decode(intent.body))
    except Fault:
        return None
    return changes[0].stream if changes else None


def file(house: "House", client: Client, body: bytes, connections: list[str]) -> Answered:
    """File a request of an application. connections: those it may reach.

    Errors: BadRequest, NotReached, NotWritable, BadOpening, TooManyOpenings.
    """
    try:
        asked = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise bad(
            "attendu : connection, operation, reason, et reads au besoin",
            "expected connection, operation, reason, and maybe reads",
        ) from None
    if asked.connection not in connections:
        raise NotReached
    if asked.operation != BY_HTTP:
        house.vendors(asked.connection).operation(asked.operation)
    wanted = Wanted(client.id, asked.connection, asked.operation, client.owner, asked.reads)
    made = house.openings.file(wanted, asked.reason, by=client.id)
    return as_json(200 if made.times > 1 else 201, told(made), (b"location", f"{PLACE}/{made.id}".encode()))


def told(opening: Opening) -> dict[str, Any]:
    """A request as its application sees it."""
    wanted = opening.wanted
    return {
        "opening": opening.id, "connection": wanted.connection, "operation": wanted.operation, "reads": wanted.reads,
        "asked_at": opening.asked_at.isoformat(), "times": opening.times, "state": opening.state, "reason": opening.reason,
        "decided_at": None if opening.decided_at is None else opening.decided_at.isoformat(), "answer": opening.answer,
    }  # fmt: skip


def todo(policies: Sequence[str], language: Language) -> str:
    """What to do about a denial, in a language."""
    if opens(policies):
        return (
            f"Demandez l'ouverture de ce flux : POST {PLACE}, avec une raison (« request » la remplit)."
            if language == "fr"
            else f"Ask to have this flow opened: POST {PLACE}, with a reason (`request` fills it in)."
        )
    return (
        "Ce refus ne s'ouvre pas par une demande : parlez-en au RSSI."
        if language == "fr"
        else "No request opens what is refused here: speak to the security officer."
    )


def _until(now: datetime, zone: ZoneInfo) -> date:
    return (now.astimezone(zone) + YEAR).date()


@lru_cache(maxsize=1024)
def _policy(client: str, connection: str, operation: str, owner: str, until: date, reads: bool) -> str | None:
    try:
        return Flow(client, connection, operation, owner, until, reads).text()
    except BadPolicy:
        return None
