"""Thirty daily refreshes when one row in a hundred changes a day: bytes of parts and key files against the first snapshot's.

The raw archive is reported apart: it keeps the vendor's answers as they came and has its own retention.
"""

import argparse
import tempfile
import urllib.request
from pathlib import Path

from measure import measured, report, vendor


def size(folder: Path, *names: str) -> int:
    """Bytes of the files below the folders of these names."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and set(path.parts) & set(names))


def main() -> None:
    """Pull thirty-one days and compare what is stored."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--days", type=int, default=30)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, vendor(given.rows) as port:
        site = Path(folder) / "site"
        measured("peer_sovereign.py", port, str(site))
        first = size(site / "snapshots", "parts", "keys")
        for day in range(1, given.days + 1):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/change?percent=1&seed={day}").read()
            measured("peer_sovereign.py", port, str(site))
        after, raw = size(site / "snapshots", "parts", "keys"), size(site / "snapshots", ".raw")
    report("refreshes", rows=given.rows, days=given.days, first=first, after=after, ratio=after / first, raw=raw)


if __name__ == "__main__":
    main()
