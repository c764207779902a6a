"""The door's process side: TLS, the listening socket, uvicorn with our `Line`, and a clean stop."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from sovereign.api.protocol import line
from sovereign.errors import BadSettings
from sovereign.settings import GatewaySettings

BACKLOG: Final = 512
GRACE: Final = 20
"""Seconds that answers under way are waited for at the end."""


def tls(settings: GatewaySettings, root: Path) -> ssl.SSLContext | None:
    """TLS as the settings ask; None without a certificate. A client certificate is asked for when `client_ca` is set.

    Errors: BadSettings. TLS 1.2 and later; relative paths start at `root`.
    """
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(root / settings.certificate, None if settings.key is None else root / settings.key)
        if settings.client_ca is not None:
            context.load_verify_locations(root / settings.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError):
        raise BadSettings(
            field="gateway.certificate",
            expected_fr="un certificat, une clé et une autorité lisibles, au format PEM",
            expected_en="a readable certificate, key and authority, in PEM",
        ) from None
    return context


def listening(settings: GatewaySettings) -> socket.socket:
    """Listen at the address of the settings; errors: BadSettings when it is taken or not ours."""
    host, _, port = settings.listen.rpartition(":")
    host = host.strip("[]")
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, int(port)))
        bound.listen(BACKLOG)  # who calls while the rooms open waits, and is not refused
    except (OSError, OverflowError):
        bound.close()
        said = "une adresse libre de cette machine", "a free address of this machine"
        raise BadSettings(field="gateway.listen", expected_fr=said[0], expected_en=said[1]) from None
    return bound


async def serve(app: ASGIApp, settings: GatewaySettings, root: Path, bound: socket.socket, stop: asyncio.Event) -> None:
    """Serve until told to stop; answers under way are finished first."""
    context = tls(settings, root)
    config = uvicorn.Config(
        app, http=line(settings), ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        date_header=False, proxy_headers=False, timeout_keep_alive=15, timeout_graceful_shutdown=GRACE, backlog=BACKLOG,
    )  # fmt: skip
    config.load()
    config.ssl = context
    server = uvicorn.Server(config)

    async def ask() -> None:
        await stop.wait()
        server.should_exit = True

    asking = asyncio.create_task(ask())
    try:
        await server.serve(sockets=[bound])
    finally:
        asking.cancel()
        bound.close()
