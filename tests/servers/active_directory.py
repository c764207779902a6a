"""An Active Directory in memory, behind the LDAP server of ldap.py: what one meets of it that other directories do not have.

1. objectGUID, uSNCreated, uSNChanged, invocationId; MaxPageSize; members by ranges; tombstones; DIRSYNC, whose answers are
   short so that there is always more; equality that sees neither case nor accents.
2. When someone moves or leaves, the groups that hold them change what they show, and their uSNChanged does not move.
3. `replicates`: whether our account may ask DIRSYNC. `sees_deleted`: whether tombstones are shown to it.
"""

import copy
import unicodedata
import uuid
from typing import Final

from tests.servers import ldap_wire as wire
from tests.servers.ldap_tree import Code, Entry, Outcome, Session, Tree, above, key, parts
from tests.servers.ldap_wire import DIRSYNC, PAGED, PERMISSIVE, SHOW_DELETED, Add, Attributes, Modify, Move, Search

TOP: Final = "DC=ville,DC=example"
PEOPLE: Final = f"OU=Agents,{TOP}"
LEFT: Final = f"OU=Partis,{TOP}"
GROUPS: Final = f"OU=Groupes,{TOP}"
SERVICE: Final = f"CN=NTDS Settings,CN=DC1,CN=Configuration,{TOP}"
DELETED: Final = f"CN=Deleted Objects,{TOP}"
OWN: Final = b"\1\5\0\0\0\0\0\5\x15\0\0\0" + bytes(12) + b"\x51\4\0\0"
"""The SID of the account that asks."""
MADE: Final = b"20260101080000.0Z"
_CAPABLE: Final = b"1.2.840.113556.1.4.800"
_RANGE: Final = 1500
_MOST: Final = 1000
_AT_ONCE: Final = 7
_SINGLE: Final = frozenset({"useraccountcontrol", "accountexpires", "samaccountname", "unicodepwd"})


