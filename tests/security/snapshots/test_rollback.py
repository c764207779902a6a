"""A snapshot that the audit log entered and that is gone is missed, were it the last trace of its dataset."""

import shutil

from tests.servers.library import MAIL, Library, people


def test_a_dataset_whose_folder_is_gone_is_a_rollback(library: Library) -> None:
    made = [library.land(people(count)) for count in (3, 4)]
    shutil.rmtree(library.repository.folder(MAIL))
    found = library.repository.verify(MAIL, expected_head=made[1].hash, entered=[each.hash for each in made])
    expected = {("error", "snapshot.rollback", each.hash) for each in made}
    assert expected == {(each.severity, each.code, each.subject) for each in found}


def test_every_snapshot_that_was_entered_is_asked_for(library: Library) -> None:
    made = [library.land(people(count)) for count in (3, 4, 5)]
    entered = [each.hash for each in made]
    assert library.repository.verify(MAIL, expected_head=entered[2], entered=entered) == []
    library.repository.manifest_file(MAIL, entered[0]).unlink()
    found = library.repository.verify(MAIL, expected_head=entered[2], entered=entered)
    assert [entered[0]] == [each.subject for each in found if each.code == "snapshot.rollback"]
