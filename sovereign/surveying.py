"""The map of a site's flows, surveyed: what its settings, policies and flow files declare, beside what its state observed.

1. Surveying changes nothing and opens no data: counts, names, instants, classes.
2. What settings no longer name, and the state saw, is on the map as well: that is what a map is for.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from saas_connectors.errors import ConnectorError
from saas_connectors.stream_settings import read_classes
from snapshots.dataset import CLASSES, DatasetId
from snapshots.statement import parse
from sovereign import governing
from sovereign.cartography.chart import Chart, Edge, EdgeKind, Node, NodeKind
from sovereign.cartography.marks import marks, silent
from sovereign.cartography.observed import Observed, Seen, Writes
from sovereign.events.reading import tells
from sovereign.flowing import FOLDER
from sovereign.flows import flow as files
from sovereign.flows.errors import FlowError
from sovereign.flows.flow import FlowFile, changed, readable
from sovereign.gateway.policy import CedarPolicy, read_folder
from sovereign.settings import Connection, EventSource
from sovereign.sync.cadence import parse as cadence
from sovereign.sync.jobs import cadence_of
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.site import Site


class Survey:
    """A survey of a site. since: from when volumes are counted."""

    def __init__(self, site: "Site", since: datetime) -> None:
        self._site, self._since, self._now = site, since, site.clock()
        self._seen = Observed(site.state, since)
        self._written = self._seen.written()
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str], Edge] = {}
        self.files = dict(self._flow_files())

    def chart(self) -> Chart:
        """The map."""
        self._entering()
        self._copies()
        self._events()
        self._writing()
        self._flows()
        self._telling()
        settings = self._site.settings.site
        nodes = tuple(self._nodes[key] for key in sorted(self._nodes))
        edges = tuple(self._edges[key] for key in sorted(self._edges))
        return Chart(settings.name, settings.zone, self._since, self._now, nodes, edges)

    # What comes in

    def _entering(self) -> None:
        """Vendors, connections, and what was pulled."""
        declared, pulled = self._site.settings.connections, self._seen.pulled()
        for name in sorted({*declared, *pulled}):
            settings, (rows, size, last) = declared.get(name), pulled.get(name, Seen())
            reads = settings is None or name in pulled or _reads(settings)
            quiet = settings is not None and silent(self._cadence(settings), name, last, self._now)
            used = max((each.last for (_, to), each in self._written.items() if to == name and each.last), default=last)
            seen = max(filter(None, (used, last)), default=None)
            given = marks(declared=settings is not None, observed=seen is not None, silent=quiet)
            self._node("connection", name, settings.connector if settings else "", last=seen, marks=given)
            if settings is None or not reads:
                continue
            known = self._nodes.get(f"vendor:{host(settings)}")
            self._node("vendor", host(settings), last=max(filter(None, (last, known.last if known else None)), default=None))
            self._edge(
                f"vendor:{host(settings)}", f"connection:{name}", "pull", rows=rows if last else None,
                bytes=size if last else None, last=last, marks=marks(declared=True, observed=last is not None, silent=quiet),
            )  # fmt: skip

    def _cadence(self, settings: Connection) -> Any:  # noqa: ANN401 - a cadence
        with suppress(Fault):
            return cadence_of(settings, self._site.settings)
        return None

    def _copies(self) -> None:
        """The local copies, and the streams that are declared and gave none."""
        seen, settings = self._seen.committed(), self._site.settings.connections
        damaged: dict[DatasetId, Fault] = {}
        heads = self._site.heads(damaged)
        wanted = {DatasetId(name, stream) for name, each in settings.items() for stream in _named(each)}
        for dataset in sorted({*heads, *damaged, *wanted}):
            head, name = heads.get(dataset), f"{dataset.connection}.{dataset.stream}"
            connection = settings.get(dataset.connection)
            found = _classes(head) if head else ()
            classes = _declared(connection, dataset.stream) if connection else None
            there = head is not None or dataset in damaged
            last = seen.get(name) or (datetime.fromisoformat(head.created) if head else None)
            given = marks(declared=_wanted(connection, dataset.stream), observed=there, classes=classes, found=found)
            size = (head.rows, head.bytes) if head else (None, None)
            self._node("dataset", name, "", classes=found, rows=size[0], bytes=size[1], last=last, marks=given)
            if f"connection:{dataset.connection}" not in self._nodes:
                self._node("connection", dataset.connection, marks=("undeclared",))
            self._edge(
                f"connection:{dataset.connection}", f"dataset:{name}", "copy", declared="undeclared" not in given, rows=size[0],
                bytes=size[1], last=last, classes=tuple(sorted(classes or ())), found=found, marks=given,
            )  # fmt: skip

    def _events(self) -> None:
        """Who sends events, and the types that came or that a flow waits for."""
        came, sources = self._seen.came(), self._site.settings.events
        for source in sorted({*sources, *(each for each, _ in came)}):
            last = max((each.last for (name, _), each in came.items() if name == source and each.last), default=None)
            scheme = sources[source].scheme if source in sources else ""
            given = marks(declared=source in sources, observed=last is not None)
            self._node("sender", source, scheme, classes=self._told(source), last=last, marks=given)
        awaited = {file.flow.on.event for file in self.files.values() if file.flow.on.event}
        awaited |= {type_ for each in sources.values() for type_ in (each.type, *each.types) if type_ and "*" not in type_}
        for type_ in sorted({*(each for _, each in came), *awaited}):
            last = max((each.last for (_, name), each in came.items() if name == type_ and each.last), default=None)
            told = {name for name, of in came if of == type_} | {name for name, each in sources.items() if tells(each, type_)}
            classes = tuple(sorted({each for name in told for each in self._told(name)}))
            self._node("event", type_, classes=classes, last=last, marks=marks(declared=True, observed=last is not None))
        for (source, type_), each in came.items():
            given = marks(declared=source in sources, observed=True)
            self._edge(
                f"sender:{source}", f"event:{type_}", "send", declared=source in sources, rows=each.rows, bytes=each.bytes,
                last=each.last, classes=self._told(source), marks=given,
            )  # fmt: skip

    def _told(self, source: str) -> tuple[str, ...]:
        """The class of what a source tells: the one declared, or that of a source that says nothing."""
        return (self._site.settings.events.get(source, EventSource()).class_,)

    # What leaves

    def _writing(self) -> None:
        """Applications, what policy opens to them, and what they wrote."""
        site, written = self._site, self._written
        clients, reads = {each.id: each for each in site.outbound.clients.list()}, self._seen.asked()
        opened = set(self._opened())
        reach = {(name, to) for name, each in clients.items() for to in each.connections if each.lives(self._now) and to != "*"}
        flow_clients = {file.client for file in self.files.values()}
        pairs = {*written, *((client, to) for client, to, _ in opened), *reach}
        for name in sorted({*clients, *(client for client, _ in (*pairs, *reads))}):
            if _flow(name) or name in flow_clients:
                continue
            ever = [
                each.last for seen in (written, reads) for (client, _), each in seen.items() if client == name and each.last
            ]
            last = max(ever, default=None)
            lives = name in clients and clients[name].lives(self._now)
            if lives or last:
                purpose = clients[name].purpose if name in clients else ""
                self._node("client", name, purpose, last=last, marks=marks(declared=lives, observed=last is not None))
        for client, to in sorted(pairs):
            made = written.get((client, to), Writes())
            lives = client in clients and clients[client].lives(self._now)
            if not (lives or made.last):
                continue
            what = made.what | {each for name, where, each in opened if (name, where) == (client, to)}
            self._write(
                client, to, made, what, declared=lives and clients[client].reaches(to) and to in site.settings.connections
            )
        for (client, to), each in sorted(reads.items()):
            declared = client in clients and clients[client].reaches(to) and to in site.settings.connections
            if f"door:{to}" not in self._nodes:
                self._node("door", to, f"→ {to}")
            given = marks(declared=declared, observed=True)
            self._edge(f"client:{client}", f"door:{to}", "ask", declared=declared, rows=each.rows, last=each.last, marks=given)
        for to in sorted({to for _, to in pairs if f"door:{to}" in self._nodes}):
            mine = [each for (client, where), each in written.items() if where == to and not _flow(client)]
            self._edge(f"door:{to}", f"target:{to}", "deliver", declared=to in site.settings.connections, **_summed(mine))

    def _write(self, client: str, to: str, made: Writes, what: set[str], *, declared: bool) -> None:
        """An application's writes to a connection, by the gateway; those of a flow go to the target itself."""
        settings = self._site.settings.connections.get(to)
        last = max((each.last for each in (made, self._nodes.get(f"target:{to}")) if each and each.last), default=None)
        known = marks(declared=settings is not None, observed=last is not None)
        self._node("target", to, host(settings) if settings else "", last=last, marks=known)
        source, target = f"client:{client}", f"door:{to}"
        if _flow(client):
            source, target = f"flow:{client.removeprefix('flow-')}", f"target:{to}"
        else:
            self._node("door", to, f"→ {to}")
        given = marks(
            declared=declared, observed=made.last is not None, classes=frozenset(made.classes) if made.last else None,
            found=made.found,
        )  # fmt: skip
        self._edge(
            source, target, "write", declared=declared, writes=made.asked if made.last else None,
            done=made.done if made.last else None, bytes=made.bytes if made.last else None, last=made.last,
            what=tuple(sorted(each for each in what if each)), classes=tuple(sorted(made.classes)),
            found=tuple(sorted(made.found)), marks=given,
        )  # fmt: skip

    def _opened(self) -> Iterator[tuple[str, str, str]]:
        """What policies open by name: application, connection, operation. A policy that names no application says nothing."""
        with suppress(Fault, OSError):
            for rule in CedarPolicy(read_folder(governing.folder(self._site))).rules:
                client, resource = _entity(rule.body, "principal"), _entity(rule.body, "resource")
                if rule.opens and not rule.expired(self._now) and client and resource:
                    to, _, operation = resource.partition("/")
                    yield client, to, operation

    # Flows, and what is told

    def _flow_files(self) -> Iterator[tuple[str, FlowFile]]:
        folder = self._site.root / FOLDER
        for name in files.names(folder):
            with suppress(FlowError):
                yield name, files.read(folder, name)

    def _flows(self) -> None:
        """Flows, what they read, what wakes them; what they write is with what applications do."""
        acted, force = self._seen.acted(), self._seen.force()
        named = {source.removeprefix("flow:") for source, _, _ in self._edges if source.startswith("flow:")}
        for name in sorted({*self.files, *force, *(each for each, _ in acted), *named}):
            file = self.files.get(name)
            mine = {kind: each for (flow, kind), each in acted.items() if flow == name}
            last = max((each.last for each in mine.values() if each.last), default=None)
            quiet = force.get(name) == "enabled" and self._quiet(file, last)
            given = marks(declared=file is not None, observed=last is not None, silent=quiet)
            self._node("flow", name, file.flow.title if file else "", last=last, marks=given,
                       classes=CLASSES[: CLASSES.index(file.flow.clearance) + 1] if file else ())  # fmt: skip
            if file is not None:
                self._reads(file, mine)
                for step in file.flow.do:
                    known = (f"flow:{name}", f"target:{step.connection}", "write")
                    if known not in self._edges:
                        declared = step.connection in self._site.settings.connections
                        self._write(file.client, step.connection, Writes(), {step.operation}, declared=declared)

    def _quiet(self, file: FlowFile | None, last: datetime | None) -> bool:
        if file is None or not file.flow.on.every:
            return False
        zone = self._site.settings.site.zone
        return silent(cadence(f"every {file.flow.on.every}", zone), file.name, last, self._now)

    def _reads(self, file: FlowFile, acted: Mapping[str, Seen]) -> None:
        """What a flow waits for, and what it joins."""
        on = file.flow.on
        if on.event:
            self._joined(f"event:{on.event}", file, acted.get("event", Seen()), "wake")
        ever = max(acted.values(), key=lambda each: each.last or self._since, default=Seen())
        for name in sorted(read_by(file)):
            if f"dataset:{name}" not in self._nodes:
                self._node("dataset", name, marks=("unseen",))
            mine = acted.get("change", Seen()) if name == on.change else Seen(last=ever.last)
            self._joined(f"dataset:{name}", file, mine, "read")

    def _joined(self, source: str, file: FlowFile, seen: Seen, kind: EdgeKind) -> None:
        given = marks(declared=True, observed=seen.last is not None)
        rows = seen.rows if seen.last and seen.rows else None
        self._edge(source, f"flow:{file.name}", kind, rows=rows, last=seen.last, marks=given)

    def _telling(self) -> None:
        """Who is told what happens here."""
        declared, sent = self._site.settings.subscribers, self._seen.sent()
        for name in sorted({*declared, *sent}):
            count, _, last = sent.get(name, Seen())
            each = declared.get(name)
            given = marks(declared=each is not None, observed=last is not None)
            self._node("subscriber", name, urlsplit(each.url).hostname or "" if each else "", last=last, marks=given)
            if each is None or each.types or not each.changes:
                self._node("news", "sovereign")
                self._edge(
                    "news:sovereign", f"subscriber:{name}", "tell", declared=each is not None, rows=count if last else None,
                    last=last, what=each.types if each else (), marks=given,
                )  # fmt: skip
            for dataset in each.changes if each else ():
                if f"dataset:{dataset}" not in self._nodes:
                    self._node("dataset", dataset, marks=("unseen",))
                self._edge(f"dataset:{dataset}", f"subscriber:{name}", "tell", last=last, marks=given)

    def _node(self, kind: NodeKind, name: str, detail: str = "", **more: Any) -> None:  # noqa: ANN401 - fields of a node
        self._nodes[f"{kind}:{name}"] = Node(f"{kind}:{name}", kind, name, detail, **more)

    def _edge(self, source: str, target: str, kind: EdgeKind, **more: Any) -> None:  # noqa: ANN401 - fields of an edge
        self._edges[source, target, kind] = Edge(source, target, kind, **more)


