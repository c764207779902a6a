"""Bytes that must never change: documents filed today open in every later Sovereign.

Packs, indexes and key files are also read by a second reader, written from docs/formats/ with nothing of `snapshots` in it.
"""

import hashlib
import hmac
import json
import shutil
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from snapshots import packs
from snapshots.documents import Documents
from snapshots.errors import Damaged
from snapshots.repository import Repository
from vault.errors import UnknownVersion
from vault.keys import Keys, Wrapped
from vault.providers import open_provider

SITE = Path(__file__).parent / "site-1"
EXPECTED: dict[str, Any] = json.loads((SITE / "expected.json").read_text())
CONTENTS = {address: b64decode(content) for address, content in EXPECTED["documents"].items()}
PLACE = "city/.documents/personal"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("vector") / "keys"
    shutil.copytree(SITE / "keys", folder)
    provider = open_provider("file:master.json", passphrase=lambda: EXPECTED["passphrase"], directory=folder)
    return Keys.open(folder, provider, lambda: datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def repository(keys: Keys, tmp_path: Path) -> Repository:
    shutil.copytree(SITE / "snapshots", tmp_path / "snapshots")
    return Repository(tmp_path / "snapshots", keys, lambda: datetime(2030, 1, 1, tzinfo=UTC))


def test_documents_of_version_1_open_for_ever(repository: Repository) -> None:
    shelf = Documents(repository, "city").shelf("personal")
    assert {address: shelf.read(address) for address in shelf.held} == CONTENTS
    assert shelf.gone == EXPECTED["destroyed"]
    assert sorted([stream, tag, at] for stream, tags in shelf.named.items() for tag, at in tags.items()) == EXPECTED["names"]
    assert {stream: sorted(names) for stream, names in shelf.fields.items()} == EXPECTED["fields"]


def unwrapped(entry: dict[str, str], context: str, keys: Keys) -> bytes:
    return keys.unwrap(Wrapped(**entry), context.encode())


def unsealed(key: bytes, context: str, sealed: bytes) -> bytes:
    """An envelope, as docs/formats/envelope.md says."""
    assert sealed[:8] == b"SOVSEAL\x01"
    both = HKDF(SHA256(), 64, sealed[8:40], b"sovereign-envelope/1" + context.encode()).derive(key)
    assert sealed[40:72] == both[32:]
    body, out, count = sealed[80:], b"", 0
    while True:
        block, body = body[:65_552], body[65_552:]
        out += AESGCM(both[:32]).decrypt(count.to_bytes(11, "big") + bytes([not body]), block, None)
        count += 1
        if not body:
            return out


def test_a_second_reader_finds_the_same_documents(keys: Keys) -> None:
    found, named = {}, {}
    secret = keys.derive("documents/city/personal")
    for path in sorted((SITE / "snapshots" / PLACE).glob("*.keys")):
        told = json.loads(path.read_text())
        assert told["format"] == "sovereign-keys/1"
        data = path.with_suffix(".pack").read_bytes()
        assert data[:8] == b"SOVPACK\x01"
        at = 8
        while at < len(data):
            address, length = f"d{data[at : at + 16].hex()}", int.from_bytes(data[at + 16 : at + 24], "big")
            sealed = data[at + 24 : at + 24 + length]
            context = f"{PLACE}/{address}"
            if context in told["keys"]:
                plain = unsealed(unwrapped(told["keys"][context], context, keys), context, sealed)
                size = int.from_bytes(plain[:4], "big")
                stream, field, tag, _ = msgspec.msgpack.decode(plain[4 : 4 + size])
                found[address] = plain[4 + size :]
                named[stream, tag] = (field, address)
                digest = hashlib.sha256(found[address]).digest()
                assert address == "d" + hmac.digest(secret, digest, "sha256")[:16].hex()
            else:
                assert address in EXPECTED["destroyed"]
            at += 24 + length
        context = f"{PLACE}/{path.stem}"
        sealed = path.with_suffix(".index").read_bytes()
        index = msgspec.msgpack.decode(unsealed(unwrapped(told["keys"][context], context, keys), context, sealed))
        assert (index["format"], index["pack"]) == ("sovereign-documents/1", path.stem)
        for address, start, length, size, digest, _ in index["entries"]:
            assert data[start : start + 16].hex() == address[1:]
            assert (length, size) == (24 + int.from_bytes(data[start + 16 : start + 24], "big"), len(found[address]))
            assert digest == hashlib.sha256(found[address]).digest()
    assert found == CONTENTS
    assert {("letters", tag) for tag in ("t1", "t2", "t3")} == set(named)


def test_a_pack_of_another_version_is_named_and_not_read(repository: Repository) -> None:
    place = packs.Place.of(repository.root, "city", "personal")
    name = max(place.names(), key=lambda each: place.pack(each).stat().st_size)
    data = place.pack(name).read_bytes()
    place.pack(name).write_bytes(data[:7] + b"\x02" + data[8:])
    with pytest.raises(Damaged):
        list(packs.frames(place, name))


def test_an_index_of_another_version_is_named_and_not_read(repository: Repository, keys: Keys) -> None:
    from snapshots import keyfile

    place = packs.Place.of(repository.root, "city", "personal")
    name = place.names()[0]
    key = packs.index_key(place, name, keyfile.read(place.keys(name)), keys)
    index = packs.open_index(place, name, key)
    packs.write_index(place, msgspec.structs.replace(index, format="sovereign-documents/2"), key)
    assert isinstance(Documents(repository, "city").shelf("personal").damaged[name], UnknownVersion)
