"""Whatever is altered of a witnessed log, in the database or in the published files, is seen, or changes nothing it says."""

import shutil
import sqlite3
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from sovereign.audit import AuditLog, Damaged, NewEntry
from sovereign.audit import folder as published
from sovereign.audit.witness import Witness
from sovereign.audit.witnesses import Witnesses
from sovereign.settings import AuditSettings
from sovereign.settings import Witness as Named
from sovereign.state import State
from tests.servers.cosigning import cosign
from tests.servers.masters import Mortal
from tests.servers.wayout import Time
from vault.errors import Fault
from vault.keys import Keys

TABLES = {
    "audit_entries": ("seq", "entry", "leaf", "at", "act", "connection", "stream"),
    "audit_bodies": ("seq", "sealed"),
    "audit_tiles": ("level", "number", "hashes"),
    "audit_checkpoints": ("size", "note"),
    "audit_witnesses": ("name", "key", "note"),
}
ENTRIES, WITNESSED = 560, 456


@dataclass(frozen=True)
class Site:
    root: Path
    keys: Keys
    clock: Time
    settings: AuditSettings

    @property
    def database(self) -> Path:
        return self.root / "state.db"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root, time = tmp_path_factory.mktemp("site"), Time()
    keys = Keys.create(root / "keys", Mortal(), time.clock)
    witness = Witness.create(root / "witness", "witness.example/w1", time.clock)
    named = AuditSettings(witnesses={"w1": Named(url="https://witness.example", key=witness.verifier.vkey)})
    with State(root / "state.db") as state:
        log = AuditLog(state, keys, time.clock)
        for many in (1, 255, 200, ENTRIES - 456):
            new = [
                NewEntry("query.ran", {"connection": "ville", "stream": "arbres"}, {"rows": n}, {"n": n}) for n in range(many)
            ]
            log.append_many(new)
            if log.publication.publish().size <= WITNESSED:
                witness.trust(log.checkpoints.verifier)
                assert cosign(Witnesses(named, root, state, log, time.clock), "w1", witness) == log.size()
        state.scrub()
    return Site(root, keys, time, named)


def altered(value: object, place: int) -> object:
    """The same value with one bit turned, or one more."""
    if isinstance(value, int):
        return value ^ (1 << place % 40)
    if value is None:
        return "x"
    data = bytearray(value.encode() if isinstance(value, str) else bytes(value))  # type: ignore[call-overload]
    data[place % len(data)] ^= 1
    return data.decode() if isinstance(value, str) else bytes(data)


@settings(max_examples=120, deadline=None)
@given(data=some.data())
def test_no_row_is_altered_removed_added_or_moved_unseen(site: Site, data: some.DataObject) -> None:
    with TemporaryDirectory() as folder:  # one an example: a database never meets another's write-ahead log
        _one_row(site, Path(folder) / "state.db", data)


def _one_row(site: Site, copy: Path, data: some.DataObject) -> None:
    shutil.copy(site.database, copy)
    table = data.draw(some.sampled_from(sorted(TABLES)))
    with sqlite3.connect(copy) as database:
        chosen = f"SELECT rowid, {', '.join(TABLES[table])} FROM {table} ORDER BY rowid"  # noqa: S608 - our own names
        rows = database.execute(chosen).fetchall()
        rowid, *row = data.draw(some.sampled_from(rows))
        act = data.draw(some.sampled_from(["alter", "remove", "cut", "swap", "add"]))
        column = data.draw(some.integers(0, len(row) - 1))
        name = TABLES[table][column]
        try:
            match act:
                case "alter":
                    value = altered(row[column], data.draw(some.integers(0, 10_000)))
                    database.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (value, rowid))  # noqa: S608
                case "remove":
                    database.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608
                case "cut":
                    database.execute(f"DELETE FROM {table} WHERE rowid >= ?", (rowid,))  # noqa: S608
                case "swap":
                    other = data.draw(some.sampled_from(rows))
                    moved, held = (table, TABLES[table][-1]), other[-1]
                    database.execute(f"UPDATE {moved[0]} SET {moved[1]} = ? WHERE rowid = ?", (held, rowid))  # noqa: S608
                case "add":
                    marks = ", ".join("?" * len(row))
                    if table == "audit_witnesses":
                        return  # of a witness that nobody named: it says nothing
                    added = [row[0] + 100_000, *row[1:]]
                    database.execute(f"INSERT INTO {table} VALUES ({marks})", added)  # noqa: S608
        except (sqlite3.IntegrityError, UnicodeDecodeError, OverflowError):
            return  # the database itself refused
        found = database.execute(chosen).fetchall()
    database.close()
    changed = [_said(table, each) for each in found] != [_said(table, each) for each in rows]
    latest = table == "audit_checkpoints" and act in ("remove", "cut")  # an older checkpoint may be let go of
    with State(copy) as state:
        if changed and not latest:
            with pytest.raises(Fault):
                check(state, site)
        else:
            # A line that is no one's is passed over, as the specification says; one that cannot be read is damage.
            with nullcontext() if found == rows or latest else suppress(Damaged):
                check(state, site)


def _said(table: str, row: tuple[object, ...]) -> tuple[object, ...]:
    """What a row says: of a checkpoint, its text and the log's signature; what a witness saw is kept apart."""
    if table != "audit_checkpoints" or not isinstance(row[-1], str):
        return row
    return (*row[:-1], *row[-1].split("\n— ")[:2])


def check(state: State, site: Site) -> None:
    """What `audit verify` checks of a site: the database, the folder, the witness, and that each continues the other."""
    log = AuditLog(state, site.keys, site.clock.clock, folder=site.root / "audit")
    witnesses = Witnesses(site.settings, site.root, state, log, site.clock.clock)
    assert log.verify() == ENTRIES
    found = published.verify(site.root / "audit", log.checkpoints.verifier, witnesses=[*witnesses.keys.values()])
    log.checkpoints.continues(found.checkpoint)
    assert witnesses.verify()[:2] == (ENTRIES, WITNESSED)
    assert found.witnessed.entries == WITNESSED


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=some.data())
def test_no_published_file_is_altered_cut_or_removed_unseen(site: Site, tmp_path: Path, data: some.DataObject) -> None:
    copy = tmp_path / "audit"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(site.root / "audit", copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name not in (".lock", "log.vkey"))
    path = data.draw(some.sampled_from(files))
    whole = path.read_bytes()
    place = data.draw(some.integers(0, len(whole) - 1))
    with State(site.database) as state:
        log = AuditLog(state, site.keys, site.clock.clock)
        verifier, known = log.checkpoints.verifier, Witnesses(site.settings, site.root, state, log, site.clock.clock).keys
    assert published.verify(copy, verifier, witnesses=[*known.values()]).witnessed.entries == WITNESSED
    match data.draw(some.sampled_from(["flip", "cut", "remove", "grow"])):
        case "flip":
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        case "cut":
            path.write_bytes(whole[:place])
        case "grow":
            path.write_bytes(whole + whole[:1])
        case "remove":
            if path.parent.name.endswith(".p") and path.name != str(max(int(each.name) for each in path.parent.iterdir())):
                return  # of a former checkpoint: it may be let go of
            path.unlink()
    with pytest.raises(Fault):
        published.verify(copy, verifier, witnesses=[*known.values()])
