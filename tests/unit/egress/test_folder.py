"""What the `folder:` way in promises."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from saas_connectors.request import Request, Response
from sovereign.egress import NotSent, Refused, TooLarge, Transport
from tests.servers.wayout import way


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "dépôt"
    (root / "sub").mkdir(parents=True)
    (root / "b.json").write_bytes(b"[2]")
    (root / "a é.json").write_bytes(b"[1]")
    (root / "sub" / "c.json").write_bytes(b"[3]")
    (root / ".hidden").write_bytes(b"x")
    (tmp_path / "outside.txt").write_bytes(b"secret")
    return root


def get(out: Transport, url: str, *headers: tuple[str, str]) -> Response:
    return out.send(Request("GET", url, headers=headers))


def test_the_folder_lists_its_files_with_their_digests(folder: Path) -> None:
    with way(f"folder:{folder}") as out:
        listed = json.loads(get(out, "folder:").body)
        assert [(item["name"], item["size"]) for item in listed] == [("a é.json", 3), ("b.json", 3)]
        assert listed[1]["sha256"] == hashlib.sha256(b"[2]").hexdigest()
        (folder / "b.json").write_bytes(b"[2,2]")
        assert json.loads(get(out, f"folder:{folder}").body)[1]["sha256"] == hashlib.sha256(b"[2,2]").hexdigest()


def test_a_file_comes_with_its_digest_as_tag_and_is_not_given_twice(folder: Path) -> None:
    with way(f"folder:{folder}") as out:
        first = get(out, "folder:b.json")
        tag = f'"{hashlib.sha256(b"[2]").hexdigest()}"'
        assert (first.status, first.body, first.headers["ETag"]) == (200, b"[2]", tag)
        assert get(out, "folder:b.json", ("If-None-Match", tag)).status == 304
        assert get(out, "folder:sub/c.json").body == b"[3]"
        assert get(out, f"folder:{folder}/a é.json").body == b"[1]"
        assert get(out, "folder:nothing.json").status == 404
        assert out.counters.bytes_in == 9


@pytest.mark.parametrize(
    "name", ["../outside.txt", "sub/../../outside.txt", "/etc/passwd", "sub//c.json", "./b.json", "..", "a\0b", "sub/"]
)
def test_no_name_leads_outside(folder: Path, name: str) -> None:
    with way(f"folder:{folder}") as out, pytest.raises(Refused) as refusal:
        get(out, f"folder:{name}")
    assert refusal.value.rule == "egress.path"


@pytest.mark.parametrize("target", ["../outside.txt", "b.json", "/etc/passwd"])
def test_no_symbolic_link_is_followed_not_even_inside(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target)
    (folder / "away").symlink_to("..")
    with way(f"folder:{folder}") as out:
        for name in ("link", "away/outside.txt"):
            with pytest.raises(Refused):
                get(out, f"folder:{name}")
        assert "link" not in get(out, "folder:").body.decode()


def test_only_regular_files_are_read_and_a_pipe_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with way(f"folder:{folder}") as out:
        for name in ("pipe", "sub"):
            with pytest.raises(Refused) as refusal:
                get(out, f"folder:{name}")
            assert refusal.value.rule == "egress.kind"


def test_a_file_beyond_the_cap_is_refused_and_a_folder_that_is_gone_is_not_sent(folder: Path, tmp_path: Path) -> None:
    with way(f"folder:{folder}", max_bytes=2) as out, pytest.raises(TooLarge):
        get(out, "folder:b.json")
    with way(f"folder:{tmp_path}/nothing") as out, pytest.raises(NotSent):
        get(out, "folder:")


@pytest.mark.parametrize(
    ("method", "url"), [("POST", "folder:b.json"), ("DELETE", "folder:b.json"), ("GET", "https://ville.fr/")]
)
def test_it_reads_and_does_nothing_else(folder: Path, method: str, url: str) -> None:
    with way(f"folder:{folder}") as out, pytest.raises(Refused):
        out.send(Request(method, url))


def test_a_name_that_is_not_text_is_refused_and_said(folder: Path) -> None:
    (folder / os.fsdecode(b"march\xe9.xml")).write_bytes(b"<a/>")
    with way(f"folder:{folder}") as out, pytest.raises(Refused) as refusal:
        get(out, "folder:")
    assert refusal.value.rule == "egress.name"


def test_a_file_that_leaves_while_the_folder_is_listed_is_not_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.listdir
    # What a listing began before the upload took its final name still shows.
    monkeypatch.setattr(os, "listdir", lambda root: [*found(root), "upload.part"])
    with way(f"folder:{folder}") as out:
        assert [item["name"] for item in json.loads(get(out, "folder:").body)] == ["a é.json", "b.json"]


def test_a_file_that_someone_writes_to_while_the_folder_is_listed_hides_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read

    def beside_a_sender(file: int, count: int) -> bytes:
        piece = read(file, count)
        if piece == b"[2]":
            (folder / "b.json").write_bytes(b"[2, 2]")
        return piece

    monkeypatch.setattr(os, "read", beside_a_sender)
    with way(f"folder:{folder}") as out:
        listed = {item["name"]: item["sha256"] for item in json.loads(get(out, "folder:").body)}
        assert listed == {"a é.json": hashlib.sha256(b"[1]").hexdigest(), "b.json": None}
        again = {item["name"]: item["sha256"] for item in json.loads(get(out, "folder:").body)}
        assert again["b.json"] == hashlib.sha256(b"[2, 2]").hexdigest()
