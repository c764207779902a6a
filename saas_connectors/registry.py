"""Which connector and which authentication a setting names; each is loaded when it is first asked for.

A factory is `make(name, settings) -> Connector`: `settings` is the connection's table of sovereign.toml without what the
gateway keeps for itself (`url` is given). It opens nothing, and raises `SettingsError` with the dotted name of the field.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from saas_connectors.connector import Connector, Json, Writer
from saas_connectors.errors import SettingsError

if TYPE_CHECKING:
    from saas_connectors.auth import Auth

KINDS: Final[Mapping[str, str]] = {
    "rest": "saas_connectors.rest:make",
    "decp": "saas_connectors.procurement.decp:make",
    "ogc-features": "saas_connectors.urban.ogc_features:make",
    "maarch": "saas_connectors.mail.maarch:make",
    "opendatasoft": "saas_connectors.urban.opendatasoft:make",
    "open311": "saas_connectors.urban.open311:make",
}


WRITERS: Final[Mapping[str, str]] = {
    "rest": "saas_connectors.rest.writer:make",
    "decp": "saas_connectors.procurement.publication:make",
    "ogc-features": "saas_connectors.urban.editing:make",
    "open311": "saas_connectors.urban.open311.writer:make",
}


def make(kind: str, name: str, settings: Mapping[str, Json]) -> Connector:
    """Make the connector of a connection; raises `SettingsError`."""
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise SettingsError(
            field=f"connections.{name}.connector", expected_fr=f"un de : {known}", expected_en=f"one of: {known}"
        )
    return cast(Connector, _made(KINDS[kind], name, settings))


def writer(kind: str, name: str, settings: Mapping[str, Json]) -> Writer:
    """Make the writing side of a connection, from the settings that `make` takes; raises `SettingsError`.

    A connector that has none gives one without operations, for which GET and HEAD are the reads.
    """
    return cast(Writer, _made(WRITERS.get(kind, "saas_connectors.writing:read_only"), name, settings))


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
