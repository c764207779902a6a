"""The law of targets, kept by each: objects by name, whole or not there, listed, removed; errors that say no secret."""

import multiprocessing
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from sovereign.backup.errors import TargetFailed
from sovereign.backup.folder import FolderTarget
from sovereign.backup.s3 import Store, connect
from sovereign.backup.target import BLOCK, Absent, Target, object_name, record_name
from tests.servers import seaweedfs
from tests.servers.places import Place, bucket


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweedfs.Served]:
    if parts := seaweedfs.missing():
        assert os.environ.get("CI") != "true", parts
        pytest.skip(f"not installed: {parts}")
    for attempt in range(3):  # a port that was free may be taken by a neighbour before the store has it
        with ExitStack() as stack:
            try:
                served = stack.enter_context(seaweedfs.running(tmp_path_factory.mktemp("seaweedfs")))
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            yield served
            return


@pytest.fixture(params=["folder", "s3", "s3-tls"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    folder, prefix = tmp_path / "target", f"{secrets.token_hex(6)}/"
    if request.param == "folder":
        return Place(folder)
    store = request.getfixturevalue("store")
    if request.param == "s3":
        return Place(folder, bucket(store.url, prefix))
    return Place(folder, bucket(store.secure, prefix, authority=store.authority))


@pytest.fixture
def target(place: Place) -> Target:
    return place.open()


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


def stall(place: Place, name: str, told: Connection) -> None:
    """Put an object whose bytes stop coming, and say so; whoever started this process kills it."""

    def chunks() -> Iterator[bytes]:
        for _ in range(24):  # more than one part of an upload
            yield b"x" * BLOCK
        told.send("half")
        told.recv()

    place.open().put(name, chunks())


def test_a_process_killed_in_the_middle_of_a_put_leaves_no_such_name_and_the_next_put_is_whole(place: Place) -> None:
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=stall, args=(place, name(9), theirs))
    process.start()
    theirs.close()
    assert mine.poll(60), "it began"
    assert mine.recv() == "half"
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    target = place.open()
    assert target.sizes("data/") == {}
    with pytest.raises(Absent):
        whole(target, name(9))
    target.put(name(9), [b"whole"])
    assert (whole(target, name(9)), target.sizes("data/")) == (b"whole", {name(9): 5})


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_store_that_keeps_what_was_cut_keeps_less_than_the_whole(
    store: seaweedfs.Served, monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    struck = connect("nas", bucket(store.url, f"{secrets.token_hex(6)}/"))
    monkeypatch.setattr(struck, "remove", lambda _name: None)  # as a crash before it would

    def all_then_refused() -> Iterator[bytes]:
        for _ in range(chunks):
            yield b"x" * 100
        raise InterruptedError

    with pytest.raises((InterruptedError, TargetFailed)):
        struck.put(name(10), all_then_refused())
    assert struck.sizes("data/")[name(10)] < chunks * 100, "the next backup believes the length"


def test_what_killed_puts_left_is_swept_and_whatever_has_a_name_stays(place: Place) -> None:
    target = place.open()
    target.sweep()
    target.put(name(11), [b"stays"])
    left = place.folder / "data" / "12" / f".{'12' * 32}.0123456789ab"
    record = place.folder / "backups" / ".20261129-b1.backup.0123456789ab"
    others = place.folder / "data" / ".nfs000000001"
    for each in (left, record, others):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_bytes(b"half")
    target.sweep()
    assert target.sizes("data/") == {name(11): 5}
    if place.bucket is None:
        assert [each.exists() for each in (left, record, others)] == [False, False, True]


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


def test_more_objects_than_one_answer_lists_are_all_listed(store: seaweedfs.Served) -> None:
    many = connect("nas", bucket(store.url, f"{secrets.token_hex(6)}/"))
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


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("secret", "SIGNATURE_DOES_NOT_MATCH"),
        ("address", "NETWORK_CONNECTION"),
        ("authority", "TLS_CERTIFICATE"),
        ("clear", "NETWORK_CONNECTION"),
    ],
)  # a bucket that is not there, this server makes
def test_a_store_that_refuses_is_named_with_a_reason_and_no_secret_is_said(
    store: seaweedfs.Served, wrong: str, reason: str
) -> None:
    secret = "not-the-secret-at-all" if wrong == "secret" else seaweedfs.SECRET
    url = {"address": "https://127.0.0.1:9", "clear": store.secure.replace("https", "http")}.get(wrong, store.secure)
    refused = connect("nas", bucket(url, secret=secret, authority=None if wrong == "authority" else store.authority))
    with pytest.raises(TargetFailed) as failed:
        refused.put(name(7), [b"x"])
    assert (failed.value.fields["target"], failed.value.fields["reason"]) == ("nas", reason)
    said = [f"{told.what} {told.todo}" for told in (failed.value.diagnostics("fr"), failed.value.diagnostics("en"))]
    assert all("nas" in each for each in said)
    assert secret not in f"{said} {failed.value} {failed.value!r}"


def test_a_folder_that_cannot_be_written_to_is_named_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("no folder")
    with pytest.raises(TargetFailed) as failed:
        FolderTarget(tmp_path / "a-file", "nas").put(name(7), [b"x"])
    assert (failed.value.fields["target"], failed.value.fields["reason"]) == ("nas", "File exists")


def test_an_address_that_no_setting_allows_is_not_dialled(store: seaweedfs.Served) -> None:
    with pytest.raises(TargetFailed, match=r"egress\.|address"):
        connect("nas", Store(seaweedfs.BUCKET, store.url, seaweedfs.ACCESS, seaweedfs.SECRET))