def host(settings: Connection) -> str:
    """Where a connection's vendor is: its host, or that it is a folder of ours."""
    return "folder" if settings.url.startswith("folder:") else urlsplit(settings.url).hostname or settings.url[:64]


def read_by(file: FlowFile) -> set[str]:
    """The datasets that a flow reads."""
    found: set[str] = set()
    for sql in filter(None, (file.flow.select, file.flow.cancel)):
        found |= changed(sql)
        with suppress(Fault):
            found |= {
                f"{schema}.{table}" for schema, table in parse(readable(sql)).tables if schema and schema != files.CHANGES
            }
    return found


def _flow(client: str) -> bool:
    return client.startswith("flow-")


def _reads(settings: Connection) -> bool:
    """Whether a connection is there to be pulled, as far as its settings say."""
    return bool(settings.every or settings.schedule or settings.streams)


def _named(settings: Connection) -> tuple[str, ...]:
    """The streams that settings name."""
    return tuple(settings.streams or ())


def _wanted(settings: Connection | None, stream: str) -> bool:
    """Whether settings still want a stream: a list names all there is to pull, and so do the tables of `rest`."""
    if settings is None:
        return False
    closed = isinstance(settings.streams, list) or (settings.connector == "rest" and bool(settings.streams))
    return not closed or stream in (settings.streams or ())


