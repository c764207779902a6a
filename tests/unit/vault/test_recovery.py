"""What the recovery kit promises: k holders restore a site on another machine, fewer or others do not."""

import itertools
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers.masters import Mortal
from vault import kit, recovery
from vault.errors import BadName, BadShare, Corrupt, ForeignShares, NoKit, Shredded, TooFewShares, WrongKey
from vault.keyring import KeyringFile
from vault.keys import Keys, Scope
from vault.providers import create_provider, open_provider

SCOPE = Scope("ville", "personal", "2026")
LATER = Scope("ville", "personal", "2027")
CONTEXT = b"ville/marches/part-1/personal"


def clock() -> datetime:
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys.create(tmp_path / "keys", Mortal(), clock)
    made.new_data_key(SCOPE, CONTEXT)
    return made


def backup(keys: Keys, to: Path) -> Path:
    """Copy what a backup of keys/ needs to hold: the keyring alone."""
    to.mkdir(mode=0o700)
    (to / "keyring.json").write_bytes((keys.directory / "keyring.json").read_bytes())
    return to


def edited(folder: Path, change: dict[str, bytes], record: int) -> None:
    path = folder / "keyring.json"
    parsed = json.loads(path.read_bytes())
    parsed["records"][record] |= {name: b64encode(value).decode() for name, value in change.items()}
    path.write_text(json.dumps(parsed))


def test_k_of_n_shares_restore_everything_on_an_empty_folder_under_another_master(keys: Keys, tmp_path: Path) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    shares = recovery.export(keys, 3, 5)
    later_key, later = keys.new_data_key(LATER, CONTEXT)  # made after the kit, without the holders
    folder = backup(keys, tmp_path / "elsewhere")
    provider = create_provider("file:master.json", passphrase=lambda: "une autre phrase", directory=folder)
    restored = recovery.restore(folder, [shares[4], shares[0], shares[2]], provider)
    assert restored == recovery.Restored(4, ())
    found = Keys.open(folder, open_provider("file:master.json", passphrase=lambda: "une autre phrase", directory=folder), clock)
    assert found.unwrap(wrapped, CONTEXT) == key
    assert found.unwrap(later, CONTEXT) == later_key
    assert found.derive("pseudonyms") == keys.derive("pseudonyms")
    assert found.verifier == keys.verifier
    assert found.check() == []


def test_every_choice_of_k_shares_restores(keys: Keys) -> None:
    shares = recovery.export(keys, 2, 4)
    for chosen in itertools.combinations(shares, 2):
        assert recovery.rehearse(keys.directory, chosen) == recovery.Restored(3, ())
    assert recovery.rehearse(keys.directory, shares) == recovery.Restored(3, ())


def test_the_restored_site_makes_keys_that_the_same_kit_covers(keys: Keys, tmp_path: Path) -> None:
    shares = recovery.export(keys, 2, 3)
    folder, provider = backup(keys, tmp_path / "elsewhere"), Mortal()
    recovery.restore(folder, shares[:2], provider)
    Keys.open(folder, provider, clock).new_data_key(LATER, CONTEXT)
    assert recovery.rehearse(folder, shares[1:]) == recovery.Restored(4, ())


def test_rotation_of_keys_and_of_the_master_keeps_the_kit_good(keys: Keys) -> None:
    shares = recovery.export(keys, 2, 3)
    keys.rotate()
    keys.rotate_master()
    assert recovery.rehearse(keys.directory, shares[:2]) == recovery.Restored(4, ())


def test_what_was_destroyed_stays_destroyed_after_a_restore(keys: Keys, tmp_path: Path) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    shares = recovery.export(keys, 2, 3)
    keys.destroy("ville", "personal", "2026")
    folder, provider = backup(keys, tmp_path / "elsewhere"), Mortal()
    assert recovery.restore(folder, shares[:2], provider) == recovery.Restored(2, ())
    assert [(r.state, r.wrapped, r.sealed) for r in KeyringFile(folder).read().records[2:]] == [("destroyed", b"", b"")]
    with pytest.raises(Shredded):
        Keys.open(folder, provider, clock).unwrap(wrapped, CONTEXT)


