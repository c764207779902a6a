"""The HTTP door over a gateway of real parts, on a free port of this machine; and callers of it, as raw bytes or as HTTP."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from sovereign.access import Limits
from sovereign.api.app import App, House
from sovereign.api.server import listening, serve
from sovereign.gateway.decision import Policy
from sovereign.settings import GatewaySettings
from tests.servers.council import Council, sitting
from tests.servers.gate import HERE, ByName, Way

LOCAL = GatewaySettings(listen="127.0.0.1:0")


@dataclass
class Door:
    """The door, open: its address, its house, and the people around it."""

    port: int
    house: House
    council: Council
    scheme: str = "http"

    async def ask(
        self,
        method: str,
        path: str,
        *,
        client: str | None = "app",
        tls: ssl.SSLContext | None = None,
        **more: Any,  # noqa: ANN401 - options of aiohttp
    ) -> "Told":
        """Ask over HTTP, the path as it is written."""
        import yarl

        headers = {"Accept-Language": "en", **more.pop("headers", {})}
        if client is not None:
            headers.setdefault("Authorization", f"Bearer {self.council.tokens[client]}")
        url = yarl.URL(f"{self.scheme}://127.0.0.1:{self.port}{path}", encoded=True)
        ssl_ = {} if tls is None else {"ssl": tls}
        async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, **ssl_, **more) as got:
            return Told(got.status, got.headers, await got.read())

    async def raw(self, data: bytes, seconds: float = 60.0) -> bytes:
        """Send bytes as they are, and give all that comes back until the door closes or goes quiet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        got = b""
        try:
            async with asyncio.timeout(seconds):
                while piece := await reader.read(65536):
                    got += piece
        except (TimeoutError, ConnectionResetError):
            pass
        finally:
            writer.close()
        return got


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Its body."""
        import orjson

        return orjson.loads(self.body)


@asynccontextmanager
async def rooms(
    root: Path,
    url: str,
    *,
    settings: GatewaySettings | None = None,
    limits: Limits | None = None,
    force: Policy | None = None,
    way: Way = HERE,
) -> AsyncIterator[tuple[House, Council]]:
    """Open what a door leads to, and the people around it. force: the policy, by the client's name unless told."""
    async with sitting(root, url, force or ByName(), limits=limits, way=way) as (gateway, council):
        house = House(
            settings or LOCAL, council.parts.state, council.clients, gateway, council.parts.vendors, council.approvals,
            lambda: ["ledger"], council.clock, os.urandom, time.monotonic, council.people, council.rights,
            council.openings, "town", ZoneInfo("Europe/Paris"), council.parts.audit.prove,
        )  # fmt: skip
        yield house, council


@asynccontextmanager
async def door(
    root: Path,
    url: str,
    *,
    settings: GatewaySettings | None = None,
    limits: Limits | None = None,
    force: Policy | None = None,
    way: Way = HERE,
) -> AsyncIterator[Door]:
    """Open a door on the gateway of a folder."""
    asked = settings or LOCAL
    async with rooms(root, url, settings=asked, limits=limits, force=force, way=way) as (house, council):
        bound, stop = listening(asked), asyncio.Event()
        running = asyncio.create_task(serve(App(house), asked, root, bound, stop))
        opened = Door(bound.getsockname()[1], house, council, "https" if asked.certificate else "http")
        try:
            yield opened
        finally:
            stop.set()
            await running
