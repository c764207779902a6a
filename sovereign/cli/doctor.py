"""`sovereign doctor`: look at everything a site stands on, and say what is wrong and what to do.

It changes nothing and calls no vendor (`connection check` does). Each check is told, good or bad; a check that fails does not
stop the next. Exit code 0 when nothing is wrong, 1 when something is; warnings alone leave 0.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sovereign.cli import exits
from sovereign.cli.commands import verb
from sovereign.cli.door import Door
from sovereign.cli.marks import mark, size
from sovereign.language import say
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.site import Site

LITTLE_ROOM: Final = 2 * 10**9
"""Bytes free under which a warning is given."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check saw: `state` is `ok`, `warning`, `error` or `info`."""

    state: str
    check: str
    fr: str
    en: str


@verb(
    "doctor",
    fr="Examine le site : réglages, clés, droits des fichiers, place, exécutions inachevées, chemins réseau.",
    en="Examine the site: settings, keys, file modes, room, unfinished runs, network paths.",
)
def command(door: Door) -> None:
    """Run every check that can be run."""
    path = door.path()
    bad = 0
    for seen in examine(door, path):
        bad += seen.state == "error"
        said = say(seen.fr, seen.en)
        door.out.record("check", check=seen.check, state=seen.state, what=said)
        line = f"{mark(seen.state)}  {said}"
        door.out.say(line, line, style={"error": "red", "warning": "yellow"}.get(seen.state, ""))
    door.out.record("verdict", ok=not bad, errors=bad)
    door.exit = exits.FAILED if bad else exits.DONE


def examine(door: Door, path: Path) -> Iterator[Seen]:
    """Check what needs no key, then what does."""
    yield from _modes(path)
    yield _room(path)
    yield from _engine()
    try:
        site = door.site()
    except Fault as fault:
        yield _told("site", fault)
        return
    yield Seen(
        "ok", "site", f"le site s'ouvre ({site.settings.keys.provider})", f"the site opens ({site.settings.keys.provider})"
    )
    for check in CHECKS:
        try:
            yield from check(site)
        except Fault as fault:
            yield _told(check.__name__.strip("_"), fault)


def _told(check: str, fault: Fault) -> Seen:
    fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
    return Seen("error", check, f"{fr.what} [{fr.code}] {fr.todo}".strip(), f"{en.what} [{en.code}] {en.todo}".strip())


def _modes(path: Path) -> Iterator[Seen]:
    loose = []
    for folder, _, names in os.walk(path):
        loose += [each for each in (Path(folder), *(Path(folder) / name for name in names)) if _open_to_others(each)]
    if loose:
        shown = ", ".join(str(each.relative_to(path)) for each in loose[:5]) + (" …" if len(loose) > 5 else "")
        yield Seen(
            "warning",
            "modes",
            f"{len(loose)} fichiers ou dossiers lisibles par d'autres ({shown}) : chmod -R go= {path}",
            f"{len(loose)} files or folders that others can read ({shown}): chmod -R go= {path}",
        )
    else:
        yield Seen("ok", "modes", "fichiers lisibles par leur seul propriétaire", "files that only their owner can read")


def _open_to_others(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077) and not path.is_symlink()
    except FileNotFoundError:
        return False


def _room(path: Path) -> Seen:
    free = shutil.disk_usage(path).free
    return Seen("ok" if free > LITTLE_ROOM else "warning", "room", f"{size(free)} libres", f"{size(free)} free")


def _engine() -> Iterator[Seen]:
    from importlib.metadata import PackageNotFoundError, version

    names = ("duckdb", "duckdb-extension-httpfs", "pyarrow", "cryptography")
    try:
        found = {name: version(name) for name in names}
    except PackageNotFoundError as missing:
        yield Seen(
            "error",
            "engine",
            f"paquet absent : {missing.name} ; relancez make demo",
            f"package missing: {missing.name}; run make demo",
        )
        return
    if found["duckdb"] != found["duckdb-extension-httpfs"]:
        yield Seen(
            "error",
            "engine",
            "duckdb et son extension n'ont pas la même version : pas d'écriture chiffrée",
            "duckdb and its extension differ in version: no encrypted writing",
        )
        return
    said = ", ".join(f"{name} {number}" for name, number in found.items())
    yield Seen("ok", "engine", said, said)


def _keys(site: "Site") -> Iterator[Seen]:
    findings = list(site.keys.check())
    for finding in findings:
        yield Seen(finding.severity, "keys", f"{finding.fr} [{finding.code}]", f"{finding.en} [{finding.code}]")
    if not findings:
        yield Seen(
            "ok",
            "keys",
            "chaque clé s'ouvre ; la trousse de secours couvre tout",
            "every key opens; the recovery kit covers all",
        )


def _drafts(site: "Site") -> Iterator[Seen]:
    drafts = site.repository.drafts()
    if drafts:
        names = ", ".join(drafts)
        yield Seen(
            "info",
            "drafts",
            f"exécutions inachevées, qui reprendront : {names}",
            f"unfinished runs, which will be resumed: {names}",
        )


def _network(site: "Site") -> Iterator[Seen]:
    for name, connection in sorted(site.settings.connections.items()):
        network = connection.network
        ways_fr, ways_en = [], []
        if network.proxy:
            ways_fr.append(f"par le mandataire {network.proxy}, derrière lequel l'adresse du fournisseur n'est pas vue")
            ways_en.append(f"through proxy {network.proxy}, behind which the vendor's address is not seen")
        for flag, fr, en in (
            (network.private, "adresses privées admises", "private addresses allowed"),
            (network.loopback, "boucle locale admise", "loopback allowed"),
            (network.plaintext, "sans chiffrement du transport", "without transport encryption"),
        ):
            if flag:
                ways_fr.append(fr)
                ways_en.append(en)
        if connection.secret and connection.secret not in site.secrets.names(name):
            yield Seen(
                "error",
                "secrets",
                f"{name} : le secret « {connection.secret} » manque ; sovereign secret set {name}",
                f"{name}: secret `{connection.secret}` is missing; sovereign secret set {name}",
            )
        if ways_fr:
            yield Seen("info", "network", f"{name} : {', '.join(ways_fr)}", f"{name}: {', '.join(ways_en)}")


CHECKS: Final[tuple[Callable[["Site"], Iterator[Seen]], ...]] = (_keys, _drafts, _network)
