"""A report as JSON, format `sovereign-report/1`: codes rather than labels, instants in ISO 8601 UTC, rows as objects."""

import json
from datetime import UTC, datetime
from typing import Any

from sovereign.reports.model import Cell, Code, Report, Table


def record(report: Report) -> bytes:
    """Write it; docs/reports.md gives the shape."""
    verdict = report.verdict
    told = {
        "format": "sovereign-report/1", "kind": report.kind, "site": report.site, "from": plain(report.since),
        "to": plain(report.until), "made_at": plain(report.made_at), "zone": report.zone,
        "audit_log": {
            "intact": verdict.intact, "found": {"fr": verdict.said.fr, "en": verdict.said.en}, "entries": verdict.entries,
            "unread": verdict.unread, "root": verdict.root, "key": verdict.key, "check": list(verdict.commands),
        },
        "sections": {section.key: {table.key: _table(table) for table in section.tables} for section in report.sections},
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n"


def _table(table: Table) -> dict[str, Any]:
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, map(plain, row), strict=True)) for row in table.rows]
    return {"total": len(rows) if table.total is None else table.total, "rows": rows}


def plain(value: Cell) -> object:
    """A cell as JSON carries it: codes, instants in UTC."""
    match value:
        case Code():
            return value.code
        case datetime():
            return value.astimezone(UTC).isoformat()
        case tuple():
            return [plain(each) for each in value]
        case _:
            return value
