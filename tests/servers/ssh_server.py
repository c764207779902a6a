"""asyncssh's own SSH server, in this process: for what OpenSSH cannot be made to do without an account of the system.

It lets in by password, or by keyboard-interactive alone.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh.auth import KbdIntChallenge, KbdIntResponse

USER = "mairie"
PASSWORD = "mot de passe: é"


@dataclass
class Server:
    """A running server: where it listens, the folder it serves, its key's fingerprint, whom it saw try."""

    port: int
    host_key: str
    folder: Path
    tried: list[str]

    @property
    def url(self) -> str:
        return f"sftp://localhost:{self.port}/"


@contextmanager
def serving(folder: Path, *, prompts: bool = False) -> Iterator[Server]:
    """Serve a folder. prompts: passwords are asked for by keyboard-interactive alone."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    tried: list[str] = []

    class Gate(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return not prompts

        def validate_password(self, username: str, password: str) -> bool:
            tried.append(password)
            return (username, password) == (USER, PASSWORD)

        def kbdint_auth_supported(self) -> bool:
            return prompts

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> KbdIntChallenge:
            return "", "", "", [("Password:", False)]

        def validate_kbdint_response(self, username: str, responses: KbdIntResponse) -> bool:
            return self.validate_password(username, responses[0])

    def files(channel: "asyncssh.SSHServerChannel[bytes]") -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

    loop = asyncio.new_event_loop()

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Gate, server_host_keys=[key], sftp_factory=files, config=None
        )

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield Server(acceptor.get_port(), key.get_fingerprint(), folder, tried)
    finally:

        async def stop() -> None:
            acceptor.close()
            await acceptor.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
