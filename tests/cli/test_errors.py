"""What goes wrong, read as a person and as a machine reads it."""

import io
import os
from pathlib import Path

import click
import pytest

from sovereign.cli import exits, passphrase
from sovereign.cli.commands import Verb, verb
from sovereign.cli.door import Door
from sovereign.cli.main import main, root
from sovereign.cli.output import Column, Output
from vault.errors import Fault, Kind

from .conftest import Run

SECRET = "hunter2-0123456789"


def test_without_a_site_the_exit_code_is_10_and_the_way_out_is_told(run: Run, tmp_path: Path) -> None:
    said = run("sync", "list")
    assert (said.code, said.out) == (10, "")
    assert said.err.splitlines() == [
        f"✗ {tmp_path} is not a Sovereign site. [site.none]",
        "  → Make one with `sovereign init DIR`, or name it with --site.",
    ]


def test_errors_are_json_for_a_machine_wherever_json_stands(run: Run, tmp_path: Path) -> None:
    for said in (run("--json", "sync", "list"), run("sync", "list", "--json")):
        assert (said.code, said.out) == (10, "")
        (error,) = said.errors
        assert error["code"] == "site.none"
        assert error["path"] == str(tmp_path)
        assert set(error) == {"type", "code", "what", "todo", "path"}


def test_a_command_line_that_cannot_be_read_is_2_even_in_json(run: Run) -> None:
    said = run("sync", "run", "--nonsense", "--json")
    assert said.code == 2
    assert said.errors[0]["code"] == "usage"


@pytest.mark.parametrize("kind", Kind.__args__)  # type: ignore[attr-defined]
def test_every_kind_of_fault_has_its_own_documented_exit_code(kind: Kind) -> None:
    assert exits.OF_KIND[kind] in exits.MEANINGS
    assert exits.OF_KIND[kind] != exits.DONE
    assert len(set(exits.OF_KIND.values())) == len(exits.OF_KIND)


def _with(command: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(root), "get_command", lambda self, ctx, name: command)


@verb("break", fr="-", en="-")
def broken(door: Door) -> None:
    raise KeyError(SECRET)


@verb("refuse", fr="-", en="-")
def refused(door: Door) -> None:
    class Refused(Fault):
        code, kind, en, todo_en = "policy", "denied", "No.", "Ask."

    raise Refused(rule="r1")


@verb("stop", fr="-", en="-")
def stopped(door: Door) -> None:
    raise KeyboardInterrupt


def test_a_defect_of_ours_shows_a_place_and_never_a_value(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(broken, monkeypatch)
    said = run("break")
    assert said.code == 1
    assert SECRET not in said.out + said.err
    assert "KeyError" in said.err
    assert "[internal]" in said.err
    assert run("break", "--json").errors[0]["error"] == "KeyError"


def test_the_traceback_is_there_for_who_asks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(broken, monkeypatch)
    monkeypatch.setenv("SOVEREIGN_DEBUG", "1")
    assert SECRET in run("break").err


def test_a_denial_exits_5_with_its_facts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(refused, monkeypatch)
    said = run("refuse", "--json")
    assert said.code == 5
    assert said.errors == [{"rule": "r1", "type": "error", "code": "policy", "what": "No.", "todo": "Ask."}]


def test_ctrl_c_exits_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(stopped, monkeypatch)
    said = run("stop")
    assert (said.code, said.err) == (130, "\n✗ Cancelled. [cancelled]\n")


def test_what_a_vendor_wrote_cannot_drive_the_terminal() -> None:
    out = io.StringIO()
    Output(out=out).table("row", (Column("name", "nom", "name"),), [{"name": "a\x1b[2Jb\u202ec\nd"}])
    assert out.getvalue().splitlines()[1:] == [r"a\x1b[2Jb\u202ec\nd"]


def test_a_table_that_no_terminal_shows_is_never_folded() -> None:
    out = io.StringIO()
    Output(out=out).table(
        "row", (Column("name", "nom", "name"), Column("n", "n", "n", "number")), [{"name": "x" * 500, "n": 1}]
    )
    assert len(out.getvalue().splitlines()) == 2


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{SECRET}\n")
    return path


def test_a_passphrase_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, secret_file: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(secret_file))
    assert passphrase.ask(tmp_path) == SECRET


def test_a_passphrase_comes_from_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sovereign-passphrase").write_text(SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert passphrase.ask(tmp_path) == SECRET


def test_without_a_file_or_a_person_the_site_stays_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(passphrase.NoPassphrase) as raised:
        passphrase.ask(tmp_path)
    assert exits.OF_KIND[raised.value.kind] == 12


@pytest.mark.parametrize("held", [b"", b"\n", b"a\nb\n", b"\xff\xfe", b"x" * 5000])
def test_a_passphrase_file_holds_one_line(held: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(held)
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(path))
    with pytest.raises(passphrase.BadPassphraseFile):
        passphrase.ask(tmp_path)


def test_no_command_takes_a_passphrase_or_a_secret_as_an_argument() -> None:
    def names(command: click.Command) -> set[str]:
        found = {name for parameter in command.params for name in parameter.opts}
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found |= names(command.get_command(context, name))  # type: ignore[arg-type]
        return found

    assert not names(root) & {"--passphrase", "--password", "--secret", "--token"}


def test_a_reader_that_goes_away_is_no_crash() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        code = main(["completion", "fish"], out=Output(out=out))
        assert code == exits.FAILED
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
