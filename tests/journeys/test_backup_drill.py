"""A machine is lost: its site comes back from a backup, elsewhere, and is proved to be the one that was saved."""

import shutil
from pathlib import Path

import pytest

from sovereign.backup.creating import create
from sovereign.backup.errors import Altered, Forged, KeysWithin, NotRecoverable
from sovereign.backup.folder import FolderTarget
from sovereign.backup.reading import ids, opened_listing, verify
from sovereign.backup.restoring import restore
from sovereign.backup.target import record_name
from sovereign.errors import NoSite
from sovereign.site import Site
from tests.security.canaries.search import search
from tests.servers.places import Place
from tests.servers.sites import CANARIES, CONNECTION, held, town


def test_a_site_comes_back_elsewhere_as_it_was_saved(tmp_path: Path) -> None:
    target, keys, again = FolderTarget(tmp_path / "data"), tmp_path / "keys", tmp_path / "again"
    with town(tmp_path, 200) as here:
        here.sync()
        with pytest.raises(NotRecoverable):
            create(here.site, target, keys)
        here.site.export_recovery(threshold=2, shares=3)
        with pytest.raises(KeysWithin):
            create(here.site, target, tmp_path / "data" / "keys")
        create(here.site, target, keys)
        second = create(here.site, target, keys)
        assert second.objects < 20
        paths = {each.path for each in opened_listing(target, second.record, here.site.keys.derive("backup")).files}
        assert not [path for path in paths if path.startswith(".")], "what a backup works with is not taken into it"
        assert not search([target.folder], CANARIES).found
        there = here.held()
        here.close()
        shutil.rmtree(here.root)
        done = restore(target, again, keys, clock=here.clock)
        assert (done.proof.findings, [each.rows for each in done.proof.datasets]) == ((), [200])
        with Site.open(again, clock=here.clock) as site:
            assert held(site) == there
            assert site.audit.verify() > second.record.log.size
            assert [each.act for each in site.audit.entries(act="site.restored")] == ["site.restored"]


def test_what_was_destroyed_since_a_backup_stays_destroyed_when_it_is_restored(tmp_path: Path) -> None:
    target, keys, again = FolderTarget(tmp_path / "data"), tmp_path / "keys", tmp_path / "again"
    with town(tmp_path, 60) as here:
        here.sync()
        here.site.export_recovery(threshold=2, shares=3)
        first = create(here.site, target, keys)
        here.site.rotate_keys()
        here.site.destroy_keys(CONNECTION, "sensitive", here.site.repository.period())
        assert create(here.site, target, keys).shredded > 0
        restore(target, again, keys, id_=first.record.id, clock=here.clock)
        with Site.open(again, clock=here.clock) as site:
            states = {(k.scope.key_class, k.state) for k in site.keys.list() if k.scope.connection == CONNECTION}
            assert ("sensitive", "active") not in states
            assert ("personal", "active") in states


@pytest.mark.parametrize("how", ["flipped", "missing", "cut", "swapped"])
def test_an_object_that_was_altered_is_named_and_no_site_is_made(tmp_path: Path, how: str, place: Place) -> None:
    target, keys, again = place.open(), tmp_path / "keys", tmp_path / "again"
    with town(tmp_path, 60) as here:
        here.sync()
        here.site.export_recovery(threshold=2, shares=3)
        made = create(here.site, target, keys)
        objects = sorted(target.sizes("data/"))
        victim, other = objects[len(objects) // 2], objects[0]
        data = bytearray(b"".join(target.get(victim)))
        data[len(data) // 2] ^= 1
        bad = {"flipped": bytes(data), "missing": None, "cut": bytes(data[:-1]), "swapped": b"".join(target.get(other))}
        place.write(victim, bad[how])
        found = list(verify(target, made.record.id, here.site.keys.verifier, here.site.keys.derive("backup"), read_all=True))
        assert [each.code for each in found] == ["backup.altered"]
        with pytest.raises(Altered):
            restore(target, again, keys, clock=here.clock)
        with pytest.raises(NoSite):
            Site.open(again)


@pytest.mark.parametrize("how", ["cut", "forged"])
def test_a_record_that_the_site_did_not_sign_is_refused(tmp_path: Path, how: str, place: Place) -> None:
    target, keys = place.open(), tmp_path / "keys"
    with town(tmp_path, 20) as here:
        here.site.export_recovery(threshold=2, shares=3)
        create(here.site, target, keys)
        (name,) = ids(target)
        data = b"".join(target.get(record_name(name)))
        place.write(record_name(name), data[:-60] if how == "cut" else data.replace(b'"files":', b'"files":1', 1))
        with pytest.raises(Forged):
            restore(target, tmp_path / "again", keys, clock=here.clock)
