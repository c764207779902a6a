"""A process that backs up, restores and renews keys, and can be killed: it forks a child for each line of its input.

    python -m tests.journeys.saver SITE      lines: `create TARGET KEYS`, `restore TARGET KEYS PLACE`, `rotate`

It answers with the child's number, then, when it has ended, with its exit status.
"""

import os
import sys
from pathlib import Path

import sovereign.backup.proof  # noqa: F401 — loaded before the fork, so that the kills strike the work and not the imports
from sovereign.backup.creating import create
from sovereign.backup.folder import FolderTarget
from sovereign.backup.restoring import restore
from sovereign.site import Site
from tests.journeys.puller import tell


def main() -> None:
    root = Path(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            act, *places = line.split()
            match act, [Path(each) for each in places]:
                case "create", [target, keys]:
                    with Site.open(root) as site:
                        create(site, FolderTarget(target), keys)
                case "restore", [target, keys, place]:
                    restore(FolderTarget(target), place, keys)
                case _:
                    with Site.open(root) as site:
                        site.rotate_keys()
            os._exit(0)
        tell(child)
        tell(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
