"""What is published is what was measured, and is published when anything but rows moved too."""

from datetime import timedelta

import pyarrow as pa
import pytest

from snapshots.draft import Draft
from snapshots.errors import NeedsFull, Unbalanced
from snapshots.manifest import Manifest, Mode, Provenance, Verdict
from snapshots.measure import Comparison, Measure
from tests.servers.library import MAIL, Library, people
from vault.errors import Shredded


def commit(draft: Draft, measure: Measure, mode: Mode = "full_refresh", cursor: int | None = None) -> Manifest:
    how = Provenance(draft.run, "rest", "1", "h")
    made = draft.commit("mail", measure, cursor=cursor, verdict=Verdict("partial"), provenance=how, mode=mode)
    draft.discard()
    return made


@pytest.mark.parametrize("second", [people(75, mark="x"), people(75), people(3, mark="x")])
def test_a_partial_full_refresh_that_withholds_its_deletions_keeps_every_row(library: Library, second: pa.Table) -> None:
    library.land(people(100))
    draft = library.begin()
    draft.append("mail", second)
    assert 100 - second.num_rows == draft.measure("mail", "full_refresh").deleted
    assert draft.keyed("mail")
    made = commit(draft, draft.measure("mail", "incremental"))
    assert ("full_refresh", 100, set(range(100))) == (made.mode, made.rows, {row["id"] for row in library.rows(made)})
    assert set() == library.codes(made)
    assert library.land(people(100)).rows == 100


def test_a_partial_full_refresh_without_a_primary_key_is_published_as_it_is(library: Library) -> None:
    spec = library.spec(primary_key=())
    library.land(people(100), spec=spec)
    draft = library.begin(spec)
    draft.append("mail", people(90))
    assert draft.measure("mail", "full_refresh").deleted == 10
    assert not draft.keyed("mail")
    with pytest.raises(NeedsFull):
        draft.measure("mail", "incremental")
    made = commit(draft, draft.measure("mail", "full_refresh"))
    assert (90, 90, set()) == (made.rows, len(library.rows(made)), library.codes(made))


def test_parts_that_do_not_hold_the_rows_measured_are_not_published(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    head = library.land(people(100))
    monkeypatch.setattr(Comparison, "lost", lambda _: iter(()))
    with pytest.raises(Unbalanced):
        library.land(people(99))
    assert head == library.repository.head(MAIL)


def test_a_moved_shape_is_published_though_no_row_changed(library: Library) -> None:
    keyed = library.spec(classes={"id": "internal", "status": "personal", "health": "sensitive"})
    again = library.spec(classes={**keyed.classes, "name": "internal"}, primary_key=("id", "name"))
    wide = pa.schema([("later", pa.string())])
    library.land(people(20))
    for spec in (keyed, again, library.spec(schema=wide)):
        for moved in (True, False):
            made = library.land(people(20), spec=spec)
            measured = library.measured
            assert measured is not None
            assert (moved, 20, 20) == (measured.moved, measured.unchanged + measured.updated, measured.rows_after)
            assert set() == library.codes(made)
        assert list(spec.primary_key) == [library.repository.shape(made).schema.names[at] for at in made.primary_key]
    assert "later" in library.repository.schema(made, "sensitive").names


def test_a_new_key_period_is_published_though_no_row_changed(library: Library) -> None:
    library.land(people(20))
    library.clock.now += timedelta(days=60)
    made = library.land(people(20))
    assert library.measured is not None
    assert (True, 20, {"2027"}) == (library.measured.moved, library.measured.unchanged, {p.period for p in made.parts})
    library.land(people(20))
    assert not library.measured.moved


@pytest.mark.parametrize("key_class", ["internal", "personal", "sensitive", "manifest"])
def test_after_a_destruction_of_keys_a_full_refresh_stands_on_what_it_brings(library: Library, key_class: str) -> None:
    head = library.land(people(20), cursor=7)
    assert not library.repository.needs_full(library.spec(), head.hash)
    library.keys.destroy("city", key_class, None)
    assert library.repository.needs_full(library.spec())
    made = library.land(people(18), cursor=8)
    measured = library.measured
    assert measured is not None
    assert (measured.moved, measured.rows_after, measured.unchanged + measured.updated + measured.deleted) == (True, 18, 20)
    assert (people(18).to_pylist(), 8) == (
        sorted(library.rows(made), key=lambda row: row["id"]),
        library.repository.cursor(made),
    )
    assert not library.repository.needs_full(library.spec())
    library.land(people(18), cursor=9)
    assert library.measured is not None
    assert not library.measured.moved


def test_the_cursor_of_a_destroyed_key_says_so(library: Library) -> None:
    made = library.land(people(2), cursor=7)
    library.keys.destroy("city", "manifest", None)
    with pytest.raises(Shredded):
        library.repository.cursor(made)
    assert library.land(people(2), mode="incremental", cursor=8).rows == 2


def test_an_incremental_run_over_what_it_cannot_see_is_refused(library: Library) -> None:
    library.land(people(20))
    for spec in (library.spec(classes={"status": "internal"}), library.spec(primary_key=("name",))):
        assert library.repository.needs_full(spec)
        with pytest.raises(NeedsFull):
            library.land(people(2), mode="incremental", spec=spec)
    library.keys.destroy("city", "internal", None)
    with pytest.raises(NeedsFull):
        library.land(people(2), mode="incremental")
