"""A process that writes through the gateway, with an approver and an operator at work in it, and can be killed.

python -m tests.journeys.gatekeeper FOLDER URL PREFIX COUNT       COUNT writes under load, then until told; 0: only finish

Each fifth write is held: the approver refuses those whose reference ends in `no`, and approves the others. What the vendor
rejected, or what did not happen, the operator sends again.
"""

import asyncio
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from sovereign.access import People, Rights
from sovereign.clock import now
from sovereign.gateway.decree import Desk
from sovereign.gateway.errors import BadBallot, NotAsked, StateMoved
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.kept import kept
from sovereign.gateway.ports import Parts
from sovereign.gateway.receipt import heard
from sovereign.state.outbound import deliveries
from tests.servers.gate import gate, intent, voices
from vault.notes import Signer, sign

OPERATIONS = ("add", "set", "note")
LIVE = ("received", "held", "approved", "queued", "in_flight", "to_retry", "unknown", "probing", "rejected", "did_not_happen")
UNDER_WAY = (
    select(deliveries.c.intent)
    .where(deliveries.c.state.in_(LIVE) | (deliveries.c.state == "delivered") & deliveries.c.next_at.is_not(None))
    .limit(1)
)
SIGNER = Signer("berthe", b"b" * 32)
AGED = timedelta(seconds=2)
"""How old what did not happen must be before the operator believes it: a vendor that is slow may still be at it."""


def enrol(parts: Parts) -> None:
    """Make the approver known, unless a process before this one did."""
    people = People(parts.state, parts.audit, now)
    approvals = voices(parts.state, parts.audit, parts.keys)
    people.put("berthe", ["rssi"])
    if not any(each.revoked_at is None for each in approvals.approvers()):
        Rights(parts.state, parts.audit, now, people).grant("person", "berthe", "role", "rssi", by="root", reason="drill")
        approvals.enrol("berthe", SIGNER.verifier.vkey, by="root")


def approve(gateway: Gateway) -> None:
    """Decide on what is held, as the command line does: in a transaction of its own, beside the gateway's."""
    parts = gateway._parts
    approvals = voices(parts.state, parts.audit, parts.keys)
    for asked in approvals.list():
        with suppress(NotAsked, StateMoved, BadBallot):
            with parts.state.read() as reader:
                held = kept(reader, gateway.sealing, parts.audit, asked.intent)
            verdict = "refuse" if held.payload["ref"].endswith("no") else "approve"
            note = sign(approvals.ballot(asked, held.digest, verdict, "berthe").text(), SIGNER)
            with parts.state.begin() as transaction:
                _, outcome = approvals.vote(transaction, note)
                heard(gateway.deliveries, transaction, asked.intent, outcome, now())


def send_again(gateway: Gateway) -> None:
    """Send again what ended without having happened."""
    desk = Desk(gateway.deliveries, now)
    for each in desk.list(states=("rejected", "did_not_happen"), limit=1000):
        if each.state == "rejected" or now() - each.since > AGED:
            with suppress(StateMoved):
                desk.decide(each.intent, "approved", "replayed", "drill")


async def main(root: Path, url: str, prefix: str, count: int) -> None:
    async with gate(root, url, concurrency=8) as gateway:
        await asyncio.to_thread(enrol, gateway._parts)
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))

        async def people() -> None:
            while not stop.is_set():
                await asyncio.to_thread(approve, gateway)
                await asyncio.to_thread(send_again, gateway)
                gateway._dispatcher.wake()  # type: ignore[union-attr]
                await asyncio.sleep(0.05)

        deciding = asyncio.create_task(people())

        async def write(number: int) -> None:
            held = number % 5 == 4
            ref = f"{prefix}-{number}" + ("-no" if held and number % 2 else "")
            await gateway.submit(intent(OPERATIONS[number % 3], ref, client="intern" if held else "app"), wait=None)
            sys.stdout.write(f"{ref}\n")
            sys.stdout.flush()

        for start in range(0, count, 16):
            await asyncio.gather(*(write(number) for number in range(start, min(count, start + 16))))
        while True:
            await asyncio.sleep(0.05)
            with gateway.deliveries.state.read() as reader:
                if reader.execute(UNDER_WAY).first() is None:
                    break
        stop.set()
        await asyncio.gather(running, deciding)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
