"""Old backups are pruned, in a folder and in a real object store: each that is kept is whole, at every instant.

SOVEREIGN_KILLS says how many kills in all (20 by default, of which a tenth here); SOVEREIGN_SEED makes a series happen again.
"""

import os
import random
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.backup.creating import Created, alone, create
from sovereign.backup.errors import ForeignBackup, NoneSound, NoPolicy, Unreadable
from sovereign.backup.keeping import Keep, kept
from sovereign.backup.pruning import prune
from sovereign.backup.reading import ids, opened_listing, verify
from sovereign.backup.record import pieces_of
from sovereign.backup.restoring import restore
from sovereign.backup.target import object_name, record_name
from sovereign.errors import Locked
from tests.journeys.test_backup_kills import STRUCK, Saver
from tests.servers.places import Place
from tests.servers.sites import Town, agents, town

PARIS = ZoneInfo("Europe/Paris")


def needed(here: Town, place: Place, made: list[Created]) -> set[str]:
    """The objects that backups need."""
    names = set[str]()
    for each in made:
        names |= {object_name(piece.sha256) for piece in each.record.listing}
        listing = opened_listing(place.open(), each.record, here.site.keys.derive("backup"))
        names |= {object_name(digest) for digest in pieces_of(listing.files)}
    return names


def saved(here: Town, place: Place, keys: Path, turn: int) -> Created:
    """A backup of a site in which everything changed."""
    here.table.put(*agents(40, mark=f"round {turn}"))
    assert here.sync().state == "succeeded"
    return create(here.site, place.open(), keys)


def whole(here: Town, place: Place, id_: str) -> bool:
    key = here.site.keys.derive("backup")
    return list(verify(place.open(), id_, here.site.keys.verifier, key, read_all=True)) == []


def test_what_no_rule_keeps_goes_with_its_objects_and_keys_and_what_is_kept_comes_back(tmp_path: Path, place: Place) -> None:
    keys, made = tmp_path / "keys", list[Created]()
    with town(tmp_path, 40) as here:
        here.site.export_recovery(threshold=2, shares=3)
        here.clock.offset = timedelta(days=-3)
        for turn in range(4):  # two on one day, then one a day
            made.append(saved(here, place, keys, turn))
            here.clock.offset += timedelta(days=1) if turn else timedelta(seconds=1)
        target = place.open()
        before = target.sizes("data/")
        with pytest.raises(NoPolicy):
            prune(here.site, target, Keep())
        shown = prune(here.site, target, Keep(last=1, daily=2), keys=keys, dry_run=True)
        assert (target.sizes("data/"), len(ids(target)), here.site.audit.entries(act="backup.pruned")) == (before, 4, ())
        done = prune(here.site, target, Keep(last=1, daily=2), keys=keys)
        assert done == shown
        names = [each.record.id for each in made]
        assert done.gone == (*names[:2],)
        assert done.kept == {names[3]: ("last", "daily"), names[2]: ("daily",)}
        assert ids(target) == names[2:]
        assert set(target.sizes("data/")) == needed(here, place, made[2:]) < set(before)
        assert sorted(each.name for each in keys.iterdir()) == names[2:]
        (entry,) = here.site.audit.entries(act="backup.pruned")
        assert (entry.facts["kept"], entry.facts["removed"], entry.facts["bytes"]) == (2, 2, done.bytes)
        assert not prune(here.site, target, Keep(last=1, daily=2), keys=keys).objects, "it is done once"
        assert len(here.site.audit.entries(act="backup.pruned")) == 1
        again = saved(here, place, keys, 9)
        assert all(whole(here, place, each) for each in (*names[2:], again.record.id))
        for number, each in enumerate((names[2], again.record.id)):
            done_again = restore(target, tmp_path / f"again{number}", keys, id_=each, clock=here.clock)
            assert (done_again.proof.findings, [held.rows for held in done_again.proof.datasets]) == ((), [40])


@pytest.mark.parametrize("how", ["cut", "missing", "shorter"])
def test_a_backup_that_does_not_read_stops_the_pruning_unless_it_is_given_up_and_never_counts(
    tmp_path: Path, place: Place, how: str
) -> None:
    keys = tmp_path / "keys"
    with town(tmp_path, 20) as here:
        here.site.export_recovery(threshold=2, shares=3)
        first, second = (saved(here, place, keys, turn) for turn in range(2))
        target, record = place.open(), record_name(second.record.id)
        (own,) = [object_name(each.sha256) for each in second.record.listing]
        if how == "cut":
            place.write(record, b"".join(target.get(record))[:-80])
        else:
            place.write(own, None if how == "missing" else b"short")
        before = {**target.sizes("data/"), **target.sizes("backups/")}
        for policy in (Keep(last=1), Keep(last=9, monthly=9)):
            with pytest.raises(Unreadable):
                prune(here.site, target, policy, keys=keys)
        assert {**target.sizes("data/"), **target.sizes("backups/")} == before
        done = prune(here.site, target, Keep(last=1), keys=keys, drop_unreadable=True)
        assert (list(done.kept), done.gone, done.damaged) == ([first.record.id], (second.record.id,), (second.record.id,))
        assert whole(here, place, first.record.id)
        place.write(record_name(first.record.id), b"no record")
        with pytest.raises(NoneSound):
            prune(here.site, target, Keep(last=1), drop_unreadable=True)
        assert set(target.sizes("data/")) == needed(here, place, [first]), "with none sound, nothing goes"


