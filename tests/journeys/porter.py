"""A process that serves a gateway as `sovereign serve` does, by a clock that the drill sets.

python -m tests.journeys.porter FILE       FILE holds by how many seconds the clock runs ahead; absent or empty: none
"""

import json
import os
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sovereign import service
from sovereign.audit.publication import Publisher
from sovereign.site import Site


def clock(file: Path) -> datetime:
    """The machine's clock, and what the drill adds to it."""
    try:
        ahead = float(file.read_text() or 0)
    except FileNotFoundError:
        ahead = 0.0
    return datetime.now(UTC) + timedelta(seconds=ahead)


def main(file: Path) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with (
        Site.open(Path(os.environ["SOVEREIGN_SITE"]), clock=lambda: clock(file)) as site,
        Publisher(site.audit.publication.publish, lambda _: None),
        service.door(site, stop) as address,
    ):
        sys.stdout.write(json.dumps({"type": "gateway", "address": address}) + "\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
