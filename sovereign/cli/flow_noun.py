"""What the verbs of `sovereign flow` share: the noun, its arguments, the bus."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door

if TYPE_CHECKING:
    from sovereign.flows.bus import Bus

command = Noun(
    "flow",
    fr="Les flux : ce qu'un changement (ou un événement, ou une heure) déclenche ailleurs, par la passerelle et rien d'autre.",
    en="The flows: what a change (or an event, or an hour) makes happen elsewhere, by the gateway and nothing else.",
)
NAME: Final = argument("name", fr="Le flux : flows/NOM.toml.", en="The flow: flows/NAME.toml.")
OCCASION: Final = argument(
    "occasion", fr="L'occasion, comme « flow show » la nomme.", en="The occasion, as `flow show` names it."
)
REASON: Final = option(
    "--reason", required=True, metavar="TEXT", fr="Pourquoi ; va au journal, scellée.", en="Why; sealed in the log."
)
HTML: Final = option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE",
    fr="En faire une page, dans un fichier nouveau.", en="Make a page of it, in a new file.",
)  # fmt: skip
NAMES: Final = option(
    "--names", is_flag=True, fr="Montre les clés, au lieu de leur pseudonyme ; c'est inscrit au journal.",
    en="Show keys, instead of their pseudonym; that is entered in the log.",
)  # fmt: skip


def bus_of(door: Door) -> "Bus":
    """The bus of the site."""
    from sovereign.eventing import diary
    from sovereign.flowing import bus

    return bus(door.site(), diary(door.site()))
