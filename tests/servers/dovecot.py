"""Dovecot, the mail server of Debian (`dovecot-imapd`), on loopback, under TLS by a test authority.

One folder holds all of it: settings, sockets, mail (Maildir). `missing()` names what is not installed. As root, mail belongs to
the account `mail`, since Dovecot gives nothing to root.
"""

import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import ssl
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

USER: Final = "courrier"
PASSWORD: Final = 'mot-de-passe "du\\ courrier'
_CONF: Final = """
protocols = imap
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
listen = 127.0.0.1
ssl = {ssl}
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
auth_failure_delay = 0
disable_plaintext_auth = {secure}
auth_mechanisms = plain{mechanisms}
mail_location = maildir:{root}/mail/%u
mail_plugins =
first_valid_uid = 1
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
imap_capability = {capability}
mail_max_userip_connections = 50
{oauth}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {root}/users
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_group} home={root}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {clear}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service imap {{
  process_limit = 64
}}
service stats {{
  chroot =
}}
"""

_OAUTH: Final = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {root}/oauth2.conf
}}
"""
_TOKENS: Final = """
introspection_url = {url}
introspection_mode = post
username_attribute = username
active_attribute = active
active_value = true
"""


def missing() -> list[str]:
    """What is not installed."""
    found = shutil.which("dovecot") or (shutil.which("/usr/sbin/dovecot"))
    return [] if found and Path("/usr/lib/dovecot/imap").exists() else ["dovecot-imapd"]


def required() -> None:
    """Skip a test whose server is not installed; fail it in CI."""
    if lacking := missing():
        message = f"not installed: {', '.join(lacking)} (tests/provision)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@dataclass
class Dovecot:
    """A running server: its address (`imaps:`, and `imap:` in clear), its authority, its folder."""

    root: Path
    authority: Path
    port: int
    clear: int
    capability: str = ""
    secure: bool = True
    tokens: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"imaps://localhost:{self.port}"

    @property
    def clear_url(self) -> str:
        return f"imap://localhost:{self.clear}"

    @property
    def maildir(self) -> Path:
        return self.root / "mail" / USER

    def start(self) -> None:
        """Start, and wait until it greets."""
        root = os.getuid() == 0
        me, mine = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        conf = _CONF.format(
            root=self.root, port=self.port, clear=self.clear, capability=self.capability,
            ssl="yes" if self.secure else "no", secure="yes" if self.secure else "no",
            internal="mail" if root else me, group="mail" if root else mine,
            oauth=_OAUTH.format(root=self.root) if self.tokens else "",
            mechanisms=" xoauth2 oauthbearer" if self.tokens else "",
            login="nobody" if root else me, mail="mail" if root else me, mail_group="mail" if root else mine,
        )  # fmt: skip
        if not self.secure:
            conf = conf.replace("ssl = yes\n  }", "ssl = no\n  }")
        (self.root / "dovecot.conf").write_text(conf)
        (self.root / "oauth2.conf").write_text(_TOKENS.format(url=self.tokens))
        command = [shutil.which("dovecot") or "/usr/sbin/dovecot", "-F", "-c", str(self.root / "dovecot.conf")]
        with (self.root / "stderr").open("wb") as told:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True)
        for _ in range(600):
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.clear), 1) as sock:
                sock.settimeout(30)
                if sock.recv(100):
                    return
            time.sleep(0.05)
        told = [self.root / "stderr", self.root / "log"]
        raise AssertionError("".join(each.read_text() for each in told if each.exists()))

    def stop(self) -> None:
        """End it and its children."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None

    def client(self) -> imaplib.IMAP4_SSL:
        """A client of the tests' own, logged in."""
        made = imaplib.IMAP4_SSL("localhost", self.port, ssl_context=ssl.create_default_context(cafile=str(self.authority)))
        made.authenticate("PLAIN", lambda _: b"\0" + USER.encode() + b"\0" + PASSWORD.encode())
        return made

    def put(self, message: bytes, folder: str = "INBOX", flags: str = "", date: str = '"23-Nov-2026 10:00:00 +0100"') -> None:
        """Leave a message in a folder, which is made when it is not there."""
        with self.client() as client:
            if folder != "INBOX":
                client.create(f'"{folder}"')
            status, said = client.append(f'"{folder}"', flags, date, message)
            assert status == "OK", said

    def save(self, aside: Path) -> None:
        """Copy the mail aside, as a backup does."""
        shutil.rmtree(aside, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.root / "mail"), str(aside)], check=True)

    def restore(self, aside: Path) -> None:
        """Put the copy back in the place of the mail, indexes included."""
        self.stop()
        shutil.rmtree(self.root / "mail")
        subprocess.run(["cp", "-a", str(aside), str(self.root / "mail")], check=True)
        self.start()


@contextmanager
def running(folder: Path, *, capability: str = "", secure: bool = True, tokens: str = "") -> Iterator[Dovecot]:
    """Run a server; its authority is written to `folder`.

    capability: what it says it can do, instead of its own list. tokens: where it asks whose a token is, if it takes tokens.
    """
    root = Path(tempfile.mkdtemp(prefix="dovecot-"))  # short: the sockets' paths have a limit of 108 bytes
    (root / "mail").mkdir()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "mail-ca.pem"))
    cert = ca.issue_cert("localhost", "127.0.0.1")
    cert.private_key_pem.write_to_path(str(root / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(root / "cert.pem"))
    (root / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    if os.getuid() == 0:
        root.chmod(0o711)
        shutil.chown(root / "mail", "mail", "mail")
        shutil.chown(root / "users", "mail", "mail")
    for left in (2, 1, 0):  # a port that was free may be taken meanwhile
        server = Dovecot(root, folder / "mail-ca.pem", free_port(), free_port(), capability, secure, tokens)
        try:
            server.start()
            break
        except AssertionError:
            if not left:
                raise
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)
