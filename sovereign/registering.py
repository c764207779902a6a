"""The record of processing activities (GDPR, article 30) of a site: its connections, applications, flows and subscribers."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from snapshots.dataset import CLASSES
from sovereign.cartography.chart import Chart, Node
from sovereign.cartography.register import Place, Processing
from sovereign.reports.labels import CLASSES as CLASSES_SAID
from sovereign.reports.model import Code, Words
from sovereign.settings import Connection
from sovereign.settings.schema import SiteSettings, Treatment
from sovereign.surveying import Survey, host, read_by

if TYPE_CHECKING:
    from sovereign.flows.flow import FlowFile
    from sovereign.site import Site

COPY: Final = Code("copy", Words("copie locale", "local copy"))
WRITTEN: Final = Code("writes", Words("écritures d'une application", "writes of an application"))
FLOW: Final = Code("flow", Words("flux", "flow"))
TOLD: Final = Code("changes", Words("changements envoyés à un abonné", "changes sent to a subscriber"))
EVENTS: Final = Code("events", Words("événements reçus", "events taken"))
BACKUP: Final = Code("backup", Words("sauvegardes", "backups"))
_ALL: Final = Code("all", Words("tout ce que le site tient", "all that the site holds"))
_SEALED_WHOLE: Final = Code("sealed", Words("chiffrement au repos", "encryption at rest"))
_SIGNED: Final = Code("signed", Words("messages signés par leur émetteur", "messages signed by their sender"))
_SEALED: Final = Code("sealed", Words("chiffrement au repos, une clé par classe et par période",
                                      "encryption at rest, a key a class and a period"))  # fmt: skip
_CLEARED: Final = Code("cleared", Words("habilitations par classe, qui échoient", "clearances by class, which expire"))
_LOGGED: Final = Code("logged", Words("journal d'audit infalsifiable", "tamper-evident audit log"))
_JUDGED: Final = Code("judged", Words("politique et recherche de données sensibles à chaque écriture",
                                      "policy and a search for sensitive data at each write"))  # fmt: skip
_TLS: Final = Code("tls", Words("chiffrement en transit (TLS)", "encryption in transit (TLS)"))
_CLEAR: Final = Code("plaintext", Words("EN CLAIR sur le réseau (http)", "IN CLEAR on the network (http)"))


class Register:
    """Lines of the record, from a survey and its map."""

    def __init__(self, site: "Site", survey: Survey, chart: Chart) -> None:
        self._site, self._survey, self._chart = site, survey, chart
        self._connections = site.settings.connections
        name = site.settings.site.name
        self._controller = "" if name == SiteSettings().name else name
        self._nodes = {node.key: node for node in chart.nodes}

    def lines(self) -> Iterator[Processing]:
        """Every line: copies, then what is written, by applications, by flows, then what is told."""
        for name, settings in sorted(self._connections.items()):
            copies = [each for each in self._chart.nodes if each.kind == "dataset" and each.name.partition(".")[0] == name]
            if copies or f"vendor:{host(settings)}" in self._nodes:
                yield self._copy(name, settings, copies)
        for client in self._site.outbound.clients.list():
            targets = [edge for edge in self._chart.edges if edge.kind == "write" and edge.source == f"client:{client.id}"]
            names = [edge.target.partition(":")[2] for edge in targets]
            if targets and client.lives(self._chart.made_at):
                classes = {each for edge in targets for each in (*edge.classes, *edge.found)}
                yield Processing(
                    client.id, WRITTEN, client.purpose, self._controller, client.owner, self._one("basis", names),
                    self._all("persons", names), self._all("data", names), _ordered(classes),
                    recipients=tuple(names), places=self._places(names), safeguards=self._one("safeguards", names),
                    retention=self._one("retention", names), kept=(self._payloads(),),
                    measures=(_JUDGED, self._transit(names), _LOGGED),
                )  # fmt: skip
        for file in self._survey.files.values():
            yield self._flow(file)
        yield from self._events()
        yield from self._backups()
        for name, each in sorted(self._site.settings.subscribers.items()):
            read = [dataset.partition(".")[0] for dataset in each.changes]
            if read:
                yield Processing(
                    name, TOLD, "", self._controller, each.owner or "", self._one("basis", read), self._all("persons", read),
                    self._data(each.changes), tuple(CLASSES[: CLASSES.index(each.clearance) + 1]), tuple(each.changes), (name,),
                    (Place(urlsplit(each.url).hostname or "?"),), kept=(_days(each.keep_days, "événements", "events"),),
                    measures=(_CLEARED, _TLS if each.url.startswith("https:") else _CLEAR, _LOGGED),
                )  # fmt: skip

    def _events(self) -> Iterator[Processing]:
        """What others tell, kept sealed."""
        for name, source in sorted(self._site.settings.events.items()):
            types = [edge.target.partition(":")[2] for edge in self._chart.edges if edge.source == f"sender:{name}"]
            woken = [file.name for file in self._survey.files.values() if file.flow.on.event in types]
            yield Processing(
                name, EVENTS, controller=self._controller, data=tuple(sorted({*types, *filter(None, [source.type])})),
                classes=(source.class_,), sources=(name,), recipients=tuple(_woken(each) for each in woken),
                places=(Place("", ours=True),), kept=(_days(source.keep_days, "événements", "events"),),
                measures=(_SEALED_WHOLE, _SIGNED, _LOGGED),
            )  # fmt: skip

    def _backups(self) -> Iterator[Processing]:
        """Where whole copies of the site are kept."""
        copies = tuple(CLASSES) if any(node.kind == "dataset" for node in self._chart.nodes) else ()
        for name, target in sorted(self._site.settings.backup.targets.items()):
            place = Place("", ours=True) if target.folder else Place(urlsplit(target.url or "").hostname or "?")
            yield Processing(
                name, BACKUP, controller=self._controller, data=(_ALL,), classes=copies, places=(place,), recipients=(name,),
                measures=(_SEALED, _LOGGED) if target.folder else (_SEALED, _TLS, _LOGGED),
            )  # fmt: skip

    def _copy(self, name: str, settings: Connection, copies: Iterable[Node]) -> Processing:
        said, held = settings.treatment or Treatment(), list(copies)
        kept = [_days(settings.raw_days, "archive brute", "raw archive")] if settings.raw_days else []
        kept += [_days(settings.documents_days, "documents", "documents")] if settings.documents_days else []
        classes = _ordered({each for node in held for each in node.classes})
        return Processing(
            name, COPY, said.purpose or "", self._controller, said.owner or "", said.basis or "", said.persons,
            (*said.data, *self._data(node.name for node in held)), classes, (host(settings),),
            (*said.recipients, *self._readers(name)), (self._place(name),), said.safeguards or "", said.retention or "",
            tuple(kept), (_SEALED, _CLEARED, self._transit([name]), _LOGGED),
        )  # fmt: skip

    def _flow(self, file: "FlowFile") -> Processing:
        read = sorted({each.partition(".")[0] for each in read_by(file)})
        written = list(dict.fromkeys(step.connection for step in file.flow.do))
        return Processing(
            file.name, FLOW, file.flow.title, self._controller, file.flow.owner, self._one("basis", read),
            self._all("persons", read), self._data(sorted(read_by(file))),
            tuple(CLASSES[: CLASSES.index(file.flow.clearance) + 1]), tuple(sorted(read_by(file))), tuple(written),
            self._places(written), self._one("safeguards", written), self._one("retention", written), (self._payloads(),),
            (_CLEARED, _JUDGED, self._transit(written), _LOGGED),
        )  # fmt: skip

    # What is declared of connections

    def _one(self, field: str, names: Iterable[str]) -> str:
        """What every connection says, when all say something; else nothing."""
        told = [
            getattr(self._connections[name].treatment, field, None) if name in self._connections else None for name in names
        ]
        return "; ".join(dict.fromkeys(each for each in told if each)) if told and all(told) else ""

    def _all(self, field: str, names: Iterable[str]) -> tuple[str, ...]:
        known = [self._connections[name].treatment for name in names if name in self._connections]
        return tuple(dict.fromkeys(value for each in known if each for value in getattr(each, field)))

    def _data(self, datasets: Iterable[str]) -> tuple[str | Code, ...]:
        return tuple(f"{each}" for each in datasets)

    def _places(self, names: Iterable[str]) -> tuple[Place, ...]:
        return tuple(dict.fromkeys(self._place(name) for name in names))

    def _place(self, name: str) -> Place:
        settings = self._connections.get(name)
        if settings is None:
            return Place(name)
        country = settings.treatment.country if settings.treatment else None
        return Place(host(settings), country, ours=settings.url.startswith("folder:"))

    def _transit(self, names: Iterable[str]) -> Code:
        return (
            _CLEAR
            if any(self._connections[each].url.startswith("http:") for each in names if each in self._connections)
            else _TLS
        )

    def _payloads(self) -> Code:
        return _days(self._site.settings.gateway.keep_days, "contenus des écritures", "payloads of writes")

    def _readers(self, name: str) -> Iterator[Code]:
        """How many people are cleared to read a copy, by class; and what flows and subscribers read it."""
        held = [
            each for each in self._site.outbound.rights.list() if each.kind == "clearance" and each.connection in (None, name)
        ]
        for class_ in CLASSES[1:]:
            people = {each.subject for each in held if each.value == class_}
            if people:
                fr, en = CLASSES_SAID[class_]
                many = len(people) > 1
                said = Words(
                    f"{len(people)} {'personnes habilitées' if many else 'personne habilitée'} : {fr}",
                    f"{len(people)} {'people' if many else 'person'} cleared: {en}",
                )
                yield Code(f"cleared:{class_}:{len(people)}", said)
        for file in self._survey.files.values():
            if name in {each.partition(".")[0] for each in read_by(file)}:
                yield _woken(file.name)


def _woken(flow: str) -> Code:
    return Code(f"flow:{flow}", Words(f"flux {flow}", f"flow {flow}"))


def _days(count: int, fr: str, en: str) -> Code:
    return Code(f"{en}:{count}", Words(f"{fr} : {count} jours", f"{en}: {count} days"))


def _ordered(classes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(classes, key=[str(each) for each in CLASSES].index))
