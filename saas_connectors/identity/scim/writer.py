"""SCIM, written to: accounts disabled, enabled, created, changed, deleted, put in groups and taken out of them.

1. An account that a payload names by its `userName` or its `externalId` is looked for first (`looks`); unless exactly one is
   found, nothing is written.
2. A change is a PATCH (RFC 7644, section 3.5.2). Where the server knows none, the resource is read, changed and put back, under
   the version that was read when the server gives one.
3. `version`, when the payload has one, is sent as `If-Match`: a server that holds another refuses (412).
4. An account is disabled when it is read with `active` false; a success that did not do it is a lost write.
5. A creation is refused when its `userName` is taken; an unknown outcome is looked for by that name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from saas_connectors.answer import decode
from saas_connectors.connector import Applied, Change, Class, Exchange, Fetch, Json, Operation, Probed, ReadBack
from saas_connectors.errors import ConnectorError, Rejected, Unauthorized
from saas_connectors.identity.scim import answers, looks, records
from saas_connectors.identity.scim.mirroring import Mirroring
from saas_connectors.identity.scim.operations import operations
from saas_connectors.identity.scim.settings import load
from saas_connectors.payloads import encode
from saas_connectors.request import Pairs, Request, Response
from saas_connectors.writing import FRESH, GONE, declared, refused, written

_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_MEMBERS: Final = ("add_to_group", "remove_from_group")
_ACTIVE: Final = {"disable_user": False, "enable_user": True}
_READ_ONLY: Final = frozenset({"meta", "groups"})


def make(name: str, settings: Mapping[str, Json]) -> "Editing":
    """Make the writing side of one connection; raises `SettingsError`."""
    said = load(name, settings)
    return Editing(said, name, operations(said.settings.writes or ()))


@dataclass(frozen=True, slots=True)
class Editing(Mirroring):
    """The writing side of one connection; see `saas_connectors.connector.Writer`."""

    name: str
    known: Mapping[str, Operation]

    def operations(self) -> tuple[Operation, ...]:
        """Those that `writes` opens."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The account, by what names it."""
        declared(self.known, self.name, operation, payload)
        name, value = ("userName", payload["userName"]) if operation == "create_user" else looks.named(payload)
        if name == "id":
            return f"users/{value}"
        digest = hashlib.sha256((value.casefold() if name == "userName" else value).encode()).hexdigest()[:32]
        return f"users?{name}={digest}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Of the attributes written, and of what names the account."""
        declared(self.known, self.name, operation, payload)
        given = records.stream("users", self.said.classes.get("users", {})).classes
        written_to = [*payload.get("changes", {}), *(name for name in payload if name not in _NOT_A_FIELD)]
        found = {given.get(name, "personal") for name in written_to}
        return frozenset(found | ({"internal"} if operation in (*_ACTIVE, *_MEMBERS) else set()))

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """The account, or its membership where both identifiers are known."""
        declared(self.known, self.name, operation, payload)
        if operation == "create_user":
            return (Change("create", "users", (("userName", payload["userName"]),), payload),)
        names = (looks.named(payload),)
        if operation in _MEMBERS:
            if "id" not in payload or "group" not in payload:
                return ()
            member = (("group_id", payload["group"]), ("member_id", payload["id"]))
            return (Change("create" if operation == "add_to_group" else "delete", "group_members", member, dict(member)),)
        if operation == "delete_user":
            return (Change("delete", "users", names),)
        fields = payload["changes"] if operation == "update_user" else {"active": _ACTIVE[operation]}
        return (Change("update", "users", names, fields),)

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Carry out one operation."""
        declared(self.known, self.name, operation, payload)
        if operation == "create_user":
            return (yield from self._create(payload))
        found = yield from self._user(payload)
        user = str(found["id"])
        match: Pairs = (("If-Match", payload["version"]),) if "version" in payload else ()
        kind, target = "Users", user
        if operation in _MEMBERS:
            kind, target = "Groups", (yield from self._group(payload))
        if operation == "delete_user":
            request = Request("DELETE", self._url("Users", user), headers=(answers.ACCEPT, *match))
            (response,) = yield Fetch((request,))
            if response.status not in GONE:
                _written(request, response)
            return Applied(response.status, user, response.status not in GONE)
        holds = yield from self._already(operation, payload, user, kind, target, found)
        request = yield from self._changed(kind, target, operation, payload, user, match)
        (response,) = yield Fetch((request,), holds=holds)
        _written(request, response)
        return Applied(response.status, user)

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Read the account, or the group, and compare."""
        declared(self.known, self.name, operation, payload)
        user = applied.vendor_id
        if user is None:
            user = yield from self._looked(operation, payload)
        if user is None:
            return ReadBack("unsupported")
        try:
            return (yield from self._seen(operation, payload, user))
        except (Unauthorized, Rejected):  # some servers refuse what is not there
            return ReadBack("unsupported")

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """Look whether the server holds what was asked."""
        declared(self.known, self.name, operation, payload)
        name, value = ("userName", payload["userName"]) if operation == "create_user" else looks.named(payload)
        user: str | None = value
        if name != "id":
            state, found = yield from looks.look(self.said.url, "Users", name, value)
            if state == "missing":
                return Probed("landed" if operation == "delete_user" else "did_not_happen")
            user = str(found["id"]) if state == "found" else None
        if user is None:
            return Probed("inconclusive")
        try:
            seen = yield from self._seen(operation, payload, user)
        except (Unauthorized, Rejected):
            return Probed("inconclusive")
        if seen.outcome == "confirmed":
            return Probed("landed", user)
        taken = operation == "create_user"  # by another account, or by ours as someone changed it since
        return Probed("inconclusive" if taken or seen.outcome == "unsupported" else "did_not_happen")

    def _url(self, kind: str, identifier: str) -> str:
        return answers.one(self.said.url, kind, identifier).url

    def _user(self, payload: Json) -> Exchange[Mapping[str, Json]]:
        """Whom a payload names: all that a look gave of it, or its `id` alone where it is said by that."""
        name, value = looks.named(payload)
        return {"id": value} if name == "id" else (yield from looks.find(self.said.url, "Users", name, value))

    def _already(
        self, operation: str, payload: Json, user: str, kind: str, target: str, found: Mapping[str, Json]
    ) -> Exchange[bool | None]:
        """Whether the server holds already what is asked, by a look just before the write; None when it does not tell."""
        if operation in _ACTIVE and (active := records.flag(records.attribute(found, "active"))) is not None:
            return active is _ACTIVE[operation]
        request = answers.one(self.said.url, kind, target, (FRESH,))
        (response,) = yield Fetch((request,))
        try:
            held = answers.resource(request, response)
        except ConnectorError:
            return None
        told = records.flag(records.attribute(held, "active")) if operation in _ACTIVE else records.attribute(held, "members")
        if told is None and (operation in _ACTIVE or operation in _MEMBERS):
            return None  # a server may leave out what it hides, as it does what is empty
        return self._judged(operation, payload, user, held).outcome == "confirmed"

    def _group(self, payload: Json) -> Exchange[str]:
        if "group" in payload:
            return str(payload["group"])
        return str((yield from looks.find(self.said.url, "Groups", "displayName", payload["groupName"]))["id"])

    def _looked(self, operation: str, payload: Json) -> Exchange[str | None]:
        name, value = ("userName", payload["userName"]) if operation == "create_user" else looks.named(payload)
        state, found = yield from looks.look(self.said.url, "Users", name, value)
        return str(found["id"]) if state == "found" and found.get("id") is not None else None

    def _create(self, payload: Json) -> Exchange[Applied]:
        url = f"{self.said.url}/Users"
        body = {"schemas": _schemas(payload), "active": True, **_wire(payload)}
        request = Request("POST", url, headers=(answers.ACCEPT, ("Content-Type", answers.MEDIA)), body=encode(body))
        look = looks.search(self.said.url, "Users", "userName", payload["userName"])
        (response,) = yield Fetch((look,))
        found = records.named(answers.listed(look, response).resources) if response.status == 200 else ()
        if any(looks.equal("userName", records.attribute(one, "userName"), payload["userName"]) for one in found):
            raise refused(request, 409, "exists")
        (response,) = yield Fetch((request,))
        _written(request, response)
        return Applied(response.status, _identifier(request, response), changed=True)

    def _changed(
        self, kind: str, target: str, operation: str, payload: Json, user: str, match: Pairs
    ) -> Exchange[Request]:  # fmt: skip
        """Make the request that changes a resource: a PATCH, or the resource read, changed and put back."""
        url, sent = self._url(kind, target), (answers.ACCEPT, ("Content-Type", answers.MEDIA))
        if (yield from self._patches()):
            body = {"schemas": [_PATCH], "Operations": _operations(operation, payload, user)}
            return Request("PATCH", url, headers=(*sent, *match), body=encode(body))
        request = answers.one(self.said.url, kind, target, (FRESH,))
        (response,) = yield Fetch((request,))
        put = Request("PUT", url, headers=(*sent, *match))
        if response.status in GONE:
            raise refused(put, response.status, "not_found")
        held = answers.resource(request, response)
        made = {name: value for name, value in held.items() if name.lower() not in _READ_ONLY}
        _edit(made, operation, payload, user)
        version = records.attribute(records.attribute(held, "meta") or {}, "version")
        if not match and isinstance(version, str) and version:
            match = (("If-Match", version),)
        return Request("PUT", url, headers=(*sent, *match), body=encode(made))

    def _patches(self) -> Exchange[bool]:
        if self.said.settings.update != "auto":
            return self.said.settings.update == "patch"
        request = answers.config(self.said.url)
        (response,) = yield Fetch((request,))
        return answers.supported(request, response).patch is not False

    def _seen(self, operation: str, payload: Json, user: str) -> Exchange[ReadBack]:
        kind, target = "Users", user
        if operation in _MEMBERS:
            kind, target = "Groups", (yield from self._group(payload))
        request = answers.one(self.said.url, kind, target, (FRESH,))
        (response,) = yield Fetch((request,))
        gone = response.status in GONE
        if operation == "delete_user" and (gone or 200 <= response.status < 300):
            return ReadBack("confirmed" if gone else "absent")
        if gone:
            return ReadBack("absent")
        return self._judged(operation, payload, user, answers.resource(request, response))

    @staticmethod
    def _judged(operation: str, payload: Json, user: str, held: Mapping[str, Any]) -> ReadBack:
        """What a resource shows of what was asked."""
        if operation in _MEMBERS:
            return ReadBack("confirmed" if looks.holds(held, user) == (operation == "add_to_group") else "absent")
        if operation in _ACTIVE:
            return ReadBack("confirmed" if records.flag(records.attribute(held, "active")) is _ACTIVE[operation] else "absent")
        asked, at = (payload["changes"], ("changes",)) if operation == "update_user" else (payload, ())
        found = looks.differences(asked, held, *at)
        return ReadBack("differs", found) if found else ReadBack("confirmed")


