"""Change `sovereign.toml` without losing a comment, and never by halves.

The new text is read back by `parse` before it takes the file's place: temporary file in the same folder, fsync, rename, fsync
of the folder, under a lock that other writers respect.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from sovereign.errors import BadSettings
from sovereign.settings.load import load, parse
from sovereign.settings.whole import Settings


def add_connection(path: Path, name: str, values: Mapping[str, Any]) -> Settings:
    """Add `[connections.NAME]` with these values (None and empty tables are left out).

    Returns the settings as they now stand. Errors: BadSettings when the name is taken or a value is refused; the file is then
    untouched.
    """

    def change(document: TOMLDocument) -> None:
        tables = document.get("connections")
        if tables is None:
            tables = tomlkit.table(is_super_table=True)
            document["connections"] = tables
        if name in tables:
            raise BadSettings(
                field=f"connections.{name}",
                expected_fr="cette connexion existe déjà ; « connection set » change ses réglages",
                expected_en="this connection already exists; `connection set` changes its settings",
            )
        tables[name] = _table(values)

    return _rewrite(path, change)


def change_connection(path: Path, name: str, values: Mapping[str, Any]) -> Settings:
    """Put these values in `[connections.NAME]`, tables within tables merged, all else and every comment left as it is.

    Returns the settings as they now stand. Errors: BadSettings when there is no such connection or a value is refused; the
    file is then untouched.
    """

    def change(document: TOMLDocument) -> None:
        tables = document.get("connections", {})
        if name not in tables:
            raise BadSettings(
                field=f"connections.{name}", expected_fr="aucune connexion de ce nom", expected_en="no connection of that name"
            )
        _merge(tables[name], values)

    return _rewrite(path, change)


def remove_connection(path: Path, name: str) -> Settings:
    """Take `[connections.NAME]` out; errors: BadSettings when there is none."""

    def change(document: TOMLDocument) -> None:
        tables = document.get("connections", {})
        if name not in tables:
            raise BadSettings(
                field=f"connections.{name}", expected_fr="aucune connexion de ce nom", expected_en="no connection of that name"
            )
        del tables[name]

    return _rewrite(path, change)


def _merge(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        if isinstance(value, Mapping) and isinstance(table.get(field), MutableMapping):
            _merge(table[field], value)
        elif isinstance(value, Mapping):
            table[field] = tomlkit.inline_table()
            table[field].update(value)
        else:
            table[field] = value


def _table(values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for field, value in values.items():
        if value is None or value == {}:
            continue
        if isinstance(value, Mapping):
            inline = tomlkit.inline_table()
            inline.update({inner: content for inner, content in value.items() if content is not None})
            table[field] = inline if not any(isinstance(content, Mapping) for content in value.values()) else _table(value)
        else:
            table[field] = list(value) if isinstance(value, tuple) else value
    return table


def _rewrite(path: Path, change: Callable[[TOMLDocument], None]) -> Settings:
    with _alone(path.parent):
        load(path)
        document = tomlkit.parse(path.read_text("utf-8"))
        change(document)
        text = tomlkit.dumps(document)
        settings = parse(text, path)
        replace(path, text.encode())
    return settings


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two writers do not lose each other's change."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path`, whole or not at all, readable by the owner alone (mode 0600)."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
