"""What the keyring promises of its file: taken whole as the site wrote it, or refused; what its check tells."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.servers.masters import Mortal
from vault import recovery, whole
from vault.errors import Corrupt, UnknownVersion, WrongKey
from vault.keyring import Keyring, KeyringFile, Record
from vault.keys import Keys

from .conftest import CONTEXT, OTHER, SCOPE, clock, reopened


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
