"""A package to start from: it installs, reads the sandbox, and keeps the laws before a line of it is changed.

Written whole or not at all, in a folder that is absent or empty; no file is ever replaced.
"""

from importlib.resources import files as resources
from pathlib import Path
from string import Template
from typing import Final, Literal

from saas_connectors.installed import KIND
from saas_connectors.registry import KINDS
from sovereign.authoring.errors import BadName, NotEmpty
from vault import files

_WRITES: Final = """

def test_it_writes_by_the_laws() -> None:
    for operation, payload in WRITES.items():
        run_writer(make_writer("$name", SETTINGS), operation, payload, send())
"""
Side = Literal["read", "write"]


def scaffold(name: str, side: Side, folder: Path) -> tuple[Path, ...]:
    """Write a package for kind `name`; gives the files, relative to the folder. Errors: BadName, NotEmpty."""
    if not KIND.fullmatch(name) or name.endswith("-"):
        raise BadName(
            name=name[:64],
            expected_fr="des minuscules, chiffres et -, en commençant par une lettre, 40 au plus",
            expected_en="lower case, digits and -, starting with a letter, 40 at most",
        )
    if name in KINDS:
        raise BadName(
            name=name, expected_fr="un nom que Sovereign n'a pas déjà", expected_en="a name that Sovereign does not have"
        )
    root = folder.absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise NotEmpty(path=str(folder))
    written = _texts(name, side)
    with files.new_folder(root):
        for path, text in written.items():
            (root / path).parent.mkdir(exist_ok=True)
            files.write(root / path, text.encode(), new=True)
    return tuple(written)


def _texts(kind: str, side: Side) -> dict[Path, str]:
    name = kind.replace("-", "_")
    module, writes = f"connector_{name}", side == "write"
    values = {
        "kind": kind,
        "name": name,
        "module": module,
        "writers": f'\n[project.entry-points."sovereign.writers"]\n{kind} = "{module}.writer:make_writer"\n' if writes else "",
        "writes": '{"close": {"id": "7"}}' if writes else "{}",
        "imports": "from saas_connectors.conformance.writing import run_writer\n" if writes else "",
        "names": "SETTINGS, WRITES, send" if writes else "SETTINGS, send",
        "write": _WRITES.replace("$name", name) if writes else "",
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        "init.py": f"{module}/__init__.py",
        "rehearsal.py": f"{module}/rehearsal.py",
        "test.py": "tests/test_conformance.py",
        "README.md": "README.md",
    } | ({"writer.py": f"{module}/writer.py"} if writes else {})
    templates = resources("sovereign.authoring") / "templates"
    texts = {
        Path(place): Template((templates / f"{source}.tmpl").read_text("utf-8")).substitute(values)
        for source, place in places.items()
    }
    if writes:
        at = Path("tests/test_conformance.py")
        texts[at] = texts[at].replace(
            f"from {module}.rehearsal", f"from {module}.writer import make_writer\nfrom {module}.rehearsal"
        )
    return texts
