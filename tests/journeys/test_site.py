"""A site as a whole: made, changed, cared for, looked after."""

from datetime import timedelta
from pathlib import Path

import pytest

from saas_connectors.errors import SettingsError
from sovereign.errors import NoSite, SiteExists
from sovereign.site import Site
from sovereign.sync.errors import BadCadence
from tests.servers.sites import AGENTS, CONNECTION, agents, credentials, settings, town


def test_a_site_is_made_in_an_empty_folder_alone(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        with pytest.raises(SiteExists):
            Site.create(here.root, provider="systemd-cred:sovereign")
        with pytest.raises(NoSite):
            Site.open(tmp_path / "elsewhere")


def test_a_connection_that_its_connector_refuses_leaves_the_settings_as_they_were(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        before = (here.root / "sovereign.toml").read_text()
        with pytest.raises(SettingsError):
            here.site.add_connection("paie", settings(here.url, stream={"paging": {"kind": "crystal"}}))
        with pytest.raises(BadCadence):
            here.site.add_connection("paie", settings(here.url, every="full moon"))
        assert (here.root / "sovereign.toml").read_text() == before
        assert "paie" not in here.site.settings.connections


def test_keys_are_renewed_under_everything_that_is_held(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        with here.site.query("FROM rh.agents") as answer:
            answer.reader.read_all()
        done = here.site.rotate_keys()
        assert min(done.keys, done.rewrapped, done.retired) > 0
        site = here.reopen()
        assert here.held() == here.there()
        with site.query("SELECT count(*) AS n FROM rh.agents") as answer:
            assert answer.reader.read_all().to_pylist() == [{"n": 500}]
        here.table.put(*agents(5, mark="after"))
        assert here.sync().state == "succeeded"
        assert here.held() == here.there()


def test_a_destroyed_class_is_gone_from_answers_at_once_and_the_rest_stays(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        with here.site.query("FROM rh.agents", clearance="sensitive") as answer:
            assert "health" in answer.columns
        period = here.site.repository.period()
        assert here.site.destroy_keys(CONNECTION, "sensitive", period, reason="durée de conservation échue")
        entry = here.site.audit.entries(act="keys.destroyed")[-1]
        assert entry.body is not None
        assert entry.body["reason"] == "durée de conservation échue"
        with here.site.query("FROM rh.agents", clearance="sensitive") as answer:
            assert answer.columns == ("id", "updated", "service", "mail")
            assert answer.reader.read_all().num_rows == 500


def test_a_lost_master_is_replaced_with_the_shares_of_the_kit(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        words = here.site.export_recovery(threshold=2, shares=3)
        here.close()
        (credentials(tmp_path) / "sovereign").unlink()
        assert Site.restore(here.root, words[1:], provider="file:keys/master.json", passphrase=lambda: "a new phrase").keys > 3
        with Site.open(here.root, passphrase=lambda: "a new phrase") as site:
            assert site.settings.keys.provider == "file:keys/master.json"
            assert site.repository.head(AGENTS) is not None
            with site.query("SELECT count(*) AS n FROM rh.agents", clearance="sensitive") as answer:
                assert answer.reader.read_all().to_pylist() == [{"n": 500}]
            assert site.audit.entries(act="recovery")[-1].act == "recovery.restored"


def test_doctor_says_what_is_wrong_and_what_soon_will_be(tmp_path: Path) -> None:
    with town(tmp_path, every="15 minutes") as here:

        def codes() -> set[str]:
            return {finding.code for finding in here.site.doctor()}

        assert {"keys.no_kit", "doctor.never"} <= codes()
        here.sync()
        list(here.site.jobs().list())
        assert "doctor.never" not in codes()
        here.site.remove_secret(CONNECTION, "agents")
        assert "doctor.secret" in codes()
        here.clock.offset = timedelta(days=-2)
        assert "doctor.clock" in codes()
        here.clock.offset = timedelta()
        head = here.site.heads()[AGENTS]
        here.site.repository.manifest_file(AGENTS, head.hash).unlink()
        assert "doctor.rollback" in codes()
