"""A process that backs up, restores, prunes and renews keys, and can be killed: it forks a child for each line of its input.

    python -m tests.journeys.saver SITE
        create TARGET KEYS | restore TARGET KEYS FOLDER | prune TARGET KEYS LAST STEP | rotate

A target is a word of `places.Place`. A pruning kills itself at a step: before that removal, before and after the sweeping that
follows the last one; never when it is 0. It answers with the child's number, then, when it has ended, with its exit status.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import sovereign.backup.proof  # noqa: F401 — loaded before the fork, so that the kills strike the work and not the imports
from sovereign.backup.creating import create
from sovereign.backup.keeping import Keep
from sovereign.backup.pruning import prune
from sovereign.backup.restoring import restore
from sovereign.backup.target import Target
from sovereign.site import Site
from tests.journeys.puller import tell
from tests.servers.places import Place


class _Dying:
    """A target whose process kills itself at a removal."""

    def __init__(self, target: Target, step: int) -> None:
        self._target, self._left, self._lock = target, step, threading.Lock()
        self.name, self.folder = "dying", target.folder
        self.put, self.get, self.sizes = target.put, target.get, target.sizes

    def remove(self, name: str) -> None:
        self._step()
        self._target.remove(name)

    def sweep(self) -> None:
        self._step()
        self._target.sweep()
        self._step()

    def _step(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    root = Path(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            match line.split():
                case "create", target, keys:
                    with Site.open(root) as site:
                        create(site, Place.read(target).open(), Path(keys))
                case "restore", target, keys, folder:
                    restore(Place.read(target).open(), Path(folder), Path(keys))
                case "prune", target, keys, last, step:
                    with Site.open(root) as site:
                        prune(site, _Dying(Place.read(target).open(), int(step)), Keep(last=int(last)), keys=Path(keys))
                case _:
                    with Site.open(root) as site:
                        site.rotate_keys()
            os._exit(0)
        tell(child)
        tell(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
