"""A site whose log is cosigned by a true witness, in a process of its own, over the network; one that is down stops nothing."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree, rmtree
from threading import Thread

import pytest
import trustme

from sovereign.audit import Receipt
from sovereign.audit.errors import Declined, Unreachable
from tests.servers.city import City, new_city
from tests.servers.witness import NAME, cli, init, serving
from vault.cosignatures import Cosigner, times

SECONDS = 30.0


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with new_city(tmp_path, monkeypatch) as made:
        yield made


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_served_site_has_its_last_entry_witnessed_and_anyone_can_check_it(city: City, tmp_path: Path) -> None:
    log = city.site.audit.checkpoints.verifier
    witness = init(tmp_path / "witness", log)
    with serving(tmp_path / "witness") as (place, _):
        city.witness("archives", place, witness)
        service = subprocess.Popen(cli("--site", str(city.root), "--json", "serve"), stdout=subprocess.PIPE, text=True)
        try:
            until(lambda: city.seen() != [0])
            city.close()
            service.send_signal(signal.SIGTERM)
            assert service.wait(SECONDS) == 0
        finally:
            service.kill()
            service.wait()
            if service.stdout is not None:
                service.stdout.close()
        entries = city.site.audit.size()
        assert city.site.audit.entries(limit=1)[0].act == "serve.stopped"
        assert city.seen() == [entries]
        assert list(times((city.root / "audit" / "checkpoint").read_text(), [witness])) == [NAME]

        code, _, _ = city.run("report", "inbound", "--from", "2020-01-01", "--format", "json", "--output", str(tmp_path / "r"))
        told = json.loads((tmp_path / "r").read_text())["audit_log"]
        assert (code, told["intact"], f"saw {entries} of them; 0 are" in told["found"]["en"]) == (0, True, True)
        assert witness.vkey in told["check"][1]
        entries = city.site.audit.size()
        city.site.audit.publication.publish()
        assert city.site.witnesses.ask_all() == ()

        # Without the network, without the site, and asking the witness.
        code, said, _ = city.run("audit", "verify", "--offline")
        (whole,) = [each for each in said if each["type"] == "audit"]
        assert (code, whole["witnessed"], whole["unwitnessed"]) == (0, entries, 0)
        code, said, _ = city.run("audit", "verify")
        (whole,) = [each for each in said if each["type"] == "audit"]
        assert (code, whole["witnessed"], whole["unwitnessed"]) == (0, entries, 1), "the first verify is an entry itself"
        assert [(each["witness"], each["state"], each["entries"]) for each in said if each["type"] == "witness"] == [
            ("archives", "cosigning", entries + 1)
        ]
        code, said, _ = city.run("audit", "export", str(tmp_path / "copy"))
        assert code == 0
    alone = ("audit", "verify", "--folder", str(tmp_path / "copy"), "--key", log.vkey, "--witness", witness.vkey)
    code, said, _ = city.run(*alone)
    assert [each["type"] for each in said] == ["audit", "witness"]
    assert (code, said[0]["witnessed"], said[0]["unwitnessed"]) == (0, entries + 3, 0)
    stranger = Cosigner(NAME, bytes(32)).verifier.vkey
    assert city.run(*alone[:-1], stranger)[0] == 20, "another witness cosigned nothing of it"
    assert city.run(*alone, "--witness", witness.vkey, "--cosignatures", "2")[0] == 20, "one witness, named twice, is one"
    assert city.run(*alone, "--cosignatures", "2")[0] == 2


def test_a_receipt_carries_the_cosigned_checkpoint_that_covers_its_entry(city: City, tmp_path: Path) -> None:
    log = city.site.audit.checkpoints.verifier
    witness = init(tmp_path / "witness", log)
    with serving(tmp_path / "witness") as (place, _):
        city.witness("archives", place, witness)
        city.enter(5)
        assert city.site.audit.publication.publish()
        assert city.site.witnesses.ask_all() == ()
    city.enter(5)
    audit = city.site.audit
    audit.publication.publish()
    covered, beyond = audit.prove(3), audit.prove(8)
    assert (covered.verify(log).size, beyond.verify(log).size) == (6, 11)
    assert (list(times(covered.note, [witness])), list(times(beyond.note, [witness]))) == ([NAME], [])
    path = tmp_path / "receipt"
    for receipt, code in ((covered, 0), (beyond, 20)):
        path.write_text(receipt.encode())
        assert Receipt.decode(path.read_text()) == receipt
        assert city.run("audit", "verify", "--proof", str(path), "--key", log.vkey, "--witness", witness.vkey)[0] == code


def test_a_witness_that_is_down_stops_nothing_and_catches_up(city: City, tmp_path: Path) -> None:
    witness, folder = init(tmp_path / "witness", city.site.audit.checkpoints.verifier), tmp_path / "witness"
    with serving(folder) as (place, _):
        port = int(place.rpartition(":")[2])
        city.witness("archives", place, witness)
        with city.witnessing() as witnessing:
            city.enter(300)
            until(lambda: city.seen() == [301])
            until(lambda: 'sovereign_audit_witness_entries{witness="archives"} 301' in witnessing.gauges())
    city.told.clear()
    with city.witnessing(patience=0.0) as witnessing:
        city.enter(300)
        until(lambda: "witness.unreachable" in city.acts())
        until(lambda: city.site.audit.checkpoints.latest().size > 600)  # type: ignore[union-attr]  # signed all the same
        until(lambda: 'sovereign_audit_witness_up{witness="archives"} 0' in witnessing.gauges())
        (down,) = city.site.witnesses.standings()
        assert (down.state, down.size, down.reason) == ("unreachable", 301, "refused")
        assert {finding.code: finding.severity for finding in city.site.doctor()}["doctor.witness_unreachable"] == "warning"
        with serving(folder, port=port):
            until(lambda: "witness.returned" in city.acts())
            until(lambda: city.seen() == [city.site.audit.size()])
            assert city.site.witnesses.window().witnessed == city.site.audit.size()
            assert city.acts() == ["witness.unreachable", "witness.returned"], "a change is entered once"
            assert city.told == ["audit.witness_unreachable", "back archives"]


def test_a_short_absence_is_no_entry(city: City, tmp_path: Path) -> None:
    witness = init(tmp_path / "witness", city.site.audit.checkpoints.verifier)
    city.witness("archives", "http://127.0.0.1:1", witness)
    with city.witnessing(patience=3600.0):
        until(lambda: city.told)
        until(lambda: city.site.witnesses.standings()[0].state == "unreachable")
    assert city.acts() == []
    city.clock.offset = timedelta(hours=2)
    assert [fault.code for fault in city.site.witnesses.ask_all()] == ["audit.witness_unreachable"]
    assert city.acts() == ["witness.unreachable"]


def test_as_many_witnesses_as_are_wanted_must_have_seen_an_entry(city: City, tmp_path: Path) -> None:
    log = city.site.audit.checkpoints.verifier
    keys = [init(tmp_path / name, log, f"witness.example/{name}") for name in ("one", "two")]
    with serving(tmp_path / "one") as (here, _), serving(tmp_path / "two") as (there, _):
        city.witness("one", here, keys[0])
        city.witness("two", there, keys[1])
        with city.witnessing():
            until(lambda: city.seen() == [1, 1])
    with serving(tmp_path / "one", port=int(here.rpartition(":")[2])):
        with city.witnessing(patience=3600.0):
            city.enter(9)
            until(lambda: city.seen() == [10, 1])
        assert city.site.witnesses.window().witnessed == 1, "both are wanted"
        city.witness("unused", "http://127.0.0.1:1", init(tmp_path / "three", log, "witness.example/three"))
        text = (city.root / "sovereign.toml").read_text()
        (city.root / "sovereign.toml").write_text(text + "\n[audit]\ncosignatures = 1\n")
        assert city.site.witnesses.window().witnessed == 10
        code, said, beside = city.run("audit", "verify")
    assert code == 3, "two of three could not be asked"
    assert beside.count("audit.witness_unreachable") == 2
    assert [each["witnessed"] for each in said if each["type"] == "audit"] == [10]
    alone = ("audit", "verify", "--folder", str(city.root / "audit"), "--key", log.vkey)
    both = ("--witness", keys[0].vkey, "--witness", keys[1].vkey)
    assert city.run(*alone, *both)[1][0]["witnessed"] == 1
    assert city.run(*alone, *both, "--cosignatures", "1")[1][0]["witnessed"] == 10


def test_an_older_pair_of_database_and_folder_is_told_by_the_witness(city: City, tmp_path: Path) -> None:
    witness = init(tmp_path / "witness", city.site.audit.checkpoints.verifier)
    with serving(tmp_path / "witness") as (place, _):
        city.witness("archives", place, witness)
        assert city.site.witnesses.ask_all() == ()
        city.close()
        copytree(city.root, tmp_path / "older")
        city.enter(20)
        city.site.audit.publication.publish()
        assert city.site.witnesses.ask_all() == ()
        kept = (city.root / "audit" / "checkpoint").read_text()
        city.close()
        rmtree(city.root)
        copytree(tmp_path / "older", city.root)
        assert city.run("audit", "verify", "--offline")[0] == 0, "nothing here says that there was more"
        code, _, said = city.run("audit", "verify")
        assert (code, "audit.contradicted" in said, "shorter" in said) == (20, True, True)
        assert city.acts() == ["witness.contradicted"]
        assert city.run("audit", "verify", "--offline")[0] == 20, "its last word stands until a cosignature"
        code, _, _ = city.run("report", "outbound", "--from", "2020-01-01", "--format", "json", "--output", str(tmp_path / "r"))
        told = json.loads((tmp_path / "r").read_text())
        assert (code, told["audit_log"]["intact"]) == (20, False)
        assert "archives" in told["audit_log"]["found"]["fr"]
        assert "witness.contradicted" in {each["act"] for each in told["sections"]["conduct"]["counts"]["rows"]}
        found = [each for each in city.site.doctor() if each.code == "doctor.witness_contradicted"]
        assert [each.severity for each in found] == ["error"]
    with city.witnessing():
        until(lambda: city.told)
    (still,) = city.site.witnesses.standings()
    assert still.state == "contradicted", "cutting the network does not hide it"
    (tmp_path / "kept").write_text(kept)
    alone = ("--folder", str(city.root / "audit"), "--key", city.site.audit.checkpoints.verifier.vkey)
    code, _, said = city.run("audit", "verify", *alone, "--witness", witness.vkey, "--earlier", str(tmp_path / "kept"))
    assert (code, "audit.contradicted" in said) == (20, True)


def test_a_witness_that_does_not_follow_this_log_is_told_how_to(city: City, tmp_path: Path) -> None:
    other = Cosigner("other.example", bytes(range(32))).verifier  # a log of another name
    witness = init(tmp_path / "witness", type(city.site.audit.checkpoints.verifier)("elsewhere", other.public))
    with serving(tmp_path / "witness") as (place, _):
        city.witness("archives", place, witness)
        (fault,) = city.site.witnesses.ask_all()
        assert isinstance(fault, Declined)
        assert city.site.audit.checkpoints.verifier.vkey in fault.diagnostics("fr").todo
        subprocess.run(
            cli("witness", "trust", str(tmp_path / "witness"), city.site.audit.checkpoints.verifier.vkey),
            check=True,
            capture_output=True,
        )
        assert city.site.witnesses.ask_all() == ()
    assert city.acts() == ["witness.declined", "witness.returned"]


def test_a_witness_that_lost_its_memory_is_told(city: City, tmp_path: Path) -> None:
    witness = init(tmp_path / "witness", city.site.audit.checkpoints.verifier)
    with serving(tmp_path / "witness") as (place, _):
        city.witness("archives", place, witness)
        city.enter(3)
        city.site.audit.publication.publish()
        assert city.site.witnesses.ask_all() == ()
        rmtree(tmp_path / "witness" / "seen")
        assert city.site.witnesses.ask_all() == ()
    (entry,) = city.site.audit.entries(act="witness")
    assert (entry.act, entry.facts["entries"], entry.facts["now"]) == ("witness.forgot", 4, 4)


def test_over_tls_the_witness_is_known_by_its_authority(city: City, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    given = authority.issue_cert("localhost")
    given.private_key_pem.write_to_path(tmp_path / "key.pem")
    given.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(city.root / "authority.pem")
    other.cert_pem.write_to_path(city.root / "other.pem")
    witness = init(tmp_path / "witness", city.site.audit.checkpoints.verifier)
    words = ("--certificate", str(tmp_path / "certificate.pem"), "--key", str(tmp_path / "key.pem"), "--host", "localhost")
    with serving(tmp_path / "witness", *words) as (place, _):
        assert place.startswith("https://localhost:")
        city.witness("archives", place, witness, 'ca_bundle = "other.pem"')
        (fault,) = city.site.witnesses.ask_all()
        assert (fault.code, fault.fields["reason"]) == ("audit.witness_unreachable", "unable to get local issuer certificate")
        text = (city.root / "sovereign.toml").read_text().replace("other.pem", "authority.pem")
        city.close()
        (city.root / "sovereign.toml").write_text(text)
        assert city.site.witnesses.ask_all() == ()
        assert city.seen() == [1]
    city.close()
    (city.root / "authority.pem").unlink()
    code, _, said = city.run("serve")
    assert (code, "audit.witnesses.archives.network.ca_bundle" in said) == (2, True)
    assert "settings" in {finding.code for finding in city.site.doctor()}


Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def say(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler, _: bytes) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def by_a_stranger(request: BaseHTTPRequestHandler, body: bytes) -> None:
    """Cosign under the right name, with another key."""
    text = body.decode().partition("\n\n")[2].partition("\n\n")[0] + "\n"
    say(200, (Cosigner(NAME, bytes(32)).cosign(text, 1_800_000_000) + "\n").encode())(request, body)


def another_tree(request: BaseHTTPRequestHandler, body: bytes) -> None:
    """Cosign what was not asked."""
    say(200, (LYING.cosign("elsewhere\n1\nAAAA\n", 1_800_000_000) + "\n").encode())(request, body)


def cut_short(request: BaseHTTPRequestHandler, _: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "500")
    request.end_headers()
    request.wfile.write("— ".encode())


SIZE = {"Content_Type": "text/x.tlog.size"}
LYING = Cosigner(NAME, bytes(range(32)))
LIES: dict[str, tuple[Answer, str]] = {
    "a redirection": (say(307, Location="http://127.0.0.1:1/add-checkpoint"), "egress.redirected"),
    "too much": (say(200, b"x" * 100_000), "egress.too_large"),
    "nothing": (say(200), "cosignature"),
    "noise": (say(200, b"\xff\x00\n\n\xe2\x80\x94 a b\n"), "cosignature"),
    "a stranger's cosignature": (by_a_stranger, "cosignature"),
    "a cosignature of another tree": (another_tree, "cosignature"),
    "a broken answer": (cut_short, "truncated"),
    "an error of its own": (say(500), "HTTP 500"),
    "a size that is none": (say(409, b"many\n", **SIZE), "size"),
    "ever another size": (say(409, b"0\n", **SIZE), "HTTP 409"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_witness_that_lies_gives_nothing_and_breaks_nothing(city: City, lie: str) -> None:
    answer, reason = LIES[lie]

    class Lying(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Lying) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        city.witness("archives", f"http://127.0.0.1:{server.server_port}", LYING.verifier)
        (fault,) = city.site.witnesses.ask_all()
        server.shutdown()
    assert isinstance(fault, Unreachable)
    assert fault.fields["reason"] == reason
    assert city.seen() == [0]
    assert NAME not in (city.root / "audit" / "checkpoint").read_text()
