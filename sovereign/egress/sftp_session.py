"""One SSH session that serves SFTP (RFC 4253, draft-ietf-secsh-filexfer-02): a guarded connection, a known key, an account.

1. The socket comes from the dialler. The server's key must be one of `network.host_key` before a byte of a credential leaves;
   nothing is trusted on first use. Where the settings do not say its family, each family is asked for in turn.
2. The credential is the connection's own: a password, or a private key. No agent, no `~/.ssh`, no configuration file, no
   forwarding, no compression, no algorithm that rests on SHA-1.
3. Every byte is counted at the socket, and a call may receive so many of them.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sovereign.egress import errors
from sovereign.egress.dial import Dialler
from sovereign.egress.origin import Origin
from sovereign.egress.policy import EgressPolicy
from sovereign.settings.host_keys import FAMILIES, HostKey, fingerprint, known

if TYPE_CHECKING:
    from asyncssh import SFTPClient, SSHClientConnection

_HOST_KEYS: Final = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
_EXCHANGES: Final = "mlkem768x25519-*,curve25519-*,ecdh-sha2-nistp*,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512"
_CIPHERS: Final = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr"
_MACS: Final = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
_SIGNATURES: Final = ("ssh-ed25519", *_HOST_KEYS["ecdsa"], *_HOST_KEYS["rsa"])
_LOGIN: Final = 2 * 1024 * 1024
"""The most that may be received before the session is open, in bytes."""

for _name in ("asyncssh", "asyncssh.sftp"):
    # It writes paths, accounts and what servers say.
    logging.getLogger(_name).addFilter(lambda _: False)


class LoginRefused(Exception):
    """The server did not let us in."""


class Over(OSError):
    """The server sent more than a call may receive."""


class Metered(socket.socket):
    """A socket that counts. `most`: how many more bytes may be received."""

    received = 0
    sent = 0
    most = _LOGIN

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive, within what is left."""
        if self.received > self.most:
            raise Over
        data = super().recv(size, flags)
        self.received += len(data)
        return data

    def sendmsg(self, buffers: Any, /, *more: Any) -> int:  # noqa: ANN401 - buffers
        """Send, and count what went: what later versions of asyncio call."""
        size = super().sendmsg(buffers, *more)
        self.sent += size
        return size

    def send(self, data: Any, flags: int = 0, /) -> int:  # noqa: ANN401 - a buffer
        """Send, and count what went."""
        size = super().send(data, flags)
        self.sent += size
        return size


class Session:
    """An open session; belongs to the loop that opened it, one call at a time."""

    def __init__(self, connection: "SSHClientConnection", client: "SFTPClient", sock: Metered) -> None:
        self._connection, self.client, self._sock = connection, client, sock
        # The library forgets it when it closes, and would leave it open towards a peer that takes nothing any more.
        self._transport = connection._transport  # noqa: SLF001 - it has no other name

    def begin(self, most: int) -> None:
        """Start a call that may receive so many bytes."""
        self._sock.received = self._sock.sent = 0
        self._sock.most = most

    @property
    def counted(self) -> tuple[int, int]:
        """Bytes received and sent since `begin`."""
        return self._sock.received, self._sock.sent

    @property
    def over(self) -> bool:
        """Whether the server sent more than it may."""
        return self._sock.received > self._sock.most

    @property
    def alive(self) -> bool:
        """Whether the server did not end it, as far as is known."""
        return not self._connection.is_closed()

    async def close(self) -> None:
        """End it; the server is not waited for long."""
        with suppress(Exception):
            self.client.exit()
            self._connection.close()
            async with asyncio.timeout(2):
                await self._connection.wait_closed()
        self.drop()

    def drop(self) -> None:
        """Cut it."""
        self._connection.abort()
        if self._transport is not None:
            self._transport.abort()


