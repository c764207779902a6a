"""What a file of the vault promises: whole or absent."""

import os
import stat
from pathlib import Path

import pytest

from vault import files
from vault.errors import AlreadyThere, Corrupt


def test_a_write_that_fails_leaves_the_former_bytes_and_no_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "a", b"former")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(tmp_path / "a", b"newer")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"former"}


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    files.write(tmp_path / "a", b"1", new=True)
    with pytest.raises(AlreadyThere):
        files.write(tmp_path / "a", b"2", new=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1"}


def test_files_and_folders_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        files.write(tmp_path / "folder" / "a", b"1")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "folder" / "a").stat().st_mode) == 0o600


def test_reading_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    assert files.read(tmp_path / "a", limit=10) == bytes(10)
    with pytest.raises(Corrupt):
        files.read(tmp_path / "a", limit=9)


def test_removing_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.remove(tmp_path / "a")
