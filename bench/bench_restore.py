"""A site restored from a folder, hashes, audit log and rows proved, against a plain copy of the same backup, flushed to disk.

`--letters` and `--size` say how much: 100,000 letters with files of 50 kB make 5 GB. The site is pulled from the sandbox first.
Each is done twice, the one after the other, and the better time of each counts.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench_mail import maarch
from measure import measured, report


def timed(act: Callable[[], object]) -> float:
    """Seconds that an act takes, all of it on disk."""
    began = time.monotonic()
    act()
    os.sync()
    return time.monotonic() - began


def main() -> None:
    """Pull, back up, then copy and restore in turn."""
    from sovereign.backup.creating import create
    from sovereign.backup.folder import FolderTarget
    from sovereign.backup.restoring import restore
    from sovereign.site import Site

    options = argparse.ArgumentParser()
    options.add_argument("--letters", type=int, default=100_000)
    options.add_argument("--size", type=int, default=50_000)
    given = options.parse_args()

    def said() -> str:
        return "a bench has no secret"

    with tempfile.TemporaryDirectory() as name, maarch(given.letters, given.size, 0.0) as url:
        folder = Path(name)
        measured("peer_mail.py", url, str(folder / "site"), "8")
        target, keys = FolderTarget(folder / "data"), folder / "keys"
        with Site.open(folder / "site", passphrase=said) as site:
            site.export_recovery(threshold=2, shares=3)
            made = timed(lambda: create(site, target, keys))
            again = timed(lambda: create(site, target, keys))
        shutil.rmtree(folder / "site")
        size = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
        copies, restores = [], []
        for turn in range(2):
            copies.append(
                timed(lambda at=f"copy-{turn}": subprocess.run(["cp", "-r", folder / "data", folder / at], check=True))
            )
            shutil.rmtree(folder / f"copy-{turn}")
            restores.append(timed(lambda at=f"again-{turn}": restore(target, folder / at, keys, passphrase=said)))
            shutil.rmtree(folder / f"again-{turn}")
        report("restore", bytes=size, created=made, created_again=again, copy=min(copies), restore=min(restores),
               ratio=min(restores) / min(copies))  # fmt: skip


if __name__ == "__main__":
    main()
