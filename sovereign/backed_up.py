"""What `doctor` says of backups: where they go, how old the last one is, whether this site is a restored one. It asks none."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from vault.errors import Finding

if TYPE_CHECKING:
    from sovereign.parts import Parts

SECRETS: Final = "backup"
"""The name under which `sovereign secret` keeps the secret keys of targets."""


def findings(site: "Parts") -> Iterator[Finding]:
    """Name the targets, and say how old the last backup is; none is asked."""
    settings = site.settings.backup
    for name, target in sorted(settings.targets.items()):
        place = target.folder or f"{target.url} ({target.bucket}/{target.prefix})"
        yield Finding("info", "doctor.backup", name, f"sauvegardes dans {place}", f"backups in {place}")
        if target.secret is not None and target.secret not in site.secrets.names(SECRETS):
            command = f"sovereign secret set {SECRETS} --name {target.secret}"
            yield Finding(
                "error", "doctor.secret", name, f"sa clé secrète manque : {command}", f"its secret key is missing: {command}"
            )
    made = site.audit.entries(act="backup.created", limit=1)
    if not made and settings.targets:
        fr, en = "jamais sauvegardé : sovereign backup create", "never backed up: sovereign backup create"
        yield Finding("warning", "doctor.backup", "backup", fr, en)
    elif made and (days := (site.clock() - made[-1].at).days) > 1:
        fr = f"dernière sauvegarde il y a {days} jours : sovereign backup create"
        en = f"last backup {days} days ago: sovereign backup create"
        yield Finding("warning", "doctor.backup", "backup", fr, en)
    came = site.audit.entries(act="site.restored", limit=1)
    if came and (site.clock() - came[-1].at).days < 30:
        fr = f"restauré le {came[-1].at:%Y-%m-%d} : l'ancien site ne doit plus tourner, ses vendeurs n'ont qu'une passerelle"
        en = f"restored on {came[-1].at:%Y-%m-%d}: the former site must not run any more, one gateway alone may write"
        yield Finding("info", "doctor.restored", "site", fr, en)
