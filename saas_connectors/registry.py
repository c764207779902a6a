"""Which connector and which authentication a setting names; each is loaded when it is first asked for.

The product's own kinds come first and cannot be taken by a package. A package's kind (`installed`) is one only where the
operator allowed it by name: installing it does not make it run.

A factory is `make(name, settings) -> Connector`: `settings` is the connection's table of sovereign.toml without what the
gateway keeps for itself (`url` is given). It opens nothing, and raises `SettingsError` with the dotted name of the field.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, cast

from saas_connectors.connector import Connector, Json, Writer
from saas_connectors.errors import SettingsError
from saas_connectors.kinds import KINDS, WRITERS

if TYPE_CHECKING:
    from saas_connectors.auth import Auth
    from saas_connectors.installed import Installed

__all__ = ["KINDS", "WRITERS", "auth", "make", "writer"]


def make(kind: str, name: str, settings: Mapping[str, Json], allowed: Collection[str] = ()) -> Connector:
    """Make the connector of a connection; allowed: the kinds of packages that may run; raises `SettingsError`, `Unloadable`."""
    if kind in KINDS:
        return cast(Connector, _made(KINDS[kind], name, settings))
    from saas_connectors.installed import load

    found = _allowed(kind, name, allowed)
    factory = cast(Callable[[str, Mapping[str, Json]], Connector], load(found, found.connector))
    return factory(name, settings)


def writer(kind: str, name: str, settings: Mapping[str, Json], allowed: Collection[str] = ()) -> Writer:
    """Make the writing side of a connection, from what `make` takes; raises `SettingsError`, `Unloadable`.

    A connector that has none gives one without operations, for which GET and HEAD are the reads.
    """
    place = WRITERS.get(kind, "saas_connectors.writing:read_only")
    if kind not in KINDS:
        from saas_connectors.installed import load

        found = _allowed(kind, name, allowed)
        if found.writer is not None:
            factory = cast(Callable[[str, Mapping[str, Json]], Writer], load(found, found.writer))
            return factory(name, settings)
    return cast(Writer, _made(place, name, settings))


def _allowed(kind: str, name: str, allowed: Collection[str]) -> "Installed":
    from saas_connectors.installed import one

    at = f"connections.{name}.connector"
    found = one(kind, at)
    if found is None:
        known = ", ".join([*KINDS, *sorted(set(allowed) - set(KINDS))])
        raise SettingsError(field=at, expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    if kind not in allowed:
        raise SettingsError(
            field=at,
            expected_fr=f"un connecteur autorisé ; « {kind} » ({found.package}) ne l'est pas : ajoutez-le à connectors.allow",
            expected_en=f"a connector that is allowed; `{kind}` ({found.package}) is not: add it to connectors.allow",
        )
    return found


def _made(place: str, name: str, settings: Mapping[str, Json]) -> object:
    module, _, factory = place.partition(":")
    return getattr(import_module(module), factory)(name, settings)


def auth(
    settings: Mapping[str, Json],
    secret: Callable[[str], bytes],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    at: str = "auth",
) -> "Auth | None":
    """Make the authentication that a connection's `auth` table describes, None for an empty one; see `saas_connectors.auth`."""
    if not settings:
        return None
    from saas_connectors.auth import make as make_auth

    return make_auth(settings, secret, clock, at)
