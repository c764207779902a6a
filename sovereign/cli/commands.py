"""What every command shares: help in two languages, options understood at any place, nouns loaded when they are called.

`--site`, `--json` and `--lang` may stand before the noun or after the verb. Help is chosen when it is shown, not when the
module is read, so one process can speak both languages.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sovereign.cli.door import Door
from sovereign.language import LANGUAGES, say, speak

Function = TypeVar("Function", bound=Callable[..., Any])


class Option(click.Option):
    """An option whose help is in two languages."""

    def __init__(self, *args: Any, fr: str, en: str, **attributes: Any) -> None:  # noqa: ANN401 - click's own arguments
        self._said = (fr, en)
        super().__init__(*args, **attributes)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its line in the help."""
        self.help = say(*self._said)
        return super().get_help_record(ctx)

    def make_metavar(self, ctx: click.Context) -> str:
        """What stands for its value; click names a path once for all, in the language of the moment it is first read."""
        if self.metavar is None and isinstance(self.type, click.Path):
            fr, en = ("FICHIER", "FILE") if not self.type.dir_okay else ("DOSSIER", "DIRECTORY")
            return say(fr, en) if self.type.dir_okay != self.type.file_okay else say("CHEMIN", "PATH")
        return super().make_metavar(ctx)


class Argument(click.Argument):
    """An argument whose help is in two languages."""

    def __init__(self, *args: Any, fr: str, en: str, **attributes: Any) -> None:  # noqa: ANN401 - click's own arguments
        self._said = (fr, en)
        super().__init__(*args, **{**attributes, "help": en})

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Its line in the help."""
        self.help = say(*self._said)
        return super().get_help_record(ctx)


def option(*names: str, fr: str, en: str, **attributes: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - click's own
    """Give a command an option, explained in both languages."""
    return click.option(*names, cls=Option, fr=fr, en=en, **attributes)


def argument(name: str, *, fr: str, en: str, **attributes: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - click's own
    """Give a command an argument, explained in both languages."""
    return click.argument(name, cls=Argument, fr=fr, en=en, **attributes)


def _set_site(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_object(Door).folder = value  # type: ignore[union-attr]  # main always gives one


def _set_json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        context.find_object(Door).out.json = True  # type: ignore[union-attr]  # main always gives one


def _set_language(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value:
        speak(value)


def _shared(*, hidden: bool) -> list[click.Parameter]:
    return [
        Option(
            ["--site"],
            type=click.Path(path_type=Path),
            metavar="DIR",
            expose_value=False,
            hidden=hidden,
            callback=_set_site,
            fr="Dossier du site ; sinon SOVEREIGN_SITE, sinon le dossier courant ou l'un de ses parents.",
            en="The site's folder; else SOVEREIGN_SITE, else the current folder or one of its parents.",
        ),
        Option(
            ["--json"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            hidden=hidden,
            callback=_set_json,
            fr="Répond par des lignes JSON, chacune avec un champ « type ».",
            en="Answer in JSON lines, each with a `type` field.",
        ),
        Option(
            ["--lang"],
            type=click.Choice(LANGUAGES),
            is_eager=True,
            expose_value=False,
            hidden=hidden,
            callback=_set_language,
            fr="Langue de l'aide et des réponses.",
            en="Language of help and answers.",
        ),
    ]


SHARED: Final = _shared(hidden=False)
_SHARED_UNSEEN: Final = _shared(hidden=True)


class _Said(click.Command):
    """A command whose help is in two languages and that understands the shared options."""

    def __init__(self, name: str, *, fr: str, en: str, **attributes: Any) -> None:  # noqa: ANN401 - click's own
        self._said = (fr, en)
        super().__init__(name=name, **attributes)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sentence at the top of the help."""
        self.help = say(*self._said)
        super().format_help_text(ctx, formatter)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The sentence of the list of commands, whole."""
        del limit
        return say(*self._said)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, then the shared ones."""
        *own, help_option = super().get_params(ctx)
        return [*own, *(_SHARED_UNSEEN if ctx.parent else SHARED), help_option]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Recall the shared options, which only the root explains."""
        if ctx.parent:
            formatter.write_paragraph()
            formatter.write_text(
                say("Partout : --site DIR, --json, --lang fr|en.", "Everywhere: --site DIR, --json, --lang fr|en.")
            )


class Verb(_Said):
    """One act on one noun."""


class Noun(_Said, click.Group):
    """A noun of the domain, and its verbs."""

    def verb(self, name: str, *, fr: str, en: str) -> Callable[[Callable[..., Any]], Verb]:
        """Add a verb: the function is given the door, then its parameters."""

        def add(function: Callable[..., Any]) -> Verb:
            made = verb(name, fr=fr, en=en)(function)
            self.add_command(made)
            return made

        return add


def verb(name: str, *, fr: str, en: str) -> Callable[[Callable[..., Any]], Verb]:
    """Make a command that stands without a noun (`init`, `query`, `doctor`…)."""

    def make(function: Callable[..., Any]) -> Verb:
        return click.command(name, cls=Verb, fr=fr, en=en)(click.make_pass_decorator(Door)(function))

    return make


class House(Noun):
    """The root: it knows every noun by name and one sentence, and reads its module when it is called."""

    def __init__(self, name: str, *, nouns: dict[str, tuple[str, str]], **attributes: Any) -> None:  # noqa: ANN401
        self.nouns = nouns
        super().__init__(name, **attributes)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The nouns, in the order in which a person meets them."""
        del ctx
        return list(self.nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Read the module of a noun."""
        del ctx
        if cmd_name not in self.nouns:
            return None
        command: click.Command = import_module(f"sovereign.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the nouns without reading their modules."""
        del ctx
        with formatter.section(say("Commandes", "Commands")):
            formatter.write_dl([(name, say(*said)) for name, said in self.nouns.items()])
