"""A body in a file of its own: what comes out is what went in, or nothing whole comes out; and what is refused at the disk."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sovereign.gateway.errors import Altered, NoRoom, PayloadGone
from sovereign.gateway.intent import Spooled
from sovereign.gateway.spool import PIECE, RESERVE, Spool
from sovereign.state import State
from vault import envelope

BODY = os.urandom(3 * PIECE + 12_345)
NAME = "w-000000000000000000000000aa"


def spooled(folder: Path, body: bytes = BODY) -> tuple[Spool, Spooled]:
    spool = Spool(folder / "spool", State(folder / "state.db"))

    async def bring() -> Spooled:
        async with spool.arriving(NAME, len(body)) as file:
            for at in range(0, len(body), 70_000):
                file.write(body[at : at + 70_000])
            return file.finish()

    return spool, asyncio.run(bring())


def left(spool: Spool, body: Spooled, meddle: Callable[[], object] = lambda: None) -> bytes:
    """What would leave; the file is meddled with once it was verified and its first piece is gone."""
    out = bytearray()

    async def leave() -> None:
        spool.verify(NAME, body)
        async for piece in spool.pieces(NAME, body):
            if not out:
                meddle()
            out.extend(piece)

    try:
        asyncio.run(leave())
    except (Altered, PayloadGone):
        out += b"!"  # broke off: the length that was announced is never reached
        assert len(out) - 1 < body.size
    return bytes(out)


def test_what_leaves_is_what_arrived_and_its_hash_is_what_is_decided_on(tmp_path: Path) -> None:
    spool, body = spooled(tmp_path)
    assert (body.size, body.sha256) == (len(BODY), hashlib.sha256(BODY).digest())
    assert left(spool, body) == BODY
    assert spool.head(NAME, body, 1000) == BODY[:1000]
    assert body.key.hex() not in repr(body)
    assert (spool.folder / NAME).stat().st_mode & 0o777 == 0o600


def test_a_file_altered_after_it_was_verified_never_makes_a_whole_request(tmp_path: Path) -> None:
    spool, body = spooled(tmp_path)
    path = spool.folder / NAME

    def flip() -> None:
        with path.open("r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(b"altered!")

    assert left(spool, body, flip)[-1:] == b"!"


@pytest.mark.parametrize("other", [BODY[:-1] + b"\0", BODY[:PIECE], BODY + b"\0"])
def test_a_file_written_anew_with_its_own_key_is_not_what_was_entered(tmp_path: Path, other: bytes) -> None:
    spool, body = spooled(tmp_path)
    sealed = envelope.seal(body.key, f"sovereign-upload/1:{NAME}".encode(), other)
    (spool.folder / NAME).write_bytes(sealed)
    with pytest.raises(Altered):
        spool.verify(NAME, body)


def test_a_file_of_another_intent_is_not_its_own(tmp_path: Path) -> None:
    spool, body = spooled(tmp_path)
    (spool.folder / NAME).rename(spool.folder / "w-0b")
    with pytest.raises(Altered):
        spool.verify("w-0b", body)
    with pytest.raises(PayloadGone):
        spool.verify(NAME, body)


def bringing(spool: Spool, work: Callable[[Any], Coroutine[Any, Any, None]], expected: int = 0) -> None:
    async def bring() -> None:
        async with spool.arriving(NAME, expected) as file:
            await work(file)

    asyncio.run(bring())


def test_what_is_promised_to_one_body_is_not_promised_to_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", State(tmp_path / "state.db"), free=lambda _: RESERVE + 1000)

    async def first(file: Any) -> None:  # noqa: ANN401 - a body on its way in
        file.write(b"x" * 100)
        with pytest.raises(NoRoom):  # 700 of the 1000 are still to come for the first
            async with spool.arriving("w-0c", 400):
                pass
        async with spool.arriving("w-0d", 200):
            pass

    bringing(spool, first, 800)
    assert list(spool.folder.iterdir()) == []


def test_a_disk_that_fills_up_in_the_middle_is_told_and_nothing_stays(tmp_path: Path) -> None:
    room = [RESERVE + 10_000]
    spool = Spool(tmp_path / "spool", State(tmp_path / "state.db"), free=lambda _: room[0])

    async def work(file: Any) -> None:  # noqa: ANN401 - a body on its way in
        file.write(b"x" * 5000)
        room[0] = RESERVE + 100
        file.write(b"x" * 5000)

    with pytest.raises(NoRoom):
        bringing(spool, work)
    assert list(spool.folder.iterdir()) == []


def test_a_body_that_was_finished_and_that_no_row_needs_goes(tmp_path: Path) -> None:
    spool, _ = spooled(tmp_path)
    asyncio.run(spool.settle(NAME))
    assert list(spool.folder.iterdir()) == []


def test_a_row_that_was_tampered_with_has_no_file_elsewhere_removed(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path / "spool", State(tmp_path / "state.db")), tmp_path / "keyring.json"
    other.write_text("{}")
    spool.remove(["../keyring.json", str(other)])
    assert other.exists()
