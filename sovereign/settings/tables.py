"""Read a table of TOML into a frozen structure, by its annotations; what is unknown, missing or wrong is named."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from sovereign.errors import BadSettings
from sovereign.settings.address import wrong
from sovereign.settings.schema import Size

T = TypeVar("T", bound=msgspec.Struct)


def table_of(value: object, at: str) -> dict[str, Any]:
    """Take a table; raises BadSettings."""
    if not isinstance(value, dict):
        raise wrong(at, "une table", "a table")
    return value


def known_fields(table: Mapping[str, object], fields: Iterable[str], at: str) -> None:
    """Make sure that a table has no other fields; raises BadSettings, which names the nearest."""
    known = list(fields)
    for field in table:
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1, cutoff=0.6)
            raise BadSettings(
                field=f"{at}.{field}".lstrip("."),
                expected_fr=f"champ inconnu (peut-être « {near[0]} »)"
                if near
                else f"champ inconnu ; connus : {', '.join(known)}",
                expected_en=f"unknown field (perhaps `{near[0]}`)" if near else f"unknown field; known: {', '.join(known)}",
            )


def read(value: object, kind: type[T], at: str) -> T:
    """Convert a table field by field, so that the dotted name is exact at every depth; raises BadSettings."""
    table = table_of(value, at)
    hints = get_type_hints(kind, include_extras=True)
    known_fields(table, map(written, kind.__struct_fields__), at)
    ready: dict[str, Any] = {}
    for name, hint in hints.items():
        field = written(name)
        if field not in table:
            continue
        inner = get_args(hint)[0] if get_origin(hint) is not None and hasattr(hint, "__metadata__") else hint
        kinds = (each for each in (inner, *get_args(inner)) if isinstance(each, type) and issubclass(each, msgspec.Struct))
        if (struct := next(kinds, None)) is not None:
            ready[name] = read(table[field], struct, f"{at}.{field}")
            continue
        try:
            ready[name] = msgspec.convert(table[field], hint, dec_hook=_size)
        except msgspec.ValidationError:
            raise wrong(f"{at}.{field}", *expectation(hint)) from None
    for described in msgspec.structs.fields(kind):
        if described.required and described.name not in ready:
            raise wrong(f"{at}.{described.name}", *expectation(hints[described.name]))
    return kind(**ready)


def written(field: str) -> str:
    """The name of a field as a file says it: `class_` is written `class`."""
    return field.removesuffix("_")


def expectation(hint: object) -> tuple[str, str]:
    """What a field expects (French, English), from its annotation."""
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.extra:
            return meta.extra["fr"], meta.extra["en"]
    for argument in get_args(hint):
        if get_origin(argument) is not Literal and (found := expectation(argument)) != _UNSAID:
            return found
    return _UNSAID


_UNSAID = ("une autre valeur", "another value")


def _size(kind: type, value: object) -> object:
    if issubclass(kind, Size):
        return kind.read(value)
    raise NotImplementedError
