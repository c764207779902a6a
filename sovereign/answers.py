"""A question to the local copies: which snapshots it reads, the marts that serve them, the session, the entry in the audit log.

The text of a question is personal (it may name people): the entry says which datasets were read and at which clearance, and
only its sealed body holds the text and the parameters.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from snapshots.dataset import DatasetId
from snapshots.engine import Limits, Session
from snapshots.errors import BadName
from snapshots.manifest import Manifest
from snapshots.refusals import QueryFault
from snapshots.statement import parse

if TYPE_CHECKING:
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gave: `reader` streams Arrow batches, once; `datasets` are the snapshots read. Close it when done."""

    columns: tuple[str, ...]
    reader: pa.RecordBatchReader
    datasets: Mapping[DatasetId, Manifest]
    session: Session = field(repr=False)

    def close(self) -> None:
        """End the session."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(
    site: "Site",
    sql: str,
    *,
    clearance: str,
    as_of: int | datetime | None,
    parameters: Sequence[object] | Mapping[str, object] | None,
) -> Answer:
    """Ask one question; see `Site.query`."""
    facts: dict[str, Any] = {"clearance": clearance}
    body = {"sql": sql, "parameters": _plain(parameters)}
    if as_of is not None:
        facts["as_of"] = as_of if isinstance(as_of, int) else as_of.isoformat()
    try:
        chosen = _chosen(site, sql, as_of)
        facts["datasets"] = {f"{each.connection}.{each.stream}": manifest.sequence for each, manifest in chosen.items()}
        session = _session(site, chosen, clearance)
        try:
            result = session.execute(sql, parameters)
        except BaseException:
            session.close()
            raise
    except QueryFault as fault:
        site.audit.append("query.refused", {}, {**facts, "fault": fault.code}, body)
        raise
    try:
        site.audit.append("query.ran", {}, facts, body)
    except BaseException:
        session.close()
        raise
    return Answer(result.columns, result.reader, chosen, session)


def _chosen(site: "Site", sql: str, as_of: int | datetime | None) -> dict[DatasetId, Manifest]:
    """Give the snapshots that a question reads; a name that is no dataset is left to the session, which says so."""
    statement = parse(sql)
    heads = site.heads()
    if statement.listing is None and not statement.catalogue:
        asked = set()
        for connection, stream in statement.tables:
            with suppress(BadName):
                asked.add(DatasetId(connection, stream))
        heads = {dataset: head for dataset, head in heads.items() if dataset in asked}
    if as_of is None:
        return heads
    return {dataset: site.repository.find(dataset, as_of) for dataset in heads}


def _session(site: "Site", chosen: Mapping[DatasetId, Manifest], clearance: str) -> Session:
    marts = {
        (dataset.connection, dataset.stream): site.marts.ensure(dataset, clearance, manifest)
        for dataset, manifest in chosen.items()
    }
    given = site.settings.limits
    limits = Limits(memory=given.memory, threads=given.threads, timeout=given.query_seconds)
    zone = site.settings.site.zone
    return Session(marts, spill=site.root / "spill", clearance=clearance, limits=limits, timezone=zone)


def _plain(parameters: Sequence[object] | Mapping[str, object] | None) -> object:
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        return {name: str(value) for name, value in parameters.items()}
    return [str(value) for value in parameters]
