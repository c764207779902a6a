"""What was pulled and not published: whole streams that the guards stopped, and single rows that cannot stand in a snapshot.

    <connection>/<stream>/quarantine/<run>/<part id>.<class>.parquet     the rows, as encrypted as any
                                          /quarantine.keys               their wrapped data keys
                                          /quarantine                    sealed: what it is, why, and in which columns

Nothing there is part of any snapshot. It is kept until an operator removes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa

from snapshots import keyfile, parts
from snapshots.checkpoint import Aside
from snapshots.dataset import DatasetId, DatasetSpec, visible
from snapshots.durable import link, read_bounded, remove_tree
from snapshots.errors import Damaged
from snapshots.repository import Repository, opener
from vault import envelope, files
from vault.keys import Scope, Wrapped

FORMAT = "sovereign-quarantine/1"
LIMIT = 64 << 20


class Quarantined(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows kept apart; `counts` is the measure of what was not published, when there was one.

    `whole`: the stream was not published at all; otherwise it was, without these rows.
    """

    format: str
    dataset: str
    run: str
    created: str
    whole: bool
    rows: list[Aside]
    counts: dict[str, int | str] = {}

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows for each reason."""
        counted: dict[str, int] = {}
        for each in self.rows:
            counted[each.reason] = counted.get(each.reason, 0) + each.part.rows
        return counted


def keep(
    repository: Repository,
    spec: DatasetSpec,
    run: str,
    rows: Sequence[Aside],
    source: Path,
    wraps: Mapping[str, Wrapped],
    *,
    whole: bool = False,
    counts: dict[str, int | str] | None = None,
) -> None:
    """Keep rows apart; does nothing when there are none and the stream is published."""
    if not rows and not whole:
        return
    folder = files.folder(_folder(repository, spec.id, run))
    names = {parts.key_name(spec.id, each.part.id, at) for each in rows for at in each.part.files}
    for each in rows:
        for class_name in each.part.files:
            name = parts.file_name(each.part.id, class_name)
            link(source / name, folder / name)
    files.flush(folder)
    name = key_name(spec.id, run)
    scope = Scope(spec.id.connection, "manifest", repository.period())
    data_key, wrapped = repository.keys.new_data_key(scope, name.encode())
    keyfile.write(folder / "quarantine.keys", {each: wraps[each] for each in names} | {name: wrapped})
    told = Quarantined(FORMAT, str(spec.id), run, repository.clock().isoformat(), whole, list(rows), counts or {})
    files.write(folder / "quarantine", envelope.seal(data_key, name.encode(), msgspec.json.encode(told)))


def found(repository: Repository, dataset: DatasetId) -> list[Quarantined]:
    """Give what is kept apart of a dataset, oldest first."""
    runs = [path.parent.name for path in (repository.folder(dataset) / "quarantine").glob("*/quarantine")]
    return sorted((_read(repository, dataset, run) for run in runs), key=lambda each: each.created)


def read(repository: Repository, told: Quarantined, clearance: str) -> Iterator[tuple[str, pa.Table]]:
    """Give the rows kept apart, each lot with its reason, in the columns that a clearance sees."""
    dataset = DatasetId.parse(told.dataset)
    folder = _folder(repository, dataset, told.run)
    opening = opener(repository.keys, folder / "quarantine.keys")
    for each in told.rows:
        yield each.reason, parts.read(folder, dataset, each.part, opening, classes=visible(clearance))


def remove(repository: Repository, dataset: DatasetId, run: str) -> None:
    """Forget what a run kept apart."""
    remove_tree(_folder(repository, dataset, run))


def key_name(dataset: DatasetId, run: str) -> str:
    """Name the key of a quarantine's description."""
    return f"{dataset}/quarantine/{run}"


def _folder(repository: Repository, dataset: DatasetId, run: str) -> Path:
    return repository.folder(dataset) / "quarantine" / run


def _read(repository: Repository, dataset: DatasetId, run: str) -> Quarantined:
    folder, name = _folder(repository, dataset, run), key_name(dataset, run)
    data_key = opener(repository.keys, folder / "quarantine.keys")(name)
    data = envelope.open(data_key, name.encode(), read_bounded(folder / "quarantine", LIMIT), what=name)
    try:
        return msgspec.json.decode(data, type=Quarantined)
    except msgspec.DecodeError:
        raise Damaged(file=name, reason_fr="description illisible", reason_en="its description cannot be read") from None
