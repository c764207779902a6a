"""Entries become rows: people, groups, who is in them, and units, under names that do not depend on the kind of directory.

1. A row is known by the entry's key. Its name (`dn`) is a field like another.
2. `enabled` is what the directory would let in: bit 2 of userAccountControl, or the attribute that the settings name. Nothing
   read of it is null, never true.
3. Instants are read from generalized time, from FILETIME (100 ns since 1601; 0 and 2^63-1 are never) and from days since 1970.
4. An attribute that holds a password or a key is never asked for, whoever asks.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa

from saas_connectors.connector import Class, Json, Stream
from saas_connectors.identity.ldap import names
from saas_connectors.identity.ldap.calls import Entry
from saas_connectors.identity.ldap.operations import FIELDS

_TEXT, _FLAG, _INSTANT = pa.string(), pa.bool_(), pa.timestamp("us", "UTC")
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEVER: Final = (1 << 63) - 1
DISABLED: Final = 2
"""The bit of userAccountControl that shuts an account (MS-ADTS 2.2.16)."""
MACHINE: Final = 0x800 | 0x1000 | 0x2000
"""The bits of an account that is no person's: of a trust, of a computer or a managed service, of a domain controller."""
_GENERALIZED: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d))?)?(?:[.,]\d+)?(Z|[+-]\d{2}(?:\d{2})?)")
SECRETS: Final = frozenset(
    {
        "userpassword", "unicodepwd", "dbcspwd", "lmpwdhistory", "ntpwdhistory", "supplementalcredentials", "sambantpassword",
        "sambalmpassword", "pwdhistory", "krbprincipalkey", "ms-mcs-admpwd", "mslaps-password", "mslaps-encryptedpassword",
        "mslaps-encryptedpasswordhistory", "msds-managedpassword", "msfve-recoverypassword", "authpassword", "olcrootpw",
        "trustauthincoming", "trustauthoutgoing", "msds-keycredentiallink", "initialauthincoming", "initialauthoutgoing",
        "unixuserpassword", "mssfu30password", "userpkcs12", "sambapasswordhistory", "krb5key", "krbpwdhistory", "ipanthash",
        "msfve-keypackage", "mspki-accountcredentials", "mspkidpapimasterkeys", "msds-executescriptpassword", "currentvalue",
        "priorvalue",
    }
)  # fmt: skip
_PEOPLE: Final[Mapping[str, pa.DataType]] = {
    **dict.fromkeys(
        (
            "id", "login", "upn", "mail", "display_name", "given_name", "surname", "employee_number", "title", "department",
            "phone", "manager", "dn", "unit",
        ),
        _TEXT,
    ),
    "enabled": _FLAG, "expires_at": _INSTANT, "created_at": _INSTANT, "changed_at": _INSTANT,
}  # fmt: skip
STREAMS: Final[Mapping[str, pa.Schema]] = {
    "people": pa.schema(list(_PEOPLE.items())),
    "groups": pa.schema(
        [
            ("id", _TEXT), ("name", _TEXT), ("description", _TEXT), ("mail", _TEXT), ("dn", _TEXT), ("unit", _TEXT),
            ("members", pa.int64()), ("created_at", _INSTANT), ("changed_at", _INSTANT),
        ]
    ),
    "group_members": pa.schema([("group_id", _TEXT), ("member", _TEXT), ("kind", _TEXT)]),
    "units": pa.schema([("id", _TEXT), ("name", _TEXT), ("description", _TEXT), ("dn", _TEXT), ("unit", _TEXT)]),
}  # fmt: skip
TYPES: Final = dict.fromkeys(("expires_at", "created_at", "changed_at"), "timestamp")
KEYS: Final = {"people": ("id",), "groups": ("id",), "group_members": ("group_id", "member"), "units": ("id",)}
_TITLES: Final = {
    "people": "Personnes (people)", "groups": "Groupes (groups)", "group_members": "Membres des groupes (group members)",
    "units": "Unités (units)",
}  # fmt: skip
_INTERNAL: Final[Mapping[str, frozenset[str]]] = {
    "people": frozenset({"id", "enabled", "expires_at", "created_at", "changed_at"}),
    "groups": frozenset(STREAMS["groups"].names) - {"description"},
    "group_members": frozenset({"group_id", "kind"}),
    "units": frozenset(STREAMS["units"].names) - {"description"},
}
MEMBERS: Final[Mapping[str, str]] = {"member": "dn", "uniqueMember": "dn", "memberUid": "login"}


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a directory keeps what rows are made of.

    key, read: the attribute of the key, and how its value is read. fields: by column, the attribute (several: the first that
    has a value). lock: the attribute that shuts an account, and its value ("" on Active Directory). expires: the attribute of
    an account's end. extra: attributes asked for besides, by column.
    """

    active: bool
    fields: Mapping[str, tuple[str, ...]]
    created: str
    changed: str
    lock: tuple[str, str]
    expires: str
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The attribute of the key."""
        return "objectGUID" if self.active else "entryUUID"

    def id(self, entry: Entry) -> str | None:
        """The key of an entry; None when it shows none."""
        held = entry.raw(self.key)
        return names.guid(held) if self.active else names.entry_uuid(held)

    def value(self, key: str) -> str | bytes:
        """A key as a search says it."""
        return names.guid_bytes(key) if self.active else key

    def attributes(self, stream: str) -> list[str]:
        """The attributes that the rows of a stream are made of."""
        wanted = [self.key, self.created, self.changed]
        if stream == "people":
            wanted += [name for several in self.fields.values() for name in several]
            wanted += [self.lock[0], self.expires, *self.extra.values()]
        elif stream == "groups":
            wanted += ["cn", "description", "mail", "objectClass", *(["member"] if self.active else MEMBERS)]
        else:
            wanted += ["ou", "description"]
        return list(dict.fromkeys(name for name in wanted if name))

    def person(self, entry: Entry) -> dict[str, Json]:
        """The row of a person."""
        made: dict[str, Json] = {}
        for column, several in self.fields.items():
            made[column] = next((text for name in several if (text := entry.text(name))), None)
        for column, name in self.extra.items():
            made[column] = [_shown(value) for value in entry.attributes.get(name.lower(), ())]
        return {
            **dict.fromkeys(_PEOPLE), **made, **self._placed(entry), "enabled": self.enabled(entry),
            "expires_at": self.ends(entry),
        }  # fmt: skip

    def group(self, entry: Entry, members: int) -> dict[str, Json]:
        """The row of a group."""
        told = {name: entry.text(name) for name in ("description", "mail")}
        return {"name": entry.text("cn"), **told, "members": members, **self._placed(entry)}

    def unit(self, entry: Entry) -> dict[str, Json]:
        """The row of a unit."""
        placed = self._placed(entry)
        told = {name: placed[name] for name in ("id", "dn", "unit")}
        return {"name": entry.text("ou"), "description": entry.text("description"), **told}

    def enabled(self, entry: Entry) -> bool | None:
        """Whether an account is open; None when nothing says."""
        if self.active:
            control = entry.number("userAccountControl")
            return None if control is None else not control & DISABLED
        name, value = self.lock
        return names.folded(value) not in {names.folded(held) for held in entry.values(name)}

    def ends(self, entry: Entry) -> str | None:
        """When an account ends (ISO 8601), None for never."""
        held = entry.text(self.expires) if self.expires else None
        return None if held is None else instant(held, self.expires)

    def _placed(self, entry: Entry) -> dict[str, Json]:
        try:
            unit = names.parent(entry.dn)
        except names.BadName:
            unit = ""
        return {
            "id": self.id(entry), "dn": entry.dn, "unit": unit, "created_at": instant(entry.text(self.created)),
            "changed_at": instant(entry.text(self.changed)),
        }  # fmt: skip


