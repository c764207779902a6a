"""The vendors of a site as the gateway writes to them: a way out and a writer a connection, opened when first asked for.

A connection over HTTP has a `Channel` on the gateway's event loop; a folder is written beside the loop, for a disk may be slow,
and so are directories and files over SFTP, whose sessions are held by threads. Mail is only pulled: nothing is sent there for
an application.

A secret that is stored while the service runs is the one shown from the next write on: a connection is opened anew when its
secrets changed. What is in flight ends on the former way out, which stays until the service ends.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from saas_connectors import registry
from saas_connectors.request import Request, Response
from sovereign.connecting import allowed, bare_way_out
from sovereign.credentials import mark
from sovereign.egress.channel import open_channel
from sovereign.egress.errors import Refused
from sovereign.egress.sparing import Spared
from sovereign.gateway.vendor import Send, Vendor

if TYPE_CHECKING:
    from saas_connectors.connector import Writer
    from sovereign.egress.channel import Channel
    from sovereign.egress.transport import Transport
    from sovereign.site import Site

_WRITTEN: Final = ("ldap", "ldaps", "sftp")
"""The schemes, beside HTTP's and `folder:`, that the gateway writes to."""


class Ways:
    """Gives the vendor of a connection. Belongs to one event loop; closed by whoever made it."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._made: dict[str, tuple[int, Vendor]] = {}
        self._channels: list[Channel] = []
        self._transports: list[Transport] = []
        self._workers: list[ThreadPoolExecutor] = []
        self._stop = threading.Event()

    def __call__(self, connection: str) -> Vendor:
        """Errors: UnknownConnection, SettingsError, Refused, those of the connection's secrets."""
        changed = self._site.secrets.changed(connection)
        held = self._made.get(connection)
        if held is None or held[0] != changed:
            held = self._made[connection] = (changed, self._open(connection))
        return held[1]

    async def close(self) -> None:
        """Close what was opened."""
        self._stop.set()
        for channel in self._channels:
            await channel.close()
        for transport in self._transports:
            transport.close()
        for workers in self._workers:
            workers.shutdown(wait=False)  # what waits there is told that it was not sent

    def _beside(self, name: str, concurrency: int) -> Send:
        """Send on threads of the connection's own, so that a slow server holds up no other."""
        transport = bare_way_out(self._site, name, self._stop)
        workers = ThreadPoolExecutor(concurrency, thread_name_prefix=f"way-{name}")
        self._transports.append(transport)
        self._workers.append(workers)

        async def send(request: Request) -> Response:
            return await asyncio.get_running_loop().run_in_executor(workers, transport.send, request)

        return send

    def _open(self, name: str) -> Vendor:
        settings = self._site.connection(name)
        writer = registry.writer(settings.connector, name, settings.options, self._site.settings.connectors.allow)
        if settings.url.startswith("folder:"):
            transport = self._site.transport(name)
            self._transports.append(transport)

            async def send(request: Request) -> Response:
                return await asyncio.to_thread(transport.send, request)

            return Vendor(name, "", "folder:", send, writer, 1)
        return self._shown(name, writer)

    def _shown(self, name: str, writer: "Writer") -> Vendor:
        """A vendor that is shown a credential, if the connection has one."""
        policy, auth = allowed(self._site, name)
        own, at_once, shown = policy.own, policy.concurrency, mark(self._site, name)
        spared = Spared(name, own.host)

        def renew() -> None:
            self._made.pop(name, None)

        def sparing(send: Send) -> Send:
            return send if shown is None else lambda request: spared.showing(lambda: send(request))

        if own.scheme in _WRITTEN:
            beside = sparing(self._beside(name, at_once))
            return Vendor(name, own.host, str(own), beside, writer, at_once, mark=shown, renew=renew)
        if own.scheme not in ("http", "https"):

            async def refuse(_: Request) -> Response:
                raise Refused("egress.method", own.host, name)

            return Vendor(name, own.host, str(own), refuse, writer, 1)
        channel = open_channel(policy, auth, self._site.clock)
        self._channels.append(channel)

        async def upload(request: Request, source: Callable[[], AsyncIterator[bytes]], length: int) -> Response:
            async def sent() -> Response:
                return await channel.send(request, stream_body=source, length=length, cap=length)

            return await (sent() if shown is None else spared.showing(sent))

        return Vendor(name, own.host, str(own), sparing(channel.send), writer, at_once, upload, shown, renew)
