"""What the store of vendor secrets promises."""

import base64
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers.masters import Mortal
from vault.errors import BadName, Corrupt, NoSecret, Shredded, UnknownVersion, WrongKey
from vault.keys import Keys, Scope, Wrapped
from vault.secrets import Secrets

VALUE = "clé-du-fournisseur-très-secrète".encode()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.create(tmp_path / "keys", Mortal(), lambda: datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def secrets(keys: Keys, tmp_path: Path) -> Secrets:
    made = Secrets(keys, tmp_path / "secrets")
    made.put("maarch", "token", VALUE)
    return made


@pytest.fixture
def path(secrets: Secrets, tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "maarch" / "token.secret"


def test_a_secret_is_given_back_and_replaced_whole(secrets: Secrets) -> None:
    assert secrets.get("maarch", "token") == VALUE
    secrets.put("maarch", "token", b"")
    assert secrets.get("maarch", "token") == b""


def test_a_secret_is_not_readable_on_the_disk_and_its_file_is_for_its_owner_alone(secrets: Secrets, path: Path) -> None:
    data = path.read_bytes()
    for form in (VALUE, base64.b64encode(VALUE)[:24], VALUE.hex().encode()):
        assert form not in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_names_are_those_of_the_connection_in_order(secrets: Secrets) -> None:
    secrets.put("maarch", "password", b"x")
    secrets.put("decp", "key", b"x")
    assert [secrets.names(c) for c in ("maarch", "decp", "nowhere")] == [["password", "token"], ["key"], []]


def test_a_secret_moved_to_another_name_or_connection_does_not_open(secrets: Secrets, path: Path) -> None:
    path.rename(path.with_name("other.secret"))
    with pytest.raises(WrongKey):
        secrets.get("maarch", "other")


def test_a_missing_secret_is_named(secrets: Secrets) -> None:
    with pytest.raises(NoSecret, match="passwd"):
        secrets.get("maarch", "passwd")
    with pytest.raises(NoSecret):
        secrets.remove("maarch", "passwd")


def test_a_removed_secret_is_gone(secrets: Secrets) -> None:
    secrets.remove("maarch", "token")
    assert secrets.names("maarch") == []


@pytest.mark.parametrize("name", ["", "../token", "a/b", "Token", "é", ".", "a" * 64, "a\n"])
def test_a_name_that_could_leave_the_folder_is_refused(secrets: Secrets, name: str) -> None:
    for connection, secret in ((name, "token"), ("maarch", name)):
        with pytest.raises(BadName):
            secrets.get(connection, secret)


def test_a_value_too_long_to_be_a_secret_is_refused(secrets: Secrets) -> None:
    secrets.put("maarch", "token", bytes(64 * 1024))
    with pytest.raises(BadName):
        secrets.put("maarch", "token", bytes(64 * 1024 + 1))


def test_rotation_rewraps_without_changing_the_value_and_frees_the_former_key(secrets: Secrets, keys: Keys) -> None:
    former = secrets.keks_in_use()
    keys.rotate()
    assert [secrets.rewrap(), secrets.rewrap()] == [1, 0]
    assert secrets.keks_in_use().isdisjoint(former)
    assert set(keys.retire(secrets.keks_in_use())) == former
    assert secrets.get("maarch", "token") == VALUE


def test_destroying_the_key_of_a_connection_erases_its_secrets(secrets: Secrets, keys: Keys) -> None:
    keys.destroy("maarch", "secret", None)
    with pytest.raises(Shredded):
        secrets.get("maarch", "token")


def test_rotation_goes_on_beside_a_secret_whose_key_was_destroyed(secrets: Secrets, keys: Keys) -> None:
    secrets.put("decp", "key", VALUE)
    keys.destroy("maarch", "secret", None)
    keys.rotate()
    assert secrets.rewrap() == 1
    assert secrets.get("decp", "key") == VALUE


def test_a_secret_stored_while_keys_rotate_is_never_left_under_a_key_that_goes(secrets: Secrets, keys: Keys) -> None:
    rotations: list[threading.Thread] = []

    def rotation() -> None:
        keys.rotate()
        secrets.rewrap()
        keys.retire(secrets.keks_in_use())

    class Slow(Keys):
        """Between taking the data key and storing it, a whole rotation has the time to happen."""

        def new_data_key(self, scope: Scope, context: bytes) -> tuple[bytes, Wrapped]:
            taken = super().new_data_key(scope, context)
            rotations.append(threading.Thread(target=rotation))
            rotations[-1].start()
            rotations[-1].join(timeout=0.5)
            return taken

    slow = Slow.open(keys.directory, keys._provider, keys.now)
    Secrets(slow, secrets._directory).put("maarch", "token", b"newer")
    for thread in rotations:
        thread.join()
    assert len(keys.list()) == 2
    assert secrets.get("maarch", "token") == b"newer"


def test_damage_and_later_formats_are_named_and_hold_no_value(secrets: Secrets, path: Path) -> None:
    sound = path.read_bytes()
    for content, fault in (
        (sound[: len(sound) // 2], Corrupt),
        (b"", Corrupt),
        (sound.replace(b"secret/1", b"secret/2"), UnknownVersion),
    ):
        path.write_bytes(content)
        with pytest.raises(fault, match=r"maarch/token\.secret"):
            secrets.get("maarch", "token")
