"""Go's `x/mod/sumdb`, which we did not write, finds our checkpoints, tiles, bundles and proofs good, and altered ones bad."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sovereign.audit import AuditLog, NewEntry
from sovereign.state import State
from tests.servers.golang import LogVerifier, build
from tests.servers.masters import Mortal
from tests.servers.wayout import Time
from vault import notes
from vault.cosignatures import Cosigner
from vault.keys import Keys


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> LogVerifier:
    return build(tmp_path_factory.mktemp("go"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    time = Time()
    with State(tmp_path / "state.db") as state:
        yield AuditLog(state, Keys.create(tmp_path / "keys", Mortal(), time.clock), time.clock)


def enter(log: AuditLog, count: int) -> None:
    log.append_many([NewEntry("query.ran", {"connection": "ville"}, {"rows": number}) for number in range(count)])


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 255), (256, 256), (200, 700), (255, 66_000)])
def test_go_proves_every_entry_from_our_tiles_and_that_the_log_only_grew(
    go: LogVerifier, log: AuditLog, tmp_path: Path, before: int, after: int
) -> None:
    enter(log, before)
    (tmp_path / "older").write_text(log.publication.publish().note)
    enter(log, after - before)
    latest = log.publication.publish()
    said = go.run("checkpoint", log.checkpoints.verifier.vkey, tmp_path / "audit", tmp_path / "older")
    assert (said.returncode, said.stderr) == (0, "")
    *proof, last = said.stdout.splitlines()
    assert last == f"size {after} entries {after}"
    assert len(proof) == len(log.consistency(before, latest))


def test_go_refuses_an_altered_tile_entry_or_checkpoint(go: LogVerifier, log: AuditLog, tmp_path: Path) -> None:
    enter(log, 600)
    log.publication.publish()
    folder, key = tmp_path / "audit", log.checkpoints.verifier.vkey
    for name in ("checkpoint", "tile/0/001", "tile/1/000.p/2", "tile/entries/000", "tile/entries/002.p/88"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
        assert go.run("checkpoint", key, folder).returncode == 1, name
        (folder / name).write_bytes(whole)
    assert go.run("checkpoint", key, folder).returncode == 0


def test_go_checks_a_receipt_and_refuses_it_for_another_entry(go: LogVerifier, log: AuditLog, tmp_path: Path) -> None:
    enter(log, 700)
    key, path = log.checkpoints.verifier.vkey, tmp_path / "entry.tlog-proof"
    for seq in (0, 255, 256, 511, 699):
        path.write_text(log.prove(seq).encode())
        assert go.run("proof", key, path).stdout == f"size 700 index {seq}\n"
    path.write_text(log.prove(5).encode().replace("index 5\n", "index 6\n"))
    assert go.run("proof", key, path).returncode == 1


def test_go_checks_a_cosigned_checkpoint_and_receipt_and_refuses_any_other(
    go: LogVerifier, log: AuditLog, tmp_path: Path
) -> None:
    enter(log, 300)
    key, witness, path = log.checkpoints.verifier.vkey, Cosigner("witness.example/w1", bytes(32)), tmp_path / "checkpoint"
    signed = log.publication.publish()
    line = witness.cosign(notes.split(signed.note)[0], 1_800_000_000)
    cosigned, vkey = log.checkpoints.attach(300, [line]), witness.verifier.vkey
    path.write_text(cosigned.note)
    assert go.run("cosigned", key, path, vkey).stdout == "size 300 cosigned\n"
    path.write_text(log.prove(7).encode())
    assert go.run("proof", key, path, vkey).stdout == "size 300 index 7\n"

    later = witness.cosign(notes.split(signed.note)[0], 1_800_000_001).rpartition(" ")[2]
    moved = line.rpartition(" ")[2][:16] + later[16:]  # the time of one, the signature of the other
    for wrong in (signed.note, signed.with_signatures([f"— witness.example/w1 {moved}"]).note):
        path.write_text(wrong)
        assert go.run("cosigned", key, path, vkey).returncode == 1
    path.write_text(cosigned.note)
    assert go.run("cosigned", key, path, Cosigner("witness.example/w1", bytes(range(32))).verifier.vkey).returncode == 1
