"""A repository of snapshots with real keys, and short ways to fill and read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from snapshots.changes import changes
from snapshots.columns import Json
from snapshots.dataset import CLASSES, DatasetId, DatasetSpec
from snapshots.draft import Draft
from snapshots.manifest import Manifest, Mode, Provenance, Verdict
from snapshots.measure import Measure
from snapshots.repository import Repository
from tests.servers.masters import MemoryStore, Mortal
from vault.keys import Keys

MAIL = DatasetId("city", "mail")
CLASSED = {"id": "internal", "status": "internal", "health": "sensitive"}
"""`name` and all else are left unclassified, hence personal."""


@dataclass
class Hands:
    """A clock moved by hand."""

    now: datetime = datetime(2026, 11, 23, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@dataclass
class Library:
    """Snapshots, keys and a clock; `runs` counts the runs so far."""

    root: Path
    clock: Hands = field(default_factory=Hands)
    store: MemoryStore = field(default_factory=MemoryStore)
    runs: int = 0
    measured: Measure | None = None

    def __post_init__(self) -> None:
        self.keys = Keys.create(self.root / "keys", Mortal(self.store), self.clock, name="library")
        self.repository = Repository(self.root / "snapshots", self.keys, self.clock)

    def spec(self, **given: Json) -> DatasetSpec:
        return DatasetSpec(
            given.get("id", MAIL),
            given.get("primary_key", ("id",)),
            given.get("classes", CLASSED),
            given.get("contract", "evolve"),
            given.get("schema", pa.schema([])),
        )

    def begin(self, spec: DatasetSpec | None = None) -> Draft:
        self.runs += 1
        chosen = spec or self.spec()
        return Draft.create(self.repository, f"run-{self.runs}", {chosen.id.stream: chosen})

    def publish(self, draft: Draft, mode: Mode = "full_refresh", *, cursor: Json = None, stream: str = "mail") -> Manifest:
        self.measured = draft.measure(stream, mode)
        made = draft.commit(
            stream,
            self.measured,
            cursor=cursor,
            verdict=Verdict("complete"),
            provenance=Provenance(draft.run, "rest", "1", "vendor.example"),
            mode=mode,
        )
        draft.discard()
        return made

    def land(
        self,
        *pages: Mapping[str, Sequence[Any]] | pa.Table,
        mode: Mode = "full_refresh",
        removed: Mapping[str, Sequence[Any]] | None = None,
        spec: DatasetSpec | None = None,
        cursor: Json = None,
    ) -> Manifest:
        """Pull pages, the last of which also says what is removed, and publish them."""
        draft = self.begin(spec)
        gone = None if removed is None else pa.table(dict(removed))
        for number, page in enumerate(pages, 1):
            table = page if isinstance(page, pa.Table) else pa.table(dict(page))
            draft.append("mail", table, gone if number == len(pages) else None)
        return self.publish(draft, mode, cursor=cursor)

    def rows(self, manifest: Manifest, classes: Iterable[str] = CLASSES, **given: Json) -> list[dict[str, Any]]:
        """Give a snapshot's rows in the order of their text."""
        batches = self.repository.read(manifest, tuple(classes), **given)
        return sorted((row for batch in batches for row in batch.to_pylist()), key=str)

    def changed(self, before: Manifest, after: Manifest, clearance: str = "sensitive") -> list[dict[str, Any]]:
        batches = changes(self.repository, before, after, clearance)
        return sorted((row for batch in batches for row in batch.to_pylist()), key=str)

    def parts(self) -> dict[str, Path]:
        return {path.name: path for path in self.repository.parts_folder(MAIL).iterdir()}

    def codes(self, expected: Manifest | None = None) -> set[str]:
        """Give what verify tells."""
        found = self.repository.verify(MAIL, expected_head=expected.hash if expected else None)
        return {each.code for each in found}


def people(count: int, *, start: int = 0, mark: str = "") -> pa.Table:
    """Records of people; `mark` makes their content differ."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "status": [f"s{number % 5}{mark}" for number in numbers],
            "name": [f"Canari-{number}" for number in numbers],
            "health": [f"h{number * 7 % 11}" for number in numbers],
        }
    )
