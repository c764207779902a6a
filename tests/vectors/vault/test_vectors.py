"""Bytes that must never change: what a Sovereign of today wrote opens in every later one.

The layouts are also read here by a second reader, written from docs/formats/ with nothing of the vault in it.
"""

import hashlib
import hmac
import json
import shutil
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from shamir_mnemonic import combine_mnemonics

from tests.servers.masters import Mortal
from vault import envelope, keyring, notes, recovery
from vault.errors import Shredded
from vault.keys import Keys, Wrapped
from vault.providers import open_provider
from vault.secrets import Secrets

HERE = Path(__file__).parent
ENVELOPES = json.loads((HERE / "envelope.json").read_text())["vectors"]
SITE = HERE / "site-1"
EXPECTED: dict[str, Any] = json.loads((SITE / "expected.json").read_text())


def hkdf(key: bytes, label: bytes, salt: bytes = bytes(32), length: int = 32) -> bytes:
    """RFC 5869, sections 2.2 and 2.3."""
    extracted, output, block = hmac.digest(salt, key, "sha256"), b"", b""
    while len(output) < length:
        block = hmac.digest(extracted, block + label + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:length]


def second_reader(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """An envelope, as docs/formats/envelope.md says."""
    assert sealed[:8] == b"SOVSEAL\x01"
    both = hkdf(key, b"sovereign-envelope/1" + context, sealed[8:40], 64)
    assert sealed[40:72] == both[32:]
    assert sealed[72:80] == hashlib.sha256(sealed[:72]).digest()[:8]
    body, out, count = sealed[80:], b"", 0
    while True:
        block, body = body[:65_552], body[65_552:]
        out += AESGCM(both[:32]).decrypt(count.to_bytes(11, "big") + bytes([not body]), block, None)
        count += 1
        if not body:
            return out


@pytest.mark.parametrize("vector", ENVELOPES, ids=lambda vector: str(vector["size"]))
def test_an_envelope_has_the_same_bytes_for_ever(vector: dict[str, Any]) -> None:
    plaintext = bytes((7 * i + i // 256) % 256 for i in range(vector["size"]))
    key, context = bytes.fromhex(vector["key"]), vector["context"].encode()
    sealed = envelope.seal(key, context, plaintext, entropy=lambda _: bytes.fromhex(vector["salt"]))
    assert sealed[:80].hex() == vector["header"]
    assert hashlib.sha256(sealed).hexdigest() == vector["sha256"]
    assert sealed.hex() == vector.get("sealed", sealed.hex())
    assert second_reader(key, context, sealed) == envelope.open(key, context, sealed) == plaintext


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SITE, tmp_path / "site"))


def opened(site: Path) -> Keys:
    provider = open_provider("file:master.json", passphrase=lambda: EXPECTED["passphrase"], directory=site / "keys")
    return Keys.open(site / "keys", provider, lambda: datetime(2030, 1, 1, tzinfo=UTC))


def test_a_site_of_version_1_opens_for_ever(site: Path) -> None:
    keys = opened(site)
    for known in EXPECTED["data_keys"]:
        assert keys.unwrap(Wrapped(known["kek"], known["wrapped"]), known["context"].encode()).hex() == known["key"]
    assert {purpose: keys.derive(purpose).hex() for purpose in EXPECTED["derived"]} == EXPECTED["derived"]
    assert keys.verifier.vkey == EXPECTED["vkey"]
    connection, name, value = EXPECTED["secret"]
    assert Secrets(keys, site / "secrets").get(connection, name) == value.encode()
    shredded = EXPECTED["shredded"]
    with pytest.raises(Shredded):
        keys.unwrap(Wrapped(shredded["kek"], shredded["wrapped"]), shredded["context"].encode())
    assert {finding.code for finding in keys.check()} <= {"keys.mode"}  # git does not keep 0600


def test_a_keyring_of_version_1_is_written_back_byte_for_byte() -> None:
    data = (SITE / "keys" / "keyring.json").read_bytes()
    assert keyring.encode(keyring.decode(data)) == data


def test_the_shares_of_version_1_restore_for_ever(site: Path) -> None:
    shares, provider = (SITE / "shares.txt").read_text().splitlines(), Mortal()
    assert recovery.restore(site / "keys", shares[1:], provider) == recovery.Restored(6, ())
    keys = Keys.open(site / "keys", provider, lambda: datetime(2030, 1, 1, tzinfo=UTC))
    known = EXPECTED["data_keys"][-1]
    assert keys.unwrap(Wrapped(known["kek"], known["wrapped"]), known["context"].encode()).hex() == known["key"]


def test_a_second_reader_goes_from_the_passphrase_to_a_data_key_by_the_pages_alone() -> None:
    store = json.loads((SITE / "keys" / "master.json").read_text())
    kdf = store["kdf"]
    passphrase = EXPECTED["passphrase"].encode()
    key = Scrypt(salt=b64decode(kdf["salt"]), length=32, n=kdf["n"], r=kdf["r"], p=kdf["p"]).derive(passphrase)
    context = b"sovereign-keystore/1:" + json.dumps(kdf, separators=(",", ":")).encode()
    masters = json.loads(second_reader(key, context, b64decode(store["sealed"])))
    assert masters["format"] == "sovereign-master/1"
    master = b64decode(masters["masters"][0])

    known = EXPECTED["data_keys"][0]
    records = json.loads((SITE / "keys" / "keyring.json").read_text())["records"]
    record = next(r for r in records if r["id"] == known["kek"])
    names = ("kind", "id", "connection", "key_class", "period", "generation")
    bound = b"sovereign-key/1:" + json.dumps([record[name] for name in names], separators=(",", ":")).encode()
    wrapped = b64decode(record["wrapped"])
    assert wrapped[:17] == b"\x01" + hkdf(master, b"sovereign-master-id/1", length=16)
    kek = AESGCM(hkdf(master, b"sovereign-master-wrap/1")).decrypt(wrapped[17:29], wrapped[29:], bound)

    raw = b64decode(known["wrapped"])
    bound = b"sovereign-data-key/1:" + known["kek"].encode() + b":" + known["context"].encode()
    assert AESGCM(kek).decrypt(raw[:12], raw[12:], bound).hex() == known["key"]


def test_a_second_reader_goes_from_the_shares_to_every_key_by_the_pages_alone() -> None:
    private = combine_mnemonics((SITE / "shares.txt").read_text().splitlines()[:2])
    parsed = json.loads((SITE / "keys" / "keyring.json").read_text())
    kit, names = parsed["kit"], ("kind", "id", "connection", "key_class", "period", "generation")
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    site = b""
    for record in (r for r in parsed["records"] if "sealed" in r):
        bound = b"sovereign-key/1:" + json.dumps([record.get(name, "") for name in names], separators=(",", ":")).encode()
        opened = suite.decrypt(b64decode(record["sealed"]), X25519PrivateKey.from_private_bytes(private), info=bound)
        site = site or opened[:32]
        assert opened[32:] == hmac.digest(hkdf(site, b"sovereign-kit-record/1"), bound + opened[:32], "sha256")
    assert hkdf(site, b"sovereign-derive/1:audit").hex() == EXPECTED["derived"]["audit"]
    assert b64decode(kit["proof"]) == hmac.digest(hkdf(private, b"sovereign-kit-proof/1"), site, "sha256")
    said = json.dumps(kit | {"mac": ""}, separators=(",", ":")).encode()
    assert b64decode(kit["mac"]) == hmac.digest(hkdf(site, b"sovereign-kit-mac/1"), said, "sha256")
    said = json.dumps(parsed | {"mac": ""}, separators=(",", ":"), ensure_ascii=False).encode()
    assert b64decode(parsed["mac"]) == hmac.digest(hkdf(site, b"sovereign-keyring-mac/1"), said, "sha256")


def test_the_site_s_note_is_the_same_for_ever() -> None:
    note = (SITE / "note.txt").read_text()
    assert notes.verify(note, [notes.Verifier.parse(EXPECTED["vkey"])]) == EXPECTED["text"]


def test_the_note_that_go_publishes_is_read_and_written_alike() -> None:
    """golang.org/x/mod/sumdb/note, the example of the package's documentation: keys and text that we did not make."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    seed = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    signer = notes.Signer("PeterNeumann", seed)
    assert signer.verifier == notes.Verifier.parse(vkey)
    assert signer.verifier.vkey == vkey
    assert notes.sign(text, signer) == f"{text}\n{line}"
    assert notes.verify(f"{text}\n{line}", [signer.verifier]) == text
