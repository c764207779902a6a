"""A process that syncs and kills itself, with SIGKILL, at one place of a commit.

python -m tests.journeys.struck SITE WHERE        WHERE: `keys` (parts are linked) or `manifest` (the key file is there too)
"""

import os
import signal
import sys
from pathlib import Path

from snapshots.repository import Repository
from sovereign.site import Site
from tests.servers.sites import CONNECTION
from vault import files

ENDINGS = {"keys": ".keys", "manifest": ".manifest"}


def strike(ending: str) -> None:
    write, publish = files.write, Repository.write_manifest

    def struck(path: Path, data: bytes, *, new: bool = False) -> None:
        if path.name.endswith(ending):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, data, new=new)

    def publishing(*given: object) -> object:
        files.write = struck
        return publish(*given)  # type: ignore[arg-type]  # handed on as they came

    Repository.write_manifest = publishing  # type: ignore[method-assign,assignment]  # the drill strikes inside it


if __name__ == "__main__":
    strike(ENDINGS[sys.argv[2]])
    with Site.open(Path(sys.argv[1])) as site:
        site.syncs.run(CONNECTION)
