"""What is put to the test: a package's folder, a fixtures folder, or a kind by its name.

A package brings its rehearsal (`MODULE/rehearsal.py`: `SETTINGS`, `send`, `LISTS`, `WRITES`) and its recordings (`fixtures/*`).
Its code is imported from its folder, for this process alone. Whoever types a target asks for its code to run: no site is
opened, and no secret is at hand.
"""

import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from saas_connectors import registry
from saas_connectors.conformance.driver import Send
from saas_connectors.conformance.tampering import Lists
from saas_connectors.connector import Connector, Json, Writer
from saas_connectors.installed import CONNECTORS, WRITERS, one
from sovereign.authoring.errors import NoRehearsal, NoTarget
from sovereign.authoring.fixtures import MANIFEST, Fixtures, load
from sovereign.authoring.rehearsals import ADDRESS, ELSEWHERE, REHEARSALS, STARTED

_NOON: Final = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to run the laws against: who plays the vendor, and the two values made from the settings."""

    name: str
    connector: Connector
    send: Callable[[], Send]
    writer: Writer | None = None
    writes: Mapping[str, Json] | None = None
    started_at: datetime = _NOON
    fixtures: Fixtures | None = None
    lists: Sequence[Lists] = ()
    closed: bool = False


Make = Callable[[str, Mapping[str, Json]], Connector]
MakeWriter = Callable[[str, Mapping[str, Json]], Writer]


def cases(target: str) -> Iterator[Case]:
    """Give what a target can be tried against; errors: NoTarget, NoRehearsal, BadFixtures, SettingsError, Unloadable."""
    path = Path(target)
    if (path / MANIFEST).is_file():
        recorded = load(path)
        kind = recorded.manifest.connector
        yield _recorded(path.name, recorded, lambda name, settings: registry.make(kind, name, settings, (kind,)))
    elif (path / "pyproject.toml").is_file():
        yield from _package(path.resolve())
    elif path.is_dir():
        raise NoTarget(
            target=target, why_fr="ni pyproject.toml, ni fixtures.json", why_en="neither pyproject.toml nor fixtures.json"
        )
    else:
        yield from _kind(target)


def _recorded(name: str, fixtures: Fixtures, make: Make) -> Case:
    told = fixtures.manifest
    return Case(name, make(told.connection, told.settings), fixtures.replay, started_at=told.started_at, fixtures=fixtures)


def _kind(kind: str) -> Iterator[Case]:
    if kind in REHEARSALS:
        yield _sandbox(kind)
        return
    if kind in ELSEWHERE:
        raise NoRehearsal(target=kind)
    found = None if kind in registry.KINDS else one(kind, "TARGET")
    if found is None and kind not in registry.KINDS:
        raise NoTarget(target=kind[:80], why_fr="aucun connecteur de ce nom", why_en="no connector of that name")
    module = found.connector.module if found is not None else ""
    name = kind.replace("-", "_")
    writer = partial(registry.writer, kind, allowed=(kind,)) if found is not None and found.writer is not None else None
    rehearsed = _rehearsal(module, lambda at, settings: registry.make(kind, at, settings, (kind,)), writer, name)
    if rehearsed is None:
        raise NoTarget(
            target=kind,
            why_fr="ce connecteur n'a pas de répétition : donnez un dossier de fixtures",
            why_en="this connector has no rehearsal: give a fixtures folder",
        )
    yield rehearsed


def _sandbox(kind: str) -> Case:
    played = REHEARSALS[kind]()
    made = registry.make(kind, "rehearsal", {"url": ADDRESS, **played.settings})
    return Case(kind, made, played.send, started_at=STARTED, lists=played.lists, closed=played.closed)


def _package(root: Path) -> Iterator[Case]:
    try:
        points = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
        made, writers = dict(points[CONNECTORS]), dict(points.get(WRITERS, {}))
    except (OSError, ValueError, KeyError, TypeError):
        raise NoTarget(
            target=root.name,
            why_fr=f"son pyproject.toml ne nomme aucun connecteur ({CONNECTORS})",
            why_en=f"its pyproject.toml names no connector ({CONNECTORS})",
        ) from None
    sources = [str(each) for each in (root / "src", root) if each.is_dir()]
    sys.path[:0] = sources
    try:
        for kind, place in made.items():
            make: Make = _loaded(root.name, place)
            write: MakeWriter | None = _loaded(root.name, writers[kind]) if kind in writers else None
            rehearsed = _rehearsal(place.partition(":")[0], make, write, kind.replace("-", "_"))
            recordings = sorted(each.parent for each in (root / "fixtures").glob(f"*/{MANIFEST}"))
            if rehearsed is None and not recordings:
                raise NoTarget(
                    target=root.name, why_fr="ni rehearsal.py, ni fixtures", why_en="neither rehearsal.py nor fixtures"
                )
            if rehearsed is not None:
                yield rehearsed
            for folder in recordings:
                recorded = load(folder)
                if recorded.manifest.connector == kind:
                    yield _recorded(f"fixtures/{folder.name}", recorded, make)
    finally:
        sys.path[:] = [each for each in sys.path if each not in sources]


def _loaded(target: str, place: str) -> Any:  # noqa: ANN401 - a factory, as the entry point promises
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, ImportError | AttributeError) else type(error).__name__
        raise NoTarget(
            target=target, why_fr=f"{place} ne se charge pas ({reason})", why_en=f"{place} does not load ({reason})"
        ) from error


def _rehearsal(module: str, make: Make, write: MakeWriter | None, name: str) -> Case | None:
    if not module:
        return None
    try:
        told = import_module(f"{module}.rehearsal")
    except ModuleNotFoundError:
        return None
    writer = write(name, told.SETTINGS) if write is not None else None
    return Case(
        "rehearsal", make(name, told.SETTINGS), told.send, writer, getattr(told, "WRITES", {}), lists=getattr(told, "LISTS", ())
    )
