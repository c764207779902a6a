"""Sovereign from the REST source to a committed snapshot: encrypted, raw archive kept, every act in the audit log.

Usage: python bench/peer_sovereign.py PORT [FOLDER [make]]. In a folder, the first call makes the site and the next ones pull
again; `make` makes the site and pulls nothing.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from sovereign.site import Site

CONNECTION = """
[connections.vendor]
connector = "rest"
url = "http://127.0.0.1:{port}"
network = {{ loopback = true, plaintext = true }}
[connections.vendor.streams.requests]
path = "/rows"
primary_key = ["id"]
classes = {{ internal = ["id", "reference", "label", "status", "priority", "created_at", "updated_at", "amount", "district"] }}
"""


def main() -> None:
    """Pull every page of the vendor on this port and count the rows of the snapshot."""
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp()) / "site"
    if not folder.exists():
        Site.create(folder, passphrase=lambda: "a bench has no secret").close()
        with (folder / "sovereign.toml").open("a") as settings:
            settings.write(CONNECTION.format(port=sys.argv[1]))
    if sys.argv[3:] == ["make"]:
        return
    with Site.open(folder, passphrase=lambda: "a bench has no secret") as site:
        outcome = site.syncs.run("vendor")
        if outcome.state != "succeeded":
            raise SystemExit(f"the pull ended as {outcome.state}: {outcome.fault} {outcome.streams}")
        print(outcome.streams[0].counts["rows"])
    if len(sys.argv) <= 2:
        shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()
