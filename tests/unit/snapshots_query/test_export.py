"""Rows written for others, and snapshots handed over."""

import csv
import hashlib
import io
import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snapshots.errors import AlreadyExported, Damaged
from snapshots.export import export_dataset, open_sealed
from snapshots.formats import FORMATS, Written, write
from vault.errors import Corrupt, Shredded

Town: TypeAlias = Any  # the class is in conftest.py
Visits = Callable[..., pa.Table]

TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": ["a,b", 'the "x"\nof y', None],
        "formula": ["=1+1", "-2", ""],
        "spent": pa.array([Decimal("0.10"), Decimal("-12345678901234567890.12"), None], pa.decimal128(38, 2)),
        "seen": pa.array([datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        "where": [{"x": 1.5, "tags": ["a", "b"]}, None, {"x": None, "tags": []}],
        "blob": [b"\xff\x00", None, b""],
        "lasted": pa.array([timedelta(seconds=1.5), None, None], pa.duration("us")),
    }
)


def written(table: pa.Table, kind: str, **options: Any) -> tuple[bytes, Written]:  # noqa: ANN401 - options of write
    sink = io.BytesIO()
    done = write(table.to_reader(max_chunksize=2), kind, sink, **options)
    assert done.bytes == len(sink.getvalue())
    return sink.getvalue(), done


def test_csv_is_rfc_4180_and_tells_null_from_empty() -> None:
    data, done = written(TABLE, "csv")
    assert data.decode() == (
        '"id","name","formula","spent","seen","where","blob","lasted"\r\n'
        '1,"a,b","=1+1",0.10,2026-01-02 03:04:05.000006Z,"{""x"":1.5,""tags"":[""a"",""b""]}","/wA=","PT1.500000S"\r\n'
        '2,"the ""x""\nof y","-2",-12345678901234567890.12,,,,\r\n'
        '3,,"",,,"{""x"":null,""tags"":[]}","",\r\n'
    )
    assert done == Written(3, len(data))


def test_csv_made_safe_for_spreadsheets_runs_no_formula_and_keeps_numbers() -> None:
    data, _ = written(
        pa.table({"@a": ["=1+1", "+1", "-1", "@x", "\tx", "plain", None], "n": [-1] * 7}), "csv", formula_safe=True
    )
    rows = list(csv.reader(io.StringIO(data.decode())))
    assert rows == [["'@a", "n"], *[[text, "-1"] for text in ("'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", "")]]


def test_a_small_decimal_has_the_same_digits_in_csv_as_in_json_and_a_negative_one_is_no_formula() -> None:
    spent = pa.array([Decimal("0.000000100"), Decimal("-0.000000100"), Decimal(0), None], pa.decimal128(18, 9))
    data, _ = written(pa.table({"n": [1, 2, 3, 4], "spent": spent}), "csv", formula_safe=True)
    digits = [row["spent"] for row in csv.DictReader(io.StringIO(data.decode()))]
    assert digits == ["0.000000100", "-0.000000100", "0.000000000", ""]
    lines, _ = written(pa.table({"spent": spent}), "jsonl")
    assert [line.decode() for line in lines.splitlines()] == [f'{{"spent":{each or "null"}}}' for each in digits]


def test_json_keeps_every_digit_and_both_shapes_hold_the_same_objects() -> None:
    array, _ = written(TABLE, "json")
    lines, _ = written(TABLE, "jsonl")
    objects = json.loads(array, parse_float=Decimal)
    assert objects == [json.loads(line, parse_float=Decimal) for line in lines.splitlines()]
    assert objects[1]["spent"] == Decimal("-12345678901234567890.12")
    assert objects[0] == {
        "id": 1,
        "name": "a,b",
        "formula": "=1+1",
        "spent": Decimal("0.10"),
        "seen": "2026-01-02T03:04:05.000006+00:00",
        "where": {"x": Decimal("1.5"), "tags": ["a", "b"]},
        "blob": "/wA=",
        "lasted": "PT1.500000S",
    }
    assert json.loads(written(TABLE.slice(0, 0), "json")[0]) == []


def test_arrow_and_parquet_come_back_as_they_were() -> None:
    assert pa.ipc.open_stream(written(TABLE, "arrow")[0]).read_all() == TABLE
    assert pq.read_table(io.BytesIO(written(TABLE, "parquet")[0])) == TABLE


