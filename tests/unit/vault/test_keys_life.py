"""What the keyring promises of the life of a key: renewed, retired, destroyed, put under another master."""

import json
from pathlib import Path

import pytest

from tests.servers.masters import MemoryStore, Mortal, Stopped
from vault.errors import NoKey, Shredded, WrongKey
from vault.keys import Keys, Scope

from .conftest import CONTEXT, OTHER, SCOPE, clock, reopened


def test_rotation_makes_new_keys_take_a_new_generation_while_former_ones_open(keys: Keys) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    assert keys.rotate(SCOPE) == 1
    _, newer = keys.new_data_key(SCOPE, CONTEXT)
    assert keys.unwrap(wrapped, CONTEXT) == key
    assert (keys.is_current(wrapped), keys.is_current(newer)) == (False, True)
    assert [(r.generation, r.state) for r in keys.list()] == [(1, "retired"), (2, "active")]


def test_rewrapping_keeps_the_key_and_the_context(keys: Keys) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    keys.rotate(SCOPE)
    rewrapped = keys.rewrap(wrapped, CONTEXT)
    assert keys.is_current(rewrapped)
    assert keys.unwrap(rewrapped, CONTEXT) == key
    with pytest.raises(WrongKey):
        keys.rewrap(wrapped, b"elsewhere")


def test_rotating_everything_touches_each_live_scope_once(keys: Keys) -> None:
    keys.new_data_key(SCOPE, CONTEXT)
    keys.new_data_key(OTHER, CONTEXT)
    assert [keys.rotate(), keys.rotate()] == [2, 2]
    assert [(r.scope.key_class, r.generation) for r in keys.list() if r.state == "active"] == [("personal", 3), ("internal", 3)]


def test_rotating_a_scope_that_has_no_key_is_refused(keys: Keys) -> None:
    with pytest.raises(NoKey):
        keys.rotate(SCOPE)


def test_retiring_destroys_former_generations_and_only_those_no_file_needs(keys: Keys) -> None:
    _, first = keys.new_data_key(SCOPE, CONTEXT)
    keys.rotate()
    key, second = keys.new_data_key(SCOPE, CONTEXT)
    keys.rotate()
    _, third = keys.new_data_key(SCOPE, CONTEXT)
    assert keys.retire({second.kek}) == [first.kek]
    assert keys.unwrap(second, CONTEXT) == key
    assert keys.is_current(third)
    with pytest.raises(Shredded):
        keys.unwrap(first, CONTEXT)


def test_what_a_destroyed_key_closed_is_shredded_and_a_tombstone_stays(keys: Keys, provider: Mortal) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    keys.rotate(SCOPE)
    _, newer = keys.new_data_key(SCOPE, CONTEXT)
    assert keys.destroy("ville", "personal", "2026") == [wrapped.kek, newer.kek]
    for gone in (wrapped, newer):
        for opened in (keys, reopened(keys, provider)):
            with pytest.raises(Shredded, match="2026-11-23"):
                opened.unwrap(gone, CONTEXT)
    assert [(r.state, r.destroyed) for r in keys.list()] == [("destroyed", clock())] * 2
    records = json.loads((keys.directory / "keyring.json").read_bytes())["records"]
    assert all("wrapped" not in r and "sealed" not in r for r in records if r["state"] == "destroyed")


def test_destroying_leaves_the_other_scopes_whole(keys: Keys) -> None:
    keys.new_data_key(SCOPE, CONTEXT)
    key, other = keys.new_data_key(OTHER, CONTEXT)
    keys.destroy("ville", "personal", "2026")
    assert keys.unwrap(other, CONTEXT) == key


def test_after_destruction_the_scope_starts_again_with_a_key_of_its_own(keys: Keys) -> None:
    _, before = keys.new_data_key(SCOPE, CONTEXT)
    keys.destroy("ville", "personal", "2026")
    key, after = keys.new_data_key(SCOPE, CONTEXT)
    assert after.kek != before.kek
    assert keys.unwrap(after, CONTEXT) == key
    assert [(r.generation, r.state) for r in keys.list()] == [(1, "destroyed"), (2, "active")]


def test_destroying_twice_changes_nothing_and_a_name_never_used_is_refused(keys: Keys) -> None:
    keys.new_data_key(SCOPE, CONTEXT)
    keys.destroy("ville", "personal", "2026")
    assert keys.destroy("ville", "personal", "2026") == []
    with pytest.raises(NoKey, match=r"ville/personnal/2026"):
        keys.destroy("ville", "personnal", "2026")


def test_destroying_every_class_or_period_of_a_connection_takes_them_all_and_no_other(keys: Keys) -> None:
    for scope in (SCOPE, OTHER, Scope("ville", "personal", "2025"), Scope("agglo", "personal", "2026")):
        keys.new_data_key(scope, CONTEXT)
    assert len(keys.destroy("ville", "personal", None)) == 2
    assert len(keys.destroy("ville", None, None)) == 1
    assert [r.scope.connection for r in keys.list() if r.state == "active"] == ["agglo"]
    assert len(keys.derive("pseudonyms")) == 32


def test_rotating_the_master_keeps_every_key_and_closes_former_copies_of_the_keyring(keys: Keys, provider: Mortal) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    stolen = (keys.directory / "keyring.json").read_bytes()
    assert keys.rotate_master() == 3
    assert reopened(keys, provider).unwrap(wrapped, CONTEXT) == key
    (keys.directory / "keyring.json").write_bytes(stolen)
    with pytest.raises(WrongKey):
        reopened(keys, provider).unwrap(wrapped, CONTEXT)


def test_a_rotation_of_the_master_that_dies_anywhere_loses_nothing_and_is_ended_by_the_next(tmp_path: Path) -> None:
    store, deaths = MemoryStore(), 0
    keys = Keys.create(tmp_path / "keys", Mortal(store), clock)
    data = [(*keys.new_data_key(scope, CONTEXT), CONTEXT) for scope in (SCOPE, OTHER)]
    derived = keys.derive("pseudonyms")
    for lives in range(100):
        try:
            Keys.open(keys.directory, Mortal(store, lives), clock).rotate_master()
        except Stopped:
            deaths += 1
        fresh = Keys.open(keys.directory, Mortal(store), clock)
        assert [fresh.unwrap(wrapped, context) for _, wrapped, context in data] == [key for key, _, _ in data]
        assert fresh.derive("pseudonyms") == derived
        if deaths <= lives:
            break
    assert deaths == 1 + 1 + 4 * 2 + 1
    assert len(store.masters) == 1
