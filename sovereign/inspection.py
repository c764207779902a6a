"""What `doctor` looks at once a site opens: everything that is wrong, or will be soon, and nothing that calls a vendor.

Each finding has a stable code, what it is about, and a sentence in French and in English that ends with what to do.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sovereign import older_keyring
from sovereign.sync.jobs import cadence_of
from vault.checks import told
from vault.errors import Fault, Finding

if TYPE_CHECKING:
    from snapshots.dataset import DatasetId
    from sovereign.site import Site

LITTLE_ROOM: Final = 2 * 2**30
OLD: Final = timedelta(days=8)
"""A copy without a cadence is said to be old after this long."""


def inspect(site: "Site") -> Iterator[Finding]:
    """Run every check; one that cannot be run is a finding too."""
    for check in _CHECKS:
        try:
            yield from check(site)
        except Fault as fault:
            fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
            yield Finding("error", fault.code, check.__name__.strip("_"), f"{fr.what} {fr.todo}", f"{en.what} {en.todo}")


def of_keys(site: "Site") -> Iterator[Finding]:
    """Check the keyring by itself, then against what the audit log knows of keys."""
    found = site.keys.check()
    yield from found
    try:
        yield from older_keyring.findings(site)
    except Fault as fault:
        if fault.code not in {each.code for each in found}:
            yield told(fault, "state.db")


def _policies(site: "Site") -> Iterator[Finding]:
    from sovereign.governing import findings

    yield from findings(site)


def _witnesses(site: "Site") -> Iterator[Finding]:
    from sovereign.witnessed import findings

    yield from findings(site)


def _credentials(site: "Site") -> Iterator[Finding]:
    from sovereign.credentials import findings

    yield from findings(site)


def _room(site: "Site") -> Iterator[Finding]:
    free = shutil.disk_usage(site.root).free
    if free < LITTLE_ROOM:
        mib = free >> 20
        yield Finding(
            "warning", "doctor.room", str(site.root), f"il reste {mib} Mio : faites de la place", f"{mib} MiB left: make room"
        )


def _clock(site: "Site") -> Iterator[Finding]:
    latest = site.audit.entries(limit=1)
    if latest and site.clock() < latest[-1].at - timedelta(minutes=1):
        yield Finding(
            "error", "doctor.clock", "clock", "l'horloge est en retard sur le journal d'audit : réglez-la (chrony, NTP)",
            "the clock is behind the audit log: set it (chrony, NTP)",
        )  # fmt: skip


def _ways_out(site: "Site") -> Iterator[Finding]:
    for name, connection in sorted(site.settings.connections.items()):
        with suppress(Fault):
            site.connector(name)
            if connection.secret and connection.secret not in site.secrets.names(name):
                yield Finding(
                    "error", "doctor.secret", name, f"le secret « {connection.secret} » manque : sovereign secret set {name}",
                    f"secret `{connection.secret}` is missing: sovereign secret set {name}",
                )  # fmt: skip
                continue
            with site.transport(name) as transport:
                for remark in transport.describe():
                    yield Finding("warning", remark.code, name, remark.fr, remark.en)


def _callbacks(site: "Site") -> Iterator[Finding]:
    """Say which applications could not be told; none is asked now."""
    for client in site.outbound.callbacks.all():
        lost = site.outbound.callbacks.told(client).get("given_up", 0)
        if lost:
            yield Finding(
                "warning", "doctor.callback", client,
                f"{lost} rappels n'ont jamais été pris : voyez avec son responsable, puis sovereign client callback {client}",
                f"{lost} callbacks were never taken: see with its owner, then sovereign client callback {client}",
            )  # fmt: skip


def _subscribers(site: "Site") -> Iterator[Finding]:
    from sovereign.events.subscribing import Subscribers, findings

    yield from findings(Subscribers(site.settings.subscribers, site.state, site.audit, site.secrets, site.clock, site.root))


def _settings(site: "Site") -> Iterator[Finding]:
    for name, connection in sorted(site.settings.connections.items()):
        for check in (lambda name=name: site.connector(name), lambda each=connection: cadence_of(each, site.settings)):
            try:
                check()
            except Fault as fault:
                fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
                yield Finding("error", fault.code, name, f"{fr.what} {fr.todo}", f"{en.what} {en.todo}")


def _freshness(site: "Site") -> Iterator[Finding]:
    present, jobs = site.clock(), {job.connection: job for job in site.jobs().list()}
    for name in sorted(site.settings.connections):
        done = [run for run in site.runs.latest(name, 200) if run.state in ("succeeded", "partial") and run.finished_at]
        latest = site.runs.latest(name, 1)
        if not done:
            yield Finding(
                "warning",
                "doctor.never",
                name,
                f"jamais tirée : sovereign sync run {name}",
                f"never pulled: sovereign sync run {name}",
            )
        elif (at := done[0].finished_at) and present - at > OLD and name not in jobs:
            days = (present - at).days
            yield Finding("warning", "doctor.old", name, f"copie vieille de {days} jours", f"the copy is {days} days old")
        if name in jobs and jobs[name].late:
            yield Finding(
                "warning", "doctor.late", name, "en retard sur sa cadence : « sovereign serve » tourne-t-il ?",
                "late on its cadence: is `sovereign serve` running?",
            )  # fmt: skip
        if latest and latest[0].state in ("failed", "quarantined", "interrupted"):
            state = latest[0].state
            yield Finding(
                "warning", f"doctor.{state}", name, f"dernière exécution : {state} ; sovereign sync show {latest[0].run}",
                f"latest run: {state}; sovereign sync show {latest[0].run}",
            )  # fmt: skip


def _drafts(site: "Site") -> Iterator[Finding]:
    for run in site.repository.drafts():
        yield Finding(
            "warning", "doctor.draft", run, "exécution inachevée : la prochaine de sa connexion la continuera",
            "unfinished run: the next one of its connection goes on with it",
        )  # fmt: skip


def _quarantines(site: "Site") -> Iterator[Finding]:
    from sovereign.quarantining import held

    for each in held(site):
        name = f"{each.dataset.connection}.{each.dataset.stream}"
        if each.waits:
            yield Finding(
                "warning", "doctor.quarantine", name,
                f"en quarantaine sans avoir été examiné ({each.fr}) : « snapshot quarantine list », puis "
                f"« sync run {each.dataset.connection} --accept RAISON » ou « snapshot quarantine remove {name} {each.run} »",
                f"in quarantine, and nobody dealt with it ({each.en}): `snapshot quarantine list`, then "
                f"`sync run {each.dataset.connection} --accept REASON` or `snapshot quarantine remove {name} {each.run}`",
            )  # fmt: skip
        elif not each.whole:
            yield Finding(
                "info",
                "doctor.aside",
                name,
                f"{each.fr} : « snapshot quarantine list »",
                f"{each.en}: `snapshot quarantine list`",
            )


def known(site: "Site") -> "list[DatasetId]":
    """Give the datasets on disk, and those whose snapshots the audit log entered, be they gone."""
    from snapshots.dataset import DatasetId

    return sorted({*site.repository.datasets(), *(DatasetId(*each) for each in site.audit.witnessed())})


def missing_heads(site: "Site") -> Iterator[Finding]:
    """Name the datasets whose latest snapshot, as the audit log has it, is gone."""
    for dataset in known(site):
        last = site.audit.last_commit(dataset.connection, dataset.stream)
        head = site.repository.head(dataset, last.manifest if last else None)
        if last is not None and (head is None or head.sequence < last.sequence):
            yield Finding(
                "error", "doctor.rollback", str(dataset),
                f"l'instantané {last.sequence} inscrit au journal n'est plus là : restaurez-le, puis « snapshot verify »",
                f"snapshot {last.sequence}, entered in the audit log, is gone: restore it, then `snapshot verify`",
            )  # fmt: skip


def unentered(site: "Site") -> Iterator[Finding]:
    """Name the datasets and keys of which the audit log says nothing: it was lost, or another stands in its place.

    A lone snapshot of a connection whose keys were entered is what a crash leaves before its entry: it is not told. The next
    run, or question, enters the snapshots as recovered.
    """
    witnessed, acts = site.audit.witnessed(), (site.audit.entries(act="keys"), site.audit.entries(act="recovery"))
    keyed = {str(each.subject.get("connection", "")) for entries in acts for each in entries}
    for dataset in site.repository.datasets():
        count = len(site.repository.readable_manifests(dataset)[0])
        if (dataset.connection, dataset.stream) not in witnessed and count > (not keyed.isdisjoint({"", dataset.connection})):
            mark = "s" if count > 1 else ""
            yield _unheard_of(str(dataset), f"{count} instantané{mark}", f"{count} snapshot{mark}")
    held = Counter(each.scope.connection for each in site.keys.list() if each.state != "destroyed")
    for name, count in sorted(held.items()):
        if "" not in keyed and not site.audit.entries(connection=name, limit=1):
            yield _unheard_of(name, f"{count} clés", f"{count} keys")


def _unheard_of(subject: str, fr: str, en: str) -> Finding:
    return Finding(
        "error", "audit.unentered", subject,
        f"{fr}, aucune entrée au journal d'audit : state.db a été perdu ou remplacé. Remettez sa sauvegarde la plus récente ; "
        "s'il n'y en a pas, la prochaine exécution les inscrit comme retrouvés",
        f"{en}, no audit entry: state.db was lost or replaced. Put its latest backup back; without one, the next run enters "
        "them as recovered",
    )  # fmt: skip


def _uploads(site: "Site") -> Iterator[Finding]:
    from sovereign.gateway.spool import missing

    for intent in missing(site.state, site.root / "spool"):
        yield Finding(
            "error", "doctor.upload", intent,
            "le fichier de cette écriture manque dans spool/ : elle ne partira pas. Remettez-le d'une sauvegarde, ou "
            f"« sovereign delivery cancel {intent} »",
            "the file of this write is not in spool/: it will not leave. Put it back from a backup, or "
            f"`sovereign delivery cancel {intent}`",
        )  # fmt: skip


def _marts(site: "Site") -> Iterator[Finding]:
    for dataset, clearance in site.marts.damaged():
        yield Finding(
            "warning", "doctor.mart", f"{dataset} ({clearance})",
            "base de lecture abîmée : la prochaine question la refait depuis les instantanés ; voyez l'état du disque",
            "the mart is damaged: the next question makes it anew from the snapshots; look at the disk's health",
        )  # fmt: skip


def _timestamps(site: "Site") -> Iterator[Finding]:
    from sovereign.timestamping import findings

    yield from findings(site)


def _export(site: "Site") -> Iterator[Finding]:
    from sovereign.exporting import findings

    yield from findings(site, timedelta(hours=1))


def _backups(site: "Site") -> Iterator[Finding]:
    from sovereign.backed_up import findings

    yield from findings(site)


_CHECKS: Final[tuple[Callable[["Site"], Iterator[Finding]], ...]] = (
    of_keys, _credentials, _room, _policies, _clock, _settings, _ways_out, _callbacks, _subscribers, missing_heads, unentered,
    _freshness, _drafts, _marts, _quarantines, _timestamps, _export, _uploads, _witnesses, _backups,
)  # fmt: skip
