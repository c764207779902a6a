"""A process that pulls and can be killed: it loads everything once, then forks a child for each line of its input.

    python -m tests.journeys.puller SITE        a line `pull ROWS`: the child syncs, with a checkpoint every ROWS records
                                                a line `replay RUN`: the child makes the snapshots of a run again

It answers with the child's number, then, when it has ended, with its exit status.
"""

import os
import sys
from pathlib import Path

import snapshots.draft
import snapshots.serving  # noqa: F401 — loaded before the fork, so that the kills strike the work and not the imports
import sovereign.sync.replay
from sovereign.site import Site
from sovereign.sync import landing
from tests.servers.sites import CONNECTION


def pull(root: Path, rows: int, connection: str = CONNECTION) -> int:
    landing.ROWS = rows  # type: ignore[misc]  # the drill wants many checkpoints out of few records
    with Site.open(root) as site:
        outcome = site.syncs.run(connection)
    if outcome.state != "succeeded":
        sys.stderr.write(f"{outcome}\n")
    return 0 if outcome.state == "succeeded" else 1


def replay(root: Path, run: str) -> int:
    with Site.open(root) as site:
        outcome = site.syncs.replay(run)
    if outcome.state != "succeeded":
        sys.stderr.write(f"{outcome}\n")
    return 0 if outcome.state == "succeeded" else 1


def tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main(connection: str = CONNECTION) -> None:
    root = Path(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            act, what = line.split()
            os._exit(pull(root, int(what), connection) if act == "pull" else replay(root, what))
        tell(child)
        tell(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    assert sovereign.sync.replay
    main()
