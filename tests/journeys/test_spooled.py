"""Answers too long to be held, put aside as they come: what lands is the same, and of one that is cut nothing does."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapshots.dataset import CLASSES, DatasetId
from sovereign.site import Site
from tests.journeys.test_floods import flooded
from tests.servers.sites import credentials
from tests.servers.torrent import Torrent

SIZE = 12 * 2**20
"""Well beyond what is held of one answer, and of the pages that wait for their end."""
CANARY = b"Canari-Torrent-51c2"
ROWS = DatasetId("city", "rows")


def nameless() -> list[bytes]:
    """What this process has put in files that have no name."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            if str(handle.readlink()).endswith("(deleted)"):
                found.append(os.pread(int(handle.name), SIZE, 0))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", ["gzip", "stated"])
def test_a_long_export_lands_whole_and_is_replayed_from_its_archive(tmp_path: Path, how: str) -> None:
    torrent = Torrent(SIZE, how)
    rows = json.loads(b"".join(torrent.rows()))
    with flooded(tmp_path, torrent, "export", 64 * 2**20) as root, Site.open(root) as site:
        assert site.syncs
        assert site.repository
        first = site.syncs.run("city")
        assert (first.state, first.rows) == ("succeeded", len(rows))
        head = site.repository.head(ROWS)
        assert head
        read = sum(batch.num_rows for batch in site.repository.read(head, CLASSES))
        assert read == len(rows)
        again = site.syncs.replay(first.run)
        assert (again.state, again.rows) == ("succeeded", len(rows))
        now = site.repository.head(ROWS)
        assert now
        assert now.sequence == head.sequence, "what is the same makes no snapshot"
        assert not [held for held in nameless() if CANARY in held]


def test_of_a_long_export_that_ends_in_an_error_nothing_lands(tmp_path: Path) -> None:
    torrent = Torrent(SIZE, "chunked")
    with flooded(tmp_path, torrent, "export", 64 * 2**20) as root, Site.open(root) as site:
        assert site.syncs
        assert site.repository
        assert site.syncs.run("city").state == "succeeded"
        head = site.repository.head(ROWS)
        torrent.form = "error"
        cut = site.syncs.run("city")
        assert cut.fault
        assert (cut.state, cut.fault.code) == ("failed", "vendor.malformed")
        assert site.repository.head(ROWS) == head


@contextmanager
def dropped(tmp_path: Path) -> Iterator[tuple[Site, Path]]:
    """A site that pulls `agents.csv` from a folder."""
    drop = tmp_path / "drop"
    drop.mkdir()
    stream = {"files": "agents.csv", "primary_key": ["id"], "types": {"jour": "date"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
        with Site.create(tmp_path / "site", provider="systemd-cred:sovereign", name="Ville") as site:
            site.add_connection("city", {"connector": "files", "url": f"folder:{drop}", "streams": {"rows": stream}})
        with Site.open(tmp_path / "site") as site:
            yield site, drop / "agents.csv"


def agents(rows: int, odd: dict[int, str] | None = None) -> bytes:
    lines = (f"{n};Zoé {n % 613};{n % 28 + 1:02d}/{n % 12 + 1:02d}/2026;{'rue de la République ' * 4}" for n in range(rows))
    found = [(odd or {}).get(n, line) for n, line in enumerate(lines)]
    return "\n".join(["id;nom;jour;rue", *found, ""]).encode()


def test_a_long_file_lands_block_by_block_and_not_at_all_when_it_is_cut(tmp_path: Path) -> None:
    whole = agents(60_000, {40_000: "40000;Zoé;31/02/2026;rue", 50_000: "50000;Zoé"})
    assert len(whole) > 6 * 2**20
    with dropped(tmp_path) as (site, file):
        assert site.syncs
        assert site.repository
        file.write_bytes(whole)
        first = site.syncs.run("city")
        assert first.state == "partial", first.fault
        head = site.repository.head(ROWS)
        aside = site.repository.head(DatasetId("city", "rows_rejected"))
        assert head
        assert aside
        assert (head.rows, aside.rows) == (59_998, 2)
        file.write_bytes(whole[:-30_000])
        assert site.syncs.run("city").fault is None
        now = site.repository.head(ROWS)
        assert now
        assert now.sequence == head.sequence, "the file that was cut is not taken"
        file.write_bytes(agents(60_000, {30_000: '30000;"Zoé;01/01/2026;rue'}))  # a quote that nothing closes: held whole
        stray = site.syncs.run("city")
        assert stray.state == "partial", stray.fault
        now = site.repository.head(ROWS)
        assert now
        assert now.sequence > head.sequence
        assert not [held for held in nameless() if "République".encode() in held]
