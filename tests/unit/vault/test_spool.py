"""Bytes on their way: the same bytes come back from anywhere, nothing readable is on the disk, and nothing is left there."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from vault.envelope import CHUNK
from vault.errors import Corrupt, NotSpooled
from vault.spool import Spool, Spooled

CANARY = b"Canari-Bobine-77c0"


def spooled(folder: Path | None, data: bytes, small: int = 0) -> Spooled:
    spool = Spool(folder, small)
    for at in range(0, len(data), 100_000):
        spool.write(data[at : at + 100_000])
    return spool.close()


def on_disk() -> list[int]:
    """Handles of this process to files that have no name."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            if str(handle.readlink()).endswith("(deleted)") and handle.stat().st_size:
                found.append(int(handle.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 20 * CHUNK, 1_500_001])
def test_what_was_put_aside_comes_back_whole_and_from_anywhere(tmp_path: Path, size: int) -> None:
    data = (hashlib.shake_256(CANARY)).digest(size)
    held = spooled(tmp_path, data)
    assert (held.size, held.sha256, held.held) == (size, hashlib.sha256(data).hexdigest(), None)
    with held.open() as one, held.open() as two:
        assert one.read() == data
        chance = random.Random(1)  # noqa: S311 - places to look at
        for _ in range(50):
            at, length = chance.randrange(size + 1), chance.randrange(2 * CHUNK)
            two.seek(at)
            assert two.read(length) == data[at : at + length]
        two.seek(-1, os.SEEK_END)
        assert two.read(5) == data[-1:]


def test_what_is_small_stays_in_memory(tmp_path: Path) -> None:
    before = on_disk()
    held = spooled(tmp_path, CANARY, small=100)
    assert held.held == held.open().read() == CANARY
    assert on_disk() == before
    assert spooled(None, CANARY * 10_000).held == CANARY * 10_000


def test_the_file_is_sealed_private_without_a_name_and_gone_with_its_last_reader(tmp_path: Path) -> None:
    before = set(on_disk())
    held = spooled(tmp_path, CANARY * 100_000)
    (handle,) = set(on_disk()) - before
    assert list(tmp_path.iterdir()) == []
    assert os.fstat(handle).st_mode & 0o777 == 0o600
    assert CANARY not in os.pread(handle, os.fstat(handle).st_size, 0)
    reader = held.open()
    del held
    assert reader.read(len(CANARY)) == CANARY
    reader.close()
    del reader
    assert set(on_disk()) == before


def test_what_was_altered_meanwhile_is_not_given(tmp_path: Path) -> None:
    before = set(on_disk())
    held = spooled(tmp_path, CANARY * 100_000)
    (handle,) = set(on_disk()) - before
    byte = os.pread(handle, 1, 300_000)[0]
    os.pwrite(handle, bytes([byte ^ 1]), 300_000)
    with held.open() as reader, pytest.raises(Corrupt):
        reader.read()


def test_a_folder_that_takes_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotSpooled):
        spooled(tmp_path / "absent", CANARY)
