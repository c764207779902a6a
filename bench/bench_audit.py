"""The audit log: durable appends in batches, the check of a published log against raw SHA-256, and one inclusion proof.

Two baselines for the check, over the very bytes that the entries are: one SHA-256 of them all as a stream, and one SHA-256 for
each message that the tree hashes (entries and nodes), which is what any tree must do.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from measure import report

from sovereign.audit import AuditLog, NewEntry
from sovereign.audit import folder as published
from sovereign.state import State
from vault.keys import Keys
from vault.providers import create_provider


def entry(number: int) -> NewEntry:
    """An entry like those of the gateway, with a body to seal."""
    subject = {"connection": "ville", "stream": "arbres", "intent": f"w-{number:026d}"}
    return NewEntry("query.ran", subject, {"bytes": number, "operation": "create_item"}, {"sql": "SELECT 1"})


def main() -> None:
    """Enter, publish, check, prove."""
    options = argparse.ArgumentParser()
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--batch", type=int, default=1000)
    given = options.parse_args()
    count = given.entries
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        provider = create_provider("file:master.json", passphrase=lambda: "a bench has no secret", directory=root)
        keys = Keys.create(root / "keys", provider, lambda: datetime.now(UTC))
        with State(root / "state.db") as state:
            log = AuditLog(state, keys, lambda: datetime.now(UTC))
            spent = 0.0
            for start in range(0, count, given.batch):
                batch = [entry(number) for number in range(start, min(start + given.batch, count))]
                began = time.perf_counter()
                log.append_many(batch)
                spent += time.perf_counter() - began
            report("audit append", entries=count, batch=given.batch, per_second=count / spent)
            log.publication.publish()
            bundles = [path.read_bytes() for path in (root / "audit" / "tile" / "entries").rglob("*") if path.is_file()]
            length = sum(map(len, bundles)) // count
            messages = [os.urandom(length)] * count
            stream = _timed(lambda: hashlib.sha256(b"".join(bundles)).digest())
            each = _timed(lambda: [hashlib.sha256(message).digest() for message in messages])
            each += _timed(lambda: [hashlib.sha256(message[:65]).digest() for message in messages])
            check = min(_timed(lambda: published.verify(root / "audit", log.checkpoints.verifier)) for _ in range(3))
            report(
                "audit verify", entries=count, seconds=check, raw_stream=stream, raw_messages=each,
                ratio_stream=stream / check, ratio_messages=each / check,
            )  # fmt: skip
            log.prove(0)
            proofs = sorted(_timed(lambda at=at: log.prove(at)) for at in range(0, count, max(1, count // 200)))
            report("audit prove", entries=count, p50_ms=proofs[len(proofs) // 2] * 1e3, p99_ms=proofs[-2] * 1e3)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