def test_shares_are_forgiving_of_case_and_spaces(keys: Keys) -> None:
    shares = recovery.export(keys, 2, 3)
    assert recovery.rehearse(keys.directory, [f"  {shares[0].upper()}\n", shares[1].replace(" ", "   ")]).keys == 3


def test_too_few_shares_say_how_many_are_needed_and_a_repeated_one_counts_once(keys: Keys) -> None:
    shares = recovery.export(keys, 3, 5)
    with pytest.raises(TooFewShares, match="2 different") as raised:
        recovery.rehearse(keys.directory, [shares[0], shares[1], shares[0]])
    assert raised.value.fields == {"given": 2, "needed": 3}
    with pytest.raises(TooFewShares):
        recovery.rehearse(keys.directory, [])


def _another(word: str) -> str:
    return "academic" if word != "academic" else "acid"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda words: words[:-1],
        lambda words: [*words[:5], "sovereign", *words[6:]],
        lambda words: [*words[:6], _another(words[6]), *words[7:]],
        lambda words: [],
    ],
)
def test_a_mistyped_share_is_named_by_its_number_and_nothing_else(keys: Keys, spoil: Callable[[list[str]], list[str]]) -> None:
    shares = recovery.export(keys, 2, 3)
    with pytest.raises(BadShare) as raised:
        recovery.rehearse(keys.directory, [shares[0], " ".join(spoil(shares[1].split()))])
    assert raised.value.fields == {"number": 2}
    assert raised.value.__cause__ is None


def test_a_share_of_another_kit_is_told_by_its_number(keys: Keys, tmp_path: Path) -> None:
    shares = recovery.export(keys, 2, 3)
    foreign = recovery.export(Keys.create(tmp_path / "other", Mortal(), clock), 2, 3)
    with pytest.raises(ForeignShares) as raised:
        recovery.rehearse(keys.directory, [shares[0], foreign[1]])
    assert raised.value.fields["numbers"] == "2"
    assert raised.value.fields["kit"] == " ".join(shares[0].split()[:2])
    with pytest.raises(ForeignShares):
        recovery.rehearse(keys.directory, foreign[:2])


def test_a_new_kit_replaces_the_former(keys: Keys) -> None:
    former = recovery.export(keys, 2, 3)
    newer = recovery.export(keys, 2, 2)
    with pytest.raises(ForeignShares):
        recovery.rehearse(keys.directory, former[:2])
    assert recovery.rehearse(keys.directory, newer).keys == 3


def test_a_keyring_without_kit_says_so(keys: Keys) -> None:
    with pytest.raises(NoKit):
        recovery.rehearse(keys.directory, [])


@pytest.mark.parametrize(("threshold", "shares"), [(1, 1), (1, 3), (4, 3), (2, 17), (0, 0)])
def test_a_kit_that_one_person_opens_or_that_cannot_be_is_refused(keys: Keys, threshold: int, shares: int) -> None:
    with pytest.raises(BadName):
        recovery.export(keys, threshold, shares)
    assert keys.kit is None


def test_a_rehearsal_writes_nothing(keys: Keys) -> None:
    shares = recovery.export(keys, 2, 3)
    before = {path.name: path.read_bytes() for path in keys.directory.iterdir()}
    recovery.rehearse(keys.directory, shares[:2])
    assert {path.name: path.read_bytes() for path in keys.directory.iterdir()} == before


def test_a_failed_restore_leaves_the_folder_as_it_was(keys: Keys) -> None:
    shares = recovery.export(keys, 2, 3)
    before = (keys.directory / "keyring.json").read_bytes()
    with pytest.raises(TooFewShares):
        recovery.restore(keys.directory, shares[:1], Mortal())
    assert (keys.directory / "keyring.json").read_bytes() == before


# Someone who can write to keys/