def test_columns_of_one_name_are_all_kept() -> None:
    twice = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "a_2"])
    assert json.loads(written(twice, "json")[0]) == [{"a": 1, "a_3": 2, "a_2": 3}]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_limit_cuts_and_says_so(kind: str) -> None:
    assert written(TABLE, kind, limit=2)[1].cut
    assert written(TABLE, kind, limit=2)[1].rows == 2
    assert not written(TABLE, kind, limit=3)[1].cut
    assert written(TABLE, kind)[1].rows == 3


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_rows_leave_as_they_come_in_bounded_memory(kind: str) -> None:
    batch = pa.record_batch({"id": pa.array(range(8192)), "text": ["some text that is not short"] * 8192})
    before, peak = pa.total_allocated_bytes(), 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal peak
        for _ in range(120):  # 50 MB
            peak = max(peak, pa.total_allocated_bytes() - before)
            yield batch

    class Nowhere:
        def write(self, data: bytes, /) -> None: ...

    assert write(pa.RecordBatchReader.from_batches(batch.schema, batches()), kind, Nowhere()).rows == 120 * 8192
    assert peak < 20 << 20


def test_an_export_in_clear_is_parquet_with_its_schema_and_provenance(town: Town, visits: Visits, tmp_path: Path) -> None:
    first = town.land(town.VISITS, visits(1, 2, 3))
    landed = town.land(town.VISITS, visits(2), on=first, op="d")
    done = export_dataset(town.repository, landed, "personal", tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "visits.parquet")
    assert (done.rows, table.num_rows) == (2, 2)
    assert table.sort_by("id").to_pylist() == visits(1, 3).drop(["illness"]).to_pylist()
    assert table.schema.field("name").metadata[b"class"] == b"personal"
    columns = json.loads((tmp_path / "out" / "schema.json").read_bytes())
    assert [each["name"] for each in columns] == ["id", "name", "place", "spent", "seen"]
    assert [each["name"] for each in columns if each["primary_key"]] == ["id"]
    readme = (tmp_path / "out" / "README.md").read_text()
    assert landed.hash in readme
    assert "En clair" in readme
    for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}


def test_a_sealed_export_names_nothing_personal_and_opens_with_the_site_s_keys_alone(
    town: Town, visits: Visits, tmp_path: Path
) -> None:
    landed = town.land(town.VISITS, visits(1, 2))
    export_dataset(town.repository, landed, "sensitive", tmp_path / "out", sealed=True)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    for canary in (b"Name 1", b"illness", b"PAR1"):
        assert canary not in everything
    for name, magic in (("visits.parquet", b"PAR1"), ("schema.json", b"[")):
        sink = io.BytesIO()
        assert open_sealed(tmp_path / "out", name, town.keys, sink) == len(sink.getvalue())
        assert sink.getvalue().startswith(magic)
    rows = tmp_path / "out" / "visits.parquet.sealed"
    sound = rows.read_bytes()
    rows.write_bytes(sound[:-1])
    with pytest.raises(Corrupt):
        open_sealed(tmp_path / "out", "visits.parquet", town.keys, io.BytesIO())
    with pytest.raises(Damaged):
        open_sealed(tmp_path / "out", "other.parquet", town.keys, io.BytesIO())
    rows.write_bytes(sound)
    town.keys.destroy("town", "export", None)
    with pytest.raises(Shredded):
        open_sealed(tmp_path / "out", "visits.parquet", town.keys, io.BytesIO())


def test_an_export_replaces_nothing_and_appears_whole_or_not_at_all(town: Town, visits: Visits, tmp_path: Path) -> None:
    landed = town.land(town.VISITS, visits(1))
    export_dataset(town.repository, landed, "internal", tmp_path / "out")
    with pytest.raises(AlreadyExported):
        export_dataset(town.repository, landed, "internal", tmp_path / "out")
    (part,) = town.repository.parts_folder(town.VISITS.id).glob("*.internal.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(Damaged):
        export_dataset(town.repository, landed, "internal", tmp_path / "broken")
    assert [path.name for path in tmp_path.iterdir() if "broken" in path.name] == []
