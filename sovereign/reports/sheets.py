"""A report as CSV, RFC 4180: one file a table, one row a line, every cell in its column.

A spreadsheet runs a cell that begins like a formula: such a cell gets an apostrophe first. Files begin with a byte order mark,
without which spreadsheets take accents for something else.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from sovereign.language import say
from sovereign.reports.model import Cell, Column, Report, Table
from sovereign.reports.showing import cell, instant

RUNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def sheets(report: Report) -> Iterator[tuple[str, bytes]]:
    """Give each file's name and its content, `report.csv` first: what the report is of, and the verdict on the log."""
    verdict = report.verdict
    head = [
        (say("rapport", "report"), str(report.title)),
        (say("site", "site"), report.site),
        (say("du", "from"), instant(report.since, report.zone)),
        (say("au", "to"), instant(report.until, report.zone)),
        (say("fait le", "made at"), instant(report.made_at, report.zone)),
        (say("journal intact", "log intact"), say("oui", "yes") if verdict.intact else say("NON", "NO")),
        (say("constat", "found"), str(verdict.said)),
        (say("entrées", "entries"), "" if verdict.entries is None else str(verdict.entries)),
        (say("entrées illisibles", "unreadable entries"), str(verdict.unread)),
        (say("racine", "root"), verdict.root or ""),
        *((say("vérifier seul", "check alone"), command) for command in verdict.commands),
    ]
    yield "report.csv", _written([[say("quoi", "what"), say("valeur", "value")], *head])
    for section in report.sections:
        for table in section.tables:
            yield f"{table.key}.csv", sheet(table, report.zone)


def sheet(table: Table, zone: str) -> bytes:
    """One table as one file."""
    lines = [[_safe(each, column, zone) for each, column in zip(row, table.columns, strict=True)] for row in table.rows]
    return _written([[str(column.title) for column in table.columns], *lines])


def _safe(value: Cell, column: Column, zone: str) -> str:
    return cell(value, column.kind, zone, grouped=False)


def _written(lines: Sequence[Sequence[str]]) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerows([f"'{each}" if each.startswith(RUNS) else each for each in line] for line in lines)
    return sink.getvalue().encode("utf-8-sig")
