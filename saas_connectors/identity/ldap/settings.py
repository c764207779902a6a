"""The settings of a connection to a directory, read strictly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from saas_connectors.connector import Class, Json
from saas_connectors.errors import SettingsError
from saas_connectors.identity.ldap import filters, names, records
from saas_connectors.identity.ldap.filters import Tree
from saas_connectors.identity.ldap.operations import FIELDS, OPERATIONS
from saas_connectors.stream_settings import SAID, StreamSettings, Text, Texts, read, read_classes, read_streams

_FILTER_FR, _FILTER_EN = "un filtre LDAP, comme « (objectClass=person) »", "an LDAP filter, such as `(objectClass=person)`"
_DN_FR, _DN_EN = "« OU=Agents,DC=ville,DC=example »", "`OU=Agents,DC=ville,DC=example`"
_SAID: Final = {
    **SAID,
    "url": ("une adresse « ldaps://hôte »", "an `ldaps://host` address"),
    "kind": ("« auto », « active_directory » ou « openldap »", "`auto`, `active_directory` or `openldap`"),
    "bases": (f"des noms d'entrées comme {_DN_FR}, aucun sous un autre", f"entries' names such as {_DN_EN}, none below one"),
    "people": (_FILTER_FR, _FILTER_EN),
    "groups": (_FILTER_FR, _FILTER_EN),
    "units": (_FILTER_FR, _FILTER_EN),
    "page": ("un nombre d'entrées par page, de 2 à 1000", "a number of entries a page, 2 to 1000"),
    "changes": ("« auto », « dirsync », « usn » ou « list »", "`auto`, `dirsync`, `usn` or `list`"),
    "login": ("un nom d'attribut", "an attribute's name"),
    "employee": ("un nom d'attribut", "an attribute's name"),
    "expires": ("un nom d'attribut", "an attribute's name"),
    "attributes": ("des noms d'attributs, sans mot de passe ni clé", "names of attributes, no password or key"),
    "lock": ("une table { attribute, value, open }", "a table { attribute, value, open }"),
    "keep": ("une liste d'identifiants ou de noms de groupes", "a list of identifiers or names of groups"),
    "destinations": (f"des noms d'unités comme {_DN_FR}", f"units' names such as {_DN_EN}"),
    "update": (f"une liste parmi : {', '.join(FIELDS)}", f"a list among: {', '.join(FIELDS)}"),
    "create": ("une table { unit, classes, rdn, attributes }", "a table { unit, classes, rdn, attributes }"),
    "reset": (
        "« password », pour ouvrir « revoke_sessions » : le mot de passe devient inconnu de tous",
        "`password`, to open `revoke_sessions`: the password becomes one that nobody knows",
    ),
    "writes": (f"une liste parmi : {', '.join(OPERATIONS)}", f"a list among: {', '.join(OPERATIONS)}"),
}  # fmt: skip
_OPENS_RIGHTS: Final = records.SECRETS | {
    "useraccountcontrol", "objectclass", "member", "memberof", "uniquemember", "memberuid", "samaccountname", "admincount",
    "serviceprincipalname", "sidhistory", "primarygroupid", "msds-allowedtodelegateto", "altsecurityidentities",
    "msds-allowedtoactonbehalfofotheridentity", "ntsecuritydescriptor", "uidnumber", "gidnumber", "pwdaccountlockedtime",
    "pwdpolicysubentry", "sshpublickey", "usercertificate", "scriptpath", "userprincipalname",
}  # fmt: skip
"""What no update touches, nor what a creation sets besides: each would open a door."""
_PEOPLE: Final = {
    True: "(&(objectCategory=person)(objectClass=user))", False: "(|(objectClass=inetOrgPerson)(objectClass=posixAccount))"
}  # fmt: skip
_GROUPS: Final = {
    True: "(objectClass=group)",
    False: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
}
_UNITS: Final = "(objectClass=organizationalUnit)"


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shuts an account elsewhere than in Active Directory: an attribute has `value`; `open` is put back, else nothing."""

    attribute: Text = "pwdAccountLockedTime"
    value: Text = "000001010000Z"
    open: Text | None = None


