"""The laws of connectors and writers, tried one by one, so that an author sees all that is kept, broken, or could not be tried.

The laws themselves are those of `saas_connectors.conformance`; nothing is decided here. A law that follows one that broke is
untried when it needs what the other would have given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from saas_connectors.conformance import misbehaviour, suite, tampering, writing
from saas_connectors.conformance.driver import Read, Recorder, Send, Shelf, Unrehearsed, converse, read
from saas_connectors.connector import Catalog, Checked, Connector, Json, ReadPlan, Slice, Writer
from saas_connectors.request import Request, Response
from sovereign.authoring.beginnings import alike, begun
from vault.errors import Fault

Outcome = Literal["kept", "broken", "untried"]

LAWS: Final[Mapping[str, tuple[str, str]]] = {
    "catalog": (
        "check et discover aboutissent ; noms, clés, modes et classes se tiennent",
        "check and discover end; names, keys, modes and classes are sound",
    ),
    "slices": ("les tranches couvrent le plan, leurs clés sont uniques", "slices cover the plan, their keys are unique"),
    "pages": ("les pages tiennent ce que le catalogue promet", "pages hold what the catalog says"),
    "resume": ("reprendre après une page donne exactement la suite", "resuming after a page gives exactly the rest"),
    "credentials": ("aucune requête ne porte d'identifiant secret", "no request carries a credential"),
    "hostile": (
        "quoi que réponde le fournisseur, l'erreur est nommée et n'en montre rien",
        "whatever the vendor answers, the error is named and shows nothing of it",
    ),
    "repeat": ("les mêmes réponses donnent les mêmes pages", "the same responses give the same pages"),
    "documents": (
        "les fichiers nommés ont été rangés, et demandés une fois",
        "files that are named were filed, and asked once",
    ),
    "silence": (
        "rien ne se perd en silence, quoi qu'il arrive à une réponse",
        "nothing is lost in silence, whatever befalls an answer",
    ),
    "counts": ("un compte qui ment ne change pas les données", "a count that lies does not change the data"),
    "order": (
        "dans un autre ordre, ou deux fois, ce sont les mêmes données",
        "in another order, or twice, it is the same data",
    ),
    "fields": ("un champ nouveau, ou d'un autre type, arrive tel quel", "a new field, or one of another type, comes as it is"),
    "breaks": ("une coupure n'ôte ni ne double rien", "a connection that breaks takes nothing away and doubles nothing"),
    "operations": ("les opérations ont un nom, deux titres, un schéma", "operations have a name, two titles, a schema"),
    "payload": ("ce qu'un schéma ne nomme pas est refusé, sans le montrer", "what a schema does not name is refused, unshown"),
    "hostile_write": ("une réponse hostile à une écriture ne montre rien", "a hostile answer to a write shows nothing"),
    "write": (
        "une seule écriture, confirmée par relecture et retrouvée par sondage",
        "one write alone, confirmed by reading back and found by a probe",
    ),
}
"""Each law, by its code: French, English."""

READING: Final = ("catalog", "slices", "pages", "resume", "credentials", "hostile", "repeat", "documents")
MISBEHAVIOUR: Final = ("silence", "counts", "order", "fields", "breaks")
WRITING: Final = ("operations", "payload", "hostile_write", "write")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one law. `detail`: what was seen, in the suite's own English words, without any value of an answer."""

    law: str
    outcome: Outcome
    detail: str = ""
    operation: str = ""


@dataclass(slots=True)
class _Trial:
    """Verdicts so far; a law is opened by `of`, and what it raises becomes its verdict."""

    verdicts: list[Verdict] = field(default_factory=list)
    operation: str = ""

    @contextmanager
    def of(self, law: str, unrehearsed: Outcome = "broken") -> Iterator[None]:
        """Open a law. unrehearsed: its outcome when it asks a recording for what was not recorded."""
        try:
            yield
        except suite.Violation as broken:
            self._enter(law, "broken", str(broken))
        except Unrehearsed:
            self._enter(law, unrehearsed, "it asks for something that was not recorded")
        except Fault as fault:
            self._enter(law, "broken", f"ends in {fault.code}: {fault.diagnostics('en').what}")
        except Exception as defect:  # noqa: BLE001 - a defect of the author's is what is looked for; its values are not shown
            self._enter(law, "broken", f"ends in {type(defect).__name__}{_place(defect)}")
        else:
            self._enter(law, "kept")

    def untried(self, *laws: str, detail: str = "") -> None:
        for law in laws:
            self._enter(law, "untried", detail)

    def _enter(self, law: str, outcome: Outcome, detail: str = "") -> None:
        self.verdicts.append(Verdict(law, outcome, detail, self.operation))

    def held(self) -> bool:
        return all(each.outcome == "kept" for each in self.verdicts)