def test_no_key_is_ever_sealed_to_a_public_key_that_someone_else_put_there(keys: Keys) -> None:
    recovery.export(keys, 2, 3)
    mine = KeyringFile(keys.directory).read().kit
    assert mine is not None
    path = keys.directory / "keyring.json"
    parsed = json.loads(path.read_bytes())
    theirs = kit.make(mine.id, bytes(range(32)), bytes(32), threshold=2, shares=3, created=clock())
    parsed["kit"]["public"] = b64encode(theirs.public).decode()
    path.write_text(json.dumps(parsed))
    before = path.read_bytes()
    with pytest.raises(Corrupt, match=r"keyring\.json"):
        keys.new_data_key(LATER, CONTEXT)
    assert path.read_bytes() == before
    assert [finding.code for finding in keys.check()] == ["vault.corrupt"]


def test_a_restore_takes_back_no_key_that_someone_else_chose(keys: Keys, tmp_path: Path) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    shares = recovery.export(keys, 2, 3)
    keyring = KeyringFile(keys.directory).read()
    assert keyring.kit is not None
    chosen = kit.seal(keyring.kit, keyring.records[2], b"\x41" * 32, b"not the site key, 32 bytes long!")
    folder, provider = backup(keys, tmp_path / "elsewhere"), Mortal()
    edited(folder, {"sealed": chosen}, 2)
    assert recovery.restore(folder, shares[:2], provider) == recovery.Restored(2, (wrapped.kek,), intact=False)
    with pytest.raises(WrongKey):
        Keys.open(folder, provider, clock).unwrap(wrapped, CONTEXT)


def test_a_kit_that_someone_else_changed_takes_no_key_even_after_a_restore(keys: Keys, tmp_path: Path) -> None:
    shares = recovery.export(keys, 2, 3)
    folder, provider = backup(keys, tmp_path / "elsewhere"), Mortal()
    path = folder / "keyring.json"
    parsed = json.loads(path.read_bytes())
    parsed["kit"]["shares"] = 9
    path.write_text(json.dumps(parsed))
    assert not recovery.rehearse(folder, shares[:2]).intact
    recovery.restore(folder, shares[:2], provider)
    with pytest.raises(Corrupt, match="kit"):
        Keys.open(folder, provider, clock).new_data_key(LATER, CONTEXT)


def test_a_restore_says_when_a_record_was_dropped_and_what_it_writes_is_whole(keys: Keys, tmp_path: Path) -> None:
    shares = recovery.export(keys, 2, 3)
    folder, provider = backup(keys, tmp_path / "elsewhere"), Mortal()
    path = folder / "keyring.json"
    parsed = json.loads(path.read_bytes())
    del parsed["records"][2]
    path.write_text(json.dumps(parsed))
    assert recovery.rehearse(folder, shares[:2]) == recovery.Restored(2, (), intact=False)
    assert recovery.restore(folder, shares[:2], provider) == recovery.Restored(2, (), intact=False)
    found = Keys.open(folder, provider, clock)
    assert found.revision == keys.revision + 1
    assert found.check() == []
    assert recovery.rehearse(folder, shares[:2]).intact


def test_a_site_key_that_someone_else_chose_stops_the_restore(keys: Keys, tmp_path: Path) -> None:
    shares = recovery.export(keys, 2, 3)
    keyring = KeyringFile(keys.directory).read()
    assert keyring.kit is not None
    folder = backup(keys, tmp_path / "elsewhere")
    for at, record in enumerate(keyring.records):
        edited(folder, {"sealed": kit.seal(keyring.kit, record, b"\x41" * 32, b"\x41" * 32)}, at)
    before = (folder / "keyring.json").read_bytes()
    with pytest.raises(Corrupt):
        recovery.restore(folder, shares[:2], Mortal())
    assert (folder / "keyring.json").read_bytes() == before


def test_the_keyring_holds_nothing_that_opens_it(keys: Keys) -> None:
    shares = recovery.export(keys, 2, 3)
    data = b"".join(path.read_bytes() for path in keys.directory.iterdir())
    assert not any(" ".join(share.split()[4:8]).encode() in data for share in shares)
    assert keys.derive("pseudonyms") not in data
