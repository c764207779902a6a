"""A process that writes through the gateway and can be killed.

python -m tests.journeys.gatekeeper FOLDER URL PREFIX COUNT       COUNT writes under load, then until told; 0: only finish
"""

import asyncio
import sys
from pathlib import Path

from tests.servers.gate import gate, intent

OPERATIONS = ("add", "set", "note")
LIVE = {"received", "approved", "queued", "in_flight", "to_retry", "unknown", "probing"}


async def main(root: Path, url: str, prefix: str, count: int) -> None:
    async with gate(root, url, concurrency=8) as gateway:
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))

        async def write(number: int) -> None:
            ref = f"{prefix}-{number}"
            await gateway.submit(intent(OPERATIONS[number % 3], ref), wait=None)
            sys.stdout.write(f"{ref}\n")
            sys.stdout.flush()

        for start in range(0, count, 16):
            await asyncio.gather(*(write(number) for number in range(start, min(count, start + 16))))
        while True:
            await asyncio.sleep(0.05)
            with gateway.deliveries.state.read() as reader:
                found = gateway.deliveries.list(reader, states=LIVE, limit=1)
                reading = [each for each in gateway.deliveries.list(reader, states=("delivered",), limit=5000) if each.next_at]
            if not found and not reading:
                break
        stop.set()
        await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
