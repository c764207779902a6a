"""What the `folder:` way out promises of the files that are put."""

import hashlib
import threading
from pathlib import Path

import pytest

from saas_connectors.request import Request, Response
from sovereign.egress import Refused, Transport
from tests.servers.wayout import way


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return root


def put(out: Transport, name: str, body: bytes = b"{}", *headers: tuple[str, str]) -> Response:
    return out.send(Request("PUT", f"folder:{name}", headers=headers, body=body))


def test_a_file_is_made_then_replaced_whole(folder: Path) -> None:
    with way(f"folder:{folder}") as out:
        assert put(out, "a.json", b"[1]").status == 201
        (folder / "a.json").chmod(0o640)
        answer = put(out, "a.json", b"[1,2]")
        assert (answer.status, answer.headers["ETag"]) == (204, f'"{hashlib.sha256(b"[1,2]").hexdigest()}"')
        assert put(out, "sub/b.json", b"[3]").status == 201
        assert out.counters.bytes_out == 11
    assert (folder / "a.json").read_bytes() == b"[1,2]"
    assert (folder / "a.json").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "sub"]


@pytest.mark.parametrize(
    "name", ["../outside/x", "sub/../../outside/x", "/etc/x", ".hidden", "sub/.x", "link/x", "file/x", "l", "sub", "a\0b"]
)
def test_nothing_is_put_outside_nor_through_a_link(folder: Path, name: str) -> None:
    (folder / "link").symlink_to("../outside")
    (folder / "l").symlink_to("../outside/target")
    (folder / "file").write_bytes(b"x")
    with way(f"folder:{folder}") as out, pytest.raises(Refused):
        put(out, name)
    assert list((folder.parent / "outside").iterdir()) == []


def test_a_condition_that_does_not_hold_changes_nothing(folder: Path) -> None:
    with way(f"folder:{folder}") as out:
        tag = put(out, "a.json", b"[1]", ("If-None-Match", "*")).headers["ETag"]
        assert put(out, "a.json", b"[2]", ("If-None-Match", "*")).status == 412
        assert put(out, "a.json", b"[2]", ("If-Match", '"other"')).status == 412
        assert put(out, "b.json", b"[2]", ("If-Match", "*")).status == 412
        assert put(out, "a.json", b"[2]", ("If-Match", tag)).status == 204
        assert put(out, "a.json", b"[3]", ("If-Match", tag)).status == 412
    assert (folder / "a.json").read_bytes() == b"[2]"


def test_of_two_who_replace_the_same_version_one_wins(folder: Path) -> None:
    with way(f"folder:{folder}") as out:
        tag = put(out, "a.json").headers["ETag"]
        statuses: list[int] = []
        ways = [
            threading.Thread(target=lambda n=n: statuses.append(put(out, "a.json", b"[%d]" % n, ("If-Match", tag)).status))
            for n in range(8)
        ]
        for one in ways:
            one.start()
        for one in ways:
            one.join()
    assert sorted(statuses) == [204] + [412] * 7


def test_a_name_that_no_folder_takes_leaves_nothing(folder: Path) -> None:
    with way(f"folder:{folder}") as out:
        with pytest.raises(Refused):
            put(out, "x" * 300)
        assert put(out, "missing/a.json").status == 404
    assert [path.name for path in folder.iterdir()] == ["sub"]
    assert list((folder / "sub").iterdir()) == []
