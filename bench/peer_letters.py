"""Sovereign pulling letters and their files into a site: sealed, raw archive kept, every act in the audit log.

Usage: python bench/peer_letters.py PORT [FOLDER]. In a folder, the first call makes the site and the next ones pull again.
Prints the rows of the snapshot and the documents held.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from saas_connectors import registry
from saas_connectors.asking import fetch, file, holding
from saas_connectors.connector import Catalog, Checked, Document, Exchange, Json, Page, Reading, ReadPlan, Slice, Stream
from saas_connectors.request import Request
from snapshots.documents import Documents
from sovereign.site import Site

SCHEMA = pa.schema([("id", pa.int64()), ("subject", pa.string()), ("document", pa.string()), ("size", pa.int64())])
SETTINGS = """
[connections.vendor]
connector = "letters"
url = "http://127.0.0.1:{port}"
network = {{ loopback = true, plaintext = true }}
"""


class Letters:
    """The connector: a page of letters, what is held of their files, the others fetched as many at once as the budget lets."""

    name, version = "letters", "1"

    def __init__(self, url: str) -> None:
        self.url = url

    def check(self) -> Exchange[Checked]:
        """Ask nothing."""
        yield from ()
        return Checked("letters")

    def discover(self) -> Exchange[Catalog]:
        """Offer one stream."""
        yield from ()
        return Catalog((Stream("letters", ("id",), SCHEMA, dict.fromkeys(SCHEMA.names, "internal"), document="document"),))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """Read it in one."""
        del plan
        yield from ()
        return (Slice("letters", ("letters",)),)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Read a page of letters, then their files."""
        del plan, part
        after = -1 if position is None else int(position)
        while True:
            (answer,) = yield from fetch(Request("GET", f"{self.url}/letters?after={after}"))
            rows: list[dict[str, Any]] = orjson.loads(answer.body)["letters"]
            if not rows:
                return {}
            filed = list((yield from holding("letters", *(row["tag"] for row in rows))))
            lacking = [at for at, each in enumerate(filed) if each is None]
            requests = [Request("GET", f"{self.url}/letters/{rows[at]['id']}", document=True) for at in lacking]
            for at, given in zip(lacking, (yield from fetch(*requests)), strict=True):
                filed[at] = yield from file(Document("letters", rows[at]["tag"], given.body, "application/pdf"))
            made = [
                {"id": row["id"], "subject": row["subject"], "document": each.document, "size": each.size}
                for row, each in zip(rows, filed, strict=True)
                if each is not None
            ]
            after = rows[-1]["id"]
            yield Page("letters", pa.Table.from_pylist(made, SCHEMA), after)


def make(name: str, settings: Mapping[str, Json]) -> Letters:
    """Make the connector, as the registry does."""
    del name
    return Letters(settings["url"])


def main() -> None:
    """Pull every letter of the vendor on this port."""
    sys.modules["peer_letters"] = sys.modules[__name__]
    registry.KINDS["letters"] = "peer_letters:make"  # type: ignore[index]  # a dict, in fact
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp()) / "site"
    if not folder.exists():
        Site.create(folder, passphrase=lambda: "a bench has no secret").close()
        with (folder / "sovereign.toml").open("a") as settings:
            settings.write(SETTINGS.format(port=sys.argv[1]))
    with Site.open(folder, passphrase=lambda: "a bench has no secret") as site:
        outcome = site.syncs.run("vendor", full=True)
        if outcome.state != "succeeded":
            raise SystemExit(f"the pull ended as {outcome.state}: {outcome.fault} {outcome.streams}")
        held = len(Documents(site.repository, "vendor").shelf("internal").held)
        print(outcome.streams[0].counts["rows"], held)
    if len(sys.argv) <= 2:
        shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()
