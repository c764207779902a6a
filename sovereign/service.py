"""What one `sovereign serve` runs beside the jobs: the gateway and its HTTP door, on a thread with an event loop of their own.

The bus of flows is a thread beside that loop: it knocks at the gateway's front door like any client. The door opens only when
`[gateway]` names where to listen. Everything that asks for a passphrase or can fail for a person's
reason is opened before the thread starts, so that it is told at once.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from vault.errors import Fault

FRESH: Final = 1.0
"""Seconds for which the rights of a caller are remembered."""
_MOST: Final = 10_000

if TYPE_CHECKING:
    from sovereign.api.app import House
    from sovereign.flows.ports import Front
    from sovereign.gateway.gateway import Gateway
    from sovereign.site import Site
    from sovereign.ways import Ways


@contextmanager
def door(
    site: "Site", stop: threading.Event, gauges: Callable[[], str] = str, trouble: Callable[[Fault], None] = lambda _: None
) -> Iterator[str]:
    """Keep the HTTP door open; gives its address, empty when the settings open none.

    stop: set when the door fails. gauges: what is shown of the rest of the service, beside the door's own counts. trouble: told
    of flows that cannot act.
    """
    if not site.settings.gateway.listen:
        yield ""
        return
    from sovereign.api.running import Running

    out = site.outbound
    opened = (site.keys, site.state, site.audit, site.leases, out.clients, out.approvals, out.callbacks)
    with Running(lambda: _house(site, gauges, trouble), site.settings.gateway, site.root, stop) as running:
        yield running.address
    del opened


def stamping(site: "Site", stop: threading.Event, trouble: Callable[[Fault], None]) -> AbstractContextManager[object]:
    """Have the audit log stamped when it is time, in a thread; trouble: told of what goes wrong. Errors: BadSettings."""
    from sovereign import timestamping

    stamper = timestamping.stamper(site, stop)
    if stamper is None:
        return nullcontext()
    from sovereign.audit.stamping import Stamping

    return Stamping(stamper, trouble)


def exporting(site: "Site", trouble: Callable[[Fault], None]) -> AbstractContextManager[object]:
    """Have the audit log followed by its receiver, in a thread; trouble: told of what goes wrong. Errors: BadSettings."""
    from sovereign import exporting

    return exporting.forwarder(site, trouble) or nullcontext()


def backing_up(site: "Site", trouble: Callable[[Fault], None]) -> AbstractContextManager[object]:
    """Have backups made when they are due, in a thread; trouble: told of what goes wrong. Errors: BadCadence."""
    from sovereign.backed_up import cadence

    if cadence(site.settings) is None:
        return nullcontext()
    from sovereign.backup.scheduled import Backing

    return Backing(site, trouble)


@asynccontextmanager
async def _house(
    site: "Site", gauges: Callable[[], str], trouble: Callable[[Fault], None] = lambda _: None, *, flows: bool = True
) -> AsyncIterator["House"]:
    """Open the rooms on the running loop. flows: whether the bus is at work."""
    from sovereign import eventing, governing
    from sovereign.api.app import House
    from sovereign.api.metrics import Metrics
    from sovereign.comparing import Comparison
    from sovereign.credentials import mark
    from sovereign.gateway import dlp
    from sovereign.gateway.callbacks import Announcer
    from sovereign.gateway.gateway import Gateway
    from sovereign.gateway.messages import Messages
    from sovereign.gateway.ports import Parts, Standing
    from sovereign.gateway.refusing import Refusing
    from sovereign.mirroring import Copy
    from sovereign.ways import Ways

    outbound, clock, key = site.outbound, site.clock, site.keys.derive("gateway/pseudonym")

    known: dict[tuple[str, str | None], tuple[float, Standing]] = {}

    def standing(client: str, person: str | None) -> Standing:
        """Read rights again when they were read more than `FRESH` seconds ago: one taken back acts within that."""
        present = time.monotonic()
        held = known.get((client, person))
        if held is None or present - held[0] > FRESH:
            if len(known) >= _MOST:
                known.clear()
            writes = outbound.clients.get(client)
            owner = writes.owner
            # A person named by the client is its word alone: rights are those of who answers for it.
            held = known[client, person] = (present, Standing(owner, *outbound.rights.standing(owner), writes.lives(clock())))
        return held[1]

    ways, seen = Ways(site), dlp.Limits(bytes=site.settings.gateway.max_scan)
    with closing(governing.policies(site)) as policy:
        parts = Parts(
            state=site.state,
            audit=site.audit,
            keys=site.keys,
            leases=site.leases,
            clock=clock,
            policy=policy,
            scan=lambda body, kind: dlp.scan(body, kind, seen),
            standing=standing,
            vendors=ways,
            approvals=outbound.approvals,
            zone=ZoneInfo(site.settings.site.zone),
            pseudonymise=lambda body, kind, pointers: dlp.pseudonymise(body, kind, pointers, key, seen),
            period=site.settings.keys.period,
            spool=site.spool,
            scanned=site.settings.gateway.max_scan,
            refusing=Refusing(partial(mark, site), trouble),
        )
        gateway = Gateway(parts)
        messages = Messages(site.state, site.audit, gateway.sealing, clock)
        told = Announcer(outbound.callbacks, messages, clock, parts.chance)
        try:
            await gateway.open()
            async with (
                told.running(),
                _telling(site, parts.chance, flows=flows),
                _flowing(site, gateway, ways, trouble, flows=flows) as wake,
            ):
                yield House(
                    settings=site.settings.gateway,
                    state=site.state,
                    clients=outbound.clients,
                    gateway=gateway,
                    vendors=ways,
                    approvals=outbound.approvals,
                    connections=lambda: sorted(site.settings.connections),
                    clock=clock,
                    entropy=os.urandom,
                    monotonic=time.monotonic,
                    mirror=Copy(site),
                    metrics=Metrics(gauges),
                    compare=Comparison(site),
                    people=outbound.people,
                    rights=outbound.rights,
                    openings=outbound.openings,
                    site=site.keys.verifier.name,
                    zone=ZoneInfo(site.settings.site.zone),
                    prove=site.audit.prove,
                    inbox=eventing.inbox(site, wake),
                )
        finally:
            await gateway.close()
            await ways.close()


@asynccontextmanager
async def _telling(site: "Site", chance: Callable[[], float], *, flows: bool) -> AsyncIterator[None]:
    """Keep subscribers told of what happens, while the loop runs."""
    from sovereign import eventing
    from sovereign.gateway.callbacks import Announcer

    known = eventing.subscribers(site)
    await asyncio.to_thread(known.settle)
    if not flows or not known.declared:
        yield
        return
    async with Announcer(known, eventing.outbox(site, known), site.clock, chance).running():
        yield


@asynccontextmanager
async def _flowing(
    site: "Site", gateway: "Gateway", ways: "Ways", trouble: Callable[[Fault], None], *, flows: bool
) -> AsyncIterator[Callable[[], None]]:
    """Keep the bus at work on a thread, while the loop runs; it ends before the gateway does. Gives what wakes it."""
    from sovereign.eventing import diary
    from sovereign.flowing import Door, bus
    from sovereign.flows.running import Working

    if not flows:
        yield lambda: None
        return
    working = Working(bus(site, diary(site)), Door(gateway, ways, site, asyncio.get_running_loop()), trouble)
    working.start()
    try:
        yield working.wake
    finally:
        await asyncio.to_thread(working.close)


@contextmanager
def fronted(site: "Site") -> Iterator["Front"]:
    """Open the gateway for one act of a person, where no service runs; gives its front door. Errors: LeaseHeld."""
    from sovereign.api.running import Loop
    from sovereign.flowing import Door

    @asynccontextmanager
    async def opened() -> "AsyncIterator[Front]":
        async with _house(site, str, flows=False) as house:
            ended = asyncio.Event()
            moving = asyncio.create_task(house.gateway.run(ended))
            try:
                yield Door(house.gateway, house.vendors, site, asyncio.get_running_loop())
            finally:
                ended.set()
                await moving

    with Loop(opened) as front:
        yield front
