"""Two languages, on every screen."""

import ast
from pathlib import Path

import click
import pytest

from sovereign.cli.commands import Argument, Option
from sovereign.cli.main import NOUNS, root
from sovereign.cli.words import FRENCH

from .conftest import Run

NEVER_MET = {
    # Editors, pagers, UUIDs, dates, colours, passwords, streams: no command of ours uses them.
    "{editor}: Editing failed", "{editor}: Editing failed: {e}", "{value!r} is not a valid UUID.", "d", "(dynamic)",
    "Unknown color {colour!r}", "Unknown standard stream '{name}'", "Windows error: {error}", "Press any key to continue...",
    "Value must be an iterable.", "Confirm the action without prompting.", "Name '{name}' defined twice", "Choice({choices})",
    "Invalid start character for option ({option})", "%(prog)s, version %(version)s",
    "{value!r} does not match the format {format}.", "{value!r} does not match the formats {formats}.",
    "{len_type} values are required, but {len_value} was given.", "{len_type} values are required, but {len_value} were given.",
    # For those who write commands, not those who type them; and bash older than 2016.
    "Boolean option {decl!r} cannot use the same flag for true/false.",
    "Could not determine name for option with declarations {decls!r}",
    (
        "No options defined but a name was passed ({name}). "
        "Did you mean to declare an argument instead? Did you mean to pass '--{name}'?"
    ),
    "Arguments take exactly one parameter declaration, got {length}: {decls}.",
    "{value!r} is not a valid boolean. Recognized values: {states}",
    "Shell completion is not supported for Bash versions older than 4.4.",
    "DeprecationWarning: The command {name!r} is deprecated.{extra_message}",
    "DeprecationWarning: The {param_type} {name!r} is deprecated.{extra_message}",
}  # fmt: skip


def test_french_is_spoken_first_and_english_when_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOVEREIGN_LANG")
    assert "Crée un site" in run("--help").out
    assert "Usage :" in run("--help").out
    # --lang may stand after --help: it is looked for before anything is shown.
    assert "Make a site" in run("--help", "--lang", "en").out
    assert "Make a site" in run("init", "--help", "--lang=en").out


def test_a_mistyped_command_is_told_in_french(run: Run) -> None:
    said = run("--lang", "fr", "snapshots")
    assert (said.code, said.out) == (2, "")
    assert "Commande inconnue : 'snapshots'." in said.err


def test_every_sentence_of_click_has_a_french_twin() -> None:
    asked = set()
    for source in Path(click.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_", "ngettext"}:
                asked |= {word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    assert asked - NEVER_MET - set(FRENCH) == set()


def _commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found += _commands(inner, f"{path} {name}")
    return found


def test_every_command_option_and_argument_is_explained_in_both_languages() -> None:
    for path, command in _commands(root, "sovereign"):
        assert all(getattr(command, "_said", ("", ""))), path
        for parameter in command.params:
            assert isinstance(parameter, Option | Argument), (path, parameter.name)
            assert all(parameter._said), (path, parameter.name)


def test_every_noun_has_its_module_and_its_sentence_in_both_languages() -> None:
    context = click.Context(root)
    assert [name for name in NOUNS if root.get_command(context, name) is None] == []
    assert [name for name, said in NOUNS.items() if not all(said)] == []
