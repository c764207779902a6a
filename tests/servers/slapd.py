"""OpenLDAP's server, of Debian (`slapd`), on loopback, under TLS by a test authority, with a database of its own.

One folder holds all of it. `missing()` names what is not installed. Who binds as `USER` may read and write everything, under a
size limit of `LIMIT` entries a search that does not page; members of the town have a password of theirs and read alone.
"""

import os
import shutil
import signal
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

from tests.servers.ports import free_port

BASE: Final = "dc=ville,dc=example"
PEOPLE: Final = f"ou=agents,{BASE}"
LEFT: Final = f"ou=partis,{BASE}"
USER: Final = f"cn=sovereign,{BASE}"
PASSWORD: Final = "mot-de-passe \"de\\ l'annuaire"
LIMIT: Final = 50
_MODULES: Final = Path("/usr/lib/ldap")
_SCHEMAS: Final = Path("/etc/ldap/schema")
_CONF: Final = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {root}/pid
argsfile {root}/args
TLSCACertificateFile {root}/ca.pem
TLSCertificateFile {root}/cert.pem
TLSCertificateKeyFile {root}/key.pem
TLSVerifyClient never
sizelimit {limit}
database mdb
maxsize 268435456
suffix "{base}"
directory {root}/data
dbnosync
index objectClass eq
index cn,uid eq,sub
limits dn.exact="{user}" size.soft={limit} size.hard={limit} size.prtotal=unlimited
access to attrs=userPassword by dn.exact="{user}" write by anonymous auth by * none
access to * by dn.exact="{user}" write by users read by * none
"""


def missing() -> list[str]:
    """What is not installed."""
    return [] if Path("/usr/sbin/slapd").exists() and (_MODULES / "back_mdb.so").exists() else ["slapd"]


def required() -> None:
    """Skip a test whose server is not installed; fail it in CI."""
    if lacking := missing():
        message = f"not installed: {', '.join(lacking)} (tests/provision)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def person(n: int) -> str:
    """The name of an agent."""
    return f"uid=agent{n:05},{PEOPLE}"


def town(agents: int) -> str:
    """A town and its agents, as LDIF."""
    told = [f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Ville\ndc: ville\n"]
    told += [f"dn: {ou}\nobjectClass: organizationalUnit\nou: {ou[3:].partition(',')[0]}\n" for ou in (PEOPLE, LEFT)]
    told.append(f"dn: {USER}\nobjectClass: person\ncn: sovereign\nsn: sovereign\nuserPassword: {PASSWORD}\n")
    told += [
        f"dn: {person(n)}\nobjectClass: inetOrgPerson\nuid: agent{n:05}\ncn: Agent {n}\nsn: Agent\n"
        f"mail: agent{n}@ville.example\ntitle: adjoint\ndescription: numéro {n}\njpegPhoto:: /9j/AP8=\n"
        for n in range(agents)
    ]
    return "\n".join(told)


@dataclass
class Slapd:
    """A running server: its addresses, its authority, its folder."""

    root: Path
    authority: Path
    port: int
    clear: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ldaps://localhost:{self.port}"

    @property
    def clear_url(self) -> str:
        return f"ldap://localhost:{self.clear}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        listening = f"ldap://127.0.0.1:{self.clear}/ ldaps://127.0.0.1:{self.port}/"
        command = ["/usr/sbin/slapd", "-f", str(self.root / "slapd.conf"), "-h", listening, "-d", "0"]
        with (self.root / "stderr").open("wb") as told:
            self._process = subprocess.Popen(command, stdout=told, stderr=told, start_new_session=True)
        for _ in range(1200):
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError((self.root / "stderr").read_text())

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def unread(self) -> int:
        """Bytes that came over its secure port and that it has not read (Linux: `rx_queue` of /proc/net/tcp)."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        own = [each for each in lines if each[1].endswith(f":{self.port:04X}") and each[3] == "01"]  # 01: established
        return sum(int(each[4].partition(":")[2], 16) for each in own)

    def client(self, *arguments: str, stdin: str = "") -> str:
        """What a client of OpenLDAP says (`ldap-utils`), bound as `USER`."""
        program, *rest = arguments
        command = [program, "-x", "-H", self.clear_url, "-D", USER, "-w", PASSWORD, *rest]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout


@contextmanager
def running(folder: Path, *, agents: int = 0) -> Iterator[Slapd]:
    """Run a server with so many agents; its authority is written to `folder`."""
    root = Path(tempfile.mkdtemp(prefix="slapd-"))
    (root / "data").mkdir()
    ca = trustme.CA()
    for path in (root / "ca.pem", folder / "slapd-ca.pem"):
        ca.cert_pem.write_to_path(str(path))
    cert = ca.issue_cert("localhost", "127.0.0.1")
    cert.private_key_pem.write_to_path(str(root / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(root / "cert.pem"))
    conf = _CONF.format(root=root, schemas=_SCHEMAS, modules=_MODULES, base=BASE, user=USER, limit=LIMIT)
    (root / "slapd.conf").write_text(conf)
    (root / "town.ldif").write_text(town(agents))
    load = ["/usr/sbin/slapadd", "-q", "-f", str(root / "slapd.conf"), "-l", str(root / "town.ldif")]
    subprocess.run(load, check=True, capture_output=True, timeout=300)
    server = Slapd(root, folder / "slapd-ca.pem", free_port(), free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(root, ignore_errors=True)