def _place(defect: Exception) -> str:
    step = defect.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return f" ({step.tb_frame.f_code.co_filename.rpartition('/')[2]}:{step.tb_lineno})" if step is not None else ""


def try_reading(
    connector: Connector,
    send: Callable[[], Send],
    *,
    started_at: datetime = datetime(2026, 11, 23, tzinfo=UTC),
    whole: bool = True,
) -> tuple[list[Verdict], dict[str, int]]:
    """Try each law of a connector; gives the verdicts, and how many records each stream gave.

    send: gives a vendor as on the first day. whole: the vendor can be read to its end; else laws are held on its beginning.
    """
    trial, recorder, rows = _Trial(), Recorder(send()), dict[str, int]()
    plan = ReadPlan((), {}, {}, started_at)
    with trial.of("catalog"):
        checked = converse(connector.check(), recorder)
        suite.hold("`check` gives what the vendor is", isinstance(checked, Checked) and checked.vendor)
        catalog = converse(connector.discover(), recorder)
        suite.sound(catalog)
        plan = ReadPlan(catalog.streams, {each.name: "full_refresh" for each in catalog.streams}, {}, started_at)
    if not trial.held():
        trial.untried(*READING[1:], detail="there is no catalog to read")
        return trial.verdicts, rows
    before, slices = len(recorder.exchanges), tuple[Slice, ...]()
    with trial.of("slices"):
        slices = converse(connector.slices(plan), recorder)
        suite.sliced(plan, slices)
    if not trial.held():
        trial.untried(*READING[2:], detail="there are no slices to read")
        return trial.verdicts, rows
    if not whole:
        rows = _try_beginning(trial, connector, plan, catalog, slices, send)
        _modest_and_discreet(trial, connector, plan, slices, recorder, send)
        return trial.verdicts, rows
    reads: dict[str, Read] = {}
    shelf = Shelf()
    with trial.of("pages"):
        reads = {part.key: read(connector, plan, part, None, recorder, shelf) for part in slices}
        suite.paged(plan, slices, reads, whole=True)
        rows = suite.Report(catalog, slices, reads).rows
    if len(reads) < len(slices):
        trial.untried("resume", "repeat", "documents", detail="a read did not end")
    else:
        with trial.of("resume", "untried"):  # from within a page that was cut, a connector asks what a whole read never does
            for part in slices:
                suite.resumable(connector, plan, part, reads[part.key], send(), 40)
        with trial.of("repeat"):
            suite.repeatable(connector, plan, recorder.exchanges[before:], reads)
        with trial.of("documents"):
            suite.filed(plan, reads, shelf)
            suite.held(connector, plan, slices, reads, send(), shelf)
    _modest_and_discreet(trial, connector, plan, slices, recorder, send)
    return trial.verdicts, rows


