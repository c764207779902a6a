"""`sovereign snapshot quarantine`: what was pulled and not published, why, and taking it away once someone looked."""

from typing import Any, Final

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.keys import NotConfirmed, confirm
from sovereign.cli.marks import size
from sovereign.cli.naming import DATASET, dotted
from sovereign.cli.output import Column
from sovereign.language import say

command = Noun(
    "quarantine",
    fr="Ce qui a été tiré et n'est pas publié. « sync run NOM --accept RAISON » publie après examen.",
    en="What was pulled and is not published. `sync run NAME --accept REASON` publishes after a review.",
)


class RemovalNotConfirmed(NotConfirmed):
    """The run typed is not the one asked for."""

    code = "quarantine.not_confirmed"
    fr = "Rien n'a été enlevé : il fallait confirmer « {scope} »."
    en = "Nothing was removed: `{scope}` had to be confirmed."


COLUMNS: Final = (
    Column("dataset", "jeu de données", "dataset"),
    Column("run", "exécution", "run"),
    Column("created", "mis le", "since", "time"),
    Column("rows", "lignes", "rows", "number"),
    Column("deletions", "\u2212", "\u2212", "number"),
    Column("bytes", "taille", "size", "bytes"),
    Column("state", "état", "state", "state"),
    Column("reason", "raison", "reason"),
)


@command.verb(
    "list",
    fr="Liste ce qui est en quarantaine : de quelle exécution, depuis quand, pourquoi, combien.",
    en="List what is in quarantine: of which run, since when, why, how much.",
)
@argument("name", type=DATASET, required=False, fr="Un jeu de données ; tous sinon.", en="A dataset; all otherwise.")
def list_(door: Door, name: tuple[str, str] | None) -> None:
    """One row a quarantine; a machine is given the reason in both languages."""
    from snapshots.dataset import DatasetId
    from sovereign.quarantining import Kept, held

    def row(each: Kept) -> dict[str, Any]:
        return {
            "dataset": dotted(each.dataset),
            "run": each.run,
            "created": each.created,
            "rows": each.rows,
            "deletions": each.deletions,
            "bytes": each.bytes,
            "state": "quarantined" if each.waits else "info",
            "reason": say(each.fr, each.en),
            "reason_fr": each.fr,
            "reason_en": each.en,
            "whole": each.whole,
            "waits": each.waits,
        }

    door.out.table(
        "quarantine",
        COLUMNS,
        [row(each) for each in held(door.site(), DatasetId(*name) if name else None)],
        empty=("Rien en quarantaine.", "Nothing in quarantine."),
    )


@command.verb(
    "remove",
    fr="Enlève ce qu'une exécution a mis en quarantaine. Ce qui est publié reste ; l'acte va au journal.",
    en="Remove what a run put in quarantine. What is published stays; the act goes to the audit log.",
)
@argument("name", type=DATASET, fr="Le jeu de données.", en="The dataset.")
@argument("run", metavar="RUN", fr="L'exécution, comme « list » la montre.", en="The run, as `list` shows it.")
@option("--yes", is_flag=True, fr="Ne demande pas de confirmation.", en="Do not ask for confirmation.")
def remove(door: Door, name: tuple[str, str], run: str, yes: bool) -> None:
    """Once the run's name was typed, or with --yes."""
    from snapshots.dataset import DatasetId
    from sovereign.quarantining import remove as forget

    site, dataset = door.site(), ".".join(name)
    if not yes:
        confirm(
            run,
            f"Les lignes de {dataset} mises en quarantaine par {run} seront enlevées ; les instantanés restent.",
            f"The rows of {dataset} that {run} put in quarantine will be removed; snapshots stay.",
            RemovalNotConfirmed,
        )
    gone = forget(site, DatasetId(*name), run)
    weight = "" if gone.bytes is None else f", {size(gone.bytes)}"
    door.out.done(
        "quarantine.removed",
        f"Quarantaine enlevée : {dataset}, {run}{weight}",
        f"Quarantine removed: {dataset}, {run}{weight}",
        dataset=dataset,
        run=run,
        rows=gone.rows,
        bytes=gone.bytes,
    )
