"""Analysts' questions to a warm mart, through a locked session, against DuckDB on plain Parquet; and what making it costs.

The baseline is DuckDB as it comes, with as many threads and as much memory, on one plain Parquet file written by pyarrow
(snappy, row groups of 122,880 rows: what DuckDB reads best). Each question is asked to both in turn, several times; the
best counts.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from measure import report

from snapshots import parts
from snapshots.dataset import OP, DatasetId, DatasetSpec
from snapshots.engine import Limits, Session
from snapshots.keyfile import read as read_keys
from snapshots.manifest import Counts, Manifest, Provenance, Verdict
from snapshots.repository import Repository
from snapshots.serving import Marts
from vault.keys import Keys
from vault.providers import create_provider, open_provider

INTERNAL = ["id", "reference", "status", "service", "priority", "created_at", "closed_at", "amount", "district"]
SPEC = DatasetSpec(DatasetId("bench", "mail"), ("id",), dict.fromkeys(INTERNAL, "internal"))
MEMORY, THREADS = 1 << 30, 2

ROWS = """
SELECT i AS id, 'MAIL-2026-' || lpad(i::VARCHAR, 8, '0') AS reference,
  'Request about ' || ['roads', 'schools', 'water', 'permits', 'noise', 'trees', 'taxes'][(1 + hash(i, 1) % 7)::INTEGER]
    || ' near number ' || hash(i, 2) % 4000 AS subject,
  ['new', 'open', 'waiting', 'answered', 'closed', 'closed', 'closed', 'cancelled'][(1 + hash(i, 3) % 8)::INTEGER] AS status,
  'Service ' || hash(i, 4) % 40 AS service, (hash(i, 5) % 5)::INTEGER AS priority,
  TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_seconds(i * 90000000 // $rows) AS created_at,
  CASE WHEN hash(i, 6) % 3 > 0 THEN
    TIMESTAMPTZ '2024-01-02 00:00:00+00' + to_seconds(i * 90000000 // $rows + (hash(i, 7) % 2000000)::BIGINT) END AS closed_at,
  (hash(i, 8) % 10000000 / 100)::DECIMAL(12, 2) AS amount, (hash(i, 9) % 20)::INTEGER AS district,
  'Person ' || hash(i, 10) % ($rows // 4 + 1) AS sender,
  'p' || hash(i, 10) % ($rows // 4 + 1) || '@example.org' AS email
FROM range($first, $last) t(i)
"""

QUESTIONS = {
    "count": "SELECT count(*) FROM {t}",
    "count by status": "SELECT status, count(*) AS n FROM {t} GROUP BY status ORDER BY n DESC",
    "sum by service and month": "SELECT service, date_trunc('month', created_at) AS month, count(*) AS n, sum(amount) AS total "
    "FROM {t} GROUP BY ALL ORDER BY total DESC LIMIT 100",
    "one by key": "SELECT * FROM {t} WHERE id = 1234567 % (SELECT count(*) FROM {t})",
    "text search": "SELECT count(*) FROM {t} WHERE subject ILIKE '%water%number 12%'",
    "one service, one month": "SELECT district, avg(amount) AS mean FROM {t} WHERE service = 'Service 7' "
    "AND created_at BETWEEN TIMESTAMPTZ '2025-03-01' AND TIMESTAMPTZ '2025-04-01' GROUP BY district ORDER BY district",
    "latest hundred": "SELECT id, subject, created_at FROM {t} WHERE status = 'open' ORDER BY created_at DESC LIMIT 100",
    "top senders": "SELECT sender, count(*) AS n FROM {t} GROUP BY sender ORDER BY n DESC, sender LIMIT 20",
    "distinct": "SELECT count(DISTINCT email) AS people, count(DISTINCT service) AS services FROM {t}",
    "percentiles of delay": "SELECT service, quantile_cont(date_diff('hour', created_at, closed_at), [0.5, 0.9]) AS delay "
    "FROM {t} WHERE closed_at IS NOT NULL GROUP BY service ORDER BY service",
    "join with itself": "SELECT count(*) FROM {t} a JOIN {t} b ON a.sender = b.sender AND b.id > a.id "
    "AND b.district = a.district WHERE a.status = 'waiting' AND b.status = 'waiting'",
    "window": "SELECT service, id, amount FROM {t} "
    "QUALIFY row_number() OVER (PARTITION BY service ORDER BY amount DESC, id) <= 3",
}


def site(root: Path, *, new: bool) -> tuple[Repository, Marts]:
    """Make or open the bench's site."""
    provider = (create_provider if new else open_provider)("file:master.json", passphrase=lambda: "bench", directory=root)
    keys = (Keys.create if new else Keys.open)(root / "keys", provider, lambda: datetime.now(UTC))
    repository = Repository(root / "snapshots", keys, lambda: datetime.now(UTC))
    return repository, Marts(repository, root / "marts", keys)


def pages(rows: int, size: int = parts.ROWS) -> Iterator[pa.Table]:
    """Make the rows, a part at a time."""
    maker = duckdb.connect(":memory:")
    maker.execute("SET TimeZone='UTC'")
    for first in range(0, rows, size):
        given = {"rows": rows, "first": first, "last": min(rows, first + size)}
        yield maker.execute(ROWS, given).to_arrow_table()


def land(repository: Repository, tables: Iterator[pa.Table], on: Manifest | None = None) -> Manifest:
    """Publish a base, or one delta of updates."""
    folder = repository.parts_folder(SPEC.id)
    folder.mkdir(parents=True, exist_ok=True)
    listed = list(on.parts) if on else []
    wraps = {name: each for name, each in read_keys(repository.key_file(on)).items() if name.count("/") == 3} if on else {}
    rows, kind = (on.rows, "delta") if on else (0, "base")
    press = repository.press(SPEC.id, folder, wraps)
    for table in tables:
        shape = SPEC.shape(table.schema)
        stored = table.append_column(OP, pa.array(["u"] * table.num_rows)) if on else table
        listed.append(press.write(shape, stored, kind))
        rows += 0 if on else table.num_rows
    wraps = {name: each for name, each in wraps.items() if any(part.id in name for part in listed)}
    return repository.publish(
        SPEC.id, shape, parent=on, parts=listed, wraps=wraps, cursor=None, counts=Counts(rows, rows, 0, 0, 0),
        verdict=Verdict("complete"), provenance=Provenance("bench", "bench", "1", "localhost"), mode="full_refresh",
    )  # fmt: skip


def seconds(ask: Callable[[], pa.Table]) -> float:
    """Time one question, rows read to the last."""
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def build(root: Path) -> None:
    """Make the mart, in a process of its own whose peak memory means something."""
    repository, marts = site(root, new=False)
    manifest = repository.find(SPEC.id)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of what came before: the passphrase takes 128 MiB
    took = seconds(lambda: marts.ensure(SPEC.id, "personal", manifest))
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    print(json.dumps({"seconds": took, "peak_mb": peak / 1024}))


def built(root: Path) -> dict[str, float]:
    """Run `build` apart."""
    command = [sys.executable, __file__, "--build", str(root)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Land, serve, ask, and say the ratios."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--build", type=Path)
    given = options.parse_args()
    if given.build:
        build(given.build)
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        repository, marts = site(root, new=True)
        manifest = land(repository, pages(given.rows))
        plain = root / "plain.parquet"
        with pq.ParquetWriter(plain, next(pages(1)).schema) as writer:
            for page in pages(given.rows):
                writer.write_table(page, row_group_size=122_880)
        report("marts.made", rows=given.rows, **built(root))
        mart = marts.ensure(SPEC.id, "personal", manifest)
        sizes = {
            "parquet_mb": plain.stat().st_size / 1e6,
            "parts_mb": manifest.bytes / 1e6,
            "mart_mb": mart.path.stat().st_size / 1e6,
        }
        report("marts.size", **sizes)
        ratios = compare(mart, plain, root, given.rounds)
        mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
        report(
            "marts",
            rows=given.rows,
            geometric_mean=mean,
            worst=max(ratios.values()),
            worst_question=max(ratios, key=ratios.get),
        )  # type: ignore[arg-type]  # get of a dict
        changed = next(pages(given.rows, max(1, given.rows // 100)))
        land(repository, iter([changed]), on=manifest)
        report("marts.refreshed", changed=changed.num_rows, **built(root))


def compare(mart: object, plain: Path, root: Path, rounds: int) -> dict[str, float]:
    """Ask each question to both, in turn; give the ratios of the best times."""
    baseline = duckdb.connect(":memory:")
    for setting in (f"memory_limit='{MEMORY}B'", f"threads={THREADS}", "TimeZone='Europe/Paris'"):
        baseline.execute(f"SET {setting}")
    ratios = {}
    with Session({("bench", "mail"): mart}, spill=root / "spill", limits=Limits(memory=MEMORY, threads=THREADS)) as session:  # type: ignore[dict-item]  # a Mart
        for name, question in QUESTIONS.items():
            on_plain, on_mart = question.format(t=f"'{plain}'"), question.format(t="bench.mail")
            plainly: Callable[[], pa.Table] = lambda sql=on_plain: baseline.execute(sql).to_arrow_table()  # noqa: E731
            sealed: Callable[[], pa.Table] = lambda sql=on_mart: session.execute(sql).reader.read_all()  # noqa: E731
            assert plainly().num_rows == sealed().num_rows, name  # noqa: S101 - a bench that compares two answers checks them
            times = [(seconds(plainly), seconds(sealed)) for _ in range(rounds)]
            best_plain, best_mart = (min(each) for each in zip(*times, strict=True))
            ratios[name] = best_mart / best_plain
            report("marts.question", question=name, plain_s=best_plain, mart_s=best_mart, ratio=ratios[name])
    return ratios


if __name__ == "__main__":
    main()
