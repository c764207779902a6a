"""A directory, written to: accounts shut and opened, given an end, moved, put in groups and taken out, created and changed.

1. Each write begins with a look, and goes to the name that the entry has then. A name that changed meanwhile, or a value that
   the write was held against, makes the directory refuse; nothing was done, and it is asked again from a new look (`Moved`).
2. Active Directory keeps all that bars an account in one number (userAccountControl): bit 2 is changed in the number that was
   read, which the write takes away as it gives the new one. A change that someone else makes in between is never lost.
3. What a look shows to be as asked already is not written: it is read back like the rest.
4. LDAP ends no session. `revoke_sessions` makes the password one that nobody knows, over TLS alone, where the settings say so;
   tickets and sessions that are open last as long as they last. It is not read back.
5. A creation looks for its login, and is refused (`exists`) where anything bears it. The account has no password: it is shut.
6. Nothing is written to our own account, nor to one that Active Directory protects (`protected`): a file that names them locks
   nobody out. Nor is anybody put in a group that it protects: whoever is in one rules the domain, or a part of it.
7. Groups are left one after the other by one request. When it stops halfway it is asked again: what is left already is left.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from saas_connectors.connector import Applied, Change, Class, Exchange, Fetch, Json, Operation, Probed, ReadBack
from saas_connectors.errors import BadPayload, Moved, NotFound, Rejected, Unauthorized
from saas_connectors.identity.ldap import calls, filters, names, records
from saas_connectors.identity.ldap.calls import Entry
from saas_connectors.identity.ldap.connector import located
from saas_connectors.identity.ldap.creation import added, differences
from saas_connectors.identity.ldap.looks import Looks, guarded, logged_in, named
from saas_connectors.identity.ldap.operations import operations
from saas_connectors.identity.ldap.settings import Said, load
from saas_connectors.payloads import pointer
from saas_connectors.request import Request, Response
from saas_connectors.writing import Unmirrored, declared, refused, written

_ENABLED: Final = {"disable_user": False, "enable_user": True}
_MEMBERS: Final = ("add_to_group", "remove_from_group")
_REFERRAL, _NO_SUCH, _EXISTS, _ENTRY_EXISTS = 10, 16, 20, 68
_NOT_A_FIELD: Final = frozenset({"changes", "group", "group_name", "at", "to"})


def make(name: str, settings: Mapping[str, Json]) -> "Editing":
    """Make the writing side of one connection; raises `SettingsError`."""
    said = load(name, settings)
    return Editing(said, name, operations(said.settings.writes or (), said.settings.update or ()))


@dataclass(frozen=True, slots=True)
class Editing(Unmirrored):
    """The writing side of one connection; see `saas_connectors.connector.Writer`."""

    said: Said
    name: str
    known: Mapping[str, Operation]
    chance: Callable[[int], str] = secrets.token_urlsafe

    def operations(self) -> tuple[Operation, ...]:
        """Those that `writes` opens."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The account, by what names it."""
        declared(self.known, self.name, operation, payload)
        name, value = named(payload)
        if name == "id":
            return f"people/{value}"
        return f"people?{name}={hashlib.sha256(names.folded(value).encode()).hexdigest()[:32]}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Of the fields written, and of what names the account."""
        declared(self.known, self.name, operation, payload)
        given = records.stream("people", self.said.classes.get("people", {})).classes
        fields = [*payload.get("changes", {}), *(name for name in payload if name not in _NOT_A_FIELD)]
        named_by_people = {"to", "group_name"} & set(payload)
        found: set[Class] = {given.get(name, "personal") for name in fields} | {"internal"}
        return frozenset(found | {"personal"} if named_by_people else found)

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """The account; who is in a group is kept by names that a payload does not say."""
        declared(self.known, self.name, operation, payload)
        who, columns = (named(payload),), set(records.STREAMS["people"].names)
        match operation:
            case "disable_user" | "enable_user":
                return (Change("update", "people", who, {"enabled": _ENABLED[operation]}),)
            case "expire_user":
                return (Change("update", "people", who, {"expires_at": payload["at"]}),)
            case "move_user":
                return (Change("update", "people", who, {"unit": payload["to"]}),)
            case "create_user":
                fields = {name: value for name, value in payload.items() if name in columns}
                return (Change("create", "people", (("login", payload["login"]),), fields),)
            case "update_user":
                fields = {name: value for name, value in payload["changes"].items() if name in columns}
                return (Change("update", "people", who, fields),) if fields else ()
        return ()

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Carry out one operation."""
        declared(self.known, self.name, operation, payload)
        looks = Looks(self.said, (yield from logged_in(located(self.said))))
        if operation == "create_user":
            request = added(self.said, looks.where, payload)
            if (yield from looks.taken(payload)):
                raise refused(request, 409, "exists")
            (response,) = yield Fetch((request,), holds=False)
            if response.status == 409 and _code(response) in (None, _ENTRY_EXISTS):
                raise refused(request, 409, "exists")
            _taken(request, response)
            return Applied(response.status)
        person = yield from looks.person(payload)
        if (yield from looks.spared(person)):
            raise refused(calls.write(self.said.url, "MODIFY", dn=person.dn), 403, "protected")
        change = yield from self._change(looks, operation, payload, person)
        if change is None:
            return Applied(200, looks.shape.id(person))
        (response,) = yield Fetch((change,), holds=self._already(looks, operation, payload, person))
        _judge(change, response)
        return Applied(response.status, looks.shape.id(person))

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Look at the account again, or at its groups."""
        declared(self.known, self.name, operation, payload)
        if operation == "revoke_sessions":
            return ReadBack("unsupported")
        who = {"id": applied.vendor_id} if applied.vendor_id is not None else payload
        try:
            return (yield from self._seen(operation, payload, who))
        except (NotFound, Rejected) as refusal:
            gone = isinstance(refusal, NotFound) or refusal.reason == "not_found"
            return ReadBack("absent" if gone else "unsupported")
        except Unauthorized:
            return ReadBack("unsupported")

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """Look whether the directory holds what was asked."""
        declared(self.known, self.name, operation, payload)
        if operation == "revoke_sessions":
            return Probed("inconclusive")
        looks = Looks(self.said, (yield from located(self.said)))
        try:
            person = yield from looks.person({"login": payload["login"]} if operation == "create_user" else payload)
            seen = yield from self._seen(operation, payload, {"id": looks.shape.id(person)})
        except (NotFound, Unauthorized, Rejected) as refusal:
            nobody = operation == "create_user" and isinstance(refusal, Rejected) and refusal.reason == "not_found"
            if nobody and not (yield from looks.taken(payload)):
                return Probed("did_not_happen")
            return Probed("inconclusive")
        if seen.outcome == "confirmed":
            return Probed("landed", looks.shape.id(person))
        return Probed("inconclusive" if operation == "create_user" else "did_not_happen")

    def _change(self, looks: Looks, operation: str, payload: Json, person: Entry) -> Exchange[Request | None]:
        """The request that changes a person or its groups; None when all is as asked already."""
        shape, url = looks.shape, self.said.url
        loose = {"permissive": True} if looks.where.active else {}
        match operation:
            case "disable_user" | "enable_user":
                return self._locked(looks, person, enabled=_ENABLED[operation])
            case "revoke_sessions":
                return self._forgotten(looks, person)
            case "expire_user":
                return self._modify(person, {shape.expires: records.end(payload["at"], shape.expires)})
            case "update_user":
                fields = {looks.wire[name]: value for name, value in payload["changes"].items()}
                return self._modify(person, fields)
            case "move_user":
                return (yield from self._moved(looks, person, payload["to"]))
            case "remove_from_groups":
                groups = yield from looks.groups(person)
                several = [
                    {"dn": group.dn, "changes": [_change("delete", name, value)], **loose}
                    for group in groups
                    for name, value in [looks.member(group, person)]
                ]  # fmt: skip
                return calls.write(url, "MODIFY", several=several) if several else None
        group = yield from looks.group(payload)
        attribute, value = looks.member(group, person)
        comes = operation == "add_to_group"
        if (yield from looks.holds(group, person)) == comes:
            return None
        if comes and looks.where.active and guarded(group):
            raise refused(calls.write(url, "MODIFY", dn=group.dn), 403, "protected")
        change = _change("add" if comes else "delete", attribute, value)
        return calls.write(url, "MODIFY", dn=group.dn, changes=[change], **loose)

    def _already(self, looks: Looks, operation: str, payload: Json, person: Entry) -> bool | None:
        """Whether a look shows that a change which is about to be written was made already; None when it does not tell."""
        match operation:
            case "disable_user" | "enable_user":
                lock, enabled = self.said.settings.lock, looks.shape.enabled(person)
                ours = {names.folded(value) for value in (lock.value, lock.open) if value is not None}
                held = () if looks.where.active else person.values(lock.attribute)
                if enabled is None or any(names.folded(value) not in ours for value in held):
                    return None  # what another value stands for is not known here
                return enabled is _ENABLED[operation]
            case "expire_user":
                return _ends(looks.shape, payload, person)
            case "update_user":
                return not _otherwise(payload, person, looks.wire)
            case "revoke_sessions":
                return None
        return False  # what is as asked already is not written

    def _locked(self, looks: Looks, person: Entry, *, enabled: bool) -> Request | None:
        lock, shape = self.said.settings.lock, looks.shape
        if shape.enabled(person) is enabled:
            return None
        if not shape.active:
            return self._modify(person, {lock.attribute: lock.open if enabled else lock.value})
        control = person.number("userAccountControl")
        request = calls.write(self.said.url, "MODIFY", dn=person.dn)
        if control is None:
            raise refused(request, 403, "forbidden")
        wanted = control & ~records.DISABLED if enabled else control | records.DISABLED
        swap = [
            _change("delete", "userAccountControl", str(control)),
            _change("add", "userAccountControl", str(wanted)),
        ]
        return calls.write(self.said.url, "MODIFY", dn=person.dn, changes=swap)

    def _forgotten(self, looks: Looks, person: Entry) -> Request:
        request = calls.write(self.said.url, "MODIFY", dn=person.dn)
        if not looks.where.active:
            raise refused(request, 501, "unsupported")
        password = f'"{self.chance(48)}aA1!"'.encode("utf-16-le")
        value = {"base64": base64.b64encode(password).decode()}
        change = {"do": "replace", "attribute": "unicodePwd", "values": [value]}
        return calls.write(self.said.url, "MODIFY", dn=person.dn, changes=[change])

    def _modify(self, person: Entry, fields: Mapping[str, str | None]) -> Request:
        changes = [
            {"do": "replace", "attribute": name, "values": [] if value is None else [value]} for name, value in fields.items()
        ]  # fmt: skip
        return calls.write(self.said.url, "MODIFY", dn=person.dn, changes=changes)

    def _moved(self, looks: Looks, person: Entry, to: str) -> Exchange[Request | None]:
        allowed = (*looks.where.bases, *self.said.settings.destinations)
        if not any(names.under(to, base) for base in allowed):
            raise BadPayload(
                pointer="/to", expected_fr="une unité sous « bases » ou « destinations »",
                expected_en="a unit below `bases` or `destinations`",
            )  # fmt: skip
        request = calls.write(self.said.url, "MOVE", dn=person.dn, delete_old=True, parent=to)
        try:
            rdn, unit = names.first(person.dn), names.parent(person.dn)
        except names.BadName:
            raise refused(request, 422, "unreadable") from None
        request = calls.write(self.said.url, "MOVE", dn=person.dn, rdn=rdn, delete_old=True, parent=to)
        try:
            yield from calls.ask(calls.search(self.said.url, to, calls.ANY, [looks.shape.key], scope="base"))
        except NotFound:
            raise refused(request, 404, "not_found") from None
        return None if names.same(unit, to) else request

    def _seen(self, operation: str, payload: Json, who: Mapping[str, Json]) -> Exchange[ReadBack]:
        looks = Looks(self.said, (yield from located(self.said)))
        if operation == "create_user":
            person = yield from looks.person({"login": payload["login"]})
            found = differences(looks, payload, person)
            return ReadBack("differs", found) if found else ReadBack("confirmed")
        person = yield from looks.person(who)
        if operation == "update_user":
            found = tuple(pointer(("changes", name)) for name in _otherwise(payload, person, looks.wire))
            return ReadBack("differs", found) if found else ReadBack("confirmed")
        stands = yield from self._stands(looks, operation, payload, person)
        return ReadBack("confirmed" if stands else "absent")

    def _stands(self, looks: Looks, operation: str, payload: Json, person: Entry) -> Exchange[bool]:
        shape = looks.shape
        match operation:
            case "disable_user" | "enable_user":
                return shape.enabled(person) is _ENABLED[operation]
            case "expire_user":
                return _ends(shape, payload, person)
            case "move_user":
                sought = filters.equals(shape.key, shape.value(shape.id(person) or ""))
                there = calls.search(self.said.url, payload["to"], sought, [shape.key], scope="one")
                return bool((yield from calls.ask(there)).entries)
            case "remove_from_groups":
                return not (yield from looks.groups(person))
        group = yield from looks.group(payload)
        return (yield from looks.holds(group, person)) == (operation == "add_to_group")