def _try_beginning(
    trial: _Trial, connector: Connector, plan: ReadPlan, catalog: Catalog, slices: tuple[Slice, ...], send: Callable[[], Send]
) -> dict[str, int]:
    """Try on a recording that was cut what its beginning can show; gives how many records each stream gave there."""
    reads: dict[str, Read] = {}
    shelf = Shelf()
    with trial.of("pages"):
        vendor = send()
        reads = {part.key: begun(connector, plan, part, None, vendor, shelf) for part in slices}
        suite.hold("the recording holds a page", any(each.pages for each in reads.values()))
        suite.paged(plan, slices, reads, whole=True)
    if not trial.held():
        trial.untried("resume", "repeat", "documents", detail="no page was read")
        return {}
    within = [(part, at) for part in slices for at in range(len(reads[part.key].pages) - 1)]
    within = [(part, at) for part, at in within if reads[part.key].pages[at].position is not None]
    if not within:
        trial.untried("resume", detail="the recording stops before a page that follows another")
    else:
        with trial.of("resume", "untried"):
            for part, at in within[:: max(1, len(within) // 40)]:
                done = reads[part.key].pages
                rest = begun(connector, plan, part, done[at].position, send(), Shelf()).pages
                if not rest:
                    raise Unrehearsed
                suite.hold(f"slice {part.key} resumed after page {at} gives exactly the rest", alike(rest, done[at + 1 :]))
    with trial.of("repeat"):
        vendor, again = send(), Shelf()
        for part in slices:
            once_more = begun(connector, plan, part, None, vendor, again).pages
            suite.hold(f"slice {part.key} replayed gives the same pages", alike(once_more, reads[part.key].pages))
    with trial.of("documents"):
        suite.filed(plan, reads, shelf)
    return suite.Report(catalog, slices, reads).rows


def _modest_and_discreet(
    trial: _Trial,
    connector: Connector,
    plan: ReadPlan,
    slices: tuple[Slice, ...],
    recorder: Recorder,
    send: Callable[[], Send],
) -> None:
    with trial.of("credentials"):
        suite.modest(recorder.exchanges, ())
    with trial.of("hostile"):
        suite.discreet(connector, plan, slices, _lenient(send()))


def _lenient(send: Send) -> Send:
    """A recorded vendor says 404 to what it was never asked: after a spoilt answer a connector may rightly ask otherwise."""

    def answer(request: Request) -> Response:
        try:
            return send(request)
        except Unrehearsed:
            return Response(404, request.full_url, b"")

    return answer


def try_misbehaviour(
    connector: Connector,
    send: Callable[[], Send],
    lists: Sequence[tampering.Lists],
    *,
    started_at: datetime = misbehaviour.NOW,
    closed: bool = False,
) -> list[Verdict]:
    """Try each law of a connector whose vendor errs, lies, moves its records, changes its schema or breaks.

    lists: where the vendor's lists are. closed: the connector names the columns that it asks for.
    The vendor must be readable when it is honest: `try_reading` comes first.
    """
    trial, vendor = _Trial(), send()
    recorder = Recorder(vendor)

    def again(struck: Send) -> misbehaviour.Pulled:
        return misbehaviour.pull(connector, struck, started_at=started_at)

    honest = again(recorder)
    if honest.error is not None or not honest.pages:
        trial.untried(*MISBEHAVIOUR, detail="the honest vendor is not read")
        return trial.verdicts
    total = len(recorder.exchanges)
    with trial.of("silence"):
        for at in range(0, total, max(1, total // 4)):
            for what, wrong in tampering.WRONG.items():
                misbehaviour.sure(f"{what}, answer {at}", honest, again(tampering.Tampered(vendor, wrong, {at})))
    with trial.of("counts"):
        misbehaviour.lied(again, vendor, lists, honest)
    with trial.of("order"):
        misbehaviour.moved(again, vendor, lists, honest)
    with trial.of("fields"):
        misbehaviour.changed(again, vendor, lists, honest, total, closed=closed)
    with trial.of("breaks"):
        misbehaviour.broken(connector, vendor, honest, 4)
    return trial.verdicts


def try_writing(writer: Writer, writes: Mapping[str, Json], send: Callable[[], Send]) -> list[Verdict]:
    """Try each law of a writer, with a payload an operation; an operation without one is untried."""
    trial = _Trial()
    for name in [operation.name for operation in writer.operations()]:
        trial.operation = name
        if name not in writes:
            trial.untried(*WRITING, detail="the rehearsal has no payload for it")
            continue
        with trial.of("operations"):
            operation = writing.declared(writer, name)
        with trial.of("payload"):
            writing.closed(writer, operation, writes[name])
        with trial.of("hostile_write"):
            writing.discreet(writer, name, writes[name], send())
        with trial.of("write"):
            writing.run_writer(writer, name, writes[name], send())
    return trial.verdicts