def stream(name: str, classes: Mapping[str, Class], extra: Sequence[str] = (), *, incremental: bool = False) -> Stream:
    """Describe one stream; classes: those that the settings give; extra: columns of attributes asked for besides."""
    schema = STREAMS[name]
    if name == "people":
        schema = pa.schema([*schema, *((column, pa.list_(_TEXT)) for column in extra)])
    held: dict[str, Class] = {each: "internal" if each in _INTERNAL[name] else "personal" for each in schema.names}
    return Stream(
        name=name,
        title=_TITLES[name],
        primary_key=KEYS[name],
        schema=schema,
        classes={**held, **classes},
        modes=("full_refresh", "incremental") if incremental else ("full_refresh",),
        cursor="changed_at" if incremental else None,
        group="groups" if name in ("groups", "group_members") else None,
    )


def wire(*, active: bool) -> Mapping[str, str]:
    """The attribute of each field that may be written, by kind of directory."""
    return FIELDS if active else {**FIELDS, "department": "departmentNumber", "street": "street"}


def column(attribute: str) -> str:
    """The column of an attribute asked for besides."""
    return re.sub(r"[^a-z0-9]+", "_", attribute.lower()).strip("_")


def instant(value: str | None, attribute: str = "") -> str | None:
    """An instant as a directory writes it, as ISO 8601; None when it is none, or never."""
    if value is None:
        return None
    try:
        if attribute.lower() == "accountexpires":
            ticks = int(value)
            return None if ticks <= 0 or ticks >= NEVER else (_EPOCH + timedelta(microseconds=ticks // 10)).isoformat()
        if attribute.lower() == "shadowexpire":
            return None if int(value) < 0 else (_UNIX + timedelta(days=int(value))).isoformat()
        return _generalized(value)
    except (ValueError, OverflowError):
        return None


def _generalized(value: str) -> str | None:
    found = _GENERALIZED.fullmatch(value)
    if found is None:
        return None
    year, month, day, hour, minute, second, zone = found.groups()
    zone = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[3:] or '00'}"
    read = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute or '00'}:{second or '00'}{zone}")
    return read.astimezone(UTC).isoformat()


def written(at: datetime | None, attribute: str) -> str:
    """An instant as a directory keeps it in an attribute; None: never."""
    if attribute.lower() == "accountexpires":
        return str(NEVER) if at is None else str((at - _EPOCH) // timedelta(microseconds=1) * 10)
    if attribute.lower() == "shadowexpire":
        return "-1" if at is None else str((at - _UNIX).days)
    return "" if at is None else at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")


def end(at: str | None, attribute: str) -> str | None:
    """When an account ends (ISO 8601), as a directory keeps it; None takes the attribute away."""
    return written(None if at is None else datetime.fromisoformat(at), attribute) or None


def _shown(value: str | bytes) -> str:
    return value if isinstance(value, str) else base64.b64encode(value).decode()
