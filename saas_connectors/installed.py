"""Connectors that other packages bring, found by their entry points; none of their code runs before it is asked for by name.

1. A package names its kinds in the groups `sovereign.connectors` and `sovereign.writers`: `acme = "connector_acme:make"`.
2. Listing reads what the installer wrote down, and imports nothing. Only `load` imports, one kind, for a caller told to.
3. A kind that the product has itself is never looked for here. One that two packages bring is none: which of them runs must not
   hang on the order of a folder.
"""

import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from saas_connectors.errors import ConnectorError, SettingsError

CONNECTORS: Final = "sovereign.connectors"
WRITERS: Final = "sovereign.writers"
KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""What a kind is called."""


class Unloadable(ConnectorError):
    """The package of a connector cannot be read. Field `reason`: the type of what went wrong, never its message."""

    code = "connector.unloadable"
    fr = "Le connecteur « {kind} » ({package}) ne se charge pas : {reason}."
    en = "Connector `{kind}` ({package}) cannot be loaded: {reason}."
    todo_fr = "Réinstallez ce paquet, ou retirez-le ; « sovereign connector test » en dit plus à son auteur."
    todo_en = "Install this package again, or remove it; `sovereign connector test` tells its author more."


@dataclass(frozen=True, slots=True)
class Installed:
    """A kind that a package brings: the package's name, version, summary or address, and where its two values are made."""

    kind: str
    package: str
    version: str
    doc: str
    connector: EntryPoint
    writer: EntryPoint | None = None


def installed() -> tuple[Installed, ...]:
    """Give the kinds that packages bring, by name; a kind that two bring is given twice."""
    writers = {(point.name, _package(point)): point for point in entry_points(group=WRITERS)}
    unique = {(point.name, _package(point), point.value): point for point in entry_points(group=CONNECTORS)}
    points = (point for _, point in sorted(unique.items()))
    return tuple(_told(point, writers.get((point.name, _package(point)))) for point in points if KIND.fullmatch(point.name))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "?"


def _told(point: EntryPoint, writer: EntryPoint | None) -> Installed:
    if point.dist is None:
        return Installed(point.name, "?", "?", "", point, writer)
    about = point.dist.metadata
    doc = next((about[name] for name in ("Home-page", "Summary") if name in about), "")
    return Installed(point.name, point.dist.name, point.dist.version, doc, point, writer)


def one(kind: str, at: str) -> Installed | None:
    """Give the package's kind of that name, or None; at: the field that `SettingsError` names when two packages bring it."""
    found = [each for each in installed() if each.kind == kind]
    if len(found) > 1:
        packages = ", ".join(each.package for each in found)
        raise SettingsError(
            field=at,
            expected_fr=f"un connecteur qu'un seul paquet apporte ; « {kind} » vient de {packages} : désinstallez-en un",
            expected_en=f"a connector that one package brings; `{kind}` comes from {packages}: uninstall one",
        )
    return found[0] if found else None


def load(found: Installed, point: EntryPoint) -> object:
    """Import what an entry point names; raises `Unloadable`, whatever the package does."""
    try:
        loaded: object = point.load()
    except Exception as error:
        raise Unloadable(kind=found.kind, package=found.package, reason=type(error).__name__) from error
    return loaded
