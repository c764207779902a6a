"""What the published log promises: files and a public key are enough, and nothing in them may change."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from sovereign.audit import AuditLog, BadProof, Damaged, Forked, NewEntry, NotDue, NotEntered, Receipt, layout, tree
from sovereign.audit import folder as published
from sovereign.state import State
from tests.servers.masters import Mortal
from tests.servers.wayout import Time
from vault.errors import Corrupt, NotSigned
from vault.keys import Keys


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def log(state: State, tmp_path: Path, time: Time) -> AuditLog:
    return AuditLog(state, Keys.create(tmp_path / "keys", Mortal(), time.clock), time.clock)


def enter(log: AuditLog, count: int) -> None:
    log.append_many([NewEntry("query.ran", {"connection": "ville"}, {"rows": number}) for number in range(count)])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_published_log_is_checked_with_its_files_and_its_key_alone(log: AuditLog, tmp_path: Path, size: int) -> None:
    enter(log, size)
    log.publication.publish()
    elsewhere = tmp_path / "ailleurs"
    shutil.copytree(tmp_path / "audit", elsewhere)
    found = published.verify(elsewhere, log.checkpoints.verifier)
    assert (found.checkpoint.size, found.first) == (size, 0)
    assert log.verify() == size


def test_it_grows_by_what_is_new_and_keeps_to_its_owner(log: AuditLog, tmp_path: Path) -> None:
    for many in (3, 0, 250, 3, 1, 600):
        enter(log, many)
        log.publication.publish()
        published.verify(tmp_path / "audit", log.checkpoints.verifier)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "audit").rglob("*")} == {0}
    assert not (tmp_path / "audit" / "tile" / "0" / "000.p").exists()
    assert (tmp_path / "audit" / layout.tile_path(0, 3, 857 - 768)).is_file()


def test_a_publication_cut_short_anywhere_leaves_a_log_that_verifies(
    log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault import files

    enter(log, 300)
    log.publication.publish()
    write, lives = files.write, 0

    def dies(path: Path, data: bytes, *, new: bool = False) -> None:
        nonlocal lives
        lives -= 1
        if lives < 0:
            raise KeyboardInterrupt
        write(path, data, new=new)

    enter(log, 300)
    monkeypatch.setattr(files, "write", dies)
    for survived in range(12):
        lives = survived
        try:
            log.publication.publish()
        except KeyboardInterrupt:
            assert published.verify(tmp_path / "audit", log.checkpoints.verifier).checkpoint.size == 300
        else:
            break
    assert published.verify(tmp_path / "audit", log.checkpoints.verifier).checkpoint.size == 600


def test_another_key_does_not_verify_it(log: AuditLog, tmp_path: Path, state: State, time: Time) -> None:
    enter(log, 3)
    log.publication.publish()
    other = AuditLog(state, Keys.create(tmp_path / "autre", Mortal(), time.clock), time.clock)
    with pytest.raises(NotSigned):
        published.verify(tmp_path / "audit", other.checkpoints.verifier)


def test_a_state_put_back_to_an_older_day_is_seen_and_nothing_more_is_signed(
    log: AuditLog, state: State, tmp_path: Path, time: Time
) -> None:
    enter(log, 300)
    state.scrub()
    shutil.copy(state.path, tmp_path / "hier.db")
    earlier = log.publication.publish()
    enter(log, 10)
    kept = log.publication.publish()
    with State(tmp_path / "hier.db") as old:
        rolled = AuditLog(old, log.checkpoints._keys, time.clock, folder=tmp_path / "audit")
        enter(rolled, 30)
        with pytest.raises(Forked) as fault:
            rolled.publication.publish()
        assert fault.value.fields["size"] == kept.size
        shutil.rmtree(tmp_path / "audit")
        rolled.publication.publish()
    with pytest.raises(Forked):
        published.verify(tmp_path / "audit", log.checkpoints.verifier, earlier=kept.note)
    assert published.verify(tmp_path / "audit", log.checkpoints.verifier, earlier=earlier.note).checkpoint.size == 330


def test_a_checkpoint_is_signed_once_a_size_and_continues_the_one_before(log: AuditLog, state: State) -> None:
    enter(log, 5)
    first = log.checkpoints.sign()
    assert log.checkpoints.sign() == first == log.checkpoints.latest()
    enter(log, 400)
    second = log.checkpoints.sign()
    proof = log.consistency(first.size, second)
    tree.check_consistency(first.size, second.size, proof, first.root, second.root)
    with state.begin() as connection:
        connection.execute(text("UPDATE audit_tiles SET hashes = zeroblob(32) WHERE level = 1"))
    enter(log, 1)
    with pytest.raises(Forked):
        log.checkpoints.sign()


def test_a_receipt_proves_its_entry_with_the_key_alone_and_nothing_else(log: AuditLog) -> None:
    enter(log, 600)
    receipt = log.prove(300)
    text_ = receipt.encode()
    read = Receipt.decode(text_)
    assert read == receipt
    assert read.verify(log.checkpoints.verifier).size == 600
    lines = text_.split("\n")
    lines[2] = "index 301"
    with pytest.raises(BadProof):
        Receipt.decode("\n".join(lines)).verify(log.checkpoints.verifier)
    with pytest.raises(BadProof):
        Receipt(receipt.entry.replace(b'"rows":300', b'"rows":301'), 300, receipt.proof, receipt.note).verify(
            log.checkpoints.verifier
        )
    with pytest.raises(NotSigned):
        Receipt(receipt.entry, 300, receipt.proof, receipt.note.replace("\n600\n", "\n601\n")).verify(log.checkpoints.verifier)
    for broken in ("", text_[:40], text_.replace("index 300", "index 0300"), text_.replace("tlog-proof@v1", "tlog-proof@v2")):
        with pytest.raises(Corrupt):
            Receipt.decode(broken)
    with pytest.raises(NotEntered):
        log.prove(600)


def test_a_witness_adds_its_signature_and_the_published_checkpoint_carries_it(log: AuditLog, tmp_path: Path) -> None:
    enter(log, 3)
    checkpoint = log.publication.publish()
    line = "— witness.example/w1 " + "QUJDRA" + "A" * 90
    assert line in log.checkpoints.attach(checkpoint.size, [line, line]).note
    log.publication.publish()
    assert (tmp_path / "audit" / "checkpoint").read_text().count("witness.example") == 1
    published.verify(tmp_path / "audit", log.checkpoints.verifier)


def test_old_entries_are_pruned_by_bundles_and_every_proof_still_holds(log: AuditLog, tmp_path: Path, time: Time) -> None:
    enter(log, 250)
    log.append("sync.committed", {"connection": "ville", "stream": "arbres"}, {"manifest": "aa", "sequence": 1})
    log.append("keys.rotated")
    enter(log, 400)
    receipt, before = log.prove(10), log.publication.publish()
    time.sleep(timedelta(days=400).total_seconds())
    enter(log, 5)
    gone = log.prune(time.present - timedelta(days=30), "un an")
    assert gone == 512 - 2
    assert log.verify() == 658
    assert [each.seq for each in log.following(0, limit=3)] == [250, 251, 512]
    assert log.following(0, limit=1)[0].body is None
    head = log.last_commit("ville", "arbres")
    assert head is not None
    assert head.seq == 250
    found = published.verify(tmp_path / "audit", log.checkpoints.verifier, earlier=before.note)
    assert (found.checkpoint.size, found.first) == (658, 512)
    assert not (tmp_path / "audit" / "tile" / "entries" / "000").exists()
    receipt.verify(log.checkpoints.verifier)
    log.prove(600).verify(log.checkpoints.verifier)
    with pytest.raises(NotEntered):
        log.prove(10)
    with pytest.raises(NotDue):
        log.prune(time.present - timedelta(days=30))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM audit_entries WHERE seq = 250",
        "DELETE FROM audit_entries WHERE seq = 512",
        "UPDATE audit_tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 0",
    ],
)
def test_what_pruning_spared_and_kept_may_not_go_without_a_word(log: AuditLog, state: State, time: Time, sql: str) -> None:
    enter(log, 250)
    log.append("sync.committed", {"connection": "ville", "stream": "arbres"}, {"manifest": "aa", "sequence": 1})
    enter(log, 400)
    time.sleep(timedelta(days=400).total_seconds())
    log.prune(time.present - timedelta(days=30))
    with state.begin() as connection:
        connection.execute(text("DELETE FROM audit_bodies WHERE seq = 512"))
        connection.execute(text(sql))
    with pytest.raises(Damaged):
        log.verify()


def test_what_was_entered_before_there_was_a_tree_is_moved_into_it_once(log: AuditLog, state: State, time: Time) -> None:
    enter(log, 600)
    expected = log.checkpoints.sign().root
    with state.begin() as connection:
        connection.execute(text("DELETE FROM audit_tiles"))
        connection.execute(text("DELETE FROM audit_checkpoints"))
    again = AuditLog(state, log.checkpoints._keys, time.clock)
    assert again.verify() == 600
    assert again.checkpoints.sign().root == expected


def test_an_old_entry_that_was_altered_is_not_moved_into_the_tree(log: AuditLog, state: State, time: Time) -> None:
    enter(log, 3)
    with state.begin() as connection:
        connection.execute(text("DELETE FROM audit_tiles"))
        connection.execute(text("UPDATE audit_entries SET entry = replace(entry, 'ville', 'villa') WHERE seq = 1"))
    with pytest.raises(Damaged):
        AuditLog(state, log.checkpoints._keys, time.clock)


def test_a_body_sealed_in_the_first_form_is_still_read(log: AuditLog, state: State) -> None:
    import json
    from base64 import b64encode

    from vault import envelope

    log.append("query.ran", body={"sql": "SELECT 1"})
    key = log.checkpoints._keys.derive("audit/body")
    with state.begin() as connection:
        sealed = connection.execute(text("SELECT sealed FROM audit_bodies")).scalar_one()
        plain = log._bodies._records.open(0, sealed)
        first = json.dumps({"content": json.loads(plain[32:]), "salt": b64encode(plain[:32]).decode()})
        old = envelope.seal(key, b"sovereign-audit-body/1:0", first.encode())
        connection.execute(text("UPDATE audit_bodies SET sealed = :old"), {"old": old})
    assert log.entries()[0].body == {"actor": "sovereign", "sql": "SELECT 1"}
    assert log.verify() == 1


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [(0, 256, "000"), (5, 17, "005.p/17"), (1234067, 256, "x001/x234/067"), (1000, 256, "x001/000")],
)
def test_paths_are_those_of_the_specification(number: int, width: int, path: str) -> None:
    assert layout.tile_path(0, number, width) == f"tile/0/{path}"
    assert layout.tile_path(layout.ENTRIES, number, width) == f"tile/entries/{path}"
