"""The SFTP way out: whom it trusts, what it shows there, and what it reads of this machine."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest

from saas_connectors.auth import basic, bearer
from saas_connectors.request import Request
from saas_connectors.ssh import SshKey
from sovereign.egress import NotSent, Refused
from sovereign.egress.errors import HostKey, NoCredential
from tests.servers import ssh_server, sshd
from tests.servers.wayout import way


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.Sshd]:
    with sshd.running(kinds=("ed25519", "rsa", "ecdsa")) as running:
        (running.files / "a.csv").write_bytes(b"1")
        yield running


def read(server: sshd.Sshd, host_key: str, **policy: object) -> bytes:
    with way(server.url, SshKey(server.user, server.private), host_key=host_key, **policy) as out:
        return out.send(Request("GET", f"{server.url}a.csv")).body


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("form", ["public", "known_hosts", "fingerprint", "bare fingerprint"])
def test_a_server_is_known_by_any_of_its_keys_however_it_is_written(server: sshd.Sshd, kind: str, form: str) -> None:
    public = server.root / f"host_{kind}.pub"
    printed = sshd.fingerprint(public)
    written = {
        "public": public.read_text(),
        "known_hosts": f"[localhost]:22 {public.read_text()}",
        "fingerprint": printed,
        "bare fingerprint": printed.split(" ")[1],
    }
    assert read(server, written[form]) == b"1"


def test_a_server_may_be_known_by_a_key_to_come_beside_the_present_one(server: sshd.Sshd, tmp_path: Path) -> None:
    coming = sshd.fingerprint(sshd.keygen(tmp_path / "coming").with_suffix(".pub"))
    assert read(server, f"{coming}\n{server.host_key}") == b"1"


@pytest.mark.parametrize("form", ["public", "bare"])
def test_a_server_with_another_key_is_shown_nothing_and_its_key_is_told(form: str) -> None:
    with sshd.running() as replaced:
        public = replaced.root / "host_ed25519.pub"
        pinned = public.read_text() if form == "public" else sshd.fingerprint(public).split(" ")[1]
        assert replaced.said.count("Accepted") == 0
        replaced.renew()
        seen = sshd.fingerprint(public).split(" ")[1]
        with pytest.raises(HostKey) as fault:
            read(replaced, pinned)
        assert seen in str(fault.value)
        assert "network.host_key" in str(fault.value)
        assert not fault.value.may_have_arrived
        assert "publickey" not in replaced.said, "no key was offered"


def test_nothing_is_trusted_on_first_use(server: sshd.Sshd) -> None:
    for lacking in ("", "\n", "SHA256:short", "anything", "localhost"):
        with pytest.raises(Refused) as refusal:
            read(server, lacking)
        assert refusal.value.rule == "egress.host_key"


def test_this_machine_is_not_dialled_unless_it_is_allowed(server: sshd.Sshd) -> None:
    with pytest.raises(Refused) as refusal:
        read(server, server.host_key, loopback=False)
    assert refusal.value.rule == "egress.address.loopback"


def test_a_name_that_leads_elsewhere_in_between_gains_nothing(server: sshd.Sshd) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    assert read(server, server.host_key, resolve=resolve) == b"1"
    assert asked == ["localhost"]


def test_nothing_of_this_account_s_own_ssh_is_read_nor_its_agent_asked(
    server: sshd.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host *\n  Port 1\n  User nobody\n  ProxyCommand touch %d/ran\n")
    (home / ".ssh" / "known_hosts").write_text(f"[localhost]:{server.port} {server.host_key}")
    (home / ".ssh" / "id_ed25519").write_text(server.private)
    (home / ".ssh" / "id_ed25519").chmod(0o600)
    agent = socket.socket(socket.AF_UNIX)
    agent.bind(str(tmp_path / "agent"))
    agent.listen()
    agent.settimeout(0)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    assert read(server, server.host_key) == b"1"
    other = sshd.keygen(tmp_path / "other")
    with way(server.url, SshKey(server.user, other.read_text()), host_key=server.host_key) as out:
        assert out.send(Request("GET", f"{server.url}a.csv")).status == 401, "the key of ~/.ssh opens nothing here"
    pinned = sshd.fingerprint(other.with_suffix(".pub")).split(" ")[1]
    with pytest.raises(HostKey):
        read(server, pinned)
    with pytest.raises(BlockingIOError):
        agent.accept()
    agent.close()
    assert not (home / "ran").exists()


@pytest.mark.parametrize("prompts", [False, True], ids=["password", "keyboard-interactive"])
def test_a_password_is_shown_to_the_known_server_alone(tmp_path: Path, prompts: bool) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    with ssh_server.serving(tmp_path, prompts=prompts) as server:
        account = basic(ssh_server.USER, ssh_server.PASSWORD)
        with way(server.url, account, host_key="SHA256:" + "A" * 43) as out, pytest.raises(HostKey):
            out.send(Request("GET", server.url))
        assert server.tried == []
        with way(server.url, account, host_key=server.host_key) as out:
            assert out.send(Request("GET", f"{server.url}a.csv")).body == b"1"
        assert server.tried == [ssh_server.PASSWORD]
        with way(server.url, basic(ssh_server.USER, "wrong"), host_key=server.host_key) as out:
            assert out.send(Request("GET", f"{server.url}a.csv")).status == 401


def test_a_credential_of_another_kind_is_shown_to_no_one(server: sshd.Sshd) -> None:
    for other in (bearer("a-token"), None):
        with pytest.raises(Refused) as refusal, way(server.url, other, host_key=server.host_key):
            pass
        assert refusal.value.rule == "egress.credential"
    with way(server.url, SshKey(server.user, "no key"), host_key=server.host_key) as out, pytest.raises(NoCredential):
        out.send(Request("GET", server.url))


@pytest.mark.parametrize(
    "weak",
    ["KexAlgorithms diffie-hellman-group14-sha1", "Ciphers aes128-cbc", "MACs hmac-sha1\nCiphers aes128-ctr",
     "HostKeyAlgorithms ssh-rsa\nHostKey {root}/host_rsa"],
)  # fmt: skip
def test_a_server_that_has_old_algorithms_alone_is_not_spoken_to(weak: str) -> None:
    with sshd.running(kinds=("rsa",), more=weak.replace("\nHostKey {root}/host_rsa", "")) as old, pytest.raises(NotSent):
        read(old, old.host_key, attempts=1)


def test_a_peer_that_is_no_ssh_server_is_given_up(server: sshd.Sshd) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                with near, suppress(OSError):
                    near.sendall(b"220 ready\r\n" * 400_000)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    url = f"sftp://localhost:{listener.getsockname()[1]}/"
    with way(url, SshKey("a", server.private), host_key=server.host_key, attempts=1) as out:
        with pytest.raises(NotSent):
            out.send(Request("GET", url))
        assert out.counters.bytes_in < 8_000_000
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_neither_the_log_nor_an_error_nor_a_description_holds_the_credential(
    server: sshd.Sshd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncssh.set_log_level("DEBUG")
    auth = SshKey(server.user, server.private)
    with way(server.url, auth, host_key=server.host_key) as out:
        out.send(Request("GET", f"{server.url}a.csv"))
        said = repr(auth) + repr(out.describe()) + caplog.text
    assert server.private[40:80] not in said
    assert "a.csv" not in caplog.text
    assert [record for record in caplog.records if record.name.startswith("asyncssh")] == []
