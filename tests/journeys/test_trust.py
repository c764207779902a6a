"""What a site answers when its past was tampered with, its keys destroyed, or its description changed."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from sovereign.state import LeaseLost
from sovereign.sync.fence import Fenced, lease_of
from sovereign.sync.publishing import enter
from tests.servers.sites import AGENTS, CONNECTION, Town, agents, settings, town


def test_a_copy_that_was_put_back_is_entered_read_in_full_and_never_passes_for_the_last_one(tmp_path: Path) -> None:
    with town(tmp_path, 120) as here:
        here.sync()
        here.table.put(*agents(3, mark="second"))
        lost = here.sync().streams[0].manifest
        assert lost is not None
        here.site.repository.manifest_file(AGENTS, lost).unlink()
        here.reopen()
        again = here.sync()
        assert again.state == "succeeded"
        assert [each.state for each in again.streams] == ["committed"]
        assert here.held() == here.there()
        (entry,) = here.site.audit.entries(act="snapshot.missed")
        assert entry.facts["manifest"] == lost
        here.sync()
        assert len(here.site.audit.entries(act="snapshot.missed")) == 1
        assert lost in here.site.audit.witnessed()[CONNECTION, "agents"]


def test_a_dataset_whose_folder_was_deleted_is_read_again_and_the_log_says_so(tmp_path: Path) -> None:
    with town(tmp_path, 120) as here:
        here.sync()
        shutil.rmtree(here.site.repository.folder(AGENTS))
        here.reopen()
        assert [each.state for each in here.sync().streams] == ["committed"]
        assert len(here.site.audit.entries(act="snapshot.missed")) == 1
        assert here.held() == here.there()


def test_a_stream_whose_cursor_was_shredded_is_read_in_full(tmp_path: Path) -> None:
    with town(tmp_path, 120, cursor=True) as here:
        here.sync()
        here.site.destroy_keys(CONNECTION, "manifest", here.site.repository.period())
        outcome = here.sync()
        assert outcome.state == "succeeded"
        assert here.held() == here.there()


def _reclassify(here: Town) -> None:
    here.site.remove_connection(CONNECTION)
    classes = {"internal": ["id", "updated"], "personal": ["mail", "service"], "sensitive": ["health"]}
    here.site.add_connection(CONNECTION, settings(here.url, stream={"classes": classes}))


def test_a_field_that_changes_class_is_moved_although_no_record_did(tmp_path: Path) -> None:
    with town(tmp_path, 120) as here:
        here.sync()
        _reclassify(here)
        outcome = here.sync()
        assert [each.state for each in outcome.streams] == ["committed"]
        with here.site.query("FROM rh.agents", clearance="internal") as answer:
            assert "service" not in answer.columns


def test_an_archive_that_had_its_time_goes_with_the_next_run_whatever_the_connection(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        raw = here.site.repository.root / CONNECTION / ".raw"
        first = {folder.name for folder in raw.iterdir()}
        here.site.add_connection("rh2", settings(here.url))
        here.site.set_secret("rh2", "agents", b"s3cr3t-of-the-sandbox")
        here.site.remove_connection(CONNECTION)
        here.clock.offset = timedelta(days=31)
        here.site.syncs.run("rh2")
        assert first
        assert not first & {folder.name for folder in raw.iterdir()}


def test_who_lost_the_lease_enters_no_snapshot(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        site, head = here.site, here.site.heads()[AGENTS]
        lease = site.leases.acquire(lease_of(CONNECTION), "suspended", timedelta(seconds=-1))
        with site.leases.hold(lease_of(CONNECTION), "new"):
            before = len(site.audit.entries())
            with pytest.raises(LeaseLost):
                enter(Fenced(site.audit, site.runs.runs, site.leases, lease), "sync.committed", head)
            assert len(site.audit.entries()) == before


def test_an_operator_lifts_the_guards_for_one_run_and_says_why(tmp_path: Path) -> None:
    with town(tmp_path, 120) as here:
        here.sync()
        here.table.remove(*((n,) for n in range(110)))
        assert here.sync().state == "quarantined"
        assert here.sync(accept="cent dix départs, vérifiés").state == "succeeded"
        assert here.held() == here.there()
        (entry,) = here.site.audit.entries(act="quarantine.released")
        assert entry.body is not None
        assert entry.body["reason"] == "cent dix départs, vérifiés"


def test_a_damaged_mart_is_made_anew_by_the_question_that_meets_it(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        for kept in (0, 8192, 40_960):
            with here.site.query("SELECT count(*) AS n FROM rh.agents") as answer:
                assert answer.reader.read_all().to_pylist() == [{"n": 60}]
            (mart,) = (here.root / "marts").glob("*/*/*.mart")
            assert "doctor.mart" not in {finding.code for finding in here.site.doctor()}
            mart.write_bytes(mart.read_bytes()[:kept] + bytes(4096))
            assert "doctor.mart" in {finding.code for finding in here.site.doctor()}


def test_destroying_a_class_shreds_the_keys_of_what_was_drawn_from_it(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        with here.site.query("FROM rh.agents", clearance="sensitive") as answer:
            answer.reader.read_all()
        here.site.destroy_keys(CONNECTION, "sensitive", here.site.repository.period())
        assert {key.state for key in here.site.keys.list() if key.scope.key_class == "mart"} == {"destroyed"}


def test_a_dataset_that_is_gone_from_disk_is_still_known(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        here.sync()
        shutil.rmtree(here.site.repository.folder(AGENTS))
        here.reopen()
        assert "doctor.rollback" in {finding.code for finding in here.site.doctor()}
