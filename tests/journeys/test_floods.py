"""A vendor that answers far more than it may: the pull fails with words that help, in bounded memory, and keeps none of it.

The pull is a process of its own, whose memory is read in /proc. What is asserted is a share of the cap, not an absolute size.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from sovereign.site import Site
from tests.servers.sites import credentials
from tests.servers.torrent import Torrent, pouring

MIB = 2**20
SLACK = 24 * MIB
"""What any pull takes beside its answers: buffers of parts, of SQLite, of threads."""


@contextmanager
def flooded(tmp_path: Path, torrent: Torrent, what: str, cap: int) -> Iterator[Path]:
    """A site over a vendor of exports or of documents, that takes answers up to `cap` bytes."""
    root = tmp_path / "site"
    with pytest.MonkeyPatch.context() as patch, pouring(torrent) as url:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
        patch.setitem(registry.KINDS, "letters", "tests.servers.papers:make")  # type: ignore[arg-type]  # a dict, in fact
        limits = {"max_bytes": cap, "attempts": 2, "patience": 1.0}
        own: dict[str, Any] = {"connector": "letters"}
        if what == "export":
            rows = {"path": "/rows", "primary_key": ["id"], "paging": {"kind": "none"}}
            own = {"connector": "rest", "streams": {"rows": rows}}
        with Site.create(root, provider="systemd-cred:sovereign", name="Ville") as site:
            site.add_connection("city", {**own, "url": url, "network": {"loopback": True, "plaintext": True}, "limits": limits})
        yield root


def drunk(root: Path) -> dict[str, Any]:
    """Pull once; gives what the process says of it."""
    command = [sys.executable, "-m", "tests.journeys.drinker", str(root), "city"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def disk(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def refused(tmp_path: Path, what: str, how: str, size: int, cap: int) -> dict[str, Any]:
    """Hold a flood to its law; gives what the process said."""
    torrent = Torrent(size, how)
    with flooded(tmp_path, torrent, what, cap) as root:
        before = disk(root)
        told = drunk(root)
        assert (told["state"], told["code"]) == ("failed", "egress.too_large"), told
        assert all("limits.max_bytes" in told[language] for language in ("fr", "en")), told
        assert disk(root) < before + MIB, "nothing of it is kept"
        assert torrent.sent < 6 * cap, "what is not wanted is not read on"
        torrent.size = 20_000
        again = drunk(root)
        assert (again["state"], again["rows"]) == ("succeeded", 1 if what == "document" else again["rows"])
    return told


@pytest.mark.parametrize(
    ("what", "how"),
    [("export", "stated"), ("export", "gzip"), ("document", "chunked")],
)
def test_an_answer_four_times_its_cap_is_refused_in_the_memory_of_its_cap(tmp_path: Path, what: str, how: str) -> None:
    told = refused(tmp_path, what, how, 64 * MIB, 16 * MIB)
    assert told["grown"] < 2 * 16 * MIB + SLACK, f"{told['grown'] / MIB:.0f} MiB"


def test_a_long_document_that_is_taken_is_never_held(tmp_path: Path) -> None:
    size = 80 * MIB
    with flooded(tmp_path, Torrent(size, "chunked"), "document", 96 * MIB) as root:
        told = drunk(root)
        assert told["state"] == "succeeded", told
        assert told["grown"] < 0.4 * size + SLACK, f"{told['grown'] / MIB:.0f} MiB"


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_an_export_of_small_records_is_pulled_in_a_few_times_its_size(tmp_path: Path) -> None:
    size = 40 * MIB
    with flooded(tmp_path, Torrent(size, "chunked", form="tiny"), "export", 64 * MIB) as root:
        told = drunk(root)
        print(f"{told['rows']} records of 13 bytes: {told['grown'] / MIB:.0f} MiB above {told['before'] / MIB:.0f}")  # noqa: T201
        assert (told["state"], told["rows"] > 2_000_000) == ("succeeded", True), told
        assert told["grown"] < 8 * size, "all at once, its records alone are 27 times its size of objects"


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("what", "how", "size"),
    [("export", "stated", 1024), ("export", "chunked", 1024), ("export", "gzip", 1024), ("document", "stated", 2048),
     ("document", "chunked", 2048)],
)  # fmt: skip
def test_an_export_of_a_gigabyte_and_a_document_of_two_meet_the_usual_cap(
    tmp_path: Path, what: str, how: str, size: int
) -> None:
    told = refused(tmp_path, what, how, size * MIB, 256 * MIB)
    print(f"{what} {how} {size} MiB: {told['grown'] / MIB:.0f} MiB above {told['before'] / MIB:.0f}")  # noqa: T201
    assert told["grown"] < 2 * 256 * MIB + SLACK


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("what", "times"), [("export", 0.75), ("document", 0.2)])
def test_an_answer_just_below_the_usual_cap_is_pulled_in_less_than_its_size(tmp_path: Path, what: str, times: float) -> None:
    with flooded(tmp_path, Torrent(250 * MIB, "chunked"), what, 256 * MIB) as root:
        told = drunk(root)
        print(f"{what} 250 MiB taken: {told['grown'] / MIB:.0f} MiB above {told['before'] / MIB:.0f}")  # noqa: T201
        assert told["state"] == "succeeded", told
        assert told["grown"] < times * 256 * MIB + SLACK
