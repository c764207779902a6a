"""What the keyring of a site promises."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.servers.masters import MemoryStore, Mortal, Stopped
from vault import recovery, whole
from vault.errors import AlreadyThere, Corrupt, NoKey, Shredded, UnknownVersion, WrongKey
from vault.keyring import Keyring, KeyringFile, Record
from vault.keys import Keys, Scope, Wrapped

SCOPE = Scope("ville", "personal", "2026")
OTHER = Scope("ville", "internal", "2026")
CONTEXT = b"ville/marches/part-1/personal"


def clock() -> datetime:
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def provider() -> Mortal:
    return Mortal()


@pytest.fixture
def keys(tmp_path: Path, provider: Mortal) -> Keys:
    return Keys.create(tmp_path / "keys", provider, clock, name="ville.example/sovereign")


def reopened(keys: Keys, provider: Mortal) -> Keys:
    return Keys.open(keys.directory, provider, clock)


def test_a_data_key_is_given_back_by_the_same_site_opened_again(keys: Keys, provider: Mortal) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    assert len(key) == 32
    assert reopened(keys, provider).unwrap(wrapped, CONTEXT) == key


def test_every_data_key_is_new_and_a_scope_has_one_key_encryption_key(keys: Keys) -> None:
    first, second, other = keys.new_data_key(SCOPE, b"1"), keys.new_data_key(SCOPE, b"2"), keys.new_data_key(OTHER, b"3")
    assert len({first[0], second[0], other[0]}) == 3
    assert first[1].kek == second[1].kek != other[1].kek
    assert [(r.scope, r.generation, r.state) for r in keys.list()] == [(SCOPE, 1, "active"), (OTHER, 1, "active")]


def test_another_context_does_not_open_a_data_key(keys: Keys) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    with pytest.raises(WrongKey):
        keys.unwrap(wrapped, b"ville/marches/part-2/personal")


def test_a_data_key_moved_to_another_scope_does_not_open(keys: Keys) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    _, other = keys.new_data_key(OTHER, CONTEXT)
    with pytest.raises(WrongKey):
        keys.unwrap(Wrapped(other.kek, wrapped.key), CONTEXT)


@pytest.mark.parametrize("damaged", ["", "AAAA", "not base64!", "é"])
def test_a_wrapped_key_that_is_none_is_corrupt(keys: Keys, damaged: str) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    with pytest.raises(Corrupt):
        keys.unwrap(Wrapped(wrapped.kek, damaged), CONTEXT)


def test_a_key_of_another_site_is_not_known(keys: Keys, tmp_path: Path) -> None:
    _, foreign = Keys.create(tmp_path / "elsewhere", Mortal(), clock).new_data_key(SCOPE, CONTEXT)
    with pytest.raises(NoKey):
        keys.unwrap(foreign, CONTEXT)


def test_the_site_key_is_not_within_reach_of_a_key_file(keys: Keys) -> None:
    records = json.loads((keys.directory / "keyring.json").read_bytes())["records"]
    site = next(record["id"] for record in records if record["kind"] == "site")
    with pytest.raises(NoKey):
        keys.unwrap(Wrapped(site, "A" * 80), CONTEXT)


def test_the_keyring_without_its_master_opens_nothing(keys: Keys) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    with pytest.raises(WrongKey):
        Keys.open(keys.directory, Mortal(), clock).unwrap(wrapped, CONTEXT)


def test_a_site_is_never_created_over_another(keys: Keys, provider: Mortal) -> None:
    before = {path.name: path.read_bytes() for path in keys.directory.iterdir()}
    with pytest.raises(AlreadyThere):
        Keys.create(keys.directory, provider, clock)
    assert {path.name: path.read_bytes() for path in keys.directory.iterdir()} == before


def test_files_are_for_their_owner_alone(keys: Keys) -> None:
    keys.new_data_key(SCOPE, CONTEXT)
    assert stat.S_IMODE(keys.directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.directory.iterdir()} == {
        "keyring.json": 0o600,
        "keyring.lock": 0o600,
        "site.vkey": 0o600,
    }


# Rotation


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


# Destruction


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


# Several threads and processes


def test_another_keyring_open_on_the_same_folder_sees_each_change_at_once(keys: Keys, provider: Mortal) -> None:
    theirs = reopened(keys, provider)
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    assert theirs.unwrap(wrapped, CONTEXT) == key
    theirs.rotate()
    assert not keys.is_current(wrapped)
    theirs.destroy("ville", "personal", "2026")
    with pytest.raises(Shredded):
        keys.unwrap(wrapped, CONTEXT)
    assert wrapped.kek not in keys._secrets  # no public door shows what memory holds


def test_threads_that_need_a_scope_at_once_make_one_key(keys: Keys) -> None:
    made: list[str] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        made.append(keys.new_data_key(SCOPE, CONTEXT)[1].kek)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


PROCESS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from vault.keys import Keys, Scope
from vault.providers import open_provider
folder, name = Path(sys.argv[1]), sys.argv[2]
keys = Keys.open(folder, open_provider("systemd-cred:master", directory=folder), lambda: datetime.now(UTC))
sys.stdin.readline()
for period in range(20):
    shared = keys.new_data_key(Scope("ville", "personal", str(period)), b"c")[1]
    own = keys.new_data_key(Scope(name, "personal", str(period)), b"c")[1]
    print(shared.kek, own.kek, flush=True)
"""


