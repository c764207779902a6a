"""A process in which copies are committed while subscribers are told of them, and that can be killed.

python -m tests.journeys.herald FOLDER URL,URL PREFIX COUNT       COUNT commits, told, then until nothing waits
"""

import asyncio
import sys
from pathlib import Path

from sovereign.gateway.callbacks import Schedule
from tests.servers.subscribed import house, subscriber

AGAIN = Schedule(waits=(0.05,) * 100_000, rest=0.05)


async def main(root: Path, urls: list[str], first: int, count: int) -> None:
    with house(root) as here:
        one, other = (subscriber(url, most=1_000_000) for url in urls)
        here.declare(ordered=one, loose=subscriber(urls[1], ordered=False, most=other.most))
        committed = asyncio.Event()

        async def commit() -> None:
            for number in range(first, first + count):
                entry = await asyncio.to_thread(here.commit, number)
                sys.stdout.write(f"{entry}\n")
                sys.stdout.flush()
            committed.set()

        async with here.announcing(AGAIN) as drill:
            committing = asyncio.create_task(commit())
            while not committed.is_set() or any(row.outcome == "waiting" for row in here.rows()) or not here.settled():
                await drill.announcer.look()
                await asyncio.sleep(0.01)
            await committing


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4])))
