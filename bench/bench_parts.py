"""Writing encrypted parts, one file a class, against plain Parquet by pyarrow with the same codec: CPU, in one run."""

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from measure import report
from vendor import Vendor

from snapshots import parts
from snapshots.dataset import DatasetId, Shape
from vault.keys import Keys
from vault.providers import create_provider

INTERNAL = ["id", "reference", "label", "status", "priority", "created_at", "updated_at", "amount", "district"]


def main() -> None:
    """Write the same tables both ways, in turn, several times."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=parts.ROWS)
    options.add_argument("--rounds", type=int, default=9)
    given = options.parse_args()
    table = pa.Table.from_pylist(orjson.loads(Vendor(given.rows, given.rows, 0).body(1))["items"])
    shape = Shape(table.schema, tuple("internal" if name in INTERNAL else "personal" for name in table.column_names), ("id",))
    plain, ours = [], []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        provider = create_provider("file:master.json", passphrase=lambda: "a bench has no secret", directory=root)
        keys = Keys.create(root / "keys", provider, lambda: datetime.now(UTC))
        press = parts.Press(root, DatasetId("bench", "requests"), keys, lambda: "2026", os.urandom, {})
        for number in range(given.rounds):
            began = time.process_time()
            pq.write_table(table, root / f"{number}.parquet", compression="zstd", row_group_size=table.num_rows)
            plain.append(time.process_time() - began)
            began = time.process_time()
            press.write(shape, table, "base")
            ours.append(time.process_time() - began)
    ratio = sorted(plain)[given.rounds // 2] / sorted(ours)[given.rounds // 2]
    report("parts", rows=given.rows, plain=json.dumps(plain), ours=json.dumps(ours), ratio=ratio)


if __name__ == "__main__":
    main()
