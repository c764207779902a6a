"""The verbs of `sovereign flow` by which people decide: what is in force, what is held, what a person dealt with."""

from typing import Final

from sovereign.cli.commands import option
from sovereign.cli.door import Door
from sovereign.cli.flow_noun import NAME, OCCASION, REASON, bus_of, command
from sovereign.cli.flow_shown import unseen
from sovereign.cli.marks import several

KEY: Final = option(
    "--key", multiple=True, metavar="VALUE", fr="Cet enregistrement seulement : sa clé, comme pour « show ».",
    en="That record alone: its key, as for `show`.",
)  # fmt: skip


@command.verb(
    "enable",
    fr="Met un flux en service : ce texte-là, à partir de maintenant.",
    en="Put a flow in force: this very text, from now on.",
)
@NAME
def enable(door: Door, name: str) -> None:
    """It acts while `sovereign serve` runs with a gateway; policy still has to open what it writes."""
    from sovereign.flowing import enable as put

    site = door.site()
    file = put(site, name)
    door.out.done(
        "flow.enabled", f"{name} est en service", f"{name} is in force", flow=name, client=file.client, digest=file.digest
    )
    asked = [(step.connection, each) for step in file.flow.do for each in (step.operation, step.undo) if each is not None]
    for connection, operation in dict.fromkeys(asked):  # what undoes a step is a write like any other
        opened = f"{connection} {operation} --client {file.client} --add"
        door.out.remark(
            f"La politique doit l'ouvrir : sovereign policy open {opened}",
            f"Policy must open it: sovereign policy open {opened}",
        )
    if bus_of(door).unseen(file):
        unseen(door.out, str(file.flow.on.change))
    if file.flow.on.event:
        from sovereign.events.reading import tells

        told = [source for source, each in sorted(site.settings.events.items()) if tells(each, file.flow.on.event)]
        some = ", ".join(told) or "-"
        door.out.remark(f"Sources qui peuvent le déclencher : {some}", f"Sources that may start it: {some}")
    if not site.settings.gateway.listen:
        door.out.remark(
            "Ce site n'ouvre pas de passerelle ([gateway] listen) : le flux n'agira que par « flow run ».",
            "This site opens no gateway ([gateway] listen): the flow will only act by `flow run`.",
        )


@command.verb("disable", fr="Arrête un flux ; ce qui attend reste.", en="Stop a flow; what waits stays.")
@NAME
@option("--reason", default="", metavar="TEXT", fr="Pourquoi ; va au journal, scellée.", en="Why; sealed in the log.")
def disable(door: Door, name: str, reason: str) -> None:
    """At the next look of the service."""
    bus_of(door).disable(name, door.site().actor, reason)
    door.out.done("flow.disabled", f"{name} est arrêté", f"{name} is stopped", flow=name)


@command.verb(
    "release",
    fr="Laisse partir ce qui est retenu d'une occasion, une fois regardé.",
    en="Let what is held of an occasion go, once looked at.",
)
@NAME
@OCCASION
@REASON
@KEY
@option(
    "--older", is_flag=True, fr="Aussi ce dont une occasion plus récente a traité depuis.",
    en="Also what a later occasion handled since.",
)  # fmt: skip
def release(door: Door, name: str, occasion: str, reason: str, key: tuple[str, ...], older: bool) -> None:
    """Its rows go, each still judged by policy."""
    count = bus_of(door).release(name, occasion, door.site().actor, reason, key=key, older=older)
    door.out.done(
        "flow.released",
        several(count, "écriture* libérée*", ""),
        f"{several(count, '', 'write*')} released",
        flow=name,
        writes=count,
    )


@command.verb(
    "drop", fr="Abandonne ce qui est retenu d'une occasion : rien n'en part.",
    en="Drop what is held of an occasion: nothing of it leaves.",
)  # fmt: skip
@NAME
@OCCASION
@REASON
@KEY
def drop(door: Door, name: str, occasion: str, reason: str, key: tuple[str, ...]) -> None:
    """Its rows stay on record, cancelled."""
    count = bus_of(door).drop(name, occasion, door.site().actor, reason, key=key)
    door.out.done(
        "flow.dropped",
        several(count, "écriture* abandonnée*", ""),
        f"{several(count, '', 'write*')} dropped",
        flow=name,
        writes=count,
    )


@command.verb(
    "settle",
    fr="Clôt les étapes d'un enregistrement qui ont échoué pour de bon, une personne s'en étant chargée.",
    en="Close the steps of a record that failed for good, once a person dealt with them.",
)
@NAME
@option("--key", multiple=True, required=True, metavar="VALUE", fr="La clé, comme pour « show ».", en="The key, as for `show`.")
@option("--step", default=None, metavar="NAME", fr="Cette étape seulement.", en="That step alone.")
@REASON
def settle(door: Door, name: str, key: tuple[str, ...], step: str | None, reason: str) -> None:
    """Nothing is written at the vendor; the page of the record says who closed them, and the log why."""
    from sovereign.flowing import settle as close

    steps = close(door.site(), name, key, step, reason)
    said = ", ".join(steps)
    door.out.done("flow.settled", f"Réglé à la main : {said}", f"Settled by hand: {said}", flow=name, steps=list(steps))
