"""A witness on its own machine refuses every other past, even from whoever stole the log's key; a crash changes nothing."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from sovereign.audit import AuditLog, tree
from sovereign.audit.checkpoint import Checkpoint
from tests.servers.witness import NAME, Logs, asked, cli, enter, serving
from tests.servers.witness import init as init_for
from vault.cosignatures import Cosignatory, times
from vault.errors import NotSigned

Made = Callable[[str, list[str]], AuditLog]
ACTS = [f"act {number}" for number in range(300)]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Make logs of one key: the true one, and those of whoever stole it."""
    logs = Logs(tmp_path)
    yield logs.make
    logs.close()


def init(folder: Path, log: AuditLog) -> Cosignatory:
    return init_for(folder, log.checkpoints.verifier)


def refused(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = cli("witness", "serve", str(folder), *words, "--lang", "en")
    return subprocess.run(command, check=False, capture_output=True, text=True)


def ask(place: str, body: bytes) -> requests.Response:
    return requests.post(f"{place}/add-checkpoint", data=body, timeout=60)


def test_what_continues_is_cosigned_and_another_past_is_not(tmp_path: Path, made: Made) -> None:
    log = made("true", ACTS[:100])
    witness, folder = init(tmp_path / "witness", log), tmp_path / "witness"
    with serving(folder) as (place, _):
        first = log.checkpoints.sign()
        answer = ask(place, asked(0, (), first))
        assert answer.status_code == 200
        cosigned = log.checkpoints.attach(100, answer.text.splitlines())
        assert list(times(cosigned.note, [witness])) == [NAME]
        assert Checkpoint.verify(cosigned.note, log.checkpoints.verifier).root == first.root

        enter(log, ACTS[100:])
        second = log.checkpoints.sign()
        late = ask(place, asked(0, (), second))
        assert (late.status_code, late.text, late.headers["Content-Type"]) == (409, "100\n", "text/x.tlog.size")
        proof = log.consistency(100, second)
        assert ask(place, asked(100, proof[:-1], second)).status_code == 422
        assert ask(place, asked(100, proof, second)).status_code == 200
        assert ask(place, asked(300, (), second)).status_code == 200, "seen again, cosigned again"

        # Whoever stole the key: every other past.
        rewritten = made("rewritten", [*ACTS[:50], "another act", *ACTS[51:], "more"])
        reordered = made("reordered", [*reversed(ACTS), "more"])
        for forged in (rewritten, reordered):
            signed = forged.checkpoints.sign()
            assert signed.size == 301
            assert ask(place, asked(300, forged.consistency(300, signed), signed)).status_code == 422
        short = made("short", ACTS[:200]).checkpoints.sign()
        assert ask(place, asked(300, (), short)).status_code == 400, "an old size over the new one"
        assert ask(place, asked(200, (), short)).text == "300\n"
        fork = made("fork", [*ACTS[:-1], "another end"]).checkpoints.sign()
        assert ask(place, asked(300, (), fork)).status_code == 409
        kept = [each.read_text() for each in (folder / "refused").iterdir()]
        assert kept == [fork.note], "the last forgery, signed, is evidence"
    with serving(folder) as (place, _):
        assert ask(place, asked(300, (), fork)).status_code == 409
        assert ask(place, asked(300, (), second)).status_code == 200


def test_what_is_malformed_or_unknown_is_refused(tmp_path: Path, made: Made) -> None:
    log, folder = made("true", ACTS[:10]), tmp_path / "witness"
    init(folder, log)
    good = log.checkpoints.sign()
    with serving(folder) as (place, process):
        other = good.note.replace(good.origin, "somewhere/else")
        signature = good.note.rstrip("\n")
        for status, body in (
            (404, asked(0, (), Checkpoint("", 0, b"", other))),
            (403, asked(0, (), Checkpoint("", 0, b"", good.note.replace("\n10\n", "\n11\n")))),
            (400, b"old 0\n" + good.note.encode()),
            (400, b"old 00\n\n" + good.note.encode()),
            (400, b"old -1\n\n" + good.note.encode()),
            (400, b"old 11\n\n" + good.note.encode()),
            (400, b"old 0\nAAAA\n\n" + good.note.encode()),
            (400, b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\n" + good.note.encode()),
            (400, b"\xff\xfe"),
            (400, b""),
            (400, b"old 0\n\n" + signature.encode()),
        ):
            assert ask(place, body).status_code == status, body[:40]
        assert requests.post(f"{place}/add-checkpoint", data=b"x" * 100_000, timeout=60).status_code == 413
        assert requests.post(f"{place}/other", data=b"", timeout=60).status_code == 404
        assert requests.get(f"{place}/add-checkpoint", timeout=60).status_code == 501
        assert ask(place, asked(0, (), good)).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert {each.stat().st_mode & 0o777 for each in folder.rglob("*") if each.is_file()} == {0o600}


def test_a_line_under_the_witness_name_that_is_not_its_own_is_refused(tmp_path: Path, made: Made) -> None:
    log = made("true", ACTS[:10])
    witness = init(tmp_path / "witness", log)
    with serving(tmp_path / "witness") as (place, _):
        line = ask(place, asked(0, (), log.checkpoints.sign())).text
    enter(log, ["one more"])
    moved = log.checkpoints.sign().with_signatures([line.rstrip("\n")])
    with pytest.raises(NotSigned):
        times(moved.note, [witness])


@pytest.mark.parametrize("round_", range(5))
def test_killed_at_any_instant_it_never_cosigns_two_pasts(tmp_path: Path, made: Made, round_: int) -> None:
    pasts = [made(f"log{number}", [*ACTS[:10], f"end {number}"]).checkpoints.sign() for number in range(4)]
    assert len({each.root for each in pasts}) == 4
    log = made("known", [])
    folder, cosigned = tmp_path / "witness", set[bytes]()
    init(folder, log)

    def submit(place: str, past: Checkpoint, old: int) -> None:
        try:
            if ask(place, asked(old, (), past)).status_code == 200:
                cosigned.add(past.root)
        except requests.RequestException:
            pass

    with serving(folder) as (place, process), ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(submit, place, past, 0) for past in pasts * 4]
        for each in waits[: 1 + 3 * round_]:
            each.result()
        process.kill()
    with serving(folder) as (place, _):
        for past in pasts:
            submit(place, past, 0)
            submit(place, past, 11)
    assert len(cosigned) == 1
    assert tree.EMPTY not in cosigned


def test_a_folder_without_witness_and_a_taken_port_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "witness"
    none = refused(folder)
    assert (none.returncode, "is not the folder of a witness" in none.stderr) == (2, True)
    said = subprocess.run(cli("witness", "init", str(folder), "--name", NAME), check=True, capture_output=True, text=True)
    assert Cosignatory.parse(next(word for word in said.stdout.split() if word.startswith(f"{NAME}+"))).name == NAME
    with serving(folder) as (place, _):
        port = place.rpartition(":")[2]
        taken = refused(folder, "--port", port)
    assert (taken.returncode, "does not open" in taken.stderr) == (2, True)