class Create(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an account is created: where, of which classes, named by which attribute, with which values besides."""

    unit: Text
    classes: Texts | None = None
    rdn: Literal["cn", "uid"] | None = None
    attributes: dict[Text, Text] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table."""

    url: Text
    kind: Literal["auto", "active_directory", "openldap"] = "auto"
    bases: Texts | None = None
    people: Text | None = None
    groups: Text | None = None
    units: Text | None = None
    page: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 500
    changes: Literal["auto", "dirsync", "usn", "list"] = "auto"
    login: Text | None = None
    employee: Text | None = None
    expires: Text | None = None
    attributes: list[Text] = []
    lock: Lock = Lock()
    keep: list[Text] = []
    destinations: list[Text] = []
    update: Texts | None = None
    create: Create | None = None
    reset: Literal["password"] | None = None
    streams: Any = None
    writes: Texts | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The settings, understood. `names`: the streams offered; `classes`, `tables`: by stream, those that were said."""

    settings: Settings
    names: frozenset[str]
    classes: Mapping[str, Mapping[str, Class]]
    tables: Mapping[str, StreamSettings]

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return self.settings.url.rstrip("/")

    @property
    def extra(self) -> dict[str, str]:
        """The attributes asked for besides, by column."""
        return {records.column(name): name for name in self.settings.attributes}

    def tree(self, stream: str, *, active: bool) -> Tree:
        """What makes an entry one of a stream."""
        said = self.settings
        text = {
            "people": said.people or _PEOPLE[active], "groups": said.groups or _GROUPS[active], "units": said.units or _UNITS
        }[stream]  # fmt: skip
        return filters.parse(text)

    def shape(self, *, active: bool) -> records.Shape:
        """Where a directory of that kind keeps what rows are made of."""
        said = self.settings
        return records.Shape(
            active,
            {
                "login": (said.login or ("sAMAccountName" if active else "uid"),),
                **({"upn": ("userPrincipalName",)} if active else {}),
                "mail": ("mail",),
                "display_name": ("displayName", "cn"),
                "given_name": ("givenName",),
                "surname": ("sn",),
                "employee_number": (said.employee or ("employeeID" if active else "employeeNumber"),),
                "title": ("title",),
                "department": ("department",) if active else ("departmentNumber", "ou"),
                "phone": ("telephoneNumber",),
                "manager": ("manager",),
            },
            "whenCreated" if active else "createTimestamp",
            "whenChanged" if active else "modifyTimestamp",
            ("userAccountControl", "") if active else (said.lock.attribute, said.lock.value),
            said.expires or ("accountExpires" if active else "shadowExpire"),
            self.extra,
        )


def load(name: str, settings: Mapping[str, Json]) -> Said:
    """Read a connection's settings; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    for field in _wrong(asked):
        raise SettingsError(field=f"{at}.{field}", expected_fr=_SAID[field][0], expected_en=_SAID[field][1])
    offered, tables = read_streams(StreamSettings, at, asked.streams, _SAID)
    for stream in sorted({*(offered or ()), *tables} - records.STREAMS.keys()):
        known = ", ".join(records.STREAMS)
        raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    classes = {stream: read_classes(f"{at}.streams.{stream}", table.classes, _SAID) for stream, table in tables.items()}
    return Said(asked, offered or frozenset(records.STREAMS), classes, tables)


def _wrong(asked: Settings) -> Sequence[str]:
    """The settings that are not what they should be."""
    parts = urlsplit(asked.url)
    writes = set(asked.writes or ())
    columns = [records.column(name) for name in asked.attributes]
    taken = set(records.STREAMS["people"].names)
    attributes = [name for name in (asked.login, asked.employee, asked.expires, asked.lock.attribute) if name is not None]
    sound = {
        "url": parts.scheme in ("ldaps", "ldap") and parts.path in ("", "/") and bool(parts.hostname),
        "bases": all(map(_named, asked.bases or ())) and not _nested(asked.bases or ()),
        **{field: _filter(getattr(asked, field)) for field in ("people", "groups", "units")},
        "attributes": all(map(_asked, asked.attributes)) and len({*columns, ""} | taken) == len(columns) + len(taken) + 1,
        "login": asked.login is None or _asked(asked.login),
        "employee": asked.employee is None or _asked(asked.employee),
        "expires": asked.expires is None or _asked(asked.expires),
        "lock": all(map(_asked, attributes)),
        "destinations": all(map(_named, asked.destinations)),
        "update": not set(asked.update or ()) - FIELDS.keys() and bool(asked.update) >= ("update_user" in writes),
        "create": (asked.create is not None) >= ("create_user" in writes) and _creates(asked.create),
        "reset": (asked.reset is not None and parts.scheme == "ldaps") >= ("revoke_sessions" in writes),
        "writes": not writes - OPERATIONS.keys(),
    }
    return [field for field, good in sound.items() if not good]


def _named(name: str) -> bool:
    try:
        return bool(names.rdns(name))
    except names.BadName:
        return False


def _nested(bases: Sequence[str]) -> bool:
    return any(one is not other and names.under(one, other) for one in bases for other in bases)


def _filter(text: str | None) -> bool:
    try:
        return text is None or bool(filters.parse(text))
    except filters.BadFilter:
        return False


def _asked(name: str) -> bool:
    """Whether an attribute may be read or set: not by its number, for a password has one as well."""
    bare = name.partition(";")[0].lower()
    return filters.ATTRIBUTE.fullmatch(name) is not None and bare[:1].isalpha() and bare not in records.SECRETS


def _creates(said: Create | None) -> bool:
    if said is None:
        return True
    return _named(said.unit) and all(
        _asked(name) and name.partition(";")[0].lower() not in _OPENS_RIGHTS for name in said.attributes
    )
