"""What runs out of memory or room says so, and leaves nothing half done."""

from pathlib import Path

import pytest

from snapshots import workspace
from snapshots.errors import NotCompared, NotExported
from snapshots.export import export_dataset
from tests.servers.library import Library, people


def test_a_comparison_that_lacks_memory_is_told_what_to_do(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = library.land(people(30_000)), library.land(people(30_000, mark="x"))
    monkeypatch.setattr(workspace.Workspace.__init__, "__kwdefaults__", {"few": workspace.SMALL, "memory": 2, "threads": 2})
    monkeypatch.setattr(workspace, "CEILING", 2)
    with pytest.raises(NotCompared) as told:
        library.changed(before, after)
    assert "Canari" not in str(told.value)
    assert [path for path in library.repository.work.iterdir() if path.is_dir()] == []


def test_a_comparison_that_lacks_memory_is_given_more_and_comes_to_its_end(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = library.land(people(30_000)), library.land(people(30_000, mark="x"))
    monkeypatch.setattr(workspace.Workspace.__init__, "__kwdefaults__", {"few": workspace.SMALL, "memory": 2, "threads": 2})
    assert len(library.changed(before, after)) == 30_000


def test_an_export_to_a_place_that_refuses_it_leaves_nothing(library: Library, tmp_path: Path) -> None:
    made = library.land(people(10))
    name = "x" * 250  # the work folder's name, which is longer, is refused by the file system
    with pytest.raises(NotExported):
        export_dataset(library.repository, made, "internal", tmp_path / name)
    assert not (tmp_path / name).exists()
