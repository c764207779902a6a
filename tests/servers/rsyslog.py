"""A receiver of syslog over TLS: Debian's rsyslogd, in the foreground, with its files in a folder of the test."""

import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.servers.ports import free_port

_CONFIG = """
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="{driver}"
  defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/server.pem"
  defaultNetstreamDriverKeyFile="{folder}/server.key")
main_queue(queue.type="Direct")
module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="{auth}")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="whole" type="string" string="%pri% %app-name% %msgid% %structured-data%\\t%msg%\\n")
action(type="omfile" file="{folder}/received" template="whole")
"""


@dataclass
class Receiver:
    """One rsyslogd. driver: `ossl` or `gtls`; mutual: whether it asks clients for a certificate."""

    folder: Path
    driver: str = "ossl"
    mutual: bool = False
    authority: trustme.CA = field(default_factory=trustme.CA)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        """Write its certificates, and take a port."""
        program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None or not list(Path("/usr/lib").glob(f"*/rsyslog/lmnsd_{self.driver}.so")):
            said = "rsyslog, rsyslog-openssl and rsyslog-gnutls are not installed"
            if os.environ.get("CI") == "true":
                pytest.fail(said)
            pytest.skip(said)
        self.program = program
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        made = self.authority.issue_cert("localhost")
        made.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))
        made.private_key_pem.write_to_path(str(self.folder / "server.key"))
        self.port = free_port()
        auth = "x509/certvalid" if self.mutual else "anon"
        text = _CONFIG.format(folder=self.folder, driver=self.driver, auth=auth, port=self.port)
        (self.folder / "rsyslog.conf").write_text(text)

    def start(self) -> None:
        """Run it until it takes connections."""
        words = [self.program, "-n", "-f", str(self.folder / "rsyslog.conf"), "-i", str(self.folder / "pid")]
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(words, stdout=said, stderr=said)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "said").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it without a word (`kill -9`)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            (self.folder / "pid").unlink(missing_ok=True)

    def lines(self) -> list[str]:
        """What it received, a message a line."""
        path = self.folder / "received"
        return path.read_text().splitlines(keepends=True) if path.exists() else []

    def indices(self) -> list[int]:
        """The entries' numbers, as the structured data says them, in the order received."""
        return [int(each) for each in re.findall(r'\[sovereign@\d+ index="(\d+)"', "".join(self.lines()))]