class Door:
    """Opens the sessions of one connection. account: its name, password, and private key as text (either may be None)."""

    def __init__(self, policy: EgressPolicy, own: Origin, dialler: Dialler, keys: tuple[HostKey, ...]) -> None:
        self._policy, self._own, self._dialler, self._keys = policy, own, dialler, keys
        named = {key.family for key in keys}
        self._families = [family for family in FAMILIES if None in named or family in named]

    async def open(self, account: tuple[str, str | None, str | None]) -> Session:
        """Connect, know the server, log in, start SFTP; errors: EgressError, LoginRefused."""
        seen: list[str] = []
        reason = "handshake"
        for family in list(self._families):
            try:
                session = await self._attempt(family, account, seen.append)
            except _UnknownKey:
                continue
            except _NoCommon as error:
                reason = str(error)
                continue
            self._families = [family, *(each for each in self._families if each != family)]
            return session
        if seen:
            raise errors.HostKey(host=self._own.host, connection=self._policy.connection, seen=", ".join(seen))
        raise self._unsent(reason)

    async def _attempt(self, family: str, account: tuple[str, str | None, str | None], see: Callable[[str], None]) -> Session:
        import asyncssh

        own, policy, keys = self._own, self._policy, self._keys
        user, password, private = account

        class Known(asyncssh.SSHClient):
            def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
                shown = fingerprint(key.public_data)
                if known(keys, shown):
                    return True
                see(f"{shown} ({family})")
                return False

        try:
            client_keys = [asyncssh.import_private_key(private)] if private is not None else None
        except (asyncssh.KeyImportError, ValueError):
            raise errors.NoCredential(host=own.host, connection=policy.connection, reason="private key") from None
        sock = Metered(fileno=(await self._dialled()).detach())
        sock.setblocking(False)
        connection: SSHClientConnection | None = None
        try:
            async with asyncio.timeout(policy.connect_timeout + policy.timeout):
                connection = await asyncssh.connect(
                    own.host, own.port, sock=sock, config=None, client_factory=Known,
                    # A function, since an empty list would send it to ~/.ssh/known_hosts.
                    known_hosts=lambda *_: ((), (), (), (), (), (), ()), server_host_key_algs=_HOST_KEYS[family],
                    x509_trusted_certs=None, username=user, password=password, client_keys=client_keys, client_certs=(),
                    agent_path=None, agent_forwarding=False, gss_host=None, host_based_auth=False, ignore_encrypted=False,
                    preferred_auth="publickey" if private is not None else "password,keyboard-interactive",
                    kex_algs=_EXCHANGES, encryption_algs=_CIPHERS, mac_algs=_MACS, signature_algs=_SIGNATURES,
                    compression_algs=None, client_version="Sovereign", pkcs11_provider=None, request_pty=False,
                    x11_forwarding=False, login_timeout=policy.connect_timeout + policy.timeout,
                )  # fmt: skip
                return Session(connection, await connection.start_sftp_client(), sock)
        except (asyncssh.Error, OSError, ValueError) as error:
            if connection is not None:
                connection.abort()
                raise self._unsent("timeout" if isinstance(error, TimeoutError) else "no SFTP") from None
            raise self._before(error) from None
        except asyncio.CancelledError:
            if connection is not None:
                connection.abort()
            raise
        finally:
            if connection is None:
                sock.close()

    async def _dialled(self) -> socket.socket:
        """A socket of the dialler, which is called beside the loop; whoever is stopped meanwhile leaves none open."""
        held: list[socket.socket] = []
        left = threading.Event()

        def dial() -> None:
            held.append(self._dialler(self._own.host, self._own.port, self._policy.connect_timeout, ()))
            if left.is_set():
                held[0].close()

        try:
            await asyncio.to_thread(dial)
        except asyncio.CancelledError:
            left.set()
            for each in held:
                each.close()
            raise
        return held[0]

    def _before(self, error: Exception) -> Exception:
        """What went wrong before the session was open."""
        import asyncssh

        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return _UnknownKey()
        if isinstance(error, asyncssh.PermissionDenied):
            return LoginRefused()
        if isinstance(error, TimeoutError):
            return self._unsent("timeout")
        # asyncssh wants to know under which account we run, if only to ignore it. And a server that has no algorithm in common
        # often cuts before it says so: another family may be its own.
        return self._unsent("no local account: set LOGNAME") if isinstance(error, ValueError) else _NoCommon("handshake")

    def _unsent(self, reason: str) -> errors.NotSent:
        return errors.NotSent(host=self._own.host, connection=self._policy.connection, reason=reason)


class _UnknownKey(Exception):
    pass


class _NoCommon(Exception):
    pass
