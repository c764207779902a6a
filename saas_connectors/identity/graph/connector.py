"""Microsoft Graph: the users of a tenant, its groups and who is in them, as three streams read by delta query.

1. Users are one slice, groups and their members another; both are pulled by `pull`, in full or by what changed.
2. What is said of a stream is known beforehand: nothing is asked to discover.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.connector import Catalog, Checked, Exchange, Fetch, Json, Reading, ReadPlan, Slice, Stream
from saas_connectors.identity.graph import records
from saas_connectors.identity.graph.pull import Pull, past_link
from saas_connectors.identity.graph.settings import Said, load
from saas_connectors.request import Request

VERSION: Final = "1"


def make(name: str, settings: Mapping[str, Json]) -> "Graph":
    """Make the connector of one connection; raises `SettingsError`."""
    return Graph(name, load(name, settings))


@dataclass(frozen=True, slots=True)
class Graph:
    """The connector."""

    name: str
    said: Said
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Ask for one user."""
        request = Request("GET", f"{self.said.url}/users", params=(("$select", "id"), ("$top", "1")))
        (response,) = yield Fetch((request,))
        accept(request, response)
        found = decode(request, response)
        if not isinstance(found, dict) or not isinstance(found.get("value"), list):
            raise malformed(request, response, "une page de Graph était attendue", "a page of Graph was expected")
        return Checked("Microsoft Graph")

    def discover(self) -> Exchange[Catalog]:
        """The three streams."""
        yield from ()
        return Catalog(tuple(self._stream(name) for name in records.STREAMS if name in self.said.names))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One for users, one for groups and their members."""
        yield from ()
        names = [stream.name for stream in plan.streams]
        rest = tuple(name for name in names if name != "users")
        made = [Slice("users", ("users",))] if "users" in names else []
        return tuple([*made, Slice("groups", rest)] if rest else made)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one slice; see `pull`."""
        wanted = tuple(stream for stream in plan.streams if stream.name in part.streams)
        links = {past_link(plan.cursors.get(name)) for name in part.streams}
        whole = any(plan.modes.get(name) != "incremental" for name in part.streams) or len(links) != 1
        pull = Pull(
            self.said.url, part.key, ReadPlan(wanted, plan.modes, plan.cursors, plan.started_at), None if whole else links.pop()
        )
        yield from pull.pages(position)
        return dict.fromkeys(part.streams, pull.cursor)

    def _stream(self, name: str) -> Stream:
        made = records.stream(name, self.said.classes.get(name, {}))
        table = self.said.tables.get(name)
        return made if table is None else replace(made, contract=table.contract)
