"""What every key provider promises, run on each: the system's real keyring, a passphrase file, systemd's credential."""

import base64
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import keyring as real_keyring
from vault.errors import AlreadyThere, Corrupt, ProviderError, UnknownVersion, VaultError, WrongKey
from vault.providers import SCHEMES, Provider, create_provider, open_provider

KEY = bytes(range(32))
CONTEXT = b"sovereign-key/1:ville/internal/2026"


@dataclass
class Place:
    """Somewhere a provider can live, and what its administrator does by hand."""

    uri: str
    directory: Path
    passphrase: str = "une phrase secrète, longue"
    make: Callable[[], None] = lambda: None
    before_rotation: Callable[[], None] = lambda: None

    def create(self) -> Provider:
        self.make()
        return create_provider(self.uri, passphrase=lambda: self.passphrase, directory=self.directory)

    def open(self) -> Provider:
        return open_provider(self.uri, passphrase=lambda: self.passphrase, directory=self.directory)

    def rotate(self, provider: Provider) -> None:
        self.before_rotation()
        provider.rotate()


@pytest.fixture(scope="module")
def os_keyring() -> Iterator[None]:
    missing = real_keyring.missing()
    if missing:
        message = f"not installed: {', '.join(missing)} (tests/provision)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with real_keyring.running():
        yield


def _line() -> bytes:
    return base64.b64encode(secrets.token_bytes(32)) + b"\n"


@pytest.fixture(params=sorted(SCHEMES))
def places(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Place]:
    scheme = request.param
    if scheme == "os-keyring":
        request.getfixturevalue("os_keyring")
        service = f"sovereign-{secrets.token_hex(4)}"
        return lambda name: Place(f"os-keyring:{service}/{name}", tmp_path)
    if scheme == "file":
        return lambda name: Place(f"file:{name}.json", tmp_path)
    assert scheme == "systemd-cred", "a new provider must be added here"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    def place(name: str) -> Place:
        credential = tmp_path / name
        return Place(
            f"systemd-cred:{name}",
            tmp_path,
            make=lambda: None if credential.exists() else credential.write_bytes(_line()) and None,
            before_rotation=lambda: credential.write_bytes(_line() + credential.read_bytes()) and None,
        )

    return place


@pytest.fixture
def place(places: Callable[[str], Place]) -> Place:
    return places("master")


def test_it_gives_back_what_it_wrapped_also_after_being_opened_again(place: Place) -> None:
    wrapped = place.create().wrap(KEY, CONTEXT)
    assert place.open().unwrap(wrapped, CONTEXT) == KEY


def test_the_same_key_is_never_wrapped_into_the_same_bytes(place: Place) -> None:
    provider = place.create()
    assert provider.wrap(KEY, CONTEXT) != provider.wrap(KEY, CONTEXT)


def test_what_it_wrapped_does_not_hold_the_key_in_clear(place: Place) -> None:
    assert KEY not in place.create().wrap(KEY, CONTEXT)


def test_another_context_does_not_open(place: Place) -> None:
    provider = place.create()
    wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(WrongKey):
        provider.unwrap(wrapped, b"sovereign-key/1:ville/sensitive/2026")


def test_another_master_does_not_open(places: Callable[[str], Place]) -> None:
    wrapped = places("one").create().wrap(KEY, CONTEXT)
    with pytest.raises(WrongKey):
        places("two").create().unwrap(wrapped, CONTEXT)


def test_no_altered_byte_opens(place: Place) -> None:
    provider = place.create()
    wrapped = provider.wrap(KEY, CONTEXT)
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= 0x40
        with pytest.raises(VaultError):
            provider.unwrap(bytes(altered), CONTEXT)


@pytest.mark.parametrize("cut", [0, 1, 29, 76])
def test_cut_bytes_are_corrupt(place: Place, cut: int) -> None:
    provider = place.create()
    with pytest.raises(Corrupt):
        provider.unwrap(provider.wrap(KEY, CONTEXT)[:cut], CONTEXT)


def test_a_later_version_of_wrapped_bytes_is_named_as_such(place: Place) -> None:
    provider = place.create()
    with pytest.raises(UnknownVersion):
        provider.unwrap(b"\x02" + provider.wrap(KEY, CONTEXT)[1:], CONTEXT)


def test_after_rotation_former_wraps_open_and_new_ones_are_under_the_new_master(place: Place) -> None:
    provider = place.create()
    before = provider.wrap(KEY, CONTEXT)
    place.rotate(provider)
    after = provider.wrap(KEY, CONTEXT)
    assert [provider.unwrap(before, CONTEXT), provider.unwrap(after, CONTEXT)] == [KEY, KEY]
    assert before[1:17] != after[1:17]
    assert place.open().unwrap(before, CONTEXT) == KEY


def test_a_process_opened_before_a_rotation_follows_it(place: Place) -> None:
    ours = place.create()
    theirs = place.open()
    place.rotate(theirs)
    assert ours.unwrap(theirs.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_a_process_opened_before_a_rotation_wraps_under_the_new_master(place: Place) -> None:
    ours = place.create()
    theirs = place.open()
    place.rotate(theirs)
    theirs.retire()
    assert ours.wrap(KEY, CONTEXT)[1:17] == theirs.wrap(KEY, CONTEXT)[1:17]


def test_a_retired_master_opens_nothing_more(place: Place) -> None:
    provider = place.create()
    before = provider.wrap(KEY, CONTEXT)
    place.rotate(provider)
    provider.retire()
    if place.uri.startswith("systemd-cred:"):  # its former lines are the administrator's to remove
        credential = place.directory / "master"
        credential.write_bytes(credential.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(WrongKey):
        place.open().unwrap(before, CONTEXT)


def test_threads_share_it(place: Place) -> None:
    provider = place.create()
    got: list[bool] = []

    def work() -> None:
        got.extend(provider.unwrap(provider.wrap(KEY, CONTEXT), CONTEXT) == KEY for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 20


def test_it_never_makes_a_master_over_another(place: Place) -> None:
    wrapped = place.create().wrap(KEY, CONTEXT)
    if place.uri.startswith("systemd-cred:"):  # systemd makes it, creation adopts it
        place.create()
    else:
        with pytest.raises(AlreadyThere):
            place.create()
    assert place.open().unwrap(wrapped, CONTEXT) == KEY


def test_where_there_is_none_opening_says_so_in_two_languages(places: Callable[[str], Place]) -> None:
    with pytest.raises(ProviderError) as raised:
        places("absent").open()
    for language in ("fr", "en"):
        assert places("absent").uri in raised.value.diagnostics(language).what