def test_a_backup_of_another_site_and_one_under_way_stop_the_pruning_whatever_is_asked(tmp_path: Path) -> None:
    place, keys = Place(tmp_path / "data"), tmp_path / "keys"
    with town(tmp_path / "one", 20) as here:
        here.site.export_recovery(threshold=2, shares=3)
        create(here.site, place.open(), keys)
        with alone(here.site), pytest.raises(Locked):
            prune(here.site, place.open(), Keep(last=1))
    with town(tmp_path / "two", 20) as there:
        there.site.export_recovery(threshold=2, shares=3)
        create(there.site, place.open(), tmp_path / "others")
        for drop in (False, True):
            with pytest.raises(ForeignBackup):
                prune(there.site, place.open(), Keep(last=1), drop_unreadable=drop)
        assert len(ids(place.open())) == 2


@pytest.mark.timeout(300 + 10 * STRUCK)
def test_a_pruning_killed_at_any_step_leaves_what_is_kept_whole_and_the_next_one_goes_on(tmp_path: Path, place: Place) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or "11"
    chance = random.Random(seed)  # noqa: S311 — a drill, not a secret
    keys, made, killed = tmp_path / "keys", list[Created](), 0
    with town(tmp_path, 40) as here:
        here.site.export_recovery(threshold=2, shares=3)
        made += [saved(here, place, keys, turn) for turn in range(2)]
        saver = Saver(here.root)
        try:
            for turn in range(STRUCK):
                made += [saved(here, place, keys, 10 * turn + number) for number in (2, 3)]
                going = prune(here.site, place.open(), Keep(last=2), keys=keys, dry_run=True)
                step = chance.randint(1, len(going.gone) + len(going.objects) + 2)
                assert saver.do("prune", place, keys, 2, step) == signal.SIGKILL, seed
                killed += 1
                names = ids(place.open())
                assert names[-2:] == [each.record.id for each in made[-2:]], seed
                assert all(whole(here, place, each) for each in names[-2:]), (seed, step)
                assert {each.name for each in keys.iterdir() if not each.name.startswith(".")} >= set(names), seed
                if turn % 2:  # the next one goes on; else a backup is made over what was left first
                    assert saver.do("prune", place, keys, 2, 0) == 0, seed
            assert saver.do("prune", place, keys, 2, 0) == 0, seed
        finally:
            saver.close()
        target = place.open()
        assert (killed, ids(target)) == (STRUCK, [each.record.id for each in made[-2:]]), seed
        assert set(target.sizes("data/")) == needed(here, place, made[-2:]), f"{seed}: nothing is left over"
        assert sorted(each.name for each in keys.iterdir()) == ids(target), f"{seed}: nor a copy of the keys"
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        assert restore(target, tmp_path / "again", keys, clock=here.clock).proof.findings == ()


INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MANY = st.integers(0, 4)


@given(st.lists(INSTANTS, max_size=40), st.builds(Keep, MANY, MANY, MANY, MANY))
def test_every_rule_keeps_the_newest_of_its_latest_periods_and_nothing_else_is_kept(made: list[datetime], policy: Keep) -> None:
    named = {f"{number:02}": at for number, at in enumerate(sorted(made))}
    found = kept(named.items(), policy, PARIS)
    assert list(found) == sorted(found, reverse=True)
    newest = sorted(named, reverse=True)
    assert [name for name in found if "last" in found[name]] == newest[: policy.last]
    for rule, form in (("daily", "%Y-%m-%d"), ("weekly", "%G-%V"), ("monthly", "%Y-%m")):
        period = {name: at.astimezone(PARIS).strftime(form) for name, at in named.items()}
        latest = sorted(set(period.values()), reverse=True)[: getattr(policy, rule)]
        assert [name for name in found if rule in found[name]] == [
            max(name for name in named if period[name] == each) for each in latest
        ]
    assert all(found.values())
    assert bool(found) == bool(made and policy)
