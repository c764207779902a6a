"""Peak memory of the pulling process: ten million rows pulled, then pulled again when one row in a hundred changed."""

import argparse
import tempfile
import urllib.request
from pathlib import Path

from measure import measured, report, vendor


def main() -> None:
    """Pull, change, pull again into the same site; report the two peaks."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--percent", type=float, default=1.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, vendor(given.rows) as port:
        site = str(Path(folder) / "site")
        first = measured("peer_sovereign.py", port, site)
        report("memory", rows=given.rows, step="first pull", sovereign=first, read=int(first.output))
        urllib.request.urlopen(f"http://127.0.0.1:{port}/change?percent={given.percent}&seed=7").read()
        second = measured("peer_sovereign.py", port, site)
        report("memory", rows=given.rows, step="second pull, diffed", sovereign=second, read=int(second.output))


if __name__ == "__main__":
    main()
