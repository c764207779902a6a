"""A folder that a person asked for is whole or is not there."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sovereign.cli.files import AlreadyThere, CannotWrite, write_folder


def sheets(fail: bool) -> Iterator[tuple[str, bytes]]:
    yield "first.csv", b"a"
    if fail:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    yield "second.csv", b"b"


def test_a_disk_that_fills_leaves_nothing_and_the_next_try_is_whole(tmp_path: Path) -> None:
    wanted = tmp_path / "report"
    with pytest.raises(CannotWrite):
        write_folder(wanted, sheets(fail=True))
    assert list(tmp_path.iterdir()) == []
    write_folder(wanted, sheets(fail=False))
    assert {each.name: each.read_bytes() for each in wanted.iterdir()} == {"first.csv": b"a", "second.csv": b"b"}
    assert wanted.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in wanted.iterdir()} == {0o600}


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_is_kept(tmp_path: Path, kind: str) -> None:
    wanted = tmp_path / "report"
    if kind == "folder":
        wanted.mkdir()
        (wanted / "mine").write_bytes(b"mine")
    else:
        wanted.write_bytes(b"mine")
    with pytest.raises(AlreadyThere):
        write_folder(wanted, sheets(fail=False))
    assert [each.name for each in tmp_path.rglob("*") if each.is_file() and each.read_bytes() == b"mine"]
    assert [each.name for each in tmp_path.iterdir()] == ["report"]
