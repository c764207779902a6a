"""Sovereign pulling a MaarchCourrier into a site, letters and files: sealed, raw archive kept, every act in the audit log.

Usage: python bench/peer_mail.py URL FOLDER. The first call makes the site, the next ones pull what changed. Prints the letters
held, the documents filed, and the calls made.
"""

import sys
from pathlib import Path
from typing import Any

from snapshots.dataset import DatasetId
from sovereign.site import Site

SETTINGS = """
[connections.courrier]
connector = "maarch"
url = "{url}"
secret = "courrier"
auth = {{ kind = "basic", user = "agent" }}
mode = "incremental"
streams = ["resources", "documents"]
network = {{ loopback = true, plaintext = true }}
limits = {{ concurrency = {concurrency}, rate = 10000.0 }}
"""


class Counted(Site):
    """A site whose ways out are kept, so that their calls can be counted."""

    ways: list[Any]

    def transport(self, name: str, **options: Any) -> Any:  # noqa: ANN401 - as the site's own
        """Open a way out, and keep it."""
        made = super().transport(name, **options)
        self.ways = [*getattr(self, "ways", []), made]
        return made


def main() -> None:
    """Pull once."""
    from saas_connectors.sandbox.vendor import SECRET

    url, folder, concurrency = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if not folder.exists():
        Site.create(folder, passphrase=lambda: "a bench has no secret").close()
        with (folder / "sovereign.toml").open("a") as settings:
            settings.write(SETTINGS.format(url=url, concurrency=concurrency))
        with Site.open(folder, passphrase=lambda: "a bench has no secret") as site:
            site.set_secret("courrier", "courrier", SECRET.encode())
    with Counted.open(folder, passphrase=lambda: "a bench has no secret") as site:
        outcome = site.syncs.run("courrier")
        if outcome.state != "succeeded":
            raise SystemExit(f"the pull ended as {outcome.state}: {outcome.fault} {outcome.streams}")
        letters = site.snapshot(DatasetId("courrier", "resources")).counts.rows
        with site.query("SELECT count(*) AS n FROM courrier.documents WHERE state = 'filed'") as answer:
            filed = answer.reader.read_all().column(0)[0].as_py()
        print(letters, filed, sum(way.counters.requests for way in site.ways))


if __name__ == "__main__":
    main()
