"""Events of the audit log reach a real rsyslog over TLS: each at least once, in order, whatever dies on the way."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from socket import create_server

import pytest
import requests

from sovereign.audit import AuditLog, NewEntry, ocsf
from sovereign.audit.errors import Awaited
from sovereign.audit.forwarding import Forwarder, Line, Position
from sovereign.audit.syslog import Writer
from sovereign.cli.main import main
from sovereign.egress import EgressPolicy, Refused, TimedOut, TlsFailed
from sovereign.egress.stream import TlsStream
from sovereign.state import State
from tests.servers.masters import Mortal
from tests.servers.rsyslog import Receiver
from tests.servers.sites import credentials
from tests.servers.wayout import Time
from vault.errors import Fault
from vault.keys import Keys


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def log(state: State, tmp_path: Path, time_: Time) -> AuditLog:
    return AuditLog(state, Keys.create(tmp_path / "keys", Mortal(), time_.clock), time_.clock, actor="Marie Curie")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "rsyslog")
    made.start()
    yield made
    made.kill()


def enter(log: AuditLog, count: int) -> None:
    log.append_many([NewEntry("query.ran", {"connection": "ville"}, {"rows": n}, {"sql": "SELECT nir"}) for n in range(count)])


def policy(receiver: Receiver, host: str = "localhost", **more: object) -> EgressPolicy:
    given = {"ca_bundle": receiver.folder / "ca.pem", "loopback": True, "timeout": 60.0, "connect_timeout": 60.0, **more}
    return EgressPolicy(connection="audit.export", url=f"https://{host}:{receiver.port}", **given)  # type: ignore[arg-type]


def line(receiver: Receiver, host: str = "localhost", *, close_notify: bool = True, **more: object) -> Callable[[], Line]:
    return lambda: TlsStream.open(policy(receiver, host, **more), host, receiver.port, close_notify=close_notify)


def forwarder(log: AuditLog, state: State, way: Callable[[], Line], told: list[Fault] | None = None) -> Forwarder:
    writer = Writer(13, "gw", 32473, log.checkpoints.verifier.name)
    trouble = (told if told is not None else []).append
    return Forwarder(log, Position(state), writer, way, trouble, quiet=0.1, again=0.05)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_entry_arrives_once_in_order_and_nothing_personal_does(log: AuditLog, state: State, receiver: Receiver) -> None:
    enter(log, 250)
    with forwarder(log, state, line(receiver)):
        until(lambda: Position(state).get() == 250)
        enter(log, 30)
        until(lambda: Position(state).get() == 280)
    assert receiver.indices() == list(range(280))
    events = [json.loads(each.partition("\t")[2]) for each in receiver.lines()]
    assert [each["metadata"]["sequence"] for each in events] == list(range(280))
    assert events[7] == ocsf.event(*log.bare(7, limit=1)[0], log.checkpoints.verifier.name)
    text = "".join(receiver.lines())
    assert "Marie" not in text
    assert "SELECT" not in text


def test_nothing_is_lost_when_the_receiver_is_killed_at_any_moment(log: AuditLog, state: State, receiver: Receiver) -> None:
    told = list[Fault]()
    with forwarder(log, state, line(receiver), told):
        for round_ in range(4):
            enter(log, 400)
            known = len(receiver.lines())
            struck = known + 20 * round_
            until(lambda struck=struck: len(receiver.lines()) > struck)  # type: ignore[misc]  # bound by its default
            receiver.kill()
            enter(log, 40)
            receiver.start()
        until(lambda: Position(state).get() == 1760)
    got = receiver.indices()
    assert list(dict.fromkeys(got)) == list(range(1760)), "the first time each came, in order, none missing"
    assert told


@pytest.mark.parametrize("what", ["authority", "name", "address"])
def test_a_receiver_that_cannot_prove_who_it_is_is_sent_nothing(
    log: AuditLog, state: State, receiver: Receiver, tmp_path: Path, what: str
) -> None:
    enter(log, 3)
    stranger = Receiver(tmp_path / "stranger")
    way, fault = {
        "authority": (line(receiver, ca_bundle=stranger.folder / "ca.pem"), TlsFailed),
        "name": (line(receiver, "127.0.0.1"), TlsFailed),
        "address": (line(receiver, loopback=False), Refused),
    }[what]
    with pytest.raises(fault):
        forwarder(log, state, way).session()
    assert (receiver.indices(), Position(state).get()) == ([], 0)


def test_a_receiver_that_asks_for_a_certificate_is_shown_ours(log: AuditLog, state: State, tmp_path: Path) -> None:
    enter(log, 3)
    receiver = Receiver(tmp_path / "mutual", mutual=True)
    ours = receiver.authority.issue_cert("gateway.ville.fr")
    ours.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    ours.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    receiver.start()
    try:
        with pytest.raises(Fault):
            forwarder(log, state, line(receiver)).session()
        assert (receiver.indices(), Position(state).get()) == ([], 0)
        shown = line(receiver, client_certificate=tmp_path / "client.pem", client_key=tmp_path / "client.key")
        assert forwarder(log, state, shown).session() == 3
    finally:
        receiver.kill()
    assert receiver.indices() == [0, 1, 2]


def test_a_receiver_that_closes_without_ending_tls_confirms_nothing_unless_the_settings_say_so(
    log: AuditLog, state: State, tmp_path: Path
) -> None:
    enter(log, 3)
    receiver = Receiver(tmp_path / "gtls", driver="gtls")
    receiver.start()
    try:
        with pytest.raises(Fault) as fault:
            forwarder(log, state, line(receiver)).session()
        assert (fault.value.code, Position(state).get()) == ("egress.unconfirmed", 0)
        assert forwarder(log, state, line(receiver, close_notify=False)).session() == 3
    finally:
        receiver.kill()
    assert receiver.indices() == [0, 1, 2, 0, 1, 2]


@contextmanager
def deaf(receiver: Receiver) -> Iterator[int]:
    """A receiver that shakes hands, and reads nothing after."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(receiver.folder / "server.pem", receiver.folder / "server.key")
    done = threading.Event()
    with create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with context.wrap_socket(listening.accept()[0], server_side=True):
                done.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            thread.join()


