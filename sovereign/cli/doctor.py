"""`sovereign doctor`: look at everything a site stands on, and say what is wrong and what to do.

It changes nothing and calls no vendor (`connection check` does). Each check is told, good or bad; a check that fails does not
stop the next. Exit code 0 when nothing is wrong, 12 when the keys are out of reach, 1 for anything else; warnings alone
leave 0.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sovereign.cli import exits
from sovereign.cli.commands import verb
from sovereign.cli.door import Door
from sovereign.cli.marks import mark
from sovereign.language import say
from vault.errors import Fault


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check saw: `state` is `ok`, `warning`, `error` or `info`."""

    state: str
    check: str
    fr: str
    en: str
    exit: int = exits.FAILED


@verb(
    "doctor",
    fr="Examine le site : réglages, clés, droits des fichiers, place, exécutions inachevées, chemins réseau.",
    en="Examine the site: settings, keys, file modes, room, unfinished runs, network paths.",
)
def command(door: Door) -> None:
    """Run every check that can be run."""
    path = door.path()
    bad, sealed = 0, False
    for seen in examine(door, path):
        bad += seen.state == "error"
        sealed |= seen.exit == exits.OF_KIND["sealed"]
        said = say(seen.fr, seen.en)
        door.out.record("check", check=seen.check, state=seen.state, what=said)
        line = f"{mark(seen.state)}  {said}"
        door.out.say(line, line, style={"error": "red", "warning": "yellow"}.get(seen.state, ""))
    door.out.record("verdict", ok=not bad, errors=bad)
    door.exit = exits.OF_KIND["sealed"] if sealed else exits.FAILED if bad else exits.DONE


def examine(door: Door, path: Path) -> Iterator[Seen]:
    """Check what needs no key, then what does."""
    from sovereign.flowing import findings as of_flows

    yield from _modes(path)
    yield from _engine()
    try:
        site = door.site()
        _ = site.keys  # asked for once: without them there is nothing more to see
        findings = [*site.doctor(), *of_flows(site)]
    except Fault as fault:
        yield _told("site", fault)
        return
    provider = site.settings.keys.provider
    yield Seen("ok", "site", f"le site s'ouvre ({provider})", f"the site opens ({provider})")
    for finding in findings:
        fr, en = (f"{finding.subject} · {said} [{finding.code}]" for said in (finding.fr, finding.en))
        yield Seen(finding.severity, finding.code, fr, en)
    if not findings:
        yield Seen(
            "ok",
            "findings",
            "rien à signaler : clés, secrets, instantanés, fraîcheur",
            "nothing to report: keys, secrets, snapshots, freshness",
        )


def _told(check: str, fault: Fault) -> Seen:
    fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
    code = exits.OF_KIND["sealed"] if fault.kind == "sealed" else exits.FAILED
    return Seen("error", check, f"{fr.what} [{fr.code}] {fr.todo}".strip(), f"{en.what} [{en.code}] {en.todo}".strip(), code)


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
