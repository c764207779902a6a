"""An Active Directory domain controller, of Debian (`samba`, `samba-ad-provision`): its directory alone, on loopback.

1. It takes ports 389 and 636, hence root, and one at a time on a machine: a lock is held while it runs.
2. It is too large a part to be installed for every run of the tests: where it is missing, its tests are skipped, in CI as well.
3. One folder holds all of it; nothing of the machine's own Samba is read or written.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import trustme

TOP: Final = "DC=ville,DC=example"
USER: Final = "Administrator@ville.example"
PASSWORD: Final = "Mot-de-passe-du-domaine-1"
URL: Final = "ldaps://localhost:636"
_LOCK: Final = Path(tempfile.gettempdir()) / "sovereign-samba.lock"
_PARTS: Final = ("/usr/sbin/samba", "/usr/bin/samba-tool", "/usr/bin/ldbdel", "/usr/share/samba/setup/provision.ldif")
_CONF: Final = """
	server services = ldap
	tls enabled = yes
	tls keyfile = {root}/key.pem
	tls certfile = {root}/cert.pem
	tls cafile = {root}/ca.pem
	pid directory = {root}
	ncalrpc dir = {root}/ncalrpc
	log file = {root}/log
"""


def required() -> None:
    """Skip a test where there is no domain controller to run."""
    if os.geteuid() != 0 or any(not Path(part).exists() for part in _PARTS):
        pytest.skip("no domain controller: apt-get install samba samba-ad-provision samba-dsdb-modules ldb-tools, as root")


@dataclass
class Samba:
    """A running domain controller: its folder, its authority."""

    root: Path
    authority: Path

    def remove(self, dn: str) -> None:
        """Delete an entry, beside LDAP: no method of ours deletes one."""
        database = f"{self.root}/private/sam.ldb"
        subprocess.run(["/usr/bin/ldbdel", "-H", database, dn], check=True, capture_output=True, timeout=60)


@contextmanager
def running(folder: Path) -> Iterator[Samba]:
    """Provision a domain and run its directory; its authority is written to `folder`."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = Path(tempfile.mkdtemp(prefix="samba-"))
        try:
            _provision(root)
            _certify(root, folder)
            with (root / "said").open("wb") as told:
                command = ["/usr/sbin/samba", "-i", "-M", "single", f"--configfile={root}/etc/smb.conf", "--debug-stdout"]
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, stderr=told, start_new_session=True)
            try:
                _await(process, root)
                yield Samba(root, folder / "samba-ca.pem")
            finally:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _provision(root: Path) -> None:
    command = [
        "/usr/bin/samba-tool", "domain", "provision", "--realm=VILLE.EXAMPLE", "--domain=VILLE", "--server-role=dc",
        "--host-name=dc1", "--dns-backend=NONE", f"--adminpass={PASSWORD}", f"--targetdir={root}",
        "--option=interfaces=lo", "--option=bind interfaces only=yes", "--option=acl_xattr:security_acl_name=user.NTACL",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    conf = root / "etc" / "smb.conf"
    conf.write_text(conf.read_text().replace("[global]\n", "[global]" + _CONF.format(root=root), 1))


def _certify(root: Path, folder: Path) -> None:
    ca = trustme.CA()
    for path in (root / "ca.pem", folder / "samba-ca.pem"):
        ca.cert_pem.write_to_path(str(path))
    cert = ca.issue_cert("localhost", "127.0.0.1")
    cert.private_key_pem.write_to_path(str(root / "key.pem"))
    (root / "key.pem").chmod(0o600)
    cert.cert_chain_pems[0].write_to_path(str(root / "cert.pem"))


def _await(process: subprocess.Popen[bytes], root: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", 636), 1):
            return
        time.sleep(0.1)
    raise AssertionError((root / "said").read_text()[-2000:])
