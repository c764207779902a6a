"""A small site on disk: real keys, real parts, real manifests, and a short way to land snapshots."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from snapshots import keyfile
from snapshots.dataset import OP, DatasetId, DatasetSpec
from snapshots.engine import Limits, Session
from snapshots.manifest import Counts, Manifest, Provenance, Verdict
from snapshots.mart import Mart
from snapshots.repository import Repository
from snapshots.serving import Marts
from vault.keys import Keys, Wrapped

VISITS = DatasetSpec(
    DatasetId("town", "visits"),
    ("id",),
    {
        "id": "internal",
        "place": "internal",
        "spent": "internal",
        "seen": "internal",
        "name": "personal",
        "illness": "sensitive",
    },
)
PEOPLE = DatasetSpec(DatasetId("town", "people"), ("nir",), {"nir": "personal", "name": "personal", "service": "internal"})


class Master:
    """A provider whose master lives in this object."""

    uri = "test:master"

    def __init__(self) -> None:
        self._master = AESGCM(os.urandom(32))

    def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._master.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return self._master.decrypt(wrapped[:12], wrapped[12:], context)

    def rotate(self) -> None: ...

    def retire(self) -> None: ...


@dataclass
class Town:
    """A site, its clock, its marts, and two datasets: one with an internal key, one with a personal key."""

    VISITS: ClassVar[DatasetSpec] = VISITS
    PEOPLE: ClassVar[DatasetSpec] = PEOPLE

    root: Path
    now: datetime = datetime(2026, 11, 23, 8, tzinfo=UTC)
    keys: Keys = field(init=False)
    repository: Repository = field(init=False)
    marts: Marts = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Keys.create(self.root / "keys", Master(), lambda: self.now)
        self.repository = Repository(self.root / "snapshots", self.keys, lambda: self.now)
        self.marts = Marts(self.repository, self.root / "marts", self.keys)

    def session(self, *marts: Mart, **settings: object) -> Session:
        return Session({(each.connection, each.stream): each for each in marts}, spill=self.root / "spill", **settings)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def land(
        self, spec: DatasetSpec, rows: pa.Table, on: Manifest | None = None, op: str = "u", anew: bool = False
    ) -> Manifest:
        """Publish rows: one delta on top of a snapshot; a base when there is none, or when its history starts anew."""
        parent, on = on, None if anew else on
        shape = spec.shape(rows.schema)
        folder = self.repository.parts_folder(spec.id)
        folder.mkdir(parents=True, exist_ok=True)
        table = shape.stored(rows, self.repository.pseudonym_key(spec.id))
        if on is not None:
            if op == "d":
                table = table.select(list(shape.key))
            table = table.append_column(OP, pa.array([op] * rows.num_rows))
        wraps = {} if on is None else keyfile.read(self.repository.key_file(on))
        made: dict[str, Wrapped] = {}
        part = self.repository.press(spec.id, folder, made).write(shape, table, "base" if on is None else "delta")
        changes = Counts(rows.num_rows, rows.num_rows, 0, 0, 0)
        if on is not None:
            count = on.rows + (rows.num_rows if op == "i" else -rows.num_rows if op == "d" else 0)
            changes = Counts(count, 0, 0, 0, count)
        self.later(minutes=1)
        return self.repository.publish(
            spec.id,
            shape,
            parent=parent,
            parts=[*(on.parts if on else ()), part],
            wraps={name: wrap for name, wrap in wraps.items() if name.count("/") == 3 and len(name.split("/")[2]) == 32} | made,
            cursor=None,
            counts=changes,
            verdict=Verdict("complete"),
            provenance=Provenance("run", "test", "1", "localhost"),
            mode="full_refresh",
        )

    def ask(self, sql: str, spec: DatasetSpec, manifest: Manifest, clearance: str = "internal") -> list[dict[str, object]]:
        mart = self.marts.ensure(spec.id, clearance, manifest)
        with Session({(spec.id.connection, spec.id.stream): mart}, spill=self.root / "spill", clearance=clearance) as session:
            rows: list[dict[str, object]] = session.execute(sql).reader.read_all().to_pylist()
            return rows


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def visits(*ids: int, place: str = "pool") -> pa.Table:
    """Make rows of the visits, one a number."""
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "name": [f"Name {each}" for each in ids],
            "place": [place for _ in ids],
            "illness": [f"illness {each}" for each in ids],
            "spent": pa.array([f"{each}.10" for each in ids], pa.string()).cast(pa.decimal128(12, 2)),
            "seen": pa.array([datetime(2026, 1, 1, each % 24, tzinfo=UTC) for each in ids], pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture(name="visits")
def _visits() -> Callable[..., pa.Table]:
    return visits


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session at clearance internal on a hundred visits."""
    with _session(tmp_path_factory.mktemp("town"), 120) as opened:
        yield opened


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The same, of at most two seconds a question."""
    with _session(tmp_path_factory.mktemp("town"), 2) as opened:
        yield opened


def _session(folder: Path, seconds: float) -> Session:
    town = Town(folder)
    mart = town.marts.ensure(town.VISITS.id, "internal", town.land(town.VISITS, visits(*range(100))))
    return town.session(mart, limits=Limits(timeout=seconds, memory=256 << 20))
