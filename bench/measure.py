"""How the benches measure: each command is a process of its own; its CPU, wall time and peak memory are the kernel's figures.

Results are JSON lines on standard output. Ratios are taken within one run, on one machine: absolute times travel badly.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = sys.executable
DLT = HERE.parent / ".tools" / "dlt" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost: CPU seconds (user and system, children included), wall seconds, peak resident megabytes."""

    cpu: float
    wall: float
    peak_mb: float
    output: str


def run(command: Sequence[str], **environment: str) -> Cost:
    """Run a command to its end and say what it cost; a failure shows its standard error."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    output, errors = process.communicate()
    wall = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-2000:]}")
    # The process reports its own usage on the last line, since communicate() has already reaped it.
    usage = json.loads(errors.strip().splitlines()[-1])
    return Cost(usage["cpu"], wall, usage["peak_mb"], output.strip())


def measured(script: str, *arguments: str, python: Path | str = PYTHON, **environment: str) -> Cost:
    """Run one of the bench scripts through `usage.py`, which reports what it cost."""
    return run([str(python), str(HERE / "usage.py"), str(HERE / script), *arguments], **environment)


@contextmanager
def vendor(rows: int, page: int = 1000, latency: float = 0.0) -> Iterator[str]:
    """Start the bench vendor and give its port; it is killed at the end."""
    command = [PYTHON, str(HERE / "vendor.py"), "--rows", str(rows), "--page", str(page), "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 -- PIPE was asked for
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def report(bench: str, **figures: object) -> None:
    """Print one line of results."""
    print(json.dumps({"bench": bench, **{name: _plain(value) for name, value in figures.items()}}), flush=True)


def _plain(value: object) -> object:
    if isinstance(value, Cost):
        return {name: figure for name, figure in asdict(value).items() if name != "output"}
    return round(value, 3) if isinstance(value, float) else value
