"""Bytes that must never change: a backup made today is read by every later Sovereign, and by who reads its page alone."""

import hashlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sovereign.backup import record
from sovereign.backup.errors import Forged
from vault import notes
from vault.errors import Corrupt, UnknownVersion

HERE = Path(__file__).parent
ID = "20261129-080000000-0a1b2c3d"
DATA = (HERE / f"{ID}.backup").read_bytes()
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
VERIFIER = notes.Verifier.parse(EXPECTED["vkey"])
KEY, LIST, PIECE = bytes.fromhex(EXPECTED["key"]), b64decode(EXPECTED["list"]), b64decode(EXPECTED["piece"])


def test_a_record_of_version_1_is_read_for_ever() -> None:
    found = record.opened(DATA, ID, VERIFIER)
    assert (found.format, found.id, found.revision, found.files, found.bytes, found.parent) == (
        "sovereign-backup/1", ID, 7, 2, 22, None,
    )  # fmt: skip
    listing = msgspec.json.decode(record.unseal(KEY, found.listing[0], LIST), type=record.Listing)
    assert listing.rows == EXPECTED["rows"]
    (as_is, sealed) = listing.files
    assert (as_is.kept, as_is.pieces[0].sha256) == ("as_is", hashlib.sha256(b"abc").hexdigest())
    assert record.unseal(KEY, sealed.pieces[0], PIECE).decode() == EXPECTED["plain"]


def test_the_page_alone_is_enough_to_read_a_record() -> None:
    text, _, signatures = DATA.decode().partition("\n\n")
    told = json.loads(text)
    assert (told["format"], told["id"], told["log"]["size"]) == ("sovereign-backup/1", ID, 3)
    assert told["listing"][0][0] == hashlib.sha256(LIST).hexdigest()
    assert signatures.startswith("— sovereign-vector ")


@pytest.mark.parametrize("at", [10, 80, len(DATA) // 2, len(DATA) - 8])
def test_a_record_that_differs_by_one_byte_is_forged(at: int) -> None:
    altered = bytearray(DATA)
    altered[at] ^= 1
    with pytest.raises(Forged):
        record.opened(bytes(altered), ID, VERIFIER)


def test_a_record_under_another_id_and_a_later_format_are_refused() -> None:
    with pytest.raises(Forged):
        record.opened(DATA, "20261129-080000000-ffffffff", VERIFIER)
    signer = notes.Signer("sovereign-vector", bytes(range(32)))
    later = notes.sign(DATA.decode().partition("\n\n")[0].replace("backup/1", "backup/2") + "\n", signer).encode()
    with pytest.raises(UnknownVersion):
        record.opened(later, ID, VERIFIER)


def test_a_piece_in_anothers_place_is_refused() -> None:
    listing = record.opened(DATA, ID, VERIFIER).listing[0]
    with pytest.raises(Corrupt):
        record.unseal(KEY, listing, PIECE)
