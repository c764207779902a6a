import stat
from pathlib import Path

import msgspec
import pytest

from vault import approver, notes
from vault.errors import AlreadyThere, BadName, Corrupt, UnknownVersion, WrongPassphrase


def test_what_the_key_signs_is_verified_by_the_public_half_alone(tmp_path: Path) -> None:
    path = tmp_path / "berthe.key"
    verifier = approver.create(path, "berthe", "pass phrase")
    assert approver.public(path) == verifier
    note = notes.sign("yes\n", approver.unlock(path, "pass phrase"))
    assert notes.verify(note, [verifier]) == "yes\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_passphrase_does_not_open_it_and_no_key_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "berthe.key"
    approver.create(path, "berthe", "pass phrase")
    with pytest.raises(WrongPassphrase):
        approver.unlock(path, "other")
    with pytest.raises(AlreadyThere):
        approver.create(path, "berthe", "pass phrase")
    with pytest.raises(BadName):
        approver.create(tmp_path / "empty.key", "berthe", "")
    with pytest.raises(BadName):
        approver.create(tmp_path / "spaced.key", "berthe martin", "p")
    assert [file.name for file in tmp_path.iterdir()] == ["berthe.key"]


def test_a_file_given_another_name_or_weaker_parameters_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "berthe.key"
    approver.create(path, "berthe", "p")
    other = notes.Signer("rssi", b"7" * 32).verifier.vkey
    held = msgspec.json.decode(path.read_bytes())
    for wrong, error in (
        ({"vkey": other}, WrongPassphrase),
        ({"kdf": held["kdf"] | {"n": 2**12}}, WrongPassphrase),
        ({"kdf": held["kdf"] | {"n": 2**40}}, Corrupt),
        ({"format": "sovereign-approver/9"}, UnknownVersion),
        ({"more": 1}, Corrupt),
    ):
        path.write_bytes(msgspec.json.encode(held | wrong))
        with pytest.raises(error):
            approver.unlock(path, "p")
