"""Conditions in ODSQL (Opendatasoft Query Language, Explore v2.1), written so that no value can be taken for syntax.

1. A field is always between back-quotes, and only one made of letters, digits and underscores is ever written.
2. A text is between double quotes, its own quotes and backslashes escaped; a date is checked to be one before it is quoted.
"""

import re
from datetime import date, datetime
from typing import Final

from saas_connectors.connector import Json

_NAME: Final = re.compile(r"[A-Za-z0-9_]+")


def writable(field: str) -> bool:
    """Tell whether a field can be named in a condition."""
    return _NAME.fullmatch(field) is not None


def name(field: str) -> str:
    """Write a field; raises ValueError for one that cannot be."""
    if not writable(field):
        raise ValueError(field)
    return f"`{field}`"


def literal(value: Json, kind: str) -> str:
    """Write a value of a field of that kind (`date`, `datetime`, `int`, `double`, else text); raises ValueError."""
    if kind == "date":
        return f"date'{date.fromisoformat(str(value)[:10]).isoformat()}'"
    if kind == "datetime":
        return f"date'{datetime.fromisoformat(str(value)).isoformat().replace('+00:00', 'Z')}'"
    if kind in ("int", "double"):
        return str(int(value)) if kind == "int" else repr(float(value))
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def every(*conditions: str) -> str:
    """Join conditions that must all hold; those that are empty ask nothing."""
    held = [condition for condition in conditions if condition]
    return held[0] if len(held) == 1 else " and ".join(f"({condition})" for condition in held)
