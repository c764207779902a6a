"""What each provider promises beyond the common suite."""

import gc
import json
import os
import stat
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import keyring
import pytest
import secretstorage
from keyring.backends import fail, null

from tests.servers import keyring as real_keyring
from vault.errors import (
    AlreadyThere,
    BadName,
    Corrupt,
    PassphraseUnknown,
    ProviderError,
    Sealed,
    UnknownVersion,
    WrongPassphrase,
)
from vault.providers import change_passphrase, create_provider, open_provider

PASSPHRASE = "été à la mairie, 1 phrase"
URI = "file:master.json"


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file provider's bytes, made once: scrypt is slow on purpose."""
    directory = tmp_path_factory.mktemp("keystore")
    create_provider(URI, passphrase=lambda: PASSPHRASE, directory=directory)
    assert stat.S_IMODE((directory / "master.json").stat().st_mode) == 0o600
    return (directory / "master.json").read_bytes()


def test_a_wrong_passphrase_is_told_apart_from_damage(keystore: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(keystore)
    with pytest.raises(WrongPassphrase):
        open_provider(URI, passphrase=lambda: "une autre", directory=tmp_path)
    (tmp_path / "master.json").write_bytes(keystore[:-40])
    with pytest.raises(Corrupt):
        open_provider(URI, passphrase=lambda: PASSPHRASE, directory=tmp_path)


def test_a_passphrase_typed_on_another_keyboard_with_the_same_letters_opens(keystore: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(keystore)
    open_provider(URI, passphrase=lambda: unicodedata.normalize("NFD", PASSPHRASE), directory=tmp_path)


def test_without_anyone_to_ask_the_file_stays_sealed(keystore: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(keystore)
    with pytest.raises(Sealed):
        open_provider(URI, directory=tmp_path)


def test_the_passphrase_is_asked_once_an_opening_whatever_is_done_afterwards(keystore: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(keystore)
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return PASSPHRASE

    provider = open_provider(URI, passphrase=ask, directory=tmp_path)
    for _ in range(50):
        provider.unwrap(provider.wrap(bytes(32), b"c"), b"c")
    provider.rotate()
    provider.retire()
    assert asked == [1]


def test_an_empty_passphrase_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        create_provider(URI, passphrase=lambda: "", directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_refused_before_the_passphrase_is_asked(tmp_path: Path) -> None:
    (tmp_path / "master.json").write_text("anything")
    with pytest.raises(AlreadyThere):
        create_provider(URI, directory=tmp_path)


def _kdf(name: str, value: object) -> Callable[[dict[str, object]], None]:
    return lambda parsed: parsed["kdf"].__setitem__(name, value)  # type: ignore[attr-defined] # parsed JSON


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda parsed: parsed.__setitem__("format", "sovereign-keystore/2"), UnknownVersion),
        (lambda parsed: parsed.__setitem__("extra", 1), Corrupt),
        (_kdf("n", 2**30), Corrupt),
        (_kdf("n", 100_000), Corrupt),
        (_kdf("n", 1), Corrupt),
        (_kdf("r", 0), Corrupt),
        (_kdf("p", 10_000), Corrupt),
        (_kdf("salt", ""), Corrupt),
        (_kdf("name", "md5"), Corrupt),
    ],
)
def test_parameters_that_would_exhaust_or_weaken_are_refused_before_they_are_obeyed(
    keystore: bytes, tmp_path: Path, spoil: Callable[[dict[str, object]], None], fault: type[Exception]
) -> None:
    parsed = json.loads(keystore)
    spoil(parsed)
    (tmp_path / "master.json").write_text(json.dumps(parsed))
    with pytest.raises(fault):
        open_provider(URI, passphrase=lambda: pytest.fail("asked"), directory=tmp_path)


def test_lowered_parameters_do_not_open_even_with_the_passphrase(keystore: bytes, tmp_path: Path) -> None:
    parsed = json.loads(keystore)
    parsed["kdf"]["n"] = 2
    (tmp_path / "master.json").write_text(json.dumps(parsed))
    with pytest.raises(WrongPassphrase):
        open_provider(URI, passphrase=lambda: PASSPHRASE, directory=tmp_path)


def test_an_absolute_path_leaves_the_keys_folder_alone(tmp_path: Path) -> None:
    create_provider(f"file:{tmp_path}/apart/master.json", passphrase=lambda: PASSPHRASE, directory=tmp_path / "keys")
    assert [path.name for path in tmp_path.iterdir()] == ["apart"]


@pytest.mark.parametrize("uri", ["", "file", "file:", "pkcs12:x", "FILE:x"])
def test_an_unknown_scheme_is_refused_by_naming_those_that_exist(uri: str, tmp_path: Path) -> None:
    with pytest.raises(BadName, match="os-keyring:"):
        open_provider(uri, directory=tmp_path)


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring()])
def test_a_keyring_that_does_not_encrypt_is_refused(backend: keyring.backend.KeyringBackend, tmp_path: Path) -> None:
    former = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        with pytest.raises(ProviderError, match="no encrypted keyring"):
            create_provider("os-keyring:sovereign", directory=tmp_path)
    finally:
        keyring.set_keyring(former)


