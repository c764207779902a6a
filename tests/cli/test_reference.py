"""docs/cli.md and the READMEs say what the commands are."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from sovereign.cli import reference

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_commands_say() -> None:
    # To bring it up to date: python -m sovereign.cli.reference > docs/cli.md
    assert (ROOT / "docs" / "cli.md").read_text() == reference.text()


def test_the_two_readmes_are_twins() -> None:
    english, french = ((ROOT / name).read_text() for name in ("README.md", "README.fr.md"))
    for shape in (
        r"^#+ ",
        r"^```",
        r"^\| ",
        r"\]\((docs[^)]*|SECURITY.md|CHANGELOG.md|LICENSE)\)",
        r"^sovereign [a-z]+ [a-z]+",
    ):
        assert len(re.findall(shape, english, re.MULTILINE)) == len(re.findall(shape, french, re.MULTILINE)), shape


@pytest.mark.parametrize(
    "name", ["README.md", "README.fr.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def _quick_start(name: str) -> str:
    (block,) = re.findall(r"^```sh quickstart\n(.*?)^```$", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_quick_start_of_the_readme_runs_as_it_is_written(tmp_path: Path) -> None:
    # The reader stands in a clone; here the clone is read only.
    for needed in (".venv", "saas_connectors"):
        (tmp_path / needed).symlink_to(ROOT / needed)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _quick_start("README.md")],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "21750001630066" in done.stdout
    assert (tmp_path / "contracts.csv").stat().st_size


def test_the_french_quick_start_types_the_same_commands() -> None:
    words = {"ville": "city", "secours": "recovery", "marches.csv": "contracts.csv", "AS marches": "AS contracts"}
    french = re.sub(r"\s+#.*", "", _quick_start("README.fr.md"))
    for word, twin in words.items():
        french = re.sub(rf"\b{re.escape(word)}\b", twin, french)
    assert french == re.sub(r"\s+#.*", "", _quick_start("README.md"))
