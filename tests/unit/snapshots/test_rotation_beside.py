"""Rotation takes nothing away from a run that works beside it."""

from threading import Event, Thread

from snapshots.draft import Draft
from snapshots.manifest import Provenance, Verdict
from snapshots.workspace import SMALL, Workspace
from tests.servers.library import MAIL, Library, people


def rotate(library: Library) -> None:
    library.keys.rotate()
    library.repository.rewrap()
    library.keys.retire(library.repository.keks_in_use())


def test_keys_that_no_file_has_yet_are_in_use(library: Library) -> None:
    draft = Draft(library.repository, "city", "run", {"mail": library.spec()})  # as `create` does before its first file
    draft.append("mail", people(3))
    measured = draft.measure("mail", "full_refresh")
    rotate(library)
    source = Provenance("run", "rest", "1", "h")
    made = draft.commit("mail", measured, cursor=None, verdict=Verdict("complete"), provenance=source, mode="full_refresh")
    assert people(3).to_pylist() == library.rows(made)
    draft.close()


def test_syncs_and_rotations_go_on_side_by_side(library: Library) -> None:
    library.land(people(50))
    over, faults = Event(), list[BaseException]()

    def turn() -> None:
        while not over.is_set():
            try:
                rotate(library)
            except BaseException as error:  # noqa: BLE001 - told by the assertion below
                faults.append(error)
                return

    beside = Thread(target=turn)
    beside.start()
    try:
        for number in range(12):
            library.land(people(50, mark=str(number)))
    finally:
        over.set()
        beside.join()
    assert faults == []
    assert set() == library.codes() - {"key_file.outdated"}
    for each in library.repository.manifests(MAIL):
        assert len(library.rows(each)) == 50


def test_what_a_comparison_writes_is_for_its_owner_alone(library: Library) -> None:
    with Workspace(library.repository.work, SMALL + 1) as work:
        modes = {path.stat().st_mode & 0o777 for path in work.folder.rglob("*") if path.is_file()}
    assert {0o600} == modes
