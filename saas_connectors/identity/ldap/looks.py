"""Whom a payload names, found in the directory; a group, and who is in it.

1. A value is looked for as a value, never as a part of a filter's text. One entry must come, and bear it exactly but for case:
   Active Directory also gives those that differ by an accent, and then nothing is written (`ambiguous`). So it is of groups.
2. Only the people of the settings are found, below `bases` and `destinations`. Groups are found in the whole tree.
3. Our own account is spared, and so is whatever Active Directory protects (`adminCount`) or cannot do without
   (`isCriticalSystemObject`: the built-in accounts and groups), or what is a machine's: a file that names one shuts nobody out.
4. Whether someone is in a group is asked of the group, by one question, however large it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.connector import Exchange, Fetch, Json
from saas_connectors.errors import NotFound, TokenDenied, Unauthorized
from saas_connectors.identity.ldap import calls, filters, names, records
from saas_connectors.identity.ldap.calls import Entry
from saas_connectors.identity.ldap.operations import WHO
from saas_connectors.identity.ldap.pull import Where
from saas_connectors.identity.ldap.settings import Said
from saas_connectors.request import Request
from saas_connectors.writing import refused

_GUARDED: Final = ("adminCount", "isCriticalSystemObject", "objectSid")
_GROUP: Final = ("objectClass", "cn", "sAMAccountName", *_GUARDED)
_NOT_LET_IN: Final = 401
_DOES_NOT_SAY: Final = (400, 403, 501)
_BUILT_IN: Final = 1000
"""Below it, the last number of a SID is that of an account or a group that comes with the domain (MS-SAMR 3.1.1.9.2)."""
_CLASSES: Final = {"groupofuniquenames": "uniqueMember", "posixgroup": "memberUid"}


T = TypeVar("T")


class LoginRefused(TokenDenied):
    """The login of our account is refused, for its password or because it is locked: nothing was asked, nor done."""

    code = "vendor.login_refused"
    fr = "L'annuaire refuse la connexion de notre compte : rien ne lui a été demandé."
    en = "The directory refuses the login of our account: nothing was asked of it."
    todo_fr = "Déverrouillez le compte ou changez le secret de la connexion ; l'écriture est redemandée ensuite."
    todo_en = "Unlock the account, or change the connection's secret; the write is asked again afterwards."


def logged_in(first: Exchange[T]) -> Exchange[T]:
    """Carry on the first exchange of a write; raises `LoginRefused` where a refused login would pass for a refused write."""
    try:
        return (yield from first)
    except Unauthorized as fault:
        if fault.fields.get("status") != _NOT_LET_IN:
            raise
        raise LoginRefused(method="SEARCH", path="/", status=_NOT_LET_IN) from None


def named(payload: Mapping[str, Json]) -> tuple[str, str]:
    """What says whom a payload is about, and its value."""
    return next((name, str(payload[name])) for name in WHO if name in payload)


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks at one directory."""

    said: Said
    where: Where

    @property
    def shape(self) -> records.Shape:
        """Where the directory keeps what it knows."""
        return self.said.shape(active=self.where.active)

    @property
    def bases(self) -> tuple[str, ...]:
        """Where people are: none of them below another."""
        wanted = (*self.where.bases, *self.said.settings.destinations)
        apart = [one for at, one in enumerate(wanted) if not any(names.same(one, other) for other in wanted[:at])]
        return tuple(one for one in apart if not any(one is not other and names.under(one, other) for other in apart))

    @property
    def everywhere(self) -> tuple[str, ...]:
        """The whole tree."""
        top = self.where.top
        return (top, *(base for base in self.bases if not names.under(base, top))) if top else self.bases

    def person(self, payload: Mapping[str, Json]) -> Exchange[Entry]:
        """The one person that a payload names; raises `Rejected`, definitive: nothing was written."""
        name, value = named(payload)
        found = yield from self.people(name, value)
        if len(found) != 1:
            raise refused(asked(self.said.url), 404 if not found else 409, "ambiguous" if found else "not_found")
        (entry,) = found
        if not self.bears(entry, name, value):
            raise refused(asked(self.said.url), 409, "ambiguous")
        return entry

    def people(self, name: str, value: str) -> Exchange[tuple[Entry, ...]]:
        """Those that a value may name."""
        sought = self._sought(name, value)
        if sought is None:
            return ()
        tree = filters.every(self.said.tree("people", active=self.where.active), sought)
        wanted = [
            *self.shape.attributes("people"),
            *self.wire.values(),
            *(_GUARDED if self.where.active else ()),
        ]
        found = yield from self.gather(self.bases, tree, wanted)
        return tuple({self.shape.id(entry): entry for entry in found}.values())  # one that moved meanwhile comes twice

    def gather(self, bases: Sequence[str], tree: filters.Tree, wanted: Sequence[str]) -> Exchange[tuple[Entry, ...]]:
        """Those that satisfy a filter."""
        attributes = list(dict.fromkeys(wanted))
        return (yield from calls.gather(self.said.url, bases, tree, attributes, self.said.settings.page))

    def spared(self, person: Entry) -> Exchange[bool]:
        """Whether an account is our own, or one that the directory guards: nothing is written to it."""
        if self.where.active and guarded(person):
            return True
        own = yield from ourselves(self.said.url, active=self.where.active)
        if self.where.active:
            return person.raw("objectSid") in own
        return any(isinstance(name, str) and names.same(name, person.dn) for name in own)

    def _sought(self, name: str, value: str) -> filters.Tree | None:
        if name == "id":
            return filters.equals(self.shape.key, self.shape.value(value))
        held = self.shape.fields.get(name)
        return None if held is None else filters.equals(held[0], value)

    def bears(self, entry: Entry, name: str, value: str) -> bool:
        """Whether an entry bears a value."""
        if name == "id":
            return self.shape.id(entry) == value
        held = self.shape.fields.get(name, ())
        return any(names.folded(one) == names.folded(value) for attribute in held[:1] for one in entry.values(attribute))

    def taken(self, payload: Mapping[str, Json]) -> Exchange[bool]:
        """Whether a name that a new account would bear is borne already, by whatever kind of entry."""
        sought = [tree for name in WHO if name in payload and (tree := self._sought(name, str(payload[name]))) is not None]
        return bool((yield from self.gather(self.everywhere, filters.either(*sought), [self.shape.key])))

    def group(self, payload: Mapping[str, Json]) -> Exchange[Entry]:
        """The one group that a payload names; raises `Rejected`, definitive: nothing was written."""
        value = payload.get("group_name", "")
        if "group" in payload:
            sought = filters.equals(self.shape.key, self.shape.value(payload["group"]))
        else:
            both = ("sAMAccountName", "cn") if self.where.active else ("cn",)
            sought = filters.either(*(filters.equals(name, value) for name in both))
        tree = filters.every(self.said.tree("groups", active=self.where.active), sought)
        found = yield from self.gather(self.everywhere, tree, [*_GROUP, self.shape.key])
        if len(found) != 1:
            raise refused(asked(self.said.url), 404 if not found else 409, "ambiguous" if found else "not_found")
        borne = [names.folded(name) for name in (*found[0].values("sAMAccountName"), *found[0].values("cn"))]
        right = self.shape.id(found[0]) == payload["group"] if "group" in payload else names.folded(value) in borne
        if not right:
            raise refused(asked(self.said.url), 409, "ambiguous")
        return found[0]

    def member(self, group: Entry, person: Entry) -> tuple[str, str]:
        """The attribute by which a group holds its members, and what it would hold of a person."""
        kinds = {kind.lower() for kind in group.values("objectClass")}
        attribute = next((name for kind, name in _CLASSES.items() if kind in kinds), "member")
        if "groupofnames" in kinds or self.where.active:
            attribute = "member"
        login = person.text(self.shape.fields["login"][0])
        return attribute, (login or "") if records.MEMBERS[attribute] == "login" else person.dn

    def holds(self, group: Entry, person: Entry) -> Exchange[bool]:
        """Whether someone is in a group itself."""
        tree = filters.equals(*self.member(group, person))
        try:
            told = yield from calls.ask(calls.search(self.said.url, group.dn, tree, [self.shape.key], scope="base"))
        except NotFound:  # it left
            return False
        return bool(told.entries)

    def groups(self, person: Entry) -> Exchange[tuple[Entry, ...]]:
        """The groups that someone is in itself, but those that the settings keep. A primary group lists nobody."""
        login = person.text(self.shape.fields["login"][0])
        borne = [filters.equals("member", person.dn)]
        if not self.where.active:
            borne.append(filters.equals("uniqueMember", person.dn))
            borne += [filters.equals("memberUid", login)] if login else []
        tree = filters.every(self.said.tree("groups", active=self.where.active), filters.either(*borne))
        found = yield from self.gather(self.everywhere, tree, [*_GROUP, self.shape.key])
        return tuple(entry for entry in found if not self._kept(entry))

    def _kept(self, group: Entry) -> bool:
        shown = (*group.values("cn"), *group.values("sAMAccountName"), self.shape.id(group) or "")
        known = {names.folded(name) for name in shown}
        return any(names.folded(one) in known or names.same(one, group.dn) for one in self.said.settings.keep)

    @property
    def wire(self) -> Mapping[str, str]:
        """The attribute of each field that may be written."""
        return records.wire(active=self.where.active)


