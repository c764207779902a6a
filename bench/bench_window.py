"""The unwitnessed window: the time from when an entry is durable to when a witness's cosignature over it is kept.

The log, its publisher and the asking of the witness are those of `sovereign serve`, at its own rhythm; the witness is
`sovereign witness serve` in a process of its own, over loopback. Entries are entered one a transaction, at a rate or as fast
as they go.
"""

import argparse
import subprocess
import tempfile
import threading
import time
from bisect import bisect_left
from datetime import UTC, datetime
from pathlib import Path

from measure import PYTHON, report

from sovereign.audit import AuditLog
from sovereign.audit.cosigning import Cosigned
from sovereign.audit.publication import Publisher
from sovereign.audit.standing import Standing
from sovereign.audit.witness import Witness
from sovereign.audit.witnesses import Witnesses
from sovereign.audit.witnessing import Witnessing
from sovereign.settings import AuditSettings, Network
from sovereign.settings import Witness as Named
from sovereign.state import State
from vault.keys import Keys
from vault.providers import create_provider


def clock() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class Timed(Witnesses):
    """Witnesses that note when a cosignature was kept."""

    def cosigned(self, name: str, found: Cosigned) -> Standing:
        """Keep it, then note when."""
        held = super().cosigned(name, found)
        self.kept.append((held.size, time.monotonic()))
        return held

    kept: list[tuple[int, float]]


def main() -> None:
    """Enter, have it witnessed, and say how long entries waited."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--rates", type=int, nargs="+", default=[100, 0], help="entries a second; 0 as fast as they go")
    given = options.parse_args()
    for rate in given.rates:
        with tempfile.TemporaryDirectory() as scratch:
            _measure(Path(scratch), rate, given.seconds)


def _measure(root: Path, rate: int, seconds: float) -> None:
    provider = create_provider("file:master.json", passphrase=lambda: "a bench has no secret", directory=root)
    keys = Keys.create(root / "keys", provider, clock)
    with State(root / "state.db") as state:
        log = AuditLog(state, keys, clock)
        witness = Witness.create(root / "witness", "witness.example/bench", clock)
        witness.trust(log.checkpoints.verifier)
        command = [PYTHON, "-m", "sovereign.cli.main", "witness", "serve", str(root / "witness"), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            url = process.stdout.readline().split()[-1] if process.stdout else ""
            named = Named(url=url, key=witness.verifier.vkey, network=Network(loopback=True, plaintext=True))
            witnesses = Timed(AuditSettings(witnesses={"w1": named}), root, state, log, clock)
            witnesses.kept = []
            _report(rate, seconds, _enter(log, witnesses, rate, seconds), witnesses.kept)
        finally:
            process.kill()
            process.wait()


def _enter(log: AuditLog, witnesses: Witnesses, rate: int, seconds: float) -> list[float]:
    """Enter for so long, while all is published and witnessed; gives when each entry was durable."""
    durable: list[float] = []
    stop = threading.Event()
    with (
        Witnessing(witnesses, print) as witnessing,
        Publisher(lambda: witnessing.wake(log.publication.publish()), print),
    ):
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            log.append("query.ran", {"connection": "ville"}, {"rows": len(durable)}, {"sql": "SELECT 1"})
            durable.append(time.monotonic())
            if rate:
                stop.wait(max(0.0, began + len(durable) / rate - time.monotonic()))
    return durable


def _report(rate: int, seconds: float, durable: list[float], kept: list[tuple[int, float]]) -> None:
    sizes = [size for size, _ in kept]
    waits = sorted(kept[bisect_left(sizes, number + 1)][1] - at for number, at in enumerate(durable))
    report(
        "unwitnessed window", asked_per_second=rate or None, entries=len(waits), per_second=len(waits) / seconds,
        cosignatures=len(kept), p50=waits[len(waits) // 2], p99=waits[len(waits) * 99 // 100], longest=waits[-1],
    )  # fmt: skip


if __name__ == "__main__":
    main()
