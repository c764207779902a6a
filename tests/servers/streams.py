"""A site over a vendor with several streams."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saas_connectors.connector import Json
from saas_connectors.sandbox import Table
from snapshots.dataset import CLASSES, DatasetId
from sovereign.site import Site
from tests.servers.sites import CONNECTION, SECRET, Town, agents, settings, town

NAMES = ("agents", "leaves", "posts", "teams")


@contextmanager
def towns(folder: Path, count: int, names: Sequence[str] = NAMES, **asked: Json) -> Iterator[tuple[Town, dict[str, Table]]]:
    """A town whose vendor has several streams of `count` records, each its own; gives the tables by stream."""
    with town(folder, count, **asked) as here:
        tables = {names[0]: here.table}
        for number, name in enumerate(names[1:], 1):
            tables[name] = Table.of(agents(count, mark=f"{name} {number}"), ("id",))
        here.vendor.datasets.update(tables)
        values = settings(here.url, **{key: value for key, value in asked.items() if key not in ("cap", "latency")})
        one = values["streams"]["agents"]
        values["streams"] = {name: {**one, "path": one["path"].replace("agents", name)} for name in names}
        here.site.remove_connection(CONNECTION)
        here.site.add_connection(CONNECTION, values)
        here.site.set_secret(CONNECTION, "agents", SECRET.encode())
        yield here, tables


def there(table: Table) -> list[dict[str, Any]]:
    """Every record that the vendor has in one stream, by id."""
    return sorted(table.rows(0, 10**9), key=lambda row: row["id"])


def holds(site: Site, stream: str) -> list[dict[str, Any]]:
    """Every record that the served snapshot of a stream has, by id."""
    head = site.heads()[DatasetId(CONNECTION, stream)]
    return sorted(
        (row for batch in site.repository.read(head, CLASSES) for row in batch.to_pylist()), key=lambda row: row["id"]
    )
