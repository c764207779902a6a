"""The tutorial and the quickstart, in both languages, and the page on rights, typed as written; what they show is answered.

Nothing is left out: each `sh` block runs, in one shell, and each line of a `text` block must be among the lines that the block
before it said. `…` in a shown line stands for anything, and runs of spaces for one. Only the ports are others.
"""

import contextlib
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.ports import free_port

ROOT = Path(__file__).parents[2]
PAGES = {"en": "docs/tutorial.md", "fr": "docs/tutoriel.fr.md"}
WRITING = {"en": "docs/quickstart.md", "fr": "docs/demarrage.fr.md"}
TYPED = (*PAGES.values(), *WRITING.values(), "docs/access.md")
PORTS = ("8042", "8043", "8044")
SECONDS = 500.0
END = "end of step "
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Step:
    """Commands, and the lines that the page shows after them."""

    commands: str
    shown: tuple[str, ...] = ()


def steps(page: str) -> list[Step]:
    found: list[Step] = []
    for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if kind == "sh":
            found.append(Step(body))
        else:
            assert kind == "text"
            assert not found[-1].shown, "two answers to one block"
            found[-1] = Step(found[-1].commands, tuple(body.splitlines()))
    return found


def clone(folder: Path) -> Path:
    """What a reader has after `git clone` and `make venv`; the environment is the present one, already up to date."""
    folder.mkdir()
    (folder / "saas_connectors").symlink_to(ROOT / "saas_connectors")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "Makefile").symlink_to(ROOT / "Makefile")
    (folder / "requirements").mkdir()
    for name in ("requirements/runtime.lock", "pyproject.toml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
        os.utime(folder / name, (0, 0))
    return folder


def typed(commands: list[Step], folder: Path) -> list[str]:
    """Run all steps in one shell; gives what each said, on both channels."""
    script = "exec 2>&1\n" + "".join(f"{step.commands}\necho '{END}{number}'\n" for number, step in enumerate(commands))
    environment = {"HOME": str(folder), "TMPDIR": str(folder.parent), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    heard = folder.parent / "said"
    with heard.open("wb") as sink:  # a file, since a vendor left behind would hold a pipe open
        shell = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            start_new_session=True,
        )
        try:
            shell.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the tutorial did not come to its end:\n{heard.read_text()[-3000:]}")
        finally:
            # What a failing step left behind, a vendor or `serve`, belongs to the shell's own group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    said = heard.read_text()
    assert shell.returncode == 0, said[-3000:]
    return re.split(rf"^{END}\d+\n", said, flags=re.MULTILINE)[:-1]


def line_of(shown: str) -> re.Pattern[str]:
    pieces = (re.escape(" ".join(piece.split())) for piece in shown.split("…"))
    return re.compile(r"\s*" + r".*".join(pieces) + r"\s*")


@pytest.mark.parametrize("name", TYPED)
def test_a_page_runs_as_it_is_written_and_shows_what_is_answered(name: str, tmp_path: Path) -> None:
    page = (ROOT / name).read_text()
    for port in PORTS:
        page = page.replace(port, str(free_port()))
    written = steps(page)
    said = typed(written, clone(tmp_path / "clone"))
    assert len(said) == len(written)
    for step, answer in zip(written, said, strict=True):
        lines = [" ".join(line.split()) for line in answer.splitlines()]
        for shown in step.shown:
            assert any(line_of(shown).fullmatch(line) for line in lines), f"{shown}\n--- is not in ---\n{answer}"


WORDS = {
    "SOVEREIGN_LANG=fr": "SOVEREIGN_LANG=en",
    "réussi": "succeeded",
    "ville": "city",
    "secours": "recovery",
    "autre": "another",
    "refaite": "rebuilt",
    "mairie": "hall",
    "demandes": "requests",
    "changees": "changed",
}


def commands_of(name: str) -> str:
    return re.sub(r"\s+#.*", "", "".join(step.commands for step in steps((ROOT / name).read_text())))


@pytest.mark.parametrize("pages", [PAGES, WRITING])
def test_both_languages_type_the_same_commands(pages: dict[str, str]) -> None:
    french = commands_of(pages["fr"])
    for word, twin in WORDS.items():
        french = re.sub(rf"\b{re.escape(word)}", twin, french)
    assert french == commands_of(pages["en"])


def test_a_vendor_is_connected_in_at_most_ten_lines() -> None:
    for name in PAGES.values():
        (block,) = re.findall(r"<<'END'\n(.*?)^END$", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
        assert len(block.splitlines()) <= 10
