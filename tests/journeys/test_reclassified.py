"""A field that is classed higher than it was: what older snapshots still show of it, and to whom."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from snapshots.dataset import CLASSES
from tests.servers.sites import AGENTS, CONNECTION, Town, agents, settings, town


def raise_class(here: Town, **classes: list[str]) -> None:
    here.site.remove_connection(CONNECTION)
    given = {"internal": ["id", "updated"], "personal": ["mail", "service"], "sensitive": ["health"], **classes}
    here.site.add_connection(CONNECTION, settings(here.url, stream={"classes": given}))


def columns(here: Town, clearance: str, as_of: int | None = None) -> tuple[str, ...]:
    with here.site.query("FROM rh.agents", clearance=clearance, as_of=as_of) as answer:
        answer.reader.read_all()
        return answer.columns


def warnings(here: Town, as_of: int | None = None) -> str:
    with here.site.query("FROM rh.agents", as_of=as_of) as answer:
        return " ".join(en for _, en in answer.warnings)


@pytest.mark.parametrize("synced", [False, True])
def test_an_older_snapshot_shows_no_column_below_its_class_of_today(tmp_path: Path, synced: bool) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        here.table.put(*agents(3, mark="second"))
        here.sync()
        assert "service" in columns(here, "internal", 1)  # a mart of that snapshot is now kept
        assert "service" in columns(here, "internal")
        raise_class(here)
        if synced:
            here.sync()
        for as_of in (1, 2, None):
            assert "service" not in columns(here, "internal", as_of)
            assert "service" in columns(here, "personal", as_of)
        assert "snapshot 1: columns withheld because their class was raised since: 1" in warnings(here, 1)
        assert ("withheld" in warnings(here)) is not synced


def test_the_mart_that_still_held_the_column_leaves_the_disk(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        columns(here, "internal")
        (before,) = (here.root / "marts").glob("*/*/*.mart")
        raise_class(here)
        columns(here, "internal")
        assert not before.exists()


@pytest.mark.parametrize("primary_key", [False, True])
def test_a_comparison_and_an_export_of_older_snapshots_withhold_it_too(tmp_path: Path, primary_key: bool) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        here.table.put({**agents(1)[0], "service": "moved"}, {**agents(2)[1], "updated": "2026-02-01T00:00:00Z"})
        here.sync()
        hidden = {"service", "id"} if primary_key else {"service"}
        raise_class(here, internal=["updated", *({"id"} - hidden)], personal=["mail", *hidden])
        here.sync()
        one, two = (here.site.snapshot(AGENTS, number) for number in (1, 2))
        found = [row for batch in here.site.changes(AGENTS, one, two, clearance="internal") for row in batch.to_pylist()]
        assert [row["_op"] for row in found] == ["u"]
        assert {"id", "updated", "service"} - hidden == set(found[0]["after"])
        done = here.site.export(AGENTS, tmp_path / "out", as_of=1)
        table = pq.read_table(tmp_path / "out" / "agents.parquet")
        assert (60, 60, {"id", "updated", "service"} - hidden) == (done.rows, table.num_rows, set(table.column_names))
        assert {"id", "updated", "service"} - hidden == set(here.site.repository.schema(one, "internal").names)
        assert ({"id", "updated", "service"} - hidden) == set(columns(here, "internal", 2))


def test_a_column_that_no_later_snapshot_can_name_is_withheld(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        raise_class(here)
        here.clock.offset = timedelta(days=800)
        here.sync()
        here.site.remove_connection(CONNECTION)
        assert "service" not in columns(here, "internal", 1)
        here.site.destroy_keys(CONNECTION, "personal", here.site.repository.period())
        assert columns(here, "internal", 1) == ("id", "updated")


def test_a_column_that_came_down_is_read_as_each_snapshot_has_it(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        raise_class(here)
        here.sync()
        raise_class(here, internal=["id", "updated", "service"], personal=["mail"])
        here.sync()
        assert [("service" in columns(here, "internal", number)) for number in (1, 2, 3)] == [True, False, True]
        rows = [row for batch in here.site.repository.read(here.site.snapshot(AGENTS, 2), CLASSES) for row in batch.to_pylist()]
        assert len(rows) == 60
