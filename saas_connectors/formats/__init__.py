"""Formats of documents that vendors give, each read within bounds."""

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from saas_connectors.formats.format import Format

FORMATS: Final = {
    "csv": "saas_connectors.formats.csv_text",
    "fixed": "saas_connectors.formats.fixed",
    "json": "saas_connectors.formats.json_rows",
    "jsonl": "saas_connectors.formats.json_lines",
    "geojson": "saas_connectors.formats.geojson",
    "xml": "saas_connectors.formats.xml_rows",
    "xlsx": "saas_connectors.formats.sheets",
    "ods": "saas_connectors.formats.sheets",
    "parquet": "saas_connectors.formats.parquet",
}
"""Where each format is. ZIP and gzip are wrappings: any of these may lie in one."""


def of(name: str) -> "Format":
    """Give a format by its name; KeyError when there is none."""
    return cast("Format", getattr(import_module(FORMATS[name]), name.upper()))
