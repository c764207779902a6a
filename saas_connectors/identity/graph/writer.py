"""Microsoft Graph, written to: accounts disabled and enabled, their sessions revoked, members put in groups and taken out.

1. A user that is said by another name than its identifier is looked for first. One user must come, and bear that name; else
   nothing is written.
2. An account is disabled when it is read with `accountEnabled` false. A revocation of sessions leaves nothing to read: asking
   again does no harm.
3. Graph refuses to put a member in a group that has it (400): who is in it is looked at first, and the write is refused
   (`exists`). An unknown outcome is looked at, never sent again by itself.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.connector import Applied, Change, Class, Exchange, Fetch, Json, Operation, Probed, ReadBack
from saas_connectors.errors import NotFound, Rejected, Unauthorized, VendorError
from saas_connectors.identity.graph import records
from saas_connectors.identity.graph.operations import WHO, operations
from saas_connectors.identity.graph.settings import Said, load
from saas_connectors.paging import follow
from saas_connectors.payloads import encode
from saas_connectors.request import Pairs, Request, Response
from saas_connectors.writing import FRESH, GONE, READS, Unmirrored, declared, refused, written

_ACTIVE: Final = {"disable_user": False, "enable_user": True}
_MEMBERS: Final = ("add_to_group", "remove_from_group")
_READING: Final = frozenset({"checkMemberGroups", "getMemberGroups", "checkMemberObjects", "getMemberObjects", "getByIds"})
_MOST_PAGES: Final = 100
_JSON: Final = ("Content-Type", "application/json")


def make(name: str, settings: Mapping[str, Json]) -> "Editing":
    """Make the writing side of one connection; raises `SettingsError`."""
    said = load(name, settings)
    return Editing(said, name, operations(said.writes))


@dataclass(frozen=True, slots=True)
class Editing(Unmirrored):
    """The writing side of one connection; see `saas_connectors.connector.Writer`."""

    said: Said
    name: str
    known: Mapping[str, Operation]

    def operations(self) -> tuple[Operation, ...]:
        """Those that `writes` opens."""
        return tuple(self.known.values())

    def is_read(self, method: str, path: str, /) -> bool:
        """GET and HEAD, and the questions that Graph asks by POST."""
        return method in READS or (method == "POST" and path.partition("?")[0].rpartition("/")[2] in _READING)

    def entity(self, operation: str, payload: Json, /) -> str:
        """The account, by what names it."""
        declared(self.known, self.name, operation, payload)
        name, value = _named(payload)
        return f"users/{value}" if name == "id" else f"users?{name}={_digest(value)}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Of what names the account; whether it is enabled, and groups by identifier, are internal."""
        declared(self.known, self.name, operation, payload)
        given = records.stream("users", self.said.classes.get("users", {})).classes
        return frozenset({given.get(_named(payload)[0], "personal"), "internal"})

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """The account, or its membership where its identifier is known."""
        declared(self.known, self.name, operation, payload)
        if operation in _ACTIVE:
            return (Change("update", "users", (_named(payload),), {"accountEnabled": _ACTIVE[operation]}),)
        if operation not in _MEMBERS or "id" not in payload:
            return ()
        member = (("group_id", payload["group"]), ("member_id", payload["id"]))
        return (Change("create" if operation == "add_to_group" else "delete", "group_members", member, dict(member)),)

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Carry out one operation."""
        declared(self.known, self.name, operation, payload)
        user = yield from self._user(payload)
        request = self._write(operation, payload, user)
        if operation == "add_to_group" and (yield from self._holds(payload["group"], user)):
            raise refused(request, 400, "exists")
        holds = (yield from self._already(operation, user)) if operation in _ACTIVE else None
        (response,) = yield Fetch((request,), holds=holds)
        if operation == "remove_from_group" and response.status in GONE:  # whoever is not in a group is not taken out of it
            return Applied(response.status, user, changed=False)
        written(request, response)
        return Applied(response.status, user, changed=True if operation in _MEMBERS else None)

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Read the account, or who is in the group."""
        declared(self.known, self.name, operation, payload)
        if operation == "revoke_sessions":
            return ReadBack("unsupported")
        try:
            user = applied.vendor_id or (yield from self._user(payload))
            return ReadBack("confirmed" if (yield from self._stands(operation, payload, user)) else "absent")
        except NotFound:
            return ReadBack("absent")
        except (Unauthorized, Rejected):
            return ReadBack("unsupported")

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """Look whether Graph holds what was asked."""
        declared(self.known, self.name, operation, payload)
        if operation == "revoke_sessions":
            return Probed("inconclusive")
        try:
            user = yield from self._user(payload)
            stands = yield from self._stands(operation, payload, user)
        except (NotFound, Unauthorized, Rejected):
            return Probed("inconclusive")
        return Probed("landed", user) if stands else Probed("did_not_happen")

    def _write(self, operation: str, payload: Json, user: str) -> Request:
        at = f"{self.said.url}/users/{quote(user, safe='')}"
        if operation in _ACTIVE:
            return Request("PATCH", at, headers=(_JSON,), body=encode({"accountEnabled": _ACTIVE[operation]}))
        if operation == "revoke_sessions":
            return Request("POST", f"{at}/revokeSignInSessions", headers=(_JSON,), body=b"{}")
        members = f"{self.said.url}/groups/{quote(payload['group'], safe='')}/members"
        if operation == "add_to_group":
            body = encode({"@odata.id": f"{self.said.url}/directoryObjects/{user}"})
            return Request("POST", f"{members}/$ref", headers=(_JSON,), body=body)
        return Request("DELETE", f"{members}/{quote(user, safe='')}/$ref")

    def _user(self, payload: Json) -> Exchange[str]:
        """The identifier of whom a payload names; raises `Rejected`, definitive: nothing was written."""
        name, value = _named(payload)
        if name == "id":
            return value
        select: Pairs = (("$select", f"id,{name}"),)
        if name == "userPrincipalName":
            request = Request("GET", f"{self.said.url}/users/{quote(value, safe='')}", params=select, headers=(FRESH,))
        else:
            quoted = value.replace("'", "''")
            params = (*select, ("$filter", f"{name} eq '{quoted}'"), ("$top", "10"))
            request = Request("GET", f"{self.said.url}/users", params=params, headers=(FRESH,))
        (response,) = yield Fetch((request,))
        if response.status in GONE:
            raise refused(request, response.status, "not_found")
        accept(request, response)
        found = decode(request, response)
        listed = [found] if name == "userPrincipalName" else found.get("value") if isinstance(found, dict) else None
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise _strange(request, response)
        bearing = [one for one in listed if _bears(one, name, value)]
        if len(bearing) != len(listed):
            raise refused(request, response.status, "filter_ignored")
        if len(bearing) != 1:
            raise refused(request, response.status, "ambiguous" if bearing else "not_found")
        return str(bearing[0]["id"])

    def _stands(self, operation: str, payload: Json, user: str) -> Exchange[bool]:
        if operation in _MEMBERS:
            return (yield from self._holds(payload["group"], user)) == (operation == "add_to_group")
        return (yield from self._enabled(user)) is _ACTIVE[operation]

    def _already(self, operation: str, user: str) -> Exchange[bool | None]:
        """Whether an account is as asked already, by a look just before the write; None when it does not tell."""
        try:
            enabled = yield from self._enabled(user)
        except VendorError:
            return None
        return None if enabled is None else enabled is _ACTIVE[operation]

    def _enabled(self, user: str) -> Exchange[bool | None]:
        params = (("$select", "id,accountEnabled"),)
        request = Request("GET", f"{self.said.url}/users/{quote(user, safe='')}", params=params, headers=(FRESH,))
        (response,) = yield Fetch((request,))
        accept(request, response)
        found = decode(request, response)
        if not isinstance(found, dict) or "id" not in found:
            raise _strange(request, response)
        enabled: bool | None = records.flag(found.get("accountEnabled"))
        return enabled

    def _holds(self, group: str, user: str) -> Exchange[bool]:
        """Whether a group has a member itself; raises `VendorError` where that cannot be told."""
        request = Request(
            "GET", f"{self.said.url}/groups/{quote(group, safe='')}/members", params=(("$select", "id"), ("$top", "999")),
            headers=(FRESH,),
        )  # fmt: skip
        for _ in range(_MOST_PAGES):
            (response,) = yield Fetch((request,))
            accept(request, response)
            found = decode(request, response)
            listed = found.get("value") if isinstance(found, dict) else None
            if not isinstance(listed, list):
                raise _strange(request, response)
            if any(isinstance(one, dict) and one.get("id") == user for one in listed):
                return True
            link = found.get("@odata.nextLink")
            if link is None:
                return False
            onward = follow(self.said.url, str(link))
            if onward is None:
                break
            request = Request("GET", onward, headers=(FRESH,))
        raise _strange(request, response)


def _named(payload: Mapping[str, Json]) -> tuple[str, str]:
    return next((name, str(payload[name])) for name in WHO if name in payload)


def _digest(value: str) -> str:
    return hashlib.sha256(value.casefold().encode()).hexdigest()[:32]


def _bears(user: Mapping[str, Json], name: str, value: str) -> bool:
    held = user.get(name)
    if not isinstance(held, str) or not isinstance(user.get("id"), str):
        return False
    return held.casefold() == value.casefold()


def _strange(request: Request, response: Response) -> Exception:
    return malformed(request, response, "un objet de Graph était attendu", "an object of Graph was expected")
