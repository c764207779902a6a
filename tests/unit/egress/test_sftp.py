"""What the `sftp:` way out promises of the files it lists, gives and puts, at OpenSSH's own server."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

import orjson
import pytest

from saas_connectors.request import Request, Response
from saas_connectors.ssh import SshKey
from sovereign.egress import NotSent, Refused, Transport
from sovereign.egress.errors import EgressError, Interrupted, TimedOut, TooLarge
from tests.servers import sshd
from tests.servers.relay import relaying
from tests.servers.wayout import Time, way

OLD = 1_700_000_000
Opened = Callable[..., AbstractContextManager[Transport]]


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.Sshd]:
    with sshd.running(more="MaxSessions 100") as running:
        yield running


@pytest.fixture
def folder(server: sshd.Sshd) -> Path:
    return Path(mkdtemp(dir=server.files))


def opened(server: sshd.Sshd, folder: Path, port: int | None = None, **more: Any) -> AbstractContextManager[Transport]:  # noqa: ANN401
    url = f"sftp://localhost:{port or server.port}{folder}/"
    return way(url, SshKey(server.user, server.private), **({"host_key": server.host_key} | more))


def ask(
    out: Transport,
    server: sshd.Sshd,
    folder: Path,
    method: str,
    name: str,
    body: bytes | None = None,
    *headers: tuple[str, str],
) -> Response:
    return out.send(Request(method, f"sftp://localhost:{server.port}{folder}/{name}", headers=headers, body=body))


def old(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))
    return path


def test_the_regular_files_of_the_directory_are_listed_by_name(server: sshd.Sshd, folder: Path) -> None:
    old(folder / "b.csv", b"12345")
    old(folder / "a é #1%2e.csv", b"")
    (folder / ".hidden").write_bytes(b"x")
    (folder / "sub").mkdir()
    (folder / "link.csv").symlink_to("b.csv")
    with opened(server, folder) as out:
        answer = ask(out, server, folder, "GET", "")
    said = orjson.loads(answer.body)
    assert [(each["name"], each["size"], each["modified"]) for each in said] == [
        ("a é #1%2e.csv", 0, "2023-11-14T22:13:20+00:00"),
        ("b.csv", 5, "2023-11-14T22:13:20+00:00"),
    ]
    assert len({each["tag"] for each in said}) == 2


def test_a_file_that_did_not_change_is_not_sent_again(server: sshd.Sshd, folder: Path) -> None:
    path = old(folder / "a.csv", b"x" * 300_000)
    with opened(server, folder) as out:
        first = ask(out, server, folder, "GET", "a.csv")
        tag = first.headers["ETag"]
        before = out.counters.bytes_in
        again = ask(out, server, folder, "GET", "a.csv", None, ("If-None-Match", tag))
        assert (again.status, again.body, out.counters.bytes_in - before < 4096) == (304, b"", True)
        path.write_bytes(b"y" * 300_000)
        changed = ask(out, server, folder, "GET", "a.csv", None, ("If-None-Match", tag))
    assert (first.status, first.body, changed.status, changed.body) == (200, b"x" * 300_000, 200, b"y" * 300_000)
    assert "ETag" not in changed.headers, "a file of this very second has no tag: it may change within it"


@pytest.mark.parametrize("size", [0, 1, 32_768, 5_000_001])
def test_a_file_of_any_size_comes_whole(server: sshd.Sshd, folder: Path, size: int) -> None:
    content = os.urandom(size)
    (folder / "a.bin").write_bytes(content)
    with opened(server, folder) as out:
        assert ask(out, server, folder, "GET", "a.bin").body == content
        assert ask(out, server, folder, "HEAD", "a.bin").headers["Content-Length"] == str(size)


def test_a_file_is_made_then_replaced_whole(server: sshd.Sshd, folder: Path) -> None:
    with opened(server, folder) as out:
        assert ask(out, server, folder, "PUT", "a é.csv", b"1").status == 201
        (folder / "a é.csv").chmod(0o640)
        assert ask(out, server, folder, "PUT", "a é.csv", b"22" * 2_000_000).status == 204
        (folder / "sub").mkdir()
        assert ask(out, server, folder, "PUT", "sub/b.csv", b"3").status == 201
        assert ask(out, server, folder, "PUT", "none/b.csv", b"3").status == 404
    assert (folder / "a é.csv").read_bytes() == b"22" * 2_000_000
    assert (folder / "a é.csv").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in folder.rglob("*")) == ["a é.csv", "b.csv", "sub"]


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "sub/../../outside",
        "/etc/passwd",
        ".hidden",
        "sub/.x",
        "link/x",
        "file/x",
        "l",
        "sub",
        "a\0b",
        "a\nb",
        ".",
    ],
)
def test_nothing_is_put_outside_nor_through_a_link(server: sshd.Sshd, folder: Path, name: str) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    inside = folder / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "link").symlink_to("../elsewhere")
    (inside / "l").symlink_to("../elsewhere/target")
    (inside / "file").write_bytes(b"x")
    with opened(server, inside) as out, pytest.raises(Refused):
        ask(out, server, inside, "PUT", name, b"{}")
    assert (list(elsewhere.iterdir()), sorted(each.name for each in folder.iterdir())) == ([], ["elsewhere", "inside"])


@pytest.mark.parametrize(
    "name", ["..", "../secret", "link", "linked/secret", "sub", "%2e%2e/secret", "sub/%2e%2e/%2e%2e/secret"]
)
def test_nothing_is_read_outside_nor_through_a_link(server: sshd.Sshd, folder: Path, name: str) -> None:
    (folder / "secret").write_bytes(b"the neighbours' pay")
    inside = folder / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "link").symlink_to("../secret")
    (inside / "linked").symlink_to("..")
    with opened(server, inside) as out:
        try:
            answer = ask(out, server, inside, "GET", name)
        except Refused:
            return
    assert (answer.status, answer.body) == (404, b""), "a name is taken as it is, never percent-decoded"


def test_only_files_of_the_connection_s_own_directory_are_asked_for(server: sshd.Sshd, folder: Path) -> None:
    with opened(server, folder) as out:
        for url in ("sftp://localhost/etc/passwd", "sftp://elsewhere/x", f"{server.url[:-1]}-other/x", "https://localhost/x"):
            with pytest.raises(Refused):
                out.send(Request("GET", url))
        with pytest.raises(Refused):
            out.send(Request("DELETE", f"sftp://localhost:{server.port}{folder}/a"))


def test_a_condition_that_does_not_hold_changes_nothing(server: sshd.Sshd, folder: Path) -> None:
    path = old(folder / "a.csv", b"[1]")
    with opened(server, folder) as out:
        tag = ask(out, server, folder, "GET", "a.csv").headers["ETag"]
        assert ask(out, server, folder, "PUT", "a.csv", b"[2]", ("If-None-Match", "*")).status == 412
        assert ask(out, server, folder, "PUT", "a.csv", b"[2]", ("If-Match", '"other"')).status == 412
        assert ask(out, server, folder, "PUT", "b.csv", b"[2]", ("If-Match", "*")).status == 412
        assert path.read_bytes() == b"[1]"
        assert ask(out, server, folder, "PUT", "a.csv", b"[2]", ("If-Match", tag)).status == 204
    assert (path.read_bytes(), [each.name for each in folder.iterdir()]) == (b"[2]", ["a.csv"])


def test_of_two_who_make_one_file_one_alone_is_told_so(server: sshd.Sshd, folder: Path) -> None:
    found: list[int] = []
    with opened(server, folder) as out:

        def make(mark: bytes) -> None:
            found.append(ask(out, server, folder, "PUT", "a.csv", mark * 100_000, ("If-None-Match", "*")).status)

        threads = [threading.Thread(target=make, args=(mark,)) for mark in (b"1", b"2", b"3", b"4")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [201, 412, 412, 412]
    assert len(set((folder / "a.csv").read_bytes())) == 1
    assert [each.name for each in folder.iterdir()] == ["a.csv"]


def test_a_server_that_cannot_replace_in_one_step_makes_new_files_and_replaces_none() -> None:
    with sshd.running(server=f"{sshd.SERVER} -P posix-rename,fsync") as bare:
        (bare.files / "a.csv").write_bytes(b"old")
        with opened(bare, bare.files) as out:
            assert ask(out, bare, bare.files, "PUT", "b.csv", b"new").status == 201
            assert ask(out, bare, bare.files, "PUT", "a.csv", b"new").status == 501
        assert sorted((each.name, each.read_bytes()) for each in bare.files.iterdir()) == [("a.csv", b"old"), ("b.csv", b"new")]


def test_a_server_that_lets_nothing_be_written_says_so_as_a_status(server: sshd.Sshd) -> None:
    with sshd.running(server=f"{sshd.SERVER} -R") as reading:
        (reading.files / "a.csv").write_bytes(b"old")
        with opened(reading, reading.files) as out:
            assert ask(out, reading, reading.files, "PUT", "b.csv", b"new").status == 403
            assert ask(out, reading, reading.files, "GET", "a.csv").body == b"old"


def test_the_account_s_own_folder_is_a_tilde() -> None:
    with sshd.running(server=f"{sshd.SERVER} -d {gettempdir()}/") as home:
        (home.files / "a.csv").write_bytes(b"1")
        url = f"sftp://localhost:{home.port}/~/{home.files.relative_to(gettempdir())}"
        with way(url, SshKey(home.user, home.private), host_key=home.host_key) as out:
            assert out.send(Request("GET", f"{url}/a.csv")).body == b"1"
            assert [each["name"] for each in orjson.loads(out.send(Request("GET", url)).body)] == ["a.csv"]


def test_what_is_bigger_than_the_cap_is_not_read(server: sshd.Sshd, folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"x" * 2_000_001)
    with opened(server, folder, max_bytes=2_000_000) as out:
        with pytest.raises(TooLarge):
            ask(out, server, folder, "GET", "a.bin")
        assert out.counters.bytes_in < 100_000


@pytest.mark.parametrize("cut", [2_000, 20_000, 400_000, 1_000_000, 1_048_000, 1_100_000])
def test_a_put_that_is_cut_leaves_the_file_as_it_was(server: sshd.Sshd, folder: Path, cut: int) -> None:
    path = old(folder / "a.csv", b"old" * 1000)
    new = os.urandom(1_048_576)
    with relaying(server.port) as relay:
        url = f"sftp://localhost:{relay.port}{folder}/a.csv"
        relay.left = cut
        with opened(server, folder, relay.port) as out:
            try:
                sent: object = out.send(Request("PUT", url, body=new)).status
            except EgressError as fault:
                sent = fault
    if isinstance(sent, EgressError) and not sent.may_have_arrived:
        assert path.read_bytes() == b"old" * 1000
    elif sent == 204:
        assert path.read_bytes() == new
    else:
        assert path.read_bytes() in (b"old" * 1000, new)
    assert cut > 1_050_000 or isinstance(sent, NotSent)


def test_a_read_that_is_cut_is_asked_for_again(server: sshd.Sshd, folder: Path) -> None:
    content = os.urandom(500_000)
    (folder / "a.bin").write_bytes(content)
    with relaying(server.port) as relay:
        relay.left = 1_500
        url = f"sftp://localhost:{relay.port}{folder}/a.bin"

        class Mended(Time):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                relay.left = None

        time = Mended()
        with opened(server, folder, relay.port, time=time) as out:
            assert out.send(Request("GET", url)).body == content
        assert time.sleeps == [1.0]


def test_what_a_killed_put_left_aside_goes_with_a_later_one(server: sshd.Sshd, folder: Path) -> None:
    stale = old(folder / ".a.csv.0123456789abcdef.part", b"half")
    fresh = folder / ".a.csv.fedcba9876543210.part"
    fresh.write_bytes(b"another's, under way")
    other = old(folder / ".b.csv.0123456789abcdef.part", b"half")
    with opened(server, folder) as out:
        assert ask(out, server, folder, "PUT", "a.csv", b"1").status == 201
    assert (stale.exists(), fresh.exists(), other.exists()) == (False, True, True)


def test_a_session_that_the_server_ended_is_replaced(server: sshd.Sshd, folder: Path) -> None:
    with sshd.running() as own, opened(own, own.files) as out:
        assert ask(out, own, own.files, "PUT", "a.csv", b"1").status == 201
        own.hang_up()
        assert ask(out, own, own.files, "GET", "a.csv").body == b"1"


def test_a_call_stops_when_it_is_asked_to(server: sshd.Sshd, folder: Path) -> None:
    stop = threading.Event()
    with relaying(server.port) as relay, opened(server, folder, relay.port, stop=stop, timeout=60.0) as out:
        (folder / "a.bin").write_bytes(os.urandom(1_000_000))
        relay.hold = True
        timer = threading.Timer(0.5, stop.set)
        timer.start()
        with pytest.raises(Interrupted):
            out.send(Request("GET", f"sftp://localhost:{relay.port}{folder}/a.bin"))
        timer.join()


def test_silence_is_waited_for_no_longer_than_was_said(server: sshd.Sshd, folder: Path) -> None:
    with relaying(server.port) as relay:
        (folder / "a.bin").write_bytes(b"1")
        with opened(server, folder, relay.port, timeout=3.0, connect_timeout=60.0, attempts=1) as out:
            url = f"sftp://localhost:{relay.port}{folder}/a.bin"
            assert out.send(Request("GET", url)).body == b"1"
            relay.hold = True
            with pytest.raises(TimedOut):
                out.send(Request("GET", url))


def test_a_put_that_is_stopped_before_its_rename_is_told_as_not_sent(server: sshd.Sshd, folder: Path) -> None:
    stop = threading.Event()
    with relaying(server.port) as relay, opened(server, folder, relay.port, stop=stop, timeout=60.0) as out:
        relay.pause_at = 100_000

        def stopping() -> None:
            while not relay.hold:
                stop.wait(0.01)
            stop.set()

        stopper = threading.Thread(target=stopping, daemon=True)
        stopper.start()
        with pytest.raises(NotSent):
            out.send(Request("PUT", f"sftp://localhost:{relay.port}{folder}/a.bin", body=os.urandom(1_000_000)))
        stopper.join(60)
        with pytest.raises(NotSent):
            out.send(Request("PUT", f"sftp://localhost:{relay.port}{folder}/b.bin", body=b"1"))
    assert not (folder / "a.bin").exists()
