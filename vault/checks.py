"""What `keys check` tries: everything that a bad day would need, on a day that is not one. It reports, and changes nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

from vault import files, kit, notes
from vault.errors import Fault, Finding
from vault.keyring import Keyring
from vault.providers import Provider


def findings(keyring: Keyring, directory: Path, provider: Provider, site: Callable[[], bytes]) -> list[Finding]:
    """Give what is wrong with a keyring; nothing when all is well. `site` opens the site key."""
    found = [*_modes(directory), *_records(keyring, provider)]
    if any(finding.severity == "error" for finding in found):
        return found
    return [*found, *_kit(keyring, site), *_vkey(keyring, directory, provider)]


def _records(keyring: Keyring, provider: Provider) -> Iterator[Finding]:
    for record in keyring.records:
        if record.state == "destroyed":
            continue
        try:
            provider.unwrap(record.wrapped, record.context())
        except Fault as fault:
            yield told(fault, record.id)


def _kit(keyring: Keyring, site: Callable[[], bytes]) -> Iterator[Finding]:
    if keyring.kit is None:
        yield Finding(
            "warning",
            "keys.no_kit",
            "keyring.json",
            "Aucun kit de secours : perdre la clé maîtresse, c'est perdre les données (keys export-recovery).",
            "No recovery kit: to lose the master is to lose the data (keys export-recovery).",
        )
        return
    try:
        kit.check(keyring.kit, site())
    except Fault as fault:
        yield told(fault, "keyring.json")
    for record in keyring.records:
        if record.wrapped and not record.sealed:
            yield Finding(
                "error",
                "keys.not_covered",
                record.id,
                "Le kit de secours ne couvre pas cette clé : refaites-le (keys export-recovery).",
                "The recovery kit does not cover this key: make it again (keys export-recovery).",
            )


def _vkey(keyring: Keyring, directory: Path, provider: Provider) -> Iterator[Finding]:
    record = keyring.only("signer")
    try:
        told = notes.Verifier.parse(files.read(directory / "site.vkey", limit=4096).decode(errors="replace"))
    except (OSError, Fault):
        told = None
    if told != notes.Signer(keyring.name, provider.unwrap(record.wrapped, record.context())).verifier:
        yield Finding(
            "error",
            "keys.vkey",
            "site.vkey",
            "Ce n'est pas la clé publique de ce site : quelqu'un l'a changée, ou elle manque.",
            "This is not the site's public key: someone changed it, or it is missing.",
        )


def _modes(directory: Path) -> Iterator[Finding]:
    for path in (directory, *sorted(directory.iterdir())):
        if path.stat().st_mode & 0o077:
            yield Finding(
                "warning",
                "keys.mode",
                path.name,
                "D'autres comptes de la machine peuvent y accéder (attendu : 0600, dossier 0700).",
                "Other accounts of the machine can reach it (expected: 0600, folder 0700).",
            )


def told(fault: Fault, subject: str) -> Finding:
    """Tell a fault as a finding."""
    return Finding("error", fault.code, subject, fault.diagnostics("fr").what, fault.diagnostics("en").what)
