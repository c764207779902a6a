"""What a person sees and types on a real terminal (a pseudo-terminal, 100 columns)."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from saas_connectors.sandbox import Sandbox, Trouble

from .conftest import Run

PASSPHRASE = "cheval exact pile agrafe"


def type_in(*arguments: str, answers: tuple[tuple[str, str], ...] = (), columns: int = 100) -> tuple[int, str]:
    """Run a command on a terminal; each answer is typed once its question was shown. Gives the exit code and the screen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    running = subprocess.Popen(
        [sys.executable, "-m", "sovereign.cli.main", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
        env={**inherited, "TERM": "xterm-256color"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    screen, left = b"", list(answers)
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        screen += piece
        if left and left[0][0].encode() in screen.rpartition(b"\n")[2]:
            os.write(ours, f"{left.pop(0)[1]}\n".encode())
            screen += b"\n"
    os.close(ours)
    return running.wait(timeout=60), screen.decode().replace("\r\n", "\n")


def test_a_passphrase_is_asked_twice_and_never_shown(tmp_path: Path) -> None:
    code, screen = type_in("init", "city", answers=(("Passphrase", PASSPHRASE), ("Repeat", PASSPHRASE)))
    assert (code, "✓ Site made: city" in screen) == (0, True)
    assert PASSPHRASE not in screen
    code, screen = type_in("--site", "city", "keys", "list", answers=(("Passphrase", PASSPHRASE),))
    assert code == 0
    code, screen = type_in("--site", "city", "keys", "list", answers=(("Passphrase", "a wrong one"),))
    assert code == 12


def test_a_secret_is_asked_for_and_never_shown(pulled: Path) -> None:
    code, screen = type_in("secret", "set", "geo", answers=(("Secret of geo", PASSPHRASE),))
    assert (code, "✓ Secret sealed: geo/geo" in screen, PASSPHRASE in screen) == (0, True, False)


def test_what_cannot_be_undone_is_confirmed_by_its_name(run: Run, pulled: Path) -> None:
    period = run("keys", "list", "--json").records[0]["period"]
    destroy = ("keys", "destroy", "geo", "personal", period)
    code, screen = type_in(*destroy, answers=(("to confirm", "yes"),))
    assert code == 2
    assert "will be lost for ever" in screen
    code, screen = type_in(*destroy, answers=(("to confirm", f"geo/personal/{period}"),))
    assert code == 0


def test_a_state_is_a_glyph_and_a_word_with_or_without_colour(pulled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, screen = type_in("snapshot", "list")
    assert (code, "\x1b[32m✓ complete" in screen) == (0, True)
    monkeypatch.setenv("NO_COLOR", "1")
    code, screen = type_in("snapshot", "list")
    assert "✓ complete" in screen
    assert re.search(r"\x1b\[[0-9;]*m", screen) is None  # neither colours nor weights


def test_a_run_is_followed_as_it_goes(pulled: Path, vendor: Sandbox) -> None:
    vendor.vendor.troubles.plan(Trouble("slow", 0.5, path="/page/", times=0))
    code, screen = type_in("sync", "run", "geo", columns=140)
    assert code == 0
    assert "pulling" in screen
    assert re.search(r"[1-9]\d* / 250 rows · ", screen)
    assert "✓ complete  communes · 250 rows · no change" in screen


def test_a_row_too_wide_for_the_terminal_is_shown_a_column_a_line(pulled: Path) -> None:
    code, screen = type_in("query", "SELECT * FROM geo.communes WHERE code = '42001'", "--clearance", "personal", columns=50)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    assert code == 0
    assert "── 1 ──" in plain
    assert re.search(r"^maire +Personne 1$", plain, re.MULTILINE)


def test_a_name_that_one_copies_is_never_cut_in_two(pulled: Path) -> None:
    code, screen = type_in("sync", "list")
    assert code == 0
    assert re.search(r"\d{8}-\d{9}-[0-9a-f]{8}\s", screen)
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", screen).splitlines())) <= 100


def test_a_binary_answer_is_not_thrown_at_a_terminal(pulled: Path) -> None:
    code, screen = type_in("query", "SELECT 1", "--format", "parquet")
    assert (code, "query.binary" in screen) == (2, True)
