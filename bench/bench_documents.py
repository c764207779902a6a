"""A first pull of letters with a file each, the vendor answering in 20 ms a call: the share of the wall that costs us CPU.

Then the same pull again, when every file is held. `--letters` and `--size` make it longer or heavier: the bar of 25 % is of
100,000 letters with files of 50 kB.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import HERE, measured, report


@contextmanager
def letters(count: int, size: int, latency: float) -> Iterator[str]:
    """Start the vendor and give its port; it is killed at the end."""
    command = [sys.executable, str(HERE / "letters_vendor.py"), "--letters", str(count), "--size", str(size)]
    process = subprocess.Popen([*command, "--latency", str(latency)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 -- PIPE was asked for
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Pull twice into one site."""
    options = argparse.ArgumentParser()
    options.add_argument("--letters", type=int, default=5000)
    options.add_argument("--size", type=int, default=50_000)
    options.add_argument("--latency", type=float, default=0.02)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, letters(given.letters, given.size, given.latency) as port:
        site = str(Path(folder) / "site")
        for step in ("first pull", "again, all held"):
            own = measured("peer_letters.py", port, site)
            if own.output.split() != [str(given.letters)] * 2:
                raise SystemExit(f"{own.output}: not {given.letters} letters, each with its document")
            share, each = own.cpu / own.wall, 1000 * own.cpu / given.letters
            report("documents", step=step, letters=given.letters, size=given.size, latency=given.latency,
                   sovereign=own, cpu_share=share, cpu_ms_each=each)  # fmt: skip


if __name__ == "__main__":
    main()
