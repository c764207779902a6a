"""What the keyring of a site promises: data keys that this site alone opens, whoever else works on it."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.servers.masters import Mortal
from vault.errors import AlreadyThere, Corrupt, NoKey, Shredded, WrongKey
from vault.keys import Keys, Wrapped

from .conftest import CONTEXT, OTHER, SCOPE, clock, reopened


def test_a_data_key_is_given_back_by_the_same_site_opened_again(keys: Keys, provider: Mortal) -> None:
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    assert len(key) == 32
    assert reopened(keys, provider).unwrap(wrapped, CONTEXT) == key


def test_every_data_key_is_new_and_a_scope_has_one_key_encryption_key(keys: Keys) -> None:
    first, second, other = keys.new_data_key(SCOPE, b"1"), keys.new_data_key(SCOPE, b"2"), keys.new_data_key(OTHER, b"3")
    assert len({first[0], second[0], other[0]}) == 3
    assert first[1].kek == second[1].kek != other[1].kek
    assert [(r.scope, r.generation, r.state) for r in keys.list()] == [(SCOPE, 1, "active"), (OTHER, 1, "active")]


def test_another_context_does_not_open_a_data_key(keys: Keys) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    with pytest.raises(WrongKey):
        keys.unwrap(wrapped, b"ville/marches/part-2/personal")


def test_a_data_key_moved_to_another_scope_does_not_open(keys: Keys) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    _, other = keys.new_data_key(OTHER, CONTEXT)
    with pytest.raises(WrongKey):
        keys.unwrap(Wrapped(other.kek, wrapped.key), CONTEXT)


@pytest.mark.parametrize("damaged", ["", "AAAA", "not base64!", "é"])
def test_a_wrapped_key_that_is_none_is_corrupt(keys: Keys, damaged: str) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    with pytest.raises(Corrupt):
        keys.unwrap(Wrapped(wrapped.kek, damaged), CONTEXT)


def test_a_key_of_another_site_is_not_known(keys: Keys, tmp_path: Path) -> None:
    _, foreign = Keys.create(tmp_path / "elsewhere", Mortal(), clock).new_data_key(SCOPE, CONTEXT)
    with pytest.raises(NoKey):
        keys.unwrap(foreign, CONTEXT)


def test_the_site_key_is_not_within_reach_of_a_key_file(keys: Keys) -> None:
    records = json.loads((keys.directory / "keyring.json").read_bytes())["records"]
    site = next(record["id"] for record in records if record["kind"] == "site")
    with pytest.raises(NoKey):
        keys.unwrap(Wrapped(site, "A" * 80), CONTEXT)


def test_the_keyring_without_its_master_opens_nothing(keys: Keys) -> None:
    _, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    with pytest.raises(WrongKey):
        Keys.open(keys.directory, Mortal(), clock).unwrap(wrapped, CONTEXT)


def test_a_site_is_never_created_over_another(keys: Keys, provider: Mortal) -> None:
    before = {path.name: path.read_bytes() for path in keys.directory.iterdir()}
    with pytest.raises(AlreadyThere):
        Keys.create(keys.directory, provider, clock)
    assert {path.name: path.read_bytes() for path in keys.directory.iterdir()} == before


def test_files_are_for_their_owner_alone(keys: Keys) -> None:
    keys.new_data_key(SCOPE, CONTEXT)
    assert stat.S_IMODE(keys.directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.directory.iterdir()} == {
        "keyring.json": 0o600,
        "keyring.lock": 0o600,
        "site.vkey": 0o600,
    }


def test_another_keyring_open_on_the_same_folder_sees_each_change_at_once(keys: Keys, provider: Mortal) -> None:
    theirs = reopened(keys, provider)
    key, wrapped = keys.new_data_key(SCOPE, CONTEXT)
    assert theirs.unwrap(wrapped, CONTEXT) == key
    theirs.rotate()
    assert not keys.is_current(wrapped)
    theirs.destroy("ville", "personal", "2026")
    with pytest.raises(Shredded):
        keys.unwrap(wrapped, CONTEXT)
    assert wrapped.kek not in keys._secrets  # no public door shows what memory holds


def test_threads_that_need_a_scope_at_once_make_one_key(keys: Keys) -> None:
    made: list[str] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        made.append(keys.new_data_key(SCOPE, CONTEXT)[1].kek)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


PROCESS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from vault.keys import Keys, Scope
from vault.providers import open_provider
folder, name = Path(sys.argv[1]), sys.argv[2]
keys = Keys.open(folder, open_provider("systemd-cred:master", directory=folder), lambda: datetime.now(UTC))
sys.stdin.readline()
for period in range(20):
    shared = keys.new_data_key(Scope("ville", "personal", str(period)), b"c")[1]
    own = keys.new_data_key(Scope(name, "personal", str(period)), b"c")[1]
    print(shared.kek, own.kek, flush=True)
"""


def test_processes_that_make_keys_at_once_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "master").write_text("A" * 43 + "=\n")
    from vault.providers import open_provider

    keys = Keys.create(tmp_path / "keys", open_provider("systemd-cred:master", directory=tmp_path), clock)
    command = [sys.executable, "-c", PROCESS, str(keys.directory)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    running = [
        subprocess.Popen([*command, f"p{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for n in range(3)
    ]
    answers = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        answers.append([line.split() for line in process.communicate(timeout=60)[0].splitlines()])
        assert process.returncode == 0
    kept = {record.id for record in keys.list()}
    assert len(kept) == 20 + 3 * 20
    assert {kek for answer in answers for line in answer for kek in line} == kept
    assert [line[0] for line in answers[0]] == [line[0] for line in answers[1]] == [line[0] for line in answers[2]]


def test_what_is_derived_is_stable_for_a_purpose_and_a_site_and_different_otherwise(keys: Keys, tmp_path: Path) -> None:
    same = Keys.open(keys.directory, Mortal(keys._provider.store), clock)  # type: ignore[attr-defined] # the fixture's provider
    other = Keys.create(tmp_path / "other", Mortal(), clock)
    assert keys.derive("pseudonyms") == same.derive("pseudonyms")
    assert len({keys.derive("pseudonyms"), keys.derive("audit"), other.derive("pseudonyms")}) == 3


def test_the_site_signs_under_its_name_and_its_public_key_is_in_site_vkey(keys: Keys) -> None:
    assert keys.signer.name == "ville.example/sovereign"
    assert (keys.directory / "site.vkey").read_text() == keys.verifier.vkey + "\n"
