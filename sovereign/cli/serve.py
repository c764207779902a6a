"""`sovereign serve`: run the scheduled pulls and the gateway until told to stop."""

from sovereign.actor import SERVICE
from sovereign.cli.commands import verb
from sovereign.cli.door import Door
from sovereign.cli.marks import cadence, when
from sovereign.cli.sync import stopped_by_signals


@verb(
    "serve",
    fr="Fait tourner les synchronisations planifiées et la passerelle jusqu'à Ctrl-C ou SIGTERM ; l'arrêt est propre.",
    en="Run the scheduled pulls and the gateway until Ctrl-C or SIGTERM; the stop is clean.",
)
def command(door: Door) -> None:
    """Say what is planned, then serve."""
    from sovereign import backed_up, credentials, eventing, exporting, service
    from sovereign.audit.publication import Publisher
    from sovereign.audit.witnessing import Witnessing
    from sovereign.cli.progress import followed

    site = door.site(SERVICE)
    jobs = site.jobs()
    saving = backed_up.status(site)
    planned = [job for job in (*jobs.list(), *([saving] if saving else ())) if job.due_at]
    door.out.record("serving", jobs=len(planned), next=min((job.due_at for job in planned), default=None))
    for job in sorted(planned, key=lambda each: each.due_at):
        door.out.say(
            f"… {job.connection} · {cadence(job.cadence)} · {when(job.due_at)}",
            f"… {job.connection} · {cadence(job.cadence)} · {when(job.due_at)}",
        )
    if not planned:
        door.out.remark("Aucun travail planifié.", "No job is scheduled.")

    def back(name: str) -> None:
        door.out.done("witness", f"Le témoin {name} cosigne à nouveau", f"Witness {name} cosigns again", witness=name)

    def gauges() -> str:
        told = exporting, backed_up, eventing, credentials
        return witnessing.gauges() + "".join(each.gauges(site) for each in told)

    site.witnesses.check()
    with (
        stopped_by_signals() as stop,
        Witnessing(site.witnesses, door.out.fault, back) as witnessing,
        Publisher(lambda: witnessing.wake(site.audit.publication.publish()), door.out.fault),
        service.stamping(site, stop, door.out.fault),
        service.exporting(site, door.out.fault),
        service.door(site, stop, gauges, door.out.fault) as address,
    ):
        if address:
            door.out.done("gateway", f"Passerelle ouverte : {address}", f"Gateway open: {address}", address=address)
        jobs.serve(stop, lambda _connection: followed(door.out), beside=service.backing_up(site, door.out.fault))
    door.out.done("stopped", "Service arrêté", "Service stopped")
