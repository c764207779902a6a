"""A first pull of a MaarchCourrier's letters and files, the vendor answering in 20 ms a call; then the same when nothing moved.

It gives the share of the wall that costs us CPU, and the calls of the second pull over those of the first. The bars, 25 % and
2 %, are of 100,000 letters with files of 50 kB: `--letters 100000`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import measured, report


@contextmanager
def maarch(count: int, size: int, latency: float) -> Iterator[str]:
    """Start the vendor and give its address; it is killed at the end."""
    command = [
        sys.executable, "-m", "saas_connectors.sandbox", "--maarch", str(count), "--document-bytes", str(size),
        "--latency-ms", str(latency),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 -- PIPE was asked for
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Pull twice into one site."""
    options = argparse.ArgumentParser()
    options.add_argument("--letters", type=int, default=4000)
    options.add_argument("--size", type=int, default=50_000)
    options.add_argument("--latency", type=float, default=20.0)
    options.add_argument("--concurrency", type=int, default=4)
    given = options.parse_args()
    first = 0
    with tempfile.TemporaryDirectory() as folder, maarch(given.letters, given.size, given.latency) as url:
        site = str(Path(folder) / "site")
        for step in ("first pull", "nothing moved"):
            own = measured("peer_mail.py", url, site, str(given.concurrency))
            letters, filed, calls = map(int, own.output.split())
            if (letters, filed) != (given.letters, given.letters):
                raise SystemExit(f"{own.output}: not {given.letters} letters, each with its document")
            first = first or calls
            report("mail", step=step, letters=letters, size=given.size, latency_ms=given.latency, at_once=given.concurrency,
                   sovereign=own, calls=calls, cpu_share=own.cpu / own.wall, cpu_ms_each=1000 * own.cpu / letters,
                   calls_share=calls / first)  # fmt: skip


if __name__ == "__main__":
    main()