def test_a_receiver_that_reads_nothing_holds_a_step_for_its_time_and_no_longer(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path / "rsyslog")
    with deaf(receiver) as port, closing(TlsStream.open(policy(receiver, timeout=0.5), "localhost", port)) as stream:
        with pytest.raises(TimedOut):
            stream.send(b"x" * 2**26)
        with pytest.raises(Fault):
            stream.finish()


def test_pruning_keeps_what_was_not_confirmed(log: AuditLog, state: State, receiver: Receiver, time_: Time) -> None:
    enter(log, 300)
    time_.sleep(3600.0)
    with pytest.raises(Awaited):
        log.prune(time_.clock(), unconfirmed=Position(state).get())
    assert forwarder(log, state, line(receiver)).session() == 300
    assert log.prune(time_.clock(), unconfirmed=Position(state).get()) == 256
    assert log.verify() == 301
    enter(log, 600)
    time_.sleep(3600.0)
    with pytest.raises(Awaited):
        log.prune(time_.clock(), unconfirmed=Position(state).get())
    assert forwarder(log, state, line(receiver)).session() == 901
    assert receiver.indices() == list(range(901))


def exported(address: str) -> int:
    """What the service's own metrics say that the receiver has confirmed."""
    text = requests.get(f"{address}/metrics", timeout=60).text
    return int(text.partition("\nsovereign_audit_exported_entries ")[2].partition("\n")[0])


def test_serve_sends_what_happens_and_doctor_and_export_tell_the_same(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
    monkeypatch.setenv("SOVEREIGN_SITE", str(site))
    monkeypatch.setenv("SOVEREIGN_LANG", "en")
    assert main(["init", str(site), "--keys", "systemd-cred:sovereign"]) == 0
    (site / "siem.pem").write_bytes((receiver.folder / "ca.pem").read_bytes())
    table = '\n[gateway]\nlisten = "127.0.0.1:0"\n'
    table += f'\n[audit.export]\nhost = "localhost"\nport = {receiver.port}\nca_bundle = "siem.pem"\nloopback = true\n'
    settings = site / "sovereign.toml"
    settings.write_text(settings.read_text() + table)
    command = [sys.executable, "-m", "sovereign.cli.main", "serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        until(lambda: any(" serve.started " in each for each in receiver.lines()))
        until(lambda: any(" serve.started " in each for each in receiver.lines()) and exported(address))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    sent = receiver.indices()
    assert all(later == earlier + 1 for earlier, later in pairwise(sent))

    capsys.readouterr()
    main(["doctor", "--json"])
    checks = {each["check"]: each["what"] for each in map(json.loads, capsys.readouterr().out.splitlines()) if "check" in each}
    assert f"localhost:{receiver.port}" in checks["doctor.export"]

    assert main(["audit", "export", str(tmp_path / "events.jsonl"), "--format", "ocsf"]) == 0
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(each)["metadata"]["sequence"] for each in lines] == list(range(len(lines)))
    received = [each.partition("\t")[2].rstrip("\n") for each in receiver.lines()]
    assert lines[: len(received)] == received
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o600
    assert main(["audit", "export", str(tmp_path / "events.jsonl"), "--format", "ocsf"]) == 2
    assert main(["audit", "prune", "--before", "2020-01-01", "--yes"]) == 2
