"""SCIM 2.0: the users of a service, its groups and who is in them, as three streams.

1. What the server supports is asked first. Users are incremental where it filters, or does not say that it cannot.
2. Users are one slice, groups and their members another; both are pulled by `pull`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from saas_connectors.connector import Catalog, Checked, Exchange, Fetch, Json, Reading, ReadPlan, Slice, Stream
from saas_connectors.identity.scim import answers, records
from saas_connectors.identity.scim.pull import Pull
from saas_connectors.identity.scim.settings import Said, load

VERSION: Final = "1"
_LACKING: Final = {
    "patch": (
        "Le serveur ne connaît pas PATCH : une écriture relit et remplace l'enregistrement entier.",
        "The server knows no PATCH: a write reads and replaces the whole record.",
    ),
    "filter": (
        "Le serveur ne filtre pas : tout est relu à chaque fois.",
        "The server does not filter: all is read each time.",
    ),
    "sort": (
        "Le serveur ne trie pas : chaque liste est parcourue deux fois au moins.",
        "The server does not sort: each list is walked twice at least.",
    ),
    "etag": (
        "Le serveur ne donne pas de versions : deux écritures au même moment ne se voient pas.",
        "The server gives no versions: two writes at one moment do not see each other.",
    ),
}


def make(name: str, settings: Mapping[str, Json]) -> "Scim":
    """Make the connector of one connection; raises `SettingsError`."""
    return Scim(name, load(name, settings))


@dataclass(frozen=True, slots=True)
class Scim:
    """The connector."""

    name: str
    said: Said
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Ask what the server supports, then for a user."""
        supported = yield from self._supported()
        request = answers.page(self.said.url, "Users", 1, 2)
        (response,) = yield Fetch((request,))
        answers.listed(request, response)
        remarks = tuple(told for name, told in _LACKING.items() if getattr(supported, name) is False)
        return Checked("SCIM 2.0", remarks)

    def discover(self) -> Exchange[Catalog]:
        """The three streams; whether users are incremental is asked."""
        filters = (yield from self._supported()).filter is not False
        return Catalog(tuple(self._stream(name, filters=filters) for name in records.STREAMS if name in self.said.names))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One for users, one for groups and their members."""
        supported = yield from self._supported()
        detail = [supported.patch, supported.filter, supported.sort, supported.etag, supported.most]
        names = [stream.name for stream in plan.streams]
        made = [Slice("users", ("users",), detail)] if "users" in names else []
        rest = tuple(name for name in names if name != "users")
        return tuple([*made, Slice("groups", rest, detail)] if rest else made)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one slice; see `pull`."""
        settings, kind = self.said.settings, part.key
        wanted = ReadPlan(
            tuple(stream for stream in plan.streams if stream.name in part.streams), plan.modes, plan.cursors, plan.started_at
        )
        past = plan.cursors.get(kind) if kind == "users" and plan.modes.get(kind) == "incremental" else None
        pull = Pull(
            self.said.url, kind, wanted, settings.count, answers.Supported(*part.detail), past, settings.lookback,
            settings.reconcile, settings.members == "each",
        )  # fmt: skip
        yield from pull.pages(position)
        return {"users": pull.cursor} if kind == "users" else {}

    def _stream(self, name: str, *, filters: bool) -> Stream:
        table = self.said.tables.get(name)
        made = records.stream(name, self.said.classes.get(name, {}), incremental=name == "users" and filters)
        return made if table is None else replace(made, contract=table.contract)

    def _supported(self) -> Exchange[answers.Supported]:
        request = answers.config(self.said.url)
        (response,) = yield Fetch((request,))
        return answers.supported(request, response)
