"""What people are told of a site's backups, which asks no target: where they go, when one is due, how old the last one is.

`doctor` says it, `job list` shows it, `GET /metrics` counts it. Whether this site is a restored one is said too.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sovereign.settings import Settings
from sovereign.sync.cadence import Cadence
from sovereign.sync.jobs import HOUSE, LATE, JobStatus, said
from vault import files
from vault.errors import Finding

if TYPE_CHECKING:
    from sovereign.parts import Parts

SECRETS: Final = "backup"
"""The name under which `sovereign secret` keeps the secret keys of targets."""
JOB: Final = f"{HOUSE}backup"
"""The name of the job, in the diary."""
TURN: Final = ".backup.one"
"""The lock of whoever makes or prunes backups, in the site."""


def cadence(settings: Settings) -> Cadence | None:
    """Give the cadence of backups, None when they have none; errors: BadCadence."""
    wanted = settings.backup
    return said(wanted.every, wanted.schedule, settings.site.zone)


def status(site: "Parts") -> JobStatus | None:
    """The job of backups as people see it, None when the settings plan none; errors: BadCadence."""
    from sovereign.state import Jobs as Diary

    planned, present = cadence(site.settings), site.clock()
    if planned is None:
        return None
    job = Diary(site.state, site.clock).get(JOB)
    due = job.due_at if job and job.due_at and job.cadence == planned.text else planned.after(present, JOB)
    running = files.busy(site.root / TURN)
    last = (job.last_due_at, job.last_state, job.last_run) if job else (None, None, None)
    return JobStatus(JOB, planned.text, planned.zone.key, due, running, not running and present - due > LATE, None, *last)


def gauges(site: "Parts") -> str:
    """When the last backup was made, in the text format of Prometheus; empty when the settings name no target."""
    if not site.settings.backup.targets:
        return ""
    name, told = "sovereign_backup_last_success_seconds", "When the last backup was made, in seconds since 1970; 0: never."
    made = site.audit.entries(act="backup.created", limit=1)
    return f"# HELP {name} {told}\n# TYPE {name} gauge\n{name} {made[-1].at.timestamp() if made else 0:.0f}\n"


def _scheduled(site: "Parts") -> Iterator[Finding]:
    """Say what is late, and what failed last."""
    from sovereign.state import Jobs as Diary

    job = status(site)
    if job is None:
        return
    if job.late:
        fr = f"sauvegarde en retard, prévue le {job.due_at:%Y-%m-%d %H:%M} UTC : « sovereign serve » tourne-t-il ?"
        en = f"backup late, due on {job.due_at:%Y-%m-%d %H:%M} UTC: is `sovereign serve` running?"
        yield Finding("warning", "doctor.backup_late", "backup", fr, en)
    latest = Diary(site.state, site.clock).history(JOB, limit=1)
    if latest and latest[0].state == "failed":
        at, why = f"{latest[0].due_at:%Y-%m-%d %H:%M} UTC", latest[0].error
        fr = f"la sauvegarde prévue le {at} a échoué ({why}) : sovereign backup create"
        en = f"the backup due on {at} failed ({why}): sovereign backup create"
        yield Finding("error", "doctor.backup_failed", "backup", fr, en)
    elif latest and latest[0].state == "partial":
        fr = f"sauvegarde faite, mais les anciennes n'ont pas été enlevées ({latest[0].error}) : sovereign backup prune"
        en = f"backup made, but old ones were not removed ({latest[0].error}): sovereign backup prune"
        yield Finding("warning", "doctor.backup_kept", "backup", fr, en)


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
    yield from _scheduled(site)
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