def test_without_systemd_the_credential_provider_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ProviderError, match="systemd"):
        open_provider("systemd-cred:master", directory=tmp_path)


@pytest.mark.parametrize("name", ["../master", "a/b", "..", "."])
def test_a_credential_is_never_looked_for_outside_its_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(BadName):
        open_provider(f"systemd-cred:{name}", directory=tmp_path)


def test_rotating_a_credential_first_asks_the_administrator_for_a_new_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "master").write_text("A" * 43 + "=\n")
    with pytest.raises(ProviderError, match="systemd-creds"):
        open_provider("systemd-cred:master", directory=tmp_path).rotate()


@pytest.mark.parametrize("content", [b"", b"not base64!\n", b"QUJD\n", bytes(range(40))])
def test_a_credential_that_is_no_key_is_corrupt(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "master").write_bytes(content)
    with pytest.raises(Corrupt):
        open_provider("systemd-cred:master", directory=tmp_path)


def test_a_changed_passphrase_replaces_the_former_and_keeps_the_master(keystore: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(keystore)
    wrapped = open_provider(URI, passphrase=lambda: PASSPHRASE, directory=tmp_path).wrap(bytes(32), b"c")
    with pytest.raises(WrongPassphrase):
        change_passphrase(URI, passphrase=lambda: "une autre", new=lambda: "nouvelle", directory=tmp_path)
    assert (tmp_path / "master.json").read_bytes() == keystore
    change_passphrase(URI, passphrase=lambda: PASSPHRASE, new=lambda: "nouvelle", directory=tmp_path)
    assert open_provider(URI, passphrase=lambda: "nouvelle", directory=tmp_path).unwrap(wrapped, b"c") == bytes(32)
    with pytest.raises(WrongPassphrase):
        open_provider(URI, passphrase=lambda: PASSPHRASE, directory=tmp_path)


def test_a_master_rotated_while_the_new_passphrase_is_typed_is_not_lost(keystore: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(keystore)
    other = open_provider(URI, passphrase=lambda: PASSPHRASE, directory=tmp_path)
    wrapped = []

    def typed_slowly() -> str:
        other.rotate()
        wrapped.append(other.wrap(bytes(32), b"c"))
        return "nouvelle"

    change_passphrase(URI, passphrase=lambda: PASSPHRASE, new=typed_slowly, directory=tmp_path)
    assert open_provider(URI, passphrase=lambda: "nouvelle", directory=tmp_path).unwrap(wrapped[0], b"c") == bytes(32)


def test_only_a_file_has_a_passphrase_to_change(tmp_path: Path) -> None:
    with pytest.raises(PassphraseUnknown, match="Only `file:`"):
        change_passphrase("os-keyring:sovereign", passphrase=None, new=None, directory=tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # keyring leaves its socket open when locked
def test_a_locked_keyring_is_sealed_and_nothing_is_asked_on_a_machine_without_screen(tmp_path: Path) -> None:
    if real_keyring.missing():
        message = f"not installed: {', '.join(real_keyring.missing())} (tests/provision)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with real_keyring.running():
        create_provider("os-keyring:sovereign", directory=tmp_path)
        with closing(secretstorage.dbus_init()) as connection:
            secretstorage.get_default_collection(connection).lock()
        for act in (open_provider, create_provider):
            with pytest.raises(Sealed):
                act("os-keyring:sovereign", directory=tmp_path)
        gc.collect()
