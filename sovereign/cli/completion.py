"""`sovereign completion`: the script that lets a shell complete commands, connections and datasets."""

import click

from sovereign.cli.commands import argument, verb
from sovereign.cli.door import Door
from sovereign.errors import SovereignError


class NoCompletion(SovereignError):
    """The shell is missing or too old."""

    code = "completion.shell"
    fr = "Pas de complétion ici pour {shell} : {reason}"
    en = "No completion for {shell} here: {reason}"


@verb(
    "completion",
    fr='Donne le script de complétion.\n\nPar exemple, dans ~/.bashrc : eval "$(sovereign completion bash)"',
    en='Print the completion script.\n\nFor instance, in ~/.bashrc: eval "$(sovereign completion bash)"',
)
@argument("shell", type=click.Choice(["bash", "zsh", "fish"]), fr="L'interpréteur de commandes.", en="The shell.")
def command(door: Door, shell: str) -> None:
    """Print click's own script for the shell."""
    from click.shell_completion import get_completion_class

    from sovereign.cli.main import root

    kind = get_completion_class(shell)
    if kind is None:
        raise NoCompletion(shell=shell, reason="?")
    try:
        script = kind(root, {}, "sovereign", "_SOVEREIGN_COMPLETE").source()
    except RuntimeError as refused:
        raise NoCompletion(shell=shell, reason=str(refused)) from None
    door.out.record("completion", shell=shell, script=script)
    door.out.say(script, script)
