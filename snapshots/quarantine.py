"""What was pulled and not published: whole streams that the guards stopped, and single rows that cannot stand in a snapshot.

    <connection>/<stream>/quarantine/<run>/<part id>.<class>.parquet     the rows, as encrypted as any
                                          /quarantine.keys               their wrapped data keys
                                          /quarantine                    sealed: what it is, why, and in which columns

1. Nothing there is part of any snapshot, and removing it removes no published row: its files are second names.
2. It is kept until an operator removes it, or a newer one of the same stream and of the same kind lands: whole streams do not
   push out single rows, nor single rows a whole stream that someone has to look at.
3. What a crash left without a description, and what cannot be opened, is listed as such: it can be removed like any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from snapshots import keyfile, parts
from snapshots.checkpoint import Aside
from snapshots.dataset import DatasetId, DatasetSpec, visible
from snapshots.durable import link, read_bounded, remove_tree
from snapshots.errors import BadName, Damaged, NoQuarantine
from snapshots.repository import Repository, opener
from vault import envelope, files
from vault.errors import Fault
from vault.keys import Scope, Wrapped

FORMAT = "sovereign-quarantine/1"
LIMIT = 64 << 20
KEPT = 1
"""Quarantines of a kind that a stream keeps."""


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
    def rows_kept(self) -> int:
        """How many rows are kept, those put aside one by one included."""
        return sum(each.part.rows for each in self.rows if each.part.kind != "removed")

    @property
    def bytes(self) -> int:
        """The size of its files, in bytes."""
        return sum(each.part.bytes for each in self.rows)

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
    folder = files.folder(folder_of(repository, spec.id, run))
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
    described = [each for each in runs(repository, dataset) if (folder_of(repository, dataset, each) / "quarantine").is_file()]
    return sorted((read_description(repository, dataset, each) for each in described), key=lambda each: each.created)


def runs(repository: Repository, dataset: DatasetId) -> list[str]:
    """Give the runs that kept something of a dataset apart, be it whole or not, in the order of their names."""
    root = repository.folder(dataset) / "quarantine"
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def holding(repository: Repository) -> list[DatasetId]:
    """Give the datasets of which something is kept apart, in order."""
    found = set()
    for path in repository.root.glob("*/*/quarantine/*"):
        with suppress(BadName):
            found.add(DatasetId(path.parts[-4], path.parts[-3]))
    return sorted(found)


def superseded(repository: Repository, dataset: DatasetId, keep: int = KEPT) -> list[Quarantined]:
    """Give what newer quarantines of the same kind leave behind, beyond the `keep` newest; those of runs at work stay.

    One that cannot be opened is neither counted nor given.
    """
    unfinished = set(repository.drafts())
    readable: list[Quarantined] = []
    for run in runs(repository, dataset):
        with suppress(Fault):
            readable.append(read_description(repository, dataset, run))
    readable.sort(key=lambda each: datetime.fromisoformat(each.created))
    kinds = ([each for each in readable if each.whole is whole] for whole in (True, False))
    return [each for kind in kinds for each in kind[: max(0, len(kind) - keep)] if each.run not in unfinished]


def read(repository: Repository, told: Quarantined, clearance: str) -> Iterator[tuple[str, pa.Table]]:
    """Give the rows kept apart, each lot with its reason, in the columns that a clearance sees."""
    dataset = DatasetId.parse(told.dataset)
    folder = folder_of(repository, dataset, told.run)
    opening = opener(repository.keys, folder / "quarantine.keys")
    for each in told.rows:
        yield each.reason, parts.read(folder, dataset, each.part, opening, classes=visible(clearance))


def remove(repository: Repository, dataset: DatasetId, run: str) -> None:
    """Forget what a run kept apart; raises NoQuarantine when it kept nothing."""
    if run not in runs(repository, dataset):  # a name that was listed cannot lead elsewhere
        raise NoQuarantine(dataset=dataset, run=run)
    remove_tree(folder_of(repository, dataset, run))


def key_name(dataset: DatasetId, run: str) -> str:
    """Name the key of a quarantine's description."""
    return f"{dataset}/quarantine/{run}"


def folder_of(repository: Repository, dataset: DatasetId, run: str) -> Path:
    """Give the folder of what a run kept apart of a dataset."""
    return repository.folder(dataset) / "quarantine" / run


def read_description(repository: Repository, dataset: DatasetId, run: str) -> Quarantined:
    """Open what describes a quarantine; raises Damaged, Shredded, WrongKey or Corrupt."""
    folder, name = folder_of(repository, dataset, run), key_name(dataset, run)
    data_key = opener(repository.keys, folder / "quarantine.keys")(name)
    data = envelope.open(data_key, name.encode(), read_bounded(folder / "quarantine", LIMIT), what=name)
    try:
        return msgspec.json.decode(data, type=Quarantined)
    except msgspec.DecodeError:
        raise Damaged(file=name, reason_fr="description illisible", reason_en="its description cannot be read") from None
