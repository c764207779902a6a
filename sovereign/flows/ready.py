"""Ready texts: flows to start from, for a person to make their own. They name connections and columns as most towns would."""

from importlib.resources import files as resources
from pathlib import Path
from typing import Final

from sovereign.flows.errors import UnknownTemplate
from sovereign.flows.flow import NAME, NAMED, SUFFIX, FlowFile, bad, parse
from vault import files
from vault.errors import AlreadyThere

_FOLDER: Final = resources("sovereign.flows") / "templates"


def templates() -> dict[str, FlowFile]:
    """The templates, by name."""
    found = (each for each in _FOLDER.iterdir() if each.name.endswith(SUFFIX))
    return {name: parse(name, each.read_text("utf-8")) for each in found for name in [each.name.removesuffix(SUFFIX)]}


def write(folder: Path, template: str, name: str) -> Path:
    """Put a template in a site's folder under a name; gives the file. Errors: UnknownTemplate, BadFlow, AlreadyThere."""
    known = templates()
    if template not in known:
        raise UnknownTemplate(template=template[:64], known=", ".join(sorted(known)))
    if not NAME.fullmatch(name):
        raise bad(name[:64], "name", *NAMED)
    path = folder / f"{name}{SUFFIX}"
    if path.exists():
        raise AlreadyThere(what=path.name)
    files.folder(folder)
    files.write(path, known[template].text.encode(), new=True)
    return path
