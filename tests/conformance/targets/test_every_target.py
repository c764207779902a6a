"""The law of targets, kept by each: objects by name, whole or not there, listed, removed; errors that say no secret."""

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sovereign.backup.errors import TargetFailed
from sovereign.backup.folder import FolderTarget
from sovereign.backup.s3 import Store, connect
from sovereign.backup.target import BLOCK, Absent, Target, object_name, record_name
from tests.servers import seaweedfs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if parts := seaweedfs.missing():
        assert os.environ.get("CI") != "true", parts
        pytest.skip(f"not installed: {parts}")
    for attempt in range(3):  # a port that was free may be taken by a neighbour before the store has it
        with ExitStack() as stack:
            try:
                url = stack.enter_context(seaweedfs.running(tmp_path_factory.mktemp("seaweedfs")))
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            yield url
            return


def bucket(url: str, prefix: str = "", *, secret: str = seaweedfs.SECRET) -> Target:
    return connect("nas", Store(seaweedfs.BUCKET, url, seaweedfs.ACCESS, secret, prefix=prefix, loopback=True))


@pytest.fixture(params=["folder", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "folder":
        return FolderTarget(tmp_path / "target")
    return bucket(request.getfixturevalue("store"), f"{secrets.token_hex(6)}/")


def whole(target: Target, name: str) -> bytes:
    return b"".join(target.get(name))


def name(byte: int) -> str:
    return object_name(f"{byte:02x}" * 32)


def test_what_is_put_is_given_back_in_pieces_and_listed_with_its_size(target: Target) -> None:
    long = secrets.token_bytes(3 * BLOCK + 17)
    target.put(name(1), [long[:10], long[10:]])
    target.put(record_name("20261129-b1"), [b"a record"])
    target.put(name(2), [])
    assert (whole(target, name(1)), whole(target, name(2))) == (long, b"")
    assert all(len(block) <= BLOCK for block in target.get(name(1)))
    assert target.sizes("data/") == {name(1): len(long), name(2): 0}
    assert target.sizes("backups/") == {record_name("20261129-b1"): 8}


def test_what_is_not_there_is_absent_and_an_empty_place_lists_nothing(target: Target) -> None:
    assert target.sizes("data/") == {}
    with pytest.raises(Absent):
        whole(target, name(3))
    target.remove(name(3))


def test_a_put_whose_bytes_stop_coming_leaves_nothing(target: Target) -> None:
    def cut() -> Iterator[bytes]:
        yield b"x" * BLOCK
        raise InterruptedError

    with pytest.raises((InterruptedError, TargetFailed)):
        target.put(name(4), cut())
    with pytest.raises(Absent):
        whole(target, name(4))
    assert target.sizes("data/") == {}


def test_a_removed_object_is_gone_and_the_others_stay(target: Target) -> None:
    for each in (5, 6):
        target.put(name(each), [b"%d" % each])
    target.remove(name(5))
    assert target.sizes("data/") == {name(6): 1}


def test_many_threads_put_and_get_at_once(target: Target) -> None:
    found: dict[int, bytes] = {}

    def work(number: int) -> None:
        target.put(name(number), [secrets.token_bytes(1000), b"%d" % number])
        found[number] = whole(target, name(number))[1000:]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16, 32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {number: b"%d" % number for number in range(16, 32)}


def test_more_objects_than_one_answer_lists_are_all_listed(store: str) -> None:
    many = bucket(store, f"{secrets.token_hex(6)}/")
    wanted = {object_name(f"{number:064x}"): 1 for number in range(1100)}

    def work(names: list[str]) -> None:
        for each in names:
            many.put(each, [b"x"])

    names = list(wanted)
    threads = [threading.Thread(target=work, args=(names[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert many.sizes("data/") == wanted


@pytest.mark.parametrize("wrong", ["secret", "address"])  # a bucket that is not there, this server makes
def test_a_store_that_refuses_is_named_and_no_secret_is_said(store: str, wrong: str) -> None:
    url = "http://127.0.0.1:9" if wrong == "address" else store
    secret = "not-the-secret-at-all" if wrong == "secret" else seaweedfs.SECRET
    refused = bucket(url, secret=secret)
    with pytest.raises(TargetFailed) as failed:
        refused.put(name(7), [b"x"])
    said = f"{failed.value} {failed.value.diagnostics('fr').what}"
    assert "nas" in said
    assert secret not in said


def test_an_address_that_no_setting_allows_is_not_dialled(store: str) -> None:
    with pytest.raises(TargetFailed, match=r"egress\.|address"):
        connect("nas", Store(seaweedfs.BUCKET, store, seaweedfs.ACCESS, seaweedfs.SECRET))
