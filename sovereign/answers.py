"""What is served, and a question to it: the snapshots it reads, their marts, the session, the entry in the audit log.

The text of a question is personal (it may name people): the entry says which datasets were read and at which clearance, and
only its sealed body holds the text and the parameters.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import pyarrow as pa

from snapshots.dataset import CLASSES, DatasetId
from snapshots.engine import Limits, Result, Session
from snapshots.errors import BadName
from snapshots.manifest import Manifest
from snapshots.mart import Mart
from snapshots.refusals import MartUnreadable, QueryFault, UnknownName
from snapshots.statement import parse
from sovereign.state import LeaseHeld
from sovereign.sync.fence import lease_of
from sovereign.sync.publishing import recover
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.parts import Parts


class UnknownStream(UnknownName):
    """A connection that the site has, a stream of which it holds no copy."""

    fr = "La connexion « {connection} » n'a pas de flux « {stream} » dans ce site."
    en = "Connection `{connection}` has no stream `{stream}` on this site."
    todo_fr = "Flux qui ont une copie : {known}."
    todo_en = "Streams that have a copy: {known}."


Given: TypeAlias = Mapping[tuple[str, str], pa.Table]
"""Tables in memory that a question may read beside the copies, by (schema, table)."""
NOTHING: Final[Given] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gave: `reader` streams Arrow batches, once; `datasets` are the snapshots read. Close it when done.

    `warnings`: what a reader must know about the rows, in French and in English.
    """

    columns: tuple[str, ...]
    reader: pa.RecordBatchReader
    datasets: Mapping[DatasetId, Manifest]
    warnings: tuple[tuple[str, str], ...]
    session: Session = field(repr=False)

    def close(self) -> None:
        """End the session."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def head(site: "Parts", dataset: DatasetId) -> Manifest | None:
    """Give the snapshot that is served of a dataset, as the audit log says; None when there is none."""
    return site.repository.head(dataset, _entered(site, dataset))


def heads(site: "Parts", damaged: dict[DatasetId, Fault] | None = None) -> dict[DatasetId, Manifest]:
    """Give the snapshot that is served of each dataset, as the audit log says.

    damaged: is given the datasets whose snapshot cannot be read, each with why; without it, the first one is raised.
    """
    found = {}
    for dataset in site.repository.datasets():
        try:
            served = head(site, dataset)
        except Fault as fault:
            if damaged is None:
                raise
            damaged[dataset] = fault
            continue
        if served is not None:
            found[dataset] = served
    return found


def _entered(site: "Parts", dataset: DatasetId) -> str | None:
    """Give the manifest that the audit log says is the head; what a crash left out is entered first, unless a sync is at it."""
    last = site.audit.last_commit(dataset.connection, dataset.stream)
    kept = len(list((site.repository.folder(dataset) / "manifests").glob("*.manifest")))
    if last is None or kept > last.sequence:
        with suppress(LeaseHeld), site.leases.hold(lease_of(dataset.connection), "recovery"):
            recover(site.repository, site.audit, dataset.connection)
        last = site.audit.last_commit(dataset.connection, dataset.stream)
    return last.manifest if last else None


def refresh(site: "Parts", dataset: DatasetId, manifest: Manifest) -> None:
    """Bring the marts that someone asked for before up to a snapshot."""
    for clearance in CLASSES:
        if (site.root / "marts" / dataset.connection / dataset.stream / f"{clearance}.json").is_file():
            site.marts.ensure(dataset, clearance, manifest)


def ask(
    site: "Parts",
    sql: str,
    *,
    clearance: str,
    as_of: int | datetime | None,
    parameters: Sequence[object] | Mapping[str, object] | None,
    given: Given = NOTHING,
) -> Answer:
    """Ask one question; see `Site.query`."""
    facts: dict[str, Any] = {"clearance": clearance}
    body = {"sql": sql, "parameters": _plain(parameters)}
    if as_of is not None:
        facts["as_of"] = as_of if isinstance(as_of, int) else as_of.isoformat()
    marts: dict[DatasetId, Mart] = {}
    damaged: dict[DatasetId, Fault] = {}
    try:
        chosen = _chosen(site, sql, as_of, damaged)
        facts["datasets"] = {f"{each.connection}.{each.stream}": manifest.sequence for each, manifest in chosen.items()}
        try:
            session, result = _asked(site, chosen, marts, sql, clearance, parameters, given)
        except MartUnreadable:  # a mart is a cache: made anew, once
            for dataset in chosen:
                site.marts.forget(dataset.connection, dataset.stream)
            session, result = _asked(site, chosen, marts, sql, clearance, parameters, given)
    except QueryFault as refused:
        fault = _explained(site, refused, sql, marts)
        site.audit.append("query.refused", {}, {**facts, "fault": fault.code}, body)
        raise fault from None
    try:
        site.audit.append("query.ran", {}, facts, body)
    except BaseException:
        session.close()
        raise
    warnings = [each for mart in marts.values() for each in mart.warnings()]
    warnings += _unread(site, chosen, damaged)
    if as_of is None:
        warnings += [each for dataset, manifest in chosen.items() for each in _rolled_back(site, dataset, manifest)]
    return Answer(result.columns, result.reader, chosen, tuple(warnings), session)


def _asked(
    site: "Parts",
    chosen: Mapping[DatasetId, Manifest],
    marts: dict[DatasetId, Mart],
    sql: str,
    clearance: str,
    parameters: Sequence[object] | Mapping[str, object] | None,
    given: Given,
) -> tuple[Session, Result]:
    """Execute a question over the marts of `chosen`, which are put in `marts`: a refusal is explained from them."""
    marts.update((dataset, site.marts.ensure(dataset, clearance, manifest)) for dataset, manifest in chosen.items())
    session = _session(site, marts, clearance, given)
    try:
        return session, session.execute(sql, parameters)
    except BaseException:
        session.close()
        raise


def _chosen(
    site: "Parts", sql: str, as_of: int | datetime | None, damaged: dict[DatasetId, Fault]
) -> dict[DatasetId, Manifest]:
    """Give the snapshots that a question reads; a name that is no dataset is left to the session, which says so."""
    statement = parse(sql)
    if statement.listing is not None or statement.catalogue:
        held = heads(site, damaged)
        if as_of is None:
            return held
        asked = set(held)
    else:
        asked = set()
        for connection, stream in statement.tables:
            with suppress(BadName):
                asked.add(DatasetId(connection, stream))
        asked &= set(site.repository.datasets())
    if as_of is not None:
        return {dataset: site.repository.find(dataset, as_of) for dataset in sorted(asked)}
    served = {dataset: head(site, dataset) for dataset in sorted(asked)}
    return {dataset: each for dataset, each in served.items() if each is not None}


def _unread(site: "Parts", chosen: Iterable[DatasetId], damaged: Mapping[DatasetId, Fault]) -> list[tuple[str, str]]:
    """Say which snapshots could not be read beside those that answer."""
    told = []
    for dataset, fault in damaged.items():
        fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
        name = f"{dataset.connection}.{dataset.stream}"
        told.append((f"{name} n'est pas du nombre : {fr.what}", f"{name} is left out: {en.what}"))
    for dataset in chosen:
        for file in site.repository.readable_manifests(dataset)[1]:
            name = f"{dataset.connection}.{dataset.stream}"
            told.append(
                (
                    f"{name} : un autre instantané ne se lit plus ({file[:12]}) ; voyez « snapshot verify {name} ».",
                    f"{name}: another snapshot cannot be read any more ({file[:12]}); see `snapshot verify {name}`.",
                )
            )
    return told


def _explained(site: "Parts", fault: QueryFault, sql: str, marts: Mapping[DatasetId, Mart]) -> QueryFault:
    """Say of an unknown name what the site knows: the streams of that connection, or the classes whose keys are gone."""
    if not isinstance(fault, UnknownName):
        return fault
    streams: dict[str, set[str]] = {name: set() for name in site.settings.connections}
    for dataset in site.repository.datasets():
        streams.setdefault(dataset.connection, set()).add(dataset.stream)
    for connection, stream in sorted(parse(sql).tables):
        if connection in streams and stream not in streams[connection]:
            return UnknownStream(connection=connection, stream=stream, known=", ".join(sorted(streams[connection])) or "-")
    gone = [each for mart in marts.values() for each in mart.warnings()]
    if not gone:
        return fault
    advice = {f"advice_{word}": " " + " ".join(each[at] for each in gone) for at, word in enumerate(("fr", "en"))}
    return UnknownName(**{**fault.fields, **advice})


def _rolled_back(site: "Parts", dataset: DatasetId, served: Manifest) -> tuple[tuple[str, str], ...]:
    """Say when the snapshot that the audit log has for the last is not there, and an older one is served."""
    last = site.audit.last_commit(dataset.connection, dataset.stream)
    if last is None or served.sequence >= last.sequence:
        return ()
    fr = f"{dataset} : l'instantané {last.sequence}, le dernier selon le journal d'audit, manque ; voici le {served.sequence}."
    en = f"{dataset}: snapshot {last.sequence}, the last by the audit log, is missing; this is snapshot {served.sequence}."
    return ((fr, en),)


def _session(site: "Parts", marts: Mapping[DatasetId, Mart], clearance: str, tables: Given) -> Session:
    given = site.settings.limits
    limits = Limits(memory=given.memory, threads=given.threads, timeout=given.query_seconds)
    zone = site.settings.site.zone
    named = {(dataset.connection, dataset.stream): mart for dataset, mart in marts.items()}
    return Session(named, spill=site.root / "spill", clearance=clearance, limits=limits, timezone=zone, given=tables)


def _plain(parameters: Sequence[object] | Mapping[str, object] | None) -> object:
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        return {name: str(value) for name, value in parameters.items()}
    return [str(value) for value in parameters]
