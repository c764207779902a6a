"""Whatever is appended, checkpointed, killed, published or refreshed, snapshots hold exactly what the model holds."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snapshots import chain, workspace
from snapshots.draft import Draft
from snapshots.manifest import Manifest, Mode
from tests.servers.library import MAIL, Library

Rows = dict[int, dict[str, Any]]

VALUES = st.sampled_from(["a", "b", None])
PAGES = st.lists(st.tuples(st.integers(0, 12), VALUES), min_size=1, max_size=8)
REMOVED = st.lists(st.integers(0, 12), max_size=4, unique=True)


class History(RuleBasedStateMachine):
    """A draft at a time over one stream, in either mode, with a key that is internal or personal."""

    @initialize(personal=st.booleans(), spilled=st.booleans())
    def begin(self, personal: bool, spilled: bool) -> None:
        self.root = Path(tempfile.mkdtemp())
        workspace.SMALL = -1 if spilled else 100_000
        self.library = Library(self.root)
        classes = {"name": "personal"} | ({} if personal else {"id": "internal"})
        schema = pa.schema([("id", pa.int64()), ("name", pa.string())])
        self.spec = self.library.spec(classes=classes, schema=schema)
        self.published: list[tuple[Manifest, Rows]] = []
        self.draft: Draft | None = None

    @precondition(lambda self: self.draft is None)
    @rule(mode=st.sampled_from(["full_refresh", "incremental"]))
    def open(self, mode: Mode) -> None:
        self.mode = mode
        self.draft = self.library.begin(self.spec)
        self.safe: list[tuple[int, Any]] = []
        self.pending: list[tuple[int, Any]] = []

    @precondition(lambda self: self.draft is not None)
    @rule(page=PAGES, removed=REMOVED)
    def append(self, page: list[tuple[int, Any]], removed: list[int]) -> None:
        assert self.draft
        table = pa.table({"id": [key for key, _ in page], "name": pa.array([value for _, value in page], pa.string())})
        self.draft.append("mail", table, pa.table({"id": pa.array(removed, pa.int64())}))
        self.pending += page + [(key, ...) for key in removed]

    @precondition(lambda self: self.draft is not None)
    @rule()
    def checkpoint(self) -> None:
        assert self.draft
        self.draft.checkpoint(len(self.safe) + len(self.pending))
        self.safe, self.pending = self.safe + self.pending, []

    @precondition(lambda self: self.draft is not None)
    @rule()
    def die_and_reopen(self) -> None:
        assert self.draft
        self.draft.close()
        self.draft = Draft.reopen(self.library.repository, self.draft.run)
        self.pending = []
        assert (self.draft.resume or 0) == len(self.safe)
        assert self.draft.counts["mail"] == sum(1 for _, value in self.safe if value is not ...)

    @precondition(lambda self: self.draft is not None)
    @rule()
    def publish(self) -> None:
        assert self.draft
        before = self.published[-1][1] if self.published else {}
        rows = dict(before) if self.mode == "incremental" else {}
        for key, value in self.safe + self.pending:
            rows.pop(key, None)
            if value is not ...:
                rows[key] = {"id": key, "name": value}
        made = self.library.publish(self.draft, self.mode)
        self.draft = None
        counts = made.counts
        assert (len(rows), len(rows.keys() - before.keys()), len(before.keys() - rows.keys())) == (
            counts.rows, counts.inserted, counts.deleted,
        )  # fmt: skip
        assert counts.updated == sum(before[key] != rows[key] for key in before.keys() & rows.keys())
        self.published.append((made, rows))

    @precondition(lambda self: self.draft is not None)
    @rule()
    def discard(self) -> None:
        assert self.draft
        self.draft.discard()
        self.draft = None

    @precondition(lambda self: len(self.published) > 1)
    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        (one, before), (two, after) = (data.draw(st.sampled_from(self.published)) for _ in range(2))
        expected = {
            key: (before.get(key), after.get(key)) for key in before.keys() | after.keys() if before.get(key) != after.get(key)
        }
        found = self.library.changed(one, two)
        assert len(expected) == len(found)
        assert expected == {(row["before"] or row["after"])["id"]: (row["before"], row["after"]) for row in found}

    @precondition(lambda self: len(self.published) > 1)
    @rule(data=st.data())
    def lay_on_a_table(self, data: st.DataObject) -> None:
        one, two = sorted(data.draw(st.tuples(*[st.integers(0, len(self.published) - 1)] * 2)))
        connection = duckdb.connect()
        classes = ("internal", "personal")
        chain.load(connection, "t", self.library.repository, self.published[one][0], classes)
        chain.load(connection, "t", self.library.repository, self.published[two][0], classes, since=self.published[one][0])
        rows = connection.execute("SELECT id, name FROM t").fetchall()
        connection.close()
        assert sorted((row["id"], str(row["name"])) for row in self.published[two][1].values()) == sorted(
            (key, str(name)) for key, name in rows
        )

    @invariant()
    def every_snapshot_holds_what_it_held(self) -> None:
        for made, rows in getattr(self, "published", [])[-3:]:
            assert [rows[key] for key in sorted(rows)] == sorted(self.library.rows(made), key=lambda row: row["id"])

    def teardown(self) -> None:
        if hasattr(self, "library"):
            if self.draft is not None:
                self.draft.discard()
            head = self.published[-1][0].hash if self.published else None
            assert self.library.repository.verify(MAIL, expected_head=head) == []
            shutil.rmtree(self.root)
            workspace.SMALL = 100_000


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.mark.torture
class TestLongHistory(History.TestCase):
    settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
