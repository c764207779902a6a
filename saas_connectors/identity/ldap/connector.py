"""LDAP: the people of a directory, its groups and who is in them, its units, as four streams.

1. The root of the directory says which kind it is; the settings may say so instead.
2. People of Active Directory are incremental; elsewhere, and for groups and units, all is read each time (`pull` says why).
3. People are one slice, groups and their members another, units a third.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from saas_connectors.connector import Catalog, Checked, Exchange, Json, Reading, ReadPlan, Slice, Stream
from saas_connectors.identity.ldap import calls, names, records
from saas_connectors.identity.ldap.changes import USERS, Changes
from saas_connectors.identity.ldap.pull import Pull, Where
from saas_connectors.identity.ldap.settings import Said, load
from saas_connectors.payloads import encode

VERSION: Final = "1"
_NO_DIRSYNC: Final = (
    "Le serveur n'offre pas DIRSYNC : ce qui a changé se trouve par uSNChanged, ce qui est parti par la liste des clés.",
    "The server offers no DIRSYNC: what changed is found by uSNChanged, what is gone by the list of keys.",
)
_WHOLE: Final = (
    "Tout est relu à chaque fois : cet annuaire ne dit pas ce qui a changé.",
    "All is read each time: this directory does not say what changed.",
)
_EMPTY: Final = (
    "Personne ne se trouve sous « bases » : le compte ne voit peut-être rien.",
    "Nobody is found below `bases`: the account may see nothing.",
)


def make(name: str, settings: Mapping[str, Json]) -> "Ldap":
    """Make the connector of one connection; raises `SettingsError`."""
    return Ldap(name, load(name, settings))


def located(said: Said) -> Exchange[Where]:
    """Find out what the directory is, and where its people are; raises `VendorError`."""
    root = yield from calls.root(said.url)
    kind = said.settings.kind
    active = root.active if kind == "auto" else kind == "active_directory"
    bases = tuple(said.settings.bases or ((root.default,) if active else root.contexts))
    return Where(
        active, bases, root.default, root.server, root.usn, dirsync=calls.DIRSYNC in root.controls,
        deleted=calls.SHOW_DELETED in root.controls,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ldap:
    """The connector."""

    name: str
    said: Said
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Ask what the directory is, then for one page of people of each base."""
        where = yield from located(self.said)
        shape, seen = self.said.shape(active=where.active), 0
        for base in where.bases:
            tree = self.said.tree("people", active=where.active)
            told = yield from calls.ask(calls.search(self.said.url, base, tree, [shape.key], page=2), below=True)
            seen += len(told.entries)
        remarks = [] if seen else [_EMPTY]
        if not where.active:
            remarks.append(_WHOLE)
        elif not where.dirsync:
            remarks.append(_NO_DIRSYNC)
        return Checked("Active Directory" if where.active else "LDAP", tuple(remarks))

    def discover(self) -> Exchange[Catalog]:
        """The four streams; whether people are incremental depends on the kind of directory."""
        where = yield from located(self.said)
        return Catalog(
            tuple(self._stream(name, active=where.active) for name in records.STREAMS if name in self.said.names)
        )  # fmt: skip

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One for people, one for groups and their members, one for units."""
        where = yield from located(self.said)
        detail = {**msgspec.to_builtins(where), "bases": list(where.bases)}
        wanted = [stream.name for stream in plan.streams]
        made = []
        for key, several in {"people": ("people",), "groups": ("groups", "group_members"), "units": ("units",)}.items():
            streams = tuple(name for name in several if name in wanted)
            made += [Slice(key, streams, detail)] if streams else []
        return tuple(made)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one slice; see `pull` and `changes`."""
        where = msgspec.convert(part.detail, Where)
        streams = tuple(stream for stream in plan.streams if stream.name in part.streams)
        wanted = ReadPlan(streams, plan.modes, plan.cursors, plan.started_at)
        pull = Pull(
            self.said.url, part.key, wanted, where, self.said.shape(active=where.active),
            self.said.tree(part.key, active=where.active), self.said.settings.page,
        )  # fmt: skip
        if part.key != "people" or not self._incremental(active=where.active):
            yield from pull.all(position)
            return {}
        classes = USERS if self.said.settings.people is None else calls.ANY
        changes = Changes(pull, self._scope(where), self.said.settings.changes, classes)
        known = plan.cursors.get("people")
        yield from changes.pages(position, known if plan.modes.get("people") == "incremental" else None, known)
        return {"people": changes.cursor}

    def _stream(self, name: str, *, active: bool) -> Stream:
        table = self.said.tables.get(name)
        incremental = name == "people" and self._incremental(active=active)
        extra = tuple(self.said.extra) if name == "people" else ()
        made = records.stream(name, self.said.classes.get(name, {}), extra, incremental=incremental)
        return made if table is None else replace(made, contract=table.contract)

    def _incremental(self, *, active: bool) -> bool:
        return active and self.said.settings.changes != "list"

    def _scope(self, where: Where) -> str:
        """A digest of what people are and where: a cursor is worth something for the same alone."""
        said = self.said.settings
        bases = sorted(repr([sorted(rdn) for rdn in names.rdns(base)]) for base in where.bases)
        told = [bases, said.people, sorted(said.attributes), said.login, said.employee, said.expires]
        return hashlib.sha256(encode(told)).hexdigest()[:16]
