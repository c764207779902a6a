"""What the audit log promises."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from sovereign.audit import ACTS, AuditLog, BadEntry, Damaged
from sovereign.state import Runs, State
from tests.servers.masters import Mortal
from tests.servers.wayout import Time
from vault.keys import Keys
from vault.records import Records


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys(tmp_path: Path, time: Time) -> Keys:
    return Keys.create(tmp_path / "keys", Mortal(), time.clock)


@pytest.fixture
def log(state: State, keys: Keys, time: Time) -> AuditLog:
    return AuditLog(state, keys, time.clock, actor="jeanne.martin")


def rows(state: State, sql: str) -> list[tuple[object, ...]]:
    with state.read() as reader:
        return [tuple(row) for row in reader.execute(text(sql))]


def change(state: State, sql: str) -> None:
    with state.begin() as connection:
        connection.exec_driver_sql(sql)


def test_an_entry_is_read_back_with_its_body_and_its_number(log: AuditLog, time: Time) -> None:
    assert log.append("site.created") == 0
    time.sleep(1)
    assert log.append("query.ran", {"connection": "mail"}, {"rows": 3, "at": time.present}, {"sql": "SELECT 1"}) == 1
    first, second = log.entries()
    assert (first.seq, first.act, first.subject, first.facts, first.body) == (
        0,
        "site.created",
        {},
        {},
        {"actor": "jeanne.martin"},
    )
    assert (second.subject, second.facts["rows"], second.body) == (
        {"connection": "mail"},
        3,
        {"actor": "jeanne.martin", "sql": "SELECT 1"},
    )
    assert second.at == time.present
    assert not second.erased


def test_the_entry_is_canonical_json_and_its_leaf_hash_is_that_of_rfc_9162(log: AuditLog, state: State) -> None:
    log.append("query.ran", {"é": 1, "b": 2, "connection": "mail"}, {"z": 1.5, "a": [True, None]})
    ((entry, leaf),) = rows(state, "SELECT entry, leaf FROM audit_entries")
    assert isinstance(entry, str)
    value = json.loads(entry)
    assert list(value) == ["act", "actor", "body", "facts", "subject", "time", "v"]
    assert entry == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert leaf == hashlib.sha256(b"\0" + entry.encode()).digest()
    assert value["v"] == 1


def test_nothing_personal_stands_in_the_entry_and_nothing_readable_in_the_file(log: AuditLog, state: State) -> None:
    log.append(
        "query.ran",
        {"connection": "mail"},
        {"rows": 1},
        {"sql": "SELECT * FROM agents WHERE nom = 'Durand'"},
        actor="jeanne.martin",
    )
    state.scrub()
    held = b"".join(file.read_bytes() for file in state.path.parent.glob("state.db*"))
    assert b"query.ran" in held
    for word in (b"jeanne", b"Durand", b"SELECT *"):
        assert word not in held


def test_the_commitment_is_to_this_body_under_a_salt_of_its_own(log: AuditLog, keys: Keys, state: State) -> None:
    log.append("query.ran", body={"sql": "SELECT 1"})
    log.append("query.ran", body={"sql": "SELECT 1"})
    records = Records(keys.derive("audit/body"), b"sovereign-audit-body/2")
    found = rows(state, "SELECT e.seq, e.entry, b.sealed FROM audit_entries e JOIN audit_bodies b ON b.seq = e.seq ORDER BY 1")
    commitments = set()
    for seq, entry, sealed in found:
        body = records.open(seq, sealed)  # type: ignore[arg-type]
        canonical = b'{"actor":"jeanne.martin","sql":"SELECT 1"}'
        assert body[32:] == canonical
        expected = base64.b64encode(hmac.digest(body[:32], canonical, "sha256")).decode()
        commitments.add(json.loads(str(entry))["body"])
        assert expected in commitments
    assert len(commitments) == 2


def test_the_same_person_has_the_same_pseudonym_here_and_another_elsewhere(
    log: AuditLog, state: State, tmp_path: Path, time: Time
) -> None:
    log.append("site.checked")
    log.append("site.checked")
    log.append("site.checked", actor="paul.petit")
    elsewhere = AuditLog(state, Keys.create(tmp_path / "autre", Mortal(), time.clock), time.clock, actor="jeanne.martin")
    elsewhere.append("site.checked")
    actors = [json.loads(str(entry))["actor"] for (entry,) in rows(state, "SELECT entry FROM audit_entries ORDER BY seq")]
    assert actors[0] == actors[1]
    assert len({*actors}) == 3


def test_an_erased_body_is_gone_and_every_hash_stays(log: AuditLog, state: State) -> None:
    seq = log.append("query.ran", body={"sql": "SELECT nir"})
    before = rows(state, "SELECT entry, leaf FROM audit_entries WHERE seq = 0")
    said = log.erase(seq, "demande d'effacement 12")
    assert rows(state, "SELECT entry, leaf FROM audit_entries WHERE seq = 0") == before
    erased, act = log.entries()
    assert (erased.body, erased.erased) == (None, True)
    assert (act.seq, act.act, act.subject) == (said, "audit.erased", {"entry": seq})
    log.erase(said, "le motif aussi")
    assert log.verify() == 3


def test_an_entry_and_the_state_it_witnesses_are_written_together_or_not_at_all(
    log: AuditLog, state: State, time: Time
) -> None:
    runs = Runs(state, time.clock)

    def fails() -> None:
        with state.begin() as transaction:
            log.append("sync.started", within=transaction)
            runs.start("ville", "cli", within=transaction)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert (log.entries(), runs.list()) == ((), ())
    with state.begin() as transaction:
        run = runs.start("ville", "cli", within=transaction)
        assert log.append("sync.started", {"run": run}, within=transaction) == 0
    assert log.entries()[0].subject == {"run": run}
    assert log.verify() == 1


def test_numbers_have_no_gap_whatever_the_threads_and_processes(
    log: AuditLog, state: State, keys: Keys, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from datetime import UTC, datetime; from tests.servers.masters import Mortal\n"
        "from vault.keys import Keys; from sovereign.audit import AuditLog; from sovereign.state import State\n"
        "now = lambda: datetime.now(UTC)\n"
        "log = AuditLog(State(Path(sys.argv[1])), Keys.create(Path(sys.argv[2]), Mortal(), now), now)\n"
        "[log.append('site.checked') for _ in range(20)]"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(state.path), str(tmp_path / f"k{number}")]) for number in range(2)
    ]
    threads = [threading.Thread(target=lambda: [log.append("site.checked") for _ in range(20)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        assert process.wait(60) == 0
    assert [seq for (seq,) in rows(state, "SELECT seq FROM audit_entries ORDER BY seq")] == list(range(100))


def test_the_last_commit_of_a_dataset_is_known(log: AuditLog) -> None:
    assert log.last_commit("ville", "arbres") is None
    log.append("sync.committed", {"connection": "ville", "stream": "arbres"}, {"manifest": "aa", "sequence": 1})
    log.append("sync.committed", {"connection": "ville", "stream": "bancs"}, {"manifest": "bb", "sequence": 1})
    recovered = log.append("snapshot.recovered", {"connection": "ville", "stream": "arbres"}, {"manifest": "cc", "sequence": 2})
    log.append("sync.quarantined", {"connection": "ville", "stream": "arbres"}, {"manifest": "dd", "sequence": 3})
    found = log.last_commit("ville", "arbres")
    assert found is not None
    assert (found.manifest, found.sequence, found.seq) == ("cc", 2, recovered)


def test_entries_are_filtered_and_the_latest_come_last(log: AuditLog, time: Time) -> None:
    for number in range(4):
        log.append("sync.started", {"connection": "ab"[number % 2], "stream": "s"}, {"n": number})
        time.sleep(60)
    log.append("query.ran", {"connection": "a"})
    assert [entry.seq for entry in log.entries(limit=2)] == [3, 4]
    assert [entry.seq for entry in log.entries(act="sync")] == [0, 1, 2, 3]
    assert [entry.seq for entry in log.entries(act="query.ran")] == [4]
    assert [entry.seq for entry in log.entries(connection="a")] == [0, 2, 4]
    assert [entry.seq for entry in log.entries(connection="b", stream="s", act="sync.started")] == [1, 3]
    assert [entry.seq for entry in log.entries(since=time.present - timedelta(seconds=61))] == [3, 4]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE audit_entries SET entry = replace(entry, '\"rows\":1', '\"rows\":2') WHERE seq = 1", "hash"),
        ("UPDATE audit_entries SET leaf = zeroblob(32) WHERE seq = 1", "hash"),
        ("UPDATE audit_entries SET act = 'site.checked' WHERE seq = 1", "index"),
        ("UPDATE audit_entries SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 1", "index"),
        ("UPDATE audit_bodies SET sealed = (SELECT sealed FROM audit_bodies WHERE seq = 2) WHERE seq = 1", "body"),
        ("UPDATE audit_bodies SET sealed = zeroblob(200) WHERE seq = 1", "body"),
        ("DELETE FROM audit_bodies WHERE seq = 1", "body"),
        ("UPDATE audit_entries SET connection = 'rh' WHERE seq = 1", "index"),
        ("UPDATE audit_entries SET stream = 'agents' WHERE seq = 1", "index"),
        ("DELETE FROM audit_bodies WHERE seq = 2; DELETE FROM audit_entries WHERE seq = 2", "missing"),
        ("DELETE FROM audit_bodies WHERE seq = 0; DELETE FROM audit_entries WHERE seq = 0", "missing"),
    ],
)
def test_what_was_changed_behind_its_back_is_seen(log: AuditLog, state: State, sql: str, what: str) -> None:
    for _ in range(3):
        log.append("query.ran", facts={"rows": 1})
    assert log.verify() == 3
    for statement in sql.split("; "):
        change(state, statement)
    with pytest.raises(Damaged) as fault:
        log.verify()
    assert fault.value.fields["what"] == what


@pytest.mark.parametrize(
    ("act", "facts", "body"),
    [
        ("tea.made", {}, {}),
        ("query.ran", {"n": float("nan")}, {}),
        ("query.ran", {"n": 2**60}, {}),
        ("query.ran", {"n": object()}, {}),
        ("query.ran", {"n": "x" * 70_000}, {}),
        ("query.ran", {}, {"sql": "x" * 1_100_000}),
        ("query.ran", {}, {"n": float("inf")}),
    ],
)
def test_what_is_not_an_entry_is_refused_and_takes_no_number(
    log: AuditLog, act: str, facts: dict[str, object], body: dict[str, object]
) -> None:
    with pytest.raises(BadEntry):
        log.append(act, {}, facts, body)
    assert log.append("site.checked") == 0


def test_every_act_is_noun_verb_and_has_two_labels() -> None:
    for name, act in ACTS.items():
        noun, _, verb = name.partition(".")
        assert noun.isalpha()
        assert verb.replace("_", "").isalpha()
        assert act.fr
        assert act.en
        assert act.fr != act.en