_NOT_A_FIELD: Final = frozenset({"changes", "version", "group", "groupName"})


def _written(request: Request, response: Response) -> None:
    """Pass a success; refuse with the standard's word for it, where the answer says one."""
    try:
        written(request, response)
    except Rejected as refusal:
        kind = answers.refusal_kind(response)
        if kind is None or not refusal.definitive:
            raise
        raise refused(request, response.status, kind) from None


def _schemas(payload: Mapping[str, Json]) -> list[str]:
    return [records.USER, *([records.ENTERPRISE] if "enterprise" in payload else [])]


def _wire(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {looks.wire(name): value for name, value in fields.items()}


def _operations(operation: str, payload: Mapping[str, Json], user: str) -> list[Json]:
    """The operations of a PATCH (RFC 7644, section 3.5.2), one an attribute."""
    if operation in _ACTIVE:
        return [{"op": "replace", "path": "active", "value": _ACTIVE[operation]}]
    if operation == "add_to_group":
        return [{"op": "add", "path": "members", "value": [{"value": user}]}]
    if operation == "remove_from_group":
        return [{"op": "remove", "path": f"members[value eq {answers.quoted(user)}]"}]
    made: list[Json] = []
    for name, value in payload["changes"].items():
        inner = value if isinstance(value, Mapping) else {}
        dot = f"{records.ENTERPRISE}:" if name == "enterprise" else f"{name}."
        made += [_replace(f"{dot}{part}", held) for part, held in inner.items()] if inner else [_replace(name, value)]
    return made


def _replace(path: str, value: Json) -> Json:
    return {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}


def _edit(resource: dict[str, Any], operation: str, payload: Mapping[str, Json], user: str) -> None:
    """Change a resource that was read, as a PATCH would."""
    if operation in _MEMBERS:
        listed = records.attribute(resource, "members")
        kept = [
            one for one in (listed if isinstance(listed, list) else [])
            if not (isinstance(one, Mapping) and records.identifier(records.attribute(one, "value")) == user)
        ]  # fmt: skip
        fields: Mapping[str, Json] = {"members": [*kept, {"value": user}] if operation == "add_to_group" else kept}
    else:
        fields = {"active": _ACTIVE[operation]} if operation in _ACTIVE else _wire(payload["changes"])
    for name, value in fields.items():
        place = next((held for held in resource if held.lower() == name.lower()), name)
        if isinstance(value, Mapping) and isinstance(resource.get(place), Mapping):
            resource[place] = {**resource[place], **value}
        else:
            resource[place] = value
    schemas = resource.get("schemas")
    if isinstance(schemas, list) and records.ENTERPRISE in fields and records.ENTERPRISE not in schemas:
        resource["schemas"] = [*schemas, records.ENTERPRISE]


def _identifier(request: Request, response: Response) -> str | None:
    """The identifier of what was created: in the answer, else at the end of `Location`."""
    try:
        found = decode(request, response)
    except ConnectorError:
        found = None
    named = records.identifier(records.attribute(found, "id")) if isinstance(found, dict) else None
    if named is not None:
        return named
    _, _, last = urlsplit(response.headers.get("Location", "")).path.rpartition("/Users/")
    return unquote(last) if last and "/" not in last and "/Users/" in response.headers.get("Location", "") else None