def ourselves(url: str, *, active: bool) -> Exchange[frozenset[str | bytes]]:
    """What our own account is known by: the SIDs of its session (MS-ADTS 3.1.1.3.2), elsewhere its name (RFC 4532).

    Empty where the directory does not say; raises `VendorError`.
    """
    if active:
        told = yield from calls.ask(calls.search(url, "", calls.ANY, ["tokenGroups"], scope="base"))
        return frozenset(value for entry in told.entries for value in entry.attributes.get("tokengroups", ()))
    request = Request("WHOAMI", f"{url}/", reads=True)
    (response,) = yield Fetch((request,))
    if response.status in _DOES_NOT_SAY:
        return frozenset()
    accept(request, response)
    found = decode(request, response)
    name = found.get("authzid") if isinstance(found, dict) else None
    if not isinstance(name, str):
        raise malformed(request, response, "le nom de notre compte était attendu", "the name of our account was expected")
    return frozenset({name.removeprefix("dn:")} if name.startswith("dn:") else ())


def guarded(entry: Entry) -> bool:
    """Whether Active Directory protects an account or a group, or cannot do without it, or an account is a machine's."""
    sid = entry.raw("objectSid")
    if isinstance(sid, bytes) and int.from_bytes(sid[-4:], "little") < _BUILT_IN:  # shown even where the rest is hidden from us
        return True
    if (entry.number("userAccountControl") or 0) & records.MACHINE:
        return True
    return entry.text("adminCount") not in (None, "0") or entry.text("isCriticalSystemObject") == "TRUE"


def asked(url: str) -> Request:
    """A look, as a refusal names it."""
    return Request("SEARCH", f"{url}/", reads=True)
