"""From a row to a payload: `{column}` takes a column, whole or within a text.

1. A string that is `{column}` and nothing else becomes the column's value, with its type (a date as ISO 8601, a decimal exact).
2. Within a text, a column is written as text; an empty one is an error, for a text with a hole says something else.
3. `{{` and `}}` are braces. A field whose whole value is empty is left out.
4. A step that takes all rows of an occasion adds `columns` and `rows` to its payload: each row an object of these columns.
5. A date beyond our calendar (`Beyond`) is an error of the step that takes it, and of no other.
6. An error names the place and the column, never a value.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

from saas_connectors.connector import Json
from saas_connectors.payloads import pointer
from sovereign.flows.errors import Unmapped
from sovereign.flows.flow import Step

Row = Mapping[str, Json]


class Beyond(str):
    """What stands for a value that no calendar of ours holds (a year past 9999): a step that takes it is stopped."""

    __slots__ = ()


_WHOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PIECE: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LEFT_OUT: Final = object()


def payload(step: Step, row: Row, *, undo: bool = False) -> Json:
    """The payload of a step for a row; errors: Unmapped."""
    template = step.undo_payload if undo and step.undo_payload is not None else step.payload
    made = _filled(step, template, row, ())
    made = {} if made is _LEFT_OUT else made
    return made if step.rows is None else {**made, "columns": list(step.rows), "rows": plain(row["rows"])}


def gathered(step: Step, rows: Iterable[Row], occasion: Mapping[str, str]) -> Row:
    """All rows of an occasion as one: what its payload may name, and `rows`, cut to the step's columns; errors: Unmapped."""
    taken = (row for row in rows if step.needs is None or row.get(step.needs) not in (None, ""))
    kept = [{name: _column(step, name, row, ("rows",)) for name in step.rows or ()} for row in taken]
    return {**occasion, "rows": kept}


def plain(value: Json) -> Json:
    """A value of a copy as JSON carries it."""
    if isinstance(value, Beyond):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def _filled(step: Step, template: Json, row: Row, at: tuple[str | int, ...]) -> Json:
    if isinstance(template, str):
        return _text(step, template, row, at)
    if isinstance(template, Mapping):
        made = {name: _filled(step, inner, row, (*at, name)) for name, inner in template.items()}
        return {name: inner for name, inner in made.items() if inner is not _LEFT_OUT}
    if isinstance(template, list):
        items = [_filled(step, inner, row, (*at, number)) for number, inner in enumerate(template)]
        return [inner for inner in items if inner is not _LEFT_OUT]
    return template


def _text(step: Step, template: str, row: Row, at: tuple[str | int, ...]) -> Json:
    if whole := _WHOLE.fullmatch(template):
        value = plain(_column(step, whole[1], row, at))
        return _LEFT_OUT if value is None else value

    def piece(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        value = plain(_column(step, found[1], row, at))
        if value is None or isinstance(value, dict | list):
            raise _wrong(step, at, f"un texte dans la colonne {found[1]}", f"a text in column {found[1]}")
        if isinstance(value, bool):
            return "true" if value else "false"
        return format(value, "f") if isinstance(value, Decimal) else str(value)

    return _PIECE.sub(piece, template)


def _column(step: Step, name: str, row: Row, at: tuple[str | int, ...]) -> Json:
    if name not in row:
        raise _wrong(step, at, f"une colonne {name} dans la question", f"a column {name} in the question")
    if isinstance(row[name], Beyond):
        raise _wrong(
            step, at, f"une date d'ici l'an 9999 dans la colonne {name}", f"a date before the year 10000 in column {name}"
        )
    return row[name]


def _wrong(step: Step, at: tuple[str | int, ...], fr: str, en: str) -> Unmapped:
    place = pointer(at) or "/"
    return Unmapped(step=step.name, pointer=place, expected_fr=f"attendu : {fr}", expected_en=f"expected {en}")
