"""docs/cli.md, generated from the commands themselves: `python -m sovereign.cli.reference > docs/cli.md`.

A test compares the file with what this module prints, so no command, option or exit code can be undocumented.
"""

from collections.abc import Iterator

import click

from sovereign.cli import exits
from sovereign.cli.commands import SHARED
from sovereign.cli.main import root
from sovereign.cli.words import teach
from sovereign.language import speak

HEAD = """# The command line

Generated from the commands by `python -m sovereign.cli.reference`; a test keeps it true. Every command also speaks French
(`--lang fr`).

Answers go to standard output; progress, remarks and errors to standard error. With `--json`, both are JSON lines that each
carry a `type` field; an error is `{"type": "error", "code": …, "what": …, "todo": …}` with its facts as further fields. A
`code` never changes once published. Passphrases are read from the file named by `SOVEREIGN_PASSPHRASE_FILE`, from
`$CREDENTIALS_DIRECTORY/sovereign-passphrase`, or asked on a terminal: never from an argument or an environment value.

CSV written to a file (`query --format csv --output FILE`) is made safe for spreadsheets: an apostrophe goes before each text,
and each column's name, that starts with `=`, `+`, `-`, `@`, a tab or a carriage return. Numbers, negative ones included, are
never altered. CSV on standard output is for programs: nothing is added to it.

| variable | what it does |
|---|---|
| `SOVEREIGN_SITE` | the site's folder, when `--site` is not given |
| `SOVEREIGN_LANG` | `fr` or `en`, when `--lang` is not given |
| `SOVEREIGN_PASSPHRASE_FILE` | a file whose single line is the passphrase of a `file:` key provider |
| `SOVEREIGN_NEW_PASSPHRASE_FILE` | a file whose single line is the passphrase that `keys passphrase` puts in its place |
| `SOVEREIGN_APPROVER_PASSPHRASE_FILE` | a file whose single line is the passphrase of an approver's own key |
| `SOVEREIGN_DEBUG` | `1` shows the traceback of an unexpected error, which may hold data |
| `NO_COLOR` | no colours |
"""


def pages() -> Iterator[str]:
    """Give the reference, block by block, in English."""
    yield HEAD
    yield "## Exit codes\n"
    yield "| code | meaning |\n|---|---|\n" + "".join(f"| {code} | {said[1]} |\n" for code, said in exits.MEANINGS.items())
    context = click.Context(root, info_name="sovereign")
    yield "## Options that every command understands\n"
    yield _options(SHARED, context)
    for name in root.list_commands(context):
        found = root.get_command(context, name)
        if found is not None:
            yield from _command(found, click.Context(found, info_name=name, parent=context), 2)


def _command(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    formatter = click.HelpFormatter(width=4000)
    command.format_help_text(context, formatter)
    text = "\n".join(line.strip() for line in formatter.getvalue().strip().splitlines())
    yield f"{'#' * depth} {context.command_path}\n"
    yield f"{text}\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _command(found, click.Context(found, info_name=name, parent=context), depth + 1)
        return
    yield f"```\n{usage}\n```\n"
    if command.params:
        yield _options(command.params, context)


def _options(parameters: list[click.Parameter], context: click.Context) -> str:
    records = [record for parameter in parameters if (record := parameter.get_help_record(context))]
    rows = "".join(f"| `{_cell(names)}` | {_cell(text)} |\n" for names, text in records)
    return f"| | |\n|---|---|\n{rows}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def text() -> str:
    """The whole page."""
    speak("en")
    teach()
    return "\n".join(pages())


if __name__ == "__main__":
    print(text(), end="")  # noqa: T201 - this is what the module is for