class ActiveDirectory(Tree):
    """A domain with a unit of people, one of those who left, one of groups."""

    known = frozenset({PAGED, PERMISSIVE, SHOW_DELETED, DIRSYNC})

    def __init__(self, people: int = 0, *, replicates: bool = True, sees_deleted: bool = True) -> None:
        super().__init__()
        self.replicates, self.sees_deleted = replicates, sees_deleted
        self.invocation, self.host = uuid.UUID(int=0xD1), "dc1.ville.example"
        self.usn = 1000
        self.moved: dict[bytes, dict[str, int]] = {}
        self.groups: dict[bytes, set[bytes]] = {}
        self.meddling: list[tuple[str, str, bytes]] = []
        self.put(TOP, {"objectClass": [b"top", b"domainDNS"]})
        for unit in (PEOPLE, LEFT, GROUPS):
            name = unit.partition(",")[0].partition("=")[2].encode()
            self.put(unit, {"objectClass": [b"top", b"organizationalUnit"], "ou": [name]})
        self.put(SERVICE, {"objectClass": [b"nTDSDSA"], "invocationId": [self.invocation.bytes_le]})
        for number in range(people):
            self.person(number)

    def person(self, number: int, **more: str) -> str:
        """Create someone; gives the key."""
        name = f"Agent {number}"
        held = {
            "cn": name, "sn": "Martin", "givenName": f"Agent{number}", "displayName": f"Martin, Agent {number}",
            "sAMAccountName": f"agent{number}", "userPrincipalName": f"agent{number}@ville.example",
            "mail": f"agent{number}@ville.example", "employeeID": f"M{number:05d}", "userAccountControl": "512",
            "accountExpires": "9223372036854775807", **more,
        }  # fmt: skip
        dn = f"CN={held['cn'].replace(',', chr(92) + ',')},{PEOPLE}"
        classes = [b"top", b"person", b"organizationalPerson", b"user"]
        return self.put(
            dn, {"objectClass": classes, "objectCategory": [b"person"], **{n: [v.encode()] for n, v in held.items()}}
        )

    def group(self, name: str, *members: str) -> str:
        """Create a group of people, by their keys; gives its key."""
        made = self.put(
            f"CN={name},{GROUPS}", {"objectClass": [b"top", b"group"], "cn": [name.encode()], "sAMAccountName": [name.encode()]}
        )
        self.groups[uuid.UUID(made).bytes_le] = {uuid.UUID(each).bytes_le for each in members}
        return made

    def put(self, dn: str, attributes: Attributes) -> str:
        """Add an entry; gives its key."""
        guid = uuid.uuid5(uuid.NAMESPACE_DNS, f"{dn} {self.usn}").bytes_le
        self.usn += 1
        usn = [str(self.usn).encode()]
        held = {
            **attributes,
            "objectGUID": [guid],
            "uSNCreated": usn,
            "uSNChanged": usn,
            "whenCreated": [MADE],
            "whenChanged": [MADE],
        }
        self.entries[key(dn)] = Entry(dn, held)
        self.moved[guid] = dict.fromkeys((name.lower() for name in held), self.usn)
        return str(uuid.UUID(bytes_le=guid))

    def at(self, made: str) -> Entry:
        """The entry of a key."""
        return next(each for each in self.entries.values() if each.attributes["objectGUID"] == [uuid.UUID(made).bytes_le])

    def change(self, made: str, **fields: str) -> None:
        """Change someone."""
        entry = self.at(made)
        entry.attributes |= {name: [value.encode()] for name, value in fields.items()}
        self.touch(entry, *fields)

    def touch(self, entry: Entry, *names: str) -> None:
        self.usn += 1
        entry.attributes["uSNChanged"] = [str(self.usn).encode()]
        self.moved[entry.attributes["objectGUID"][0]] |= dict.fromkeys((name.lower() for name in names), self.usn)

    def remove(self, made: str) -> None:
        """Delete an entry: a tombstone stays."""
        entry = self.at(made)
        del self.entries[key(entry.dn)]
        guid = entry.attributes["objectGUID"][0]
        for members in self.groups.values():
            members.discard(guid)
        first = parts(entry.dn)[0]
        kept = {name: entry.attributes[name] for name in ("objectClass", "objectGUID", "uSNCreated", "uSNChanged")}
        entry = Entry(f"{first}\\0ADEL:{made},{DELETED}", {**kept, "isDeleted": [b"TRUE"]})
        self.entries[key(entry.dn)] = entry
        self.touch(entry, "isDeleted", "cn")

    def transfer(self, made: str, unit: str) -> None:
        """Move someone."""
        entry = self.at(made)
        self.move(Session(secure=True), Move(entry.dn, entry.dn.removesuffix(f",{above(entry.dn)}"), True, unit))

    def kept(self) -> dict[str, object]:
        """A backup."""
        return copy.deepcopy({name: getattr(self, name) for name in ("entries", "usn", "moved", "groups")})

    def restore(self, backup: dict[str, object]) -> None:
        """Put a backup back, as an image of the machine would: nothing says so but the count."""
        for name, value in copy.deepcopy(backup).items():
            setattr(self, name, value)

    def root(self, session: Session) -> Attributes:
        return {
            **super().root(session), "supportedCapabilities": [_CAPABLE], "defaultNamingContext": [TOP.encode()],
            "namingContexts": [TOP.encode()], "dnsHostName": [self.host.encode()],
            "highestCommittedUSN": [str(self.usn).encode()], "dsServiceName": [SERVICE.encode()],
            "tokenGroups": [OWN, b"\1\1\0\0\0\0\0\1\0\0\0\0"],
        }  # fmt: skip

    def search(self, session: Session, asked: Search) -> Outcome:
        if DIRSYNC in asked.controls:
            return self._changes(asked)
        if not asked.base and asked.scope == 0:
            return super().search(session, asked)
        self.find(asked.base)
        found = [each for each in self.entries.values() if self.inside(each, asked) and self._shown(each, asked)]
        found = [each for each in found if self.matches(asked.filter, each)]
        if PAGED not in asked.controls and len(found) > _MOST:
            return Outcome(4, entries=[Entry(each.dn, self._given(each, asked.attributes)) for each in found[:_MOST]])
        outcome = Outcome(entries=[Entry(each.dn, self._given(each, asked.attributes)) for each in found])
        if key(asked.base) == key(TOP) and asked.scope == 2:
            outcome.referrals = [f"ldap://ForestDnsZones.ville.example/DC=ForestDnsZones,{TOP}"]
        return outcome

    def _shown(self, entry: Entry, asked: Search) -> bool:
        return "isDeleted" not in entry.attributes or (self.sees_deleted and SHOW_DELETED in asked.controls)

    def _given(self, entry: Entry, wanted: tuple[str, ...]) -> Attributes:
        names = {name.lower() for name in wanted}
        given = {name: list(held) for name, held in entry.attributes.items() if name.lower() in names and name != "unicodePwd"}
        members = self._members(entry)
        for name in wanted:
            attribute, _, option = name.lower().partition(";range=")
            if attribute == "member" and members:
                start = int(option.partition("-")[0]) if option else 0
                given |= _ranged(members, start)
        return given

    def _members(self, entry: Entry) -> list[bytes]:
        held = self.groups.get(entry.attributes["objectGUID"][0], set())
        return [each.dn.encode() for each in self.entries.values() if each.attributes["objectGUID"][0] in held]

    def _changes(self, asked: Search) -> Outcome:
        if not self.replicates:
            raise Code(50)
        if key(asked.base) != key(TOP):
            raise Code(53)
        _, _, cookie = wire.dirsync(asked.controls[DIRSYNC].value)
        name, _, after = cookie.partition(b":")
        if cookie and (name != self.invocation.bytes or not after.isdigit()):
            raise Code(53)
        since = int(after or b"0")
        moved = [each for each in self.entries.values() if _usn(each) > since and self.matches(asked.filter, each)]
        moved.sort(key=_usn)
        given = moved[:_AT_ONCE]
        wanted = {each.lower() for each in asked.attributes} | {"objectguid", "isdeleted"}
        entries = []
        for each in given:
            guid = each.attributes["objectGUID"][0]
            at = self.moved[guid]
            shown = {n: held for n, held in each.attributes.items() if n.lower() in wanted and at.get(n.lower(), 0) > since}
            named = f"<GUID={uuid.UUID(bytes_le=guid)}>;<SID=S-1-5-21-1>;{each.dn}"
            entries.append(Entry(named, {**shown, "objectGUID": [guid]}))
        more = len(moved) > len(given)
        at_last = _usn(given[-1]) if more else self.usn
        token = self.invocation.bytes + b":" + str(at_last).encode()
        return Outcome(entries=entries, controls={DIRSYNC: wire.synced(token, more=more)})

    def modify(self, session: Session, asked: Modify) -> Outcome:
        for made, name, value in self.meddling:
            self.change(made, **{name: value.decode()})
        self.meddling.clear()
        entry = self.find(asked.dn)
        if any(name.lower() == "unicodepwd" for _, name, _ in asked.changes) and not session.secure:
            raise Code(53)
        held = self.groups.get(entry.attributes["objectGUID"][0])
        if held is not None and all(name.lower() == "member" for _, name, _ in asked.changes):
            self._joined(asked, held)
        else:
            super().modify(session, asked)
        self.touch(entry, *(name for _, name, _ in asked.changes))
        return Outcome()

    def _joined(self, asked: Modify, held: set[bytes]) -> None:
        for do, _, values in asked.changes:
            several = {self.find(value.decode()).attributes["objectGUID"][0] for value in values}
            if PERMISSIVE not in asked.controls and bool(several & held) == (do == "add"):
                raise Code(20 if do == "add" else 16)
            held |= several if do == "add" else set()
            held -= several if do == "delete" else set()

    def move(self, session: Session, asked: Move) -> Outcome:
        entry = self.find(asked.dn)
        unit = self.find(asked.parent or above(entry.dn)).dn
        dn = f"{asked.rdn},{unit}"
        if key(dn) in self.entries and self.entries[key(dn)] is not entry:
            raise Code(68)
        del self.entries[key(entry.dn)]
        entry.dn = dn
        self.entries[key(dn)] = entry
        self.touch(entry, "cn")
        return Outcome()

    def add(self, session: Session, asked: Add) -> Outcome:
        self.find(above(asked.dn))
        login = asked.attributes.get("sAMAccountName", [])
        if (
            any(each.attributes.get("sAMAccountName") == login for each in self.entries.values())
            or key(asked.dn) in self.entries
        ):
            raise Code(68)
        self.put(asked.dn, {**asked.attributes, "objectCategory": [b"person"]})
        return Outcome()

    def values(self, entry: Entry, name: str) -> list[bytes]:
        if name.lower() == "member":
            return self._members(entry)
        return super().values(entry, name)

    def matches(self, tree: wire.Tree, entry: Entry) -> bool:
        ((kind, held),) = tree.items()
        if kind == "equals":
            if held[0].lower() == "objectguid":
                return held[1] in self.values(entry, held[0])
            return any(_folded(value) == _folded(held[1]) for value in self.values(entry, held[0]))
        return super().matches(tree, entry)


def _folded(value: bytes) -> str:
    plain = unicodedata.normalize("NFKD", value.decode("utf-8", "replace")).casefold()
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _usn(entry: Entry) -> int:
    return int(entry.attributes["uSNChanged"][0])


def _ranged(members: list[bytes], start: int) -> Attributes:
    if not start and len(members) <= _RANGE:
        return {"member": members}
    held = members[start : start + _RANGE]
    last = "*" if start + _RANGE >= len(members) else str(start + _RANGE - 1)
    return {f"member;range={start}-{last}": held}
