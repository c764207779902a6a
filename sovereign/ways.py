"""The vendors of a site as the gateway writes to them: a way out and a writer a connection, opened when first asked for.

A connection over HTTP has a `Channel` on the gateway's event loop; a folder is written beside the loop, for a disk may be slow.
One that speaks another protocol (mail) is only pulled: nothing is sent there for an application.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from saas_connectors import registry
from saas_connectors.request import Request, Response
from sovereign.egress.errors import Refused
from sovereign.gateway.vendor import Vendor

if TYPE_CHECKING:
    from sovereign.egress.channel import Channel
    from sovereign.egress.transport import Transport
    from sovereign.site import Site


class Ways:
    """Gives the vendor of a connection. Belongs to one event loop; closed by whoever made it."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._made: dict[str, Vendor] = {}
        self._channels: list[Channel] = []
        self._transports: list[Transport] = []

    def __call__(self, connection: str) -> Vendor:
        """Errors: UnknownConnection, SettingsError, Refused, those of the connection's secrets."""
        if connection not in self._made:
            self._made[connection] = self._open(connection)
        return self._made[connection]

    async def close(self) -> None:
        """Close what was opened."""
        for channel in self._channels:
            await channel.close()
        for transport in self._transports:
            transport.close()

    def _open(self, name: str) -> Vendor:
        from sovereign.connecting import allowed

        settings = self._site.connection(name)
        writer = registry.writer(settings.connector, name, settings.options, self._site.settings.connectors.allow)
        if settings.url.startswith("folder:"):
            transport = self._site.transport(name)
            self._transports.append(transport)

            async def send(request: Request) -> Response:
                return await asyncio.to_thread(transport.send, request)

            return Vendor(name, "", "folder:", send, writer, 1)
        from sovereign.egress.channel import open_channel

        policy, auth = allowed(self._site, name)
        if policy.own.scheme not in ("http", "https"):

            async def refuse(_: Request) -> Response:
                raise Refused("egress.method", policy.own.host, name)

            return Vendor(name, policy.own.host, str(policy.own), refuse, writer, 1)
        channel = open_channel(policy, auth, self._site.clock)
        self._channels.append(channel)

        async def upload(request: Request, source: Callable[[], AsyncIterator[bytes]], length: int) -> Response:
            return await channel.send(request, stream_body=source, length=length, cap=length)

        return Vendor(name, policy.own.host, str(policy.own), channel.send, writer, policy.concurrency, upload)
