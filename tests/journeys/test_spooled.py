"""Answers too long to be held, put aside as they come: what lands is the same, and of one that is cut nothing does."""

import json
import os
from pathlib import Path

import pytest

from snapshots.dataset import CLASSES, DatasetId
from sovereign.site import Site
from tests.journeys.test_floods import flooded
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
