"""Bytes that must never change: snapshots, drafts and archives of today open in every later Sovereign.

Manifests, key files and parts are also read by a second reader, written from docs/formats/ with nothing of `snapshots` in it.
"""

import hashlib
import hmac
import json
import shutil
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from snapshots import keyfile, manifest, raw
from snapshots.columns import Json
from snapshots.dataset import CLASSES, DatasetId
from snapshots.draft import Draft
from snapshots.errors import Damaged
from snapshots.repository import Repository, opener
from vault.errors import UnknownVersion
from vault.keys import Keys, Wrapped
from vault.providers import open_provider

SITE = Path(__file__).parent / "site-1"
EXPECTED: dict[str, Any] = json.loads((SITE / "expected.json").read_text())
AGENTS = DatasetId("city", "agents")


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


def test_snapshots_of_version_1_read_for_ever(repository: Repository) -> None:
    found = repository.manifests(AGENTS)
    assert [each.hash for each in found] == EXPECTED["manifests"]
    assert [repository.cursor(each) for each in found] == EXPECTED["cursors"]
    for each, rows in zip(found, EXPECTED["rows"], strict=True):
        read = [row for batch in repository.read(each, CLASSES) for row in batch.to_pylist()]
        assert sorted(read, key=lambda row: str(row["nir"])) == rows
    assert repository.verify(AGENTS, expected_head=EXPECTED["manifests"][-1]) == []


def test_a_draft_of_version_1_is_taken_up_for_ever(repository: Repository) -> None:
    draft = Draft.reopen(repository, "run-3")
    assert (draft.plan, draft.resume, draft.counts) == (EXPECTED["plan"], EXPECTED["resume"], {"agents": 2})
    assert draft.measure("agents", "incremental").unchanged == 40
    draft.close()


def test_an_archive_of_version_1_is_given_back_for_ever(repository: Repository) -> None:
    for number, each in enumerate(repository.manifests(AGENTS)):
        folder = repository.root / "city" / ".raw" / each.provenance.run
        data_key = opener(repository.keys, folder / "raw.keys")(raw.key_name("city", each.provenance.run))
        (found,) = raw.exchanges(folder, "city", each.provenance.run, each.provenance.raw, data_key)
        assert found.body == b64decode(EXPECTED["bodies"][number])


def test_key_files_and_manifests_are_written_back_byte_for_byte(keys: Keys) -> None:
    for path in SITE.rglob("*.keys"):
        assert keyfile.encode(keyfile.read(path)) == path.read_bytes()
    for path in SITE.rglob("*.manifest"):
        text = path.read_text().split("\n\n")[0]
        assert manifest.parsed(text, path.name).text == text
        assert manifest.opened(path.read_bytes(), path.name, keys.verifier).hash == path.stem


def test_a_later_version_is_told_and_a_foreign_file_is_not_taken(keys: Keys) -> None:
    path = next(SITE.rglob("*.manifest"))
    with pytest.raises(UnknownVersion):
        manifest.parsed(path.read_text().split("\n\n")[0].replace("sovereign-manifest/1", "sovereign-manifest/2"), path.name)
    with pytest.raises(UnknownVersion):
        keyfile.decode(b'{"format":"sovereign-keys/2","keys":{}}', "x.keys")
    for data in (b"", b"[]", b'{"format":"sovereign-keys/1"}', b"\xff", b'{"format":"sovereign-keys/1","keys":{},"more":1}'):
        with pytest.raises(Damaged):
            keyfile.decode(data, "x.keys")


def hkdf(key: bytes, label: bytes, salt: bytes) -> bytes:
    """RFC 5869, 64 bytes."""
    extracted = hmac.digest(salt, key, "sha256")
    first = hmac.digest(extracted, label + b"\x01", "sha256")
    return first + hmac.digest(extracted, first + label + b"\x02", "sha256")


def test_a_second_reader_reads_rows_and_cursor_by_the_pages_alone(keys: Keys) -> None:
    folder = SITE / "snapshots" / "city" / "agents"
    path = folder / "manifests" / f"{EXPECTED['manifests'][0]}.manifest"
    text = path.read_text().split("\n\n")[0]
    assert hashlib.sha256(text.encode()).hexdigest() == path.stem
    told = json.loads(text)
    entries = json.loads((folder / "keys" / told["keys"]).read_text())["keys"]

    def unwrapped(name: str) -> bytes:
        return keys.unwrap(Wrapped(entries[name]["kek"], entries[name]["key"]), name.encode())

    def block(name: str) -> Json:
        where = f"city/agents/{told['keys'].removesuffix('.keys')}/{name}"
        sealed = b64decode(told["sealed"][name])
        both = hkdf(unwrapped(where), b"sovereign-envelope/1" + where.encode(), sealed[8:40])
        return json.loads(AESGCM(both[:32]).decrypt(bytes(11) + b"\x01", sealed[80:], None))

    assert block("cursor") == EXPECTED["cursors"][0]
    columns = told["schema"] + block("personal")["schema"] + block("sensitive")["schema"]
    names = [column["name"] for column in sorted(columns, key=lambda column: column["place"])]
    assert (names, names[told["primary_key"][0]]) == (["nir", "service", "_op", "health", "extra"], "nir")
    (part,) = told["parts"]
    found: dict[str, list[Any]] = {}
    for class_name, listed in part["files"].items():
        file = folder / "parts" / f"{part['id']}.{class_name}.parquet"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == listed["sha256"]
        name = f"city/agents/{part['id']}/{class_name}"
        opening = pe.create_decryption_properties(unwrapped(name), aad_prefix=name.encode())
        found |= pq.ParquetFile(file, decryption_properties=opening).read().to_pydict()
    first = EXPECTED["rows"][0]
    assert found["nir"] == [row["nir"] for row in first]
    assert (found["__op"], found["health"]) == ([row["_op"] for row in first], [row["health"] for row in first])
    secret = keys.derive("pseudonym/city/agents")
    assert found["_key"] == [
        hmac.digest(secret, f"{len(row['nir'])}:{row['nir']}".encode(), "sha256")[:16].hex() for row in first
    ]
