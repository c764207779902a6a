"""A disk that fills up under load: the gateway refuses before it forgets, ends what was under way, and goes on by itself.

The disk is a small tmpfs; mounting it needs root. Elsewhere the test is skipped, and fails when CI=true.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.journeys.test_disk_full import small_disk
from tests.servers.ledger import Ledger, serving
from tests.servers.served import SHOWN, SURE, Told, served

__all__ = ["small_disk"]


def fill(filler: Path, stop: threading.Event) -> None:
    """Take all the room there is, and what comes free meanwhile."""
    with filler.open("wb", buffering=0) as sink:
        while not stop.wait(0.002):
            with suppress(OSError):
                while sink.write(bytes(4096)):
                    pass


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for what must come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_full_disk_under_load_refuses_new_writes_loses_none_that_was_taken_and_doubles_none(
    tmp_path: Path, small_disk: Path
) -> None:
    ledger, stop, load = Ledger(delay=0.02), threading.Event(), threading.Event()
    told: list[tuple[str, Told]] = []
    phase = "before"
    with (
        serving(ledger) as url,
        served(tmp_path, {"ledger": url}, root=small_disk / "site") as site,
        site.serving() as door,
        ThreadPoolExecutor(9) as callers,
    ):

        def call(caller: int) -> None:
            number = 0
            while not load.is_set():
                number += 1
                at, operation = phase, ("add", "note", "set")[number % 3]
                told.append((at, door.write("ledger", operation, f"{operation}-{caller}-{number}", Prefer="wait=5")))

        calling = [callers.submit(call, caller) for caller in range(8)]
        try:
            until(lambda: sum(each.kept for _, each in told) > 20)
            filling = callers.submit(fill, small_disk / "filler", stop)
            phase = "full"
            # Room that the log of the database took before is used again first: it fills in its own time.
            until(lambda: sum(not each.kept for _, each in told) > 40)
            stop.set()
            filling.result(60)
            (small_disk / "filler").unlink()
            phase = "after"
            until(lambda: sum(at == phase and each.kept for at, each in told) > 40)
        finally:
            stop.set()
            load.set()
        for each in calling:
            each.result(60)
        assert door.process.poll() is None, "it never stopped"
        states = site.settled()
        assert site.check_log() > 0
    refused = [each for _, each in told if not each.kept]
    print(Counter((at, each.status) for at, each in told), Counter(states.values()), len(ledger.lines))  # noqa: T201
    assert {each.status for each in refused} == {503}, Counter(each.status for each in refused)
    assert {each.body["code"] for each in refused} == {"state.disk_full"}
    landed = Counter(line["ref"] for line in ledger.lines)
    assert not [each.ref for each in refused if landed[each.ref]], "refused, yet sent"
    assert set(states.values()) <= SURE | SHOWN
    assert not [ref for ref, times in landed.items() if times > 1 and not ref.startswith("set")]
    for _, each in told:
        if each.kept:
            state = states[each.body["intent"]]
            assert landed[each.ref] if state in SURE else state in SHOWN, (each.ref, state)
