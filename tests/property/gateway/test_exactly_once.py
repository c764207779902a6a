"""Whatever the vendor does to each request, each accepted write lands once, or a person is shown that nobody knows."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers.gate import gate, intent
from tests.servers.ledger import Ledger, serving

MOODS = st.sampled_from(["ok", "ok", "reset_before", "reset_after", "lost", "overloaded", "broken_after", "conflict"])
WRITES = st.lists(st.tuples(st.sampled_from(["add", "note", "set"]), st.sampled_from(["x", "y", ""])), min_size=1, max_size=6)
LIVE = ("received", "approved", "queued", "in_flight", "to_retry", "unknown", "probing")


async def play(root: Path, url: str, writes: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Write all, wait until nothing moves; gives (reference, operation, state), in the order of asking."""
    async with gate(root, url) as gateway:
        gateway.breaker._threshold = 10**6  # circuits have their own tests, and seconds of their own
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        asked = [(operation, intent(operation, f"n{at}", lane=lane)) for at, (operation, lane) in enumerate(writes)]
        for _, each in asked:
            await gateway.submit(each, wait=None)
        for _ in range(600):
            await asyncio.sleep(0.02)
            with gateway.deliveries.state.read() as reader:
                held = gateway.deliveries.list(reader)
                # What waits behind an outcome that a person must settle does not move either.
                stuck = {each.lane for each in held if each.state in ("inconclusive", "did_not_happen")}
                if not [e for e in held if (e.state in LIVE or e.next_at) and e.lane not in stuck]:
                    break
        stop.set()
        await running
        states = {each.intent: each.state for each in held}
        return [(f"n{at}", operation, states[each.id]) for at, (operation, each) in enumerate(asked)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moods=st.lists(MOODS, max_size=12), writes=WRITES)
def test_each_accepted_write_lands_once_or_is_shown(moods: list[str], writes: list[tuple[str, str]]) -> None:
    ledger = Ledger(lambda number: moods[number] if number < len(moods) else "ok")
    with tempfile.TemporaryDirectory() as folder, serving(ledger) as url:
        ended = asyncio.run(play(Path(folder) / "g", url, writes))
    for ref, operation, state in ended:
        landed = ledger.landed(ref)
        if state in ("confirmed", "landed"):
            assert landed == 1
        elif state == "delivered":
            # A success that stored nothing is seen only where the operation can be read back.
            assert landed == 1 or operation == "set" or "lost" in moods
        elif state in ("rejected", "queued", "failed"):
            assert landed == 0 or operation == "set"
        else:
            assert state in ("inconclusive", "did_not_happen", "unknown", "to_retry")
            assert landed <= 1 or operation == "set"
