"""Names typed on the command line: connections, datasets (`connection.stream`), snapshots (`@3`, a date); and their completion.

Completion reads names of files and of settings; it opens no key.
"""

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import click

from sovereign.cli.door import SETTINGS, Door
from sovereign.errors import SovereignError
from sovereign.language import language, say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from snapshots.dataset import DatasetId

_FRENCH_DAY: Final = re.compile(r"(\d{2})/(\d{2})/(\d{4})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class ConnectionName(click.ParamType[str]):
    """The name of a connection, completed from sovereign.toml."""

    name = "connection"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's
        """Check its form."""
        if NAME.fullmatch(str(value)) is None:
            self.fail(
                say(
                    f"{value!r} n'est pas un nom : des minuscules, des chiffres, « _ », une lettre d'abord",
                    f"{value!r} is not a name: lower case letters, digits, `_`, a letter first",
                ),
                param,
                ctx,
            )
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        """The connections of the site."""
        del param
        return _items(_connections(ctx), incomplete)


class SizeText(click.ParamType[int]):
    """A number of bytes, as settings write it."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - as click asks
        """Read it."""
        from sovereign.settings import Size

        try:
            return int(Size.read(value))
        except ValueError:
            self.fail(say("une taille, comme « 600 Mio »", "a size, such as `600 MiB`"), param, ctx)


class DatasetName(click.ParamType[tuple[str, str]]):
    """The name of a dataset, `connection.stream`, completed from the copies that exist."""

    name = "dataset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:  # noqa: ANN401
        """Cut it in two and check both."""
        if isinstance(value, tuple):
            return value
        connection, dot, stream = str(value).replace("/", ".").partition(".")
        if not dot or NAME.fullmatch(connection) is None or NAME.fullmatch(stream) is None:
            self.fail(
                say(f"{value!r} : attendu connexion.flux, par exemple decp.marches", f"{value!r}: expected connection.stream"),
                param,
                ctx,
            )
        return connection, stream

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        """The datasets of the site."""
        del param
        return _items(_datasets(ctx), incomplete)


CONNECTION: Final = ConnectionName()
DATASET: Final = DatasetName()
SIZE: Final = SizeText()


def dotted(dataset: "DatasetId") -> str:
    """Write a dataset as SQL and this command line do."""
    return f"{dataset.connection}.{dataset.stream}"


class BadInstant(SovereignError):
    """A snapshot or an instant that cannot be understood."""

    code = "instant"
    kind = "usage"
    fr = "« {value} » n'est ni un numéro d'instantané ni une date."
    en = "`{value}` is neither a snapshot's number nor a date."
    todo_fr = "Par exemple : 3, 23/11/2026, 2026-11-23, 2026-11-23T18:30."
    todo_en = "For instance: 3, 2026-11-23, 2026-11-23T18:30."


def _iso(text: str) -> str:
    """A date as French screens write it (29/11/2026, 29/11/2026 18:30) as ISO 8601; any other text as it is."""
    found = _FRENCH_DAY.fullmatch(text.strip()) if language() == "fr" else None
    return f"{found[3]}-{found[2]}-{found[1]}{f'T{found[4]}' if found[4] else ''}" if found else text


def since_instant(text: str, zone: str) -> datetime:
    """Read a date or an instant; without a zone it is the site's; a day alone is its beginning."""
    try:
        given = datetime.fromisoformat(_iso(text))
    except ValueError:
        raise BadInstant(value=text) from None
    return given if given.tzinfo else given.replace(tzinfo=ZoneInfo(zone))


def instant(text: str, zone: str) -> datetime:
    """Read a date or an instant, as `since_instant` does; a day alone is its end, so that all of it counts."""
    given = since_instant(text, zone)
    return given + timedelta(days=1, microseconds=-1) if _is_day(text) else given


def snapshot(text: str, zone: str) -> int | datetime:
    """Read which snapshot is meant: its number (`3` or `@3`), or an instant."""
    number = text.removeprefix("@")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 8 else instant(text, zone)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(_iso(text))
    except ValueError:
        return False
    return True


def _items(names: list[str], incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _door(ctx: click.Context) -> Door:
    door = ctx.find_object(Door) or Door()
    folder = next((step.params["site"] for step in (ctx, *_parents(ctx)) if step.params.get("site")), None)
    return Door(door.out, folder or door.folder)


def _parents(ctx: click.Context) -> list[click.Context]:
    return [ctx.parent, *_parents(ctx.parent)] if ctx.parent else []


def _connections(ctx: click.Context) -> list[str]:
    import tomllib

    try:
        held = tomllib.loads((_door(ctx).path() / SETTINGS).read_text())
    except (OSError, ValueError, SovereignError):
        return []
    connections = held.get("connections", {})
    return sorted(connections) if isinstance(connections, dict) else []


def _datasets(ctx: click.Context) -> list[str]:
    try:
        root = _door(ctx).path() / "snapshots"
    except SovereignError:
        return []
    return sorted(f"{folder.parent.name}.{folder.name}" for folder in root.glob("*/*") if NAME.fullmatch(folder.name))