def _ends(shape: records.Shape, payload: Json, person: Entry) -> bool:
    """Whether an account ends when it is asked to."""
    held, wanted = person.text(shape.expires), records.end(payload["at"], shape.expires)
    return held == wanted or records.instant(held, shape.expires) == records.instant(wanted, shape.expires)


def _otherwise(payload: Json, person: Entry, wire: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that an entry does not hold as asked."""
    return tuple(name for name, value in payload["changes"].items() if (person.text(wire[name]) or None) != value)


def _change(do: str, attribute: str, value: str) -> Json:
    return {"do": do, "attribute": attribute, "values": [value]}


def _judge(request: Request, response: Response) -> None:
    """Pass a write that was done; raise what a refusal means otherwise."""
    code = _code(response)
    if response.status == 404 or (response.status == 409 and code in (None, _NO_SUCH, _EXISTS)):
        raise Moved(method=request.method, path="/", status=response.status)
    if response.status == 409 and code == _ENTRY_EXISTS:
        raise refused(request, 409, "exists")
    _taken(request, response)


def _taken(request: Request, response: Response) -> None:
    """Pass a write that was done; raise a refusal that is not about what it was held against."""
    if _code(response) == _REFERRAL:  # a read-only domain controller, or a copy: writes go to another server
        raise refused(request, response.status, "read_only")
    written(request, response)


def _code(response: Response) -> int | None:
    """The code of LDAP behind an answer (RFC 4511, appendix A)."""
    said = response.headers.get("Ldap-Code", "")
    return int(said) if said.isdecimal() and len(said) < 6 else None