def test_processes_that_make_keys_at_once_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "master").write_text("A" * 43 + "=\n")
    from vault.providers import open_provider

    keys = Keys.create(tmp_path / "keys", open_provider("systemd-cred:master", directory=tmp_path), clock)
    command = [sys.executable, "-c", PROCESS, str(keys.directory)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    running = [
        subprocess.Popen([*command, f"p{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for n in range(3)
    ]
    answers = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        answers.append([line.split() for line in process.communicate(timeout=60)[0].splitlines()])
        assert process.returncode == 0
    kept = {record.id for record in keys.list()}
    assert len(kept) == 20 + 3 * 20
    assert {kek for answer in answers for line in answer for kek in line} == kept
    assert [line[0] for line in answers[0]] == [line[0] for line in answers[1]] == [line[0] for line in answers[2]]


# The master


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


# What hangs on the site


def test_what_is_derived_is_stable_for_a_purpose_and_a_site_and_different_otherwise(keys: Keys, tmp_path: Path) -> None:
    same = Keys.open(keys.directory, Mortal(keys._provider.store), clock)  # type: ignore[attr-defined] # the fixture's provider
    other = Keys.create(tmp_path / "other", Mortal(), clock)
    assert keys.derive("pseudonyms") == same.derive("pseudonyms")
    assert len({keys.derive("pseudonyms"), keys.derive("audit"), other.derive("pseudonyms")}) == 3


def test_the_site_signs_under_its_name_and_its_public_key_is_in_site_vkey(keys: Keys) -> None:
    assert keys.signer.name == "ville.example/sovereign"
    assert (keys.directory / "site.vkey").read_text() == keys.verifier.vkey + "\n"


# Damage


def test_a_later_format_is_refused_by_name_and_left_alone(keys: Keys, provider: Mortal) -> None:
    path = keys.directory / "keyring.json"
    later = path.read_bytes().replace(b"sovereign-keyring/1", b"sovereign-keyring/2")
    path.write_bytes(later)
    with pytest.raises(UnknownVersion, match="sovereign-keyring/2"):
        reopened(keys, provider)
    assert path.read_bytes() == later


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": "sovereign-keyring/1"}', b"\xff\xfe"])
def test_a_keyring_that_is_none_is_corrupt(keys: Keys, provider: Mortal, content: bytes) -> None:
    (keys.directory / "keyring.json").write_bytes(content)
    with pytest.raises(Corrupt):
        reopened(keys, provider)


def test_a_folder_without_keyring_is_corrupt_rather_than_empty(tmp_path: Path, provider: Mortal) -> None:
    with pytest.raises(Corrupt):
        Keys.open(tmp_path, provider, clock)


def rewritten(keys: Keys, provider: Mortal, change: Callable[[list[Record]], None]) -> None:
    """Change records as the site itself would write them: under a good MAC."""

    def changed(keyring: Keyring) -> Keyring:
        records = list(keyring.records)
        change(records)
        return msgspec.structs.replace(keyring, records=tuple(records))

    site = KeyringFile(keys.directory).read().only("site")
    secret = provider.unwrap(site.wrapped, site.context())
    KeyringFile(keys.directory).edit(changed, lambda edited: whole.bind(edited, secret))


def test_records_whose_bytes_were_swapped_do_not_open(keys: Keys, provider: Mortal) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    keys.new_data_key(OTHER, CONTEXT)

    def swap(records: list[Record]) -> None:
        first, second = records[2:]
        records[2] = msgspec.structs.replace(first, wrapped=second.wrapped)
        records[3] = msgspec.structs.replace(second, wrapped=first.wrapped)

    rewritten(keys, provider, swap)
    with pytest.raises(WrongKey):
        reopened(keys, provider).unwrap(wrapped, CONTEXT)


# The check


def test_the_check_of_a_sound_site_with_a_kit_finds_nothing(keys: Keys) -> None:
    keys.new_data_key(SCOPE, CONTEXT)
    recovery.export(keys, 2, 3)
    keys.new_data_key(OTHER, CONTEXT)
    keys.destroy("ville", "personal", "2026")
    assert keys.check() == []


def test_the_check_tells_of_a_missing_kit_loose_files_and_a_replaced_public_key(keys: Keys, tmp_path: Path) -> None:
    (keys.directory / "site.vkey").write_text(Keys.create(tmp_path / "other", Mortal(), clock).verifier.vkey)
    (keys.directory / "keyring.json").chmod(0o644)
    assert [(finding.code, finding.subject) for finding in keys.check()] == [
        ("keys.mode", "keyring.json"),
        ("keys.no_kit", "keyring.json"),
        ("keys.vkey", "site.vkey"),
    ]


def test_the_check_names_each_key_that_does_not_unwrap_and_each_that_the_kit_misses(keys: Keys, provider: Mortal) -> None:
    recovery.export(keys, 2, 3)
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)

    def uncover(records: list[Record]) -> None:
        records[2] = msgspec.structs.replace(records[2], sealed=b"")

    def swap(records: list[Record]) -> None:
        records[2] = msgspec.structs.replace(records[2], wrapped=records[1].wrapped)

    rewritten(keys, provider, uncover)
    assert [(f.severity, f.code, f.subject) for f in keys.check()] == [("error", "keys.not_covered", wrapped.kek)]
    rewritten(keys, provider, swap)
    assert [(f.severity, f.code, f.subject) for f in keys.check()] == [("error", "vault.wrong_key", wrapped.kek)]


# The whole


def _drop(parsed: dict[str, Any]) -> None:
    del parsed["records"][-1]


def _double(parsed: dict[str, Any]) -> None:
    parsed["records"].append(parsed["records"][-1])


def _reorder(parsed: dict[str, Any]) -> None:
    parsed["records"].reverse()


def _retire(parsed: dict[str, Any]) -> None:
    parsed["records"][-1]["state"] = "retired"


def _bury(parsed: dict[str, Any]) -> None:
    parsed["records"][0] |= {"state": "destroyed", "wrapped": "", "sealed": ""}


def _swap_sealed(parsed: dict[str, Any]) -> None:
    first, second = parsed["records"][-2:]
    first["sealed"], second["sealed"] = second["sealed"], first["sealed"]


def _damage_sealed(parsed: dict[str, Any]) -> None:
    sealed = parsed["records"][-1]["sealed"]
    parsed["records"][-1]["sealed"] = ("B" if sealed[0] == "A" else "A") + sealed[1:]


def _uncover(parsed: dict[str, Any]) -> None:
    del parsed["records"][-1]["sealed"]


def _forget_kit(parsed: dict[str, Any]) -> None:
    parsed["kit"] = None


def _advance(parsed: dict[str, Any]) -> None:
    parsed["revision"] += 1


def _rename(parsed: dict[str, Any]) -> None:
    parsed["name"] = "elsewhere.example/sovereign"


@pytest.mark.parametrize(
    "change",
    [_drop, _double, _reorder, _retire, _bury, _swap_sealed, _damage_sealed, _uncover, _forget_kit, _advance, _rename],
)
def test_a_keyring_changed_by_anyone_else_is_corrupt_at_every_door(
    keys: Keys, provider: Mortal, change: Callable[[dict[str, Any]], None]
) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    keys.new_data_key(OTHER, CONTEXT)
    recovery.export(keys, 2, 3)
    assert keys.check() == []
    path = keys.directory / "keyring.json"
    parsed = json.loads(path.read_bytes())
    change(parsed)
    path.write_text(json.dumps(parsed))
    before = path.read_bytes()
    with pytest.raises(Corrupt, match=r"keyring\.json"):
        reopened(keys, provider)
    for act in (
        lambda: keys.unwrap(wrapped, CONTEXT),
        keys.rotate,
        keys.rotate_master,
        keys.list,
        lambda: keys.derive("audit"),
    ):
        with pytest.raises(Corrupt, match=r"keyring\.json"):
            act()
    assert path.read_bytes() == before
    assert [(f.severity, f.code, f.subject) for f in keys.check()] == [("error", "vault.corrupt", "keyring.json")]


def test_a_keyring_laid_out_otherwise_is_the_same_keyring(keys: Keys, provider: Mortal) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    path = keys.directory / "keyring.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=7))
    assert reopened(keys, provider).unwrap(wrapped, CONTEXT) == key


def test_the_revision_grows_with_each_write_and_with_nothing_else(keys: Keys, provider: Mortal) -> None:
    theirs = reopened(keys, provider)
    seen = [keys.revision]
    for act in (
        lambda: keys.new_data_key(SCOPE, CONTEXT),
        keys.rotate,
        theirs.rotate_master,
        lambda: recovery.export(keys, 2, 3),
        lambda: theirs.destroy("ville", "personal", "2026"),
    ):
        act()
        seen.append(keys.revision)
    assert seen == [1, 2, 3, 4, 5, 6]
    keys.destroy("ville", "personal", "2026")
    keys.check()
    assert (theirs.revision, reopened(keys, provider).revision) == (6, 6)


def test_the_master_that_is_lost_is_told_at_once(keys: Keys) -> None:
    with pytest.raises(WrongKey):
        reopened(keys, Mortal())