def _declared(settings: Connection, stream: str) -> frozenset[str] | None:
    """The classes that settings give the fields of a stream; None when they give none."""
    held = settings.streams.get(stream, {}) if isinstance(settings.streams, dict) else {}
    try:
        return frozenset(read_classes("", held.get("classes", {})).values()) or None
    except (ConnectorError, AttributeError, TypeError):
        return None


def _classes(head: Any) -> tuple[str, ...]:  # noqa: ANN401 - a manifest
    """The classes that a snapshot has columns of."""
    return tuple(each for each in CLASSES if (head.schema if each == "internal" else each in head.sealed))


def _entity(body: Mapping[str, Any], part: str) -> str:
    """The one entity that a policy names for a part of a request; empty when it names none, or several."""
    said = body.get(part, {})
    return str(said.get("entity", {}).get("id", "")) if said.get("op") == "==" else ""


def _summed(made: Iterable[Writes]) -> dict[str, Any]:
    every = [each for each in made if each.last]
    if not every:
        return {"marks": ("unseen",)}
    return {
        "writes": sum(each.asked for each in every), "done": sum(each.done for each in every),
        "bytes": sum(each.bytes for each in every), "last": max(each.last for each in every if each.last),
        "what": tuple(sorted({what for each in every for what in each.what if what})),
    }  # fmt: skip
