"""A clock that jumps a day forwards, then two days back, under load: nothing is sent twice, nothing that was taken is lost.

The gateway is served by a process of its own, by a clock that the drill sets. After each jump the drill looks at what it
promises of time: keys, rates, approvals, checkpoints.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

from sovereign.access import Limits
from tests.journeys.porter import clock
from tests.servers.ledger import Ledger, serving
from tests.servers.policies import rule
from tests.servers.served import LATER, OPEN, PLENTY, SHOWN, SURE, Door, Served, Told, served

DAY = 86_400
INTERN = 'permit(principal == Client::"intern", action, resource)'
HELD = rule("held", INTERN, expires=LATER, more='@hold("quorum=1;groups=rssi;within=30h")')


class Drill:
    """A gateway under a clock that is set, and all that its callers were told."""

    def __init__(self, site: Served, door: Door, ahead: Path) -> None:
        self.site, self.door, self.ahead = site, door, ahead
        self.told: list[Told] = []
        self.over = threading.Event()

    def call(self, caller: int) -> None:
        number = 0
        while not self.over.wait(0.02):
            number += 1
            operation = ("add", "note", "set")[number % 3]
            self.told.append(self.door.write("ledger", operation, f"{operation}-{caller}-{number}", Prefer="wait=2"))

    def set_to(self, seconds: int) -> None:
        fresh = self.ahead.with_suffix(".fresh")
        fresh.write_text(str(seconds))
        fresh.replace(self.ahead)

    def ask(self, ref: str, client: str = "app") -> Told:
        self.told.append(told := self.door.write("ledger", "note", ref, client=client, Prefer="wait=10"))
        assert told.kept, told
        return told

    def repeat(self) -> None:
        """Whoever asks again with a key gets what the key began, whatever the clock says."""
        for each in [each for each in self.told if each.kept][:: max(1, len(self.told) // 6)]:
            again = self.door.write("ledger", each.ref.partition("-")[0], each.ref, client=each.client, Prefer="wait=5")
            assert again.body["intent"] == each.body["intent"], (each, again)

    def flood(self, mark: str) -> None:
        """Its rate holds an application whatever the clock says."""
        with ThreadPoolExecutor(16) as many:
            asked = list(
                many.map(lambda n: self.door.write("ledger", "note", f"note-flood{mark}-{n}", client="slow"), range(24))
            )
        self.told += asked
        assert 1 <= sum(each.status != 429 for each in asked) <= 20, Counter(each.status for each in asked)

    def covers(self, entries: int) -> bool:
        """Whether the last checkpoint that was published covers so many entries."""
        with self.site.site() as site:
            found = site.audit.publication.published()
            return found is not None and found.size >= entries


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for what must come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_clock_that_jumps_a_day_either_way_doubles_no_write_loses_none_and_leaves_the_log_whole(tmp_path: Path) -> None:
    bad = ("reset_after", "overloaded", "reset_before")
    ledger = Ledger(lambda number: bad[number % 3] if number % 10 == 0 else "ok", 0.01, spared=frozenset({"note-early"}))
    ahead, clients = tmp_path / "ahead", {"app": PLENTY, "intern": PLENTY, "slow": Limits(rate=1, concurrency=512)}
    with (
        serving(ledger) as url,
        served(tmp_path, {"ledger": url}, clients=clients, policy=OPEN + HELD, clock=lambda: clock(ahead)) as site,
        site.serving(("-m", "tests.journeys.porter", str(ahead))) as door,
        ThreadPoolExecutor(4) as callers,
    ):
        site.enrol("berthe")
        drill = Drill(site, door, ahead)
        calling = [callers.submit(drill.call, caller) for caller in range(4)]
        try:
            early = drill.ask("note-early", "intern")
            for seconds in (0, DAY, -DAY):
                drill.set_to(seconds)
                drill.ask(f"note-at-{seconds}")
                drill.repeat()
                drill.flood(str(seconds))
                if seconds == DAY:
                    assert door.vote(early.body["intent"], site.ballot(early.body["intent"], "berthe")).status_code == 200
                    late = drill.ask("note-late", "intern")
                covered = site.check_log()
                until(partial(drill.covers, covered))
            # Asked a day from now, by the clock of then: an approval that comes before is none.
            assert door.vote(late.body["intent"], site.ballot(late.body["intent"], "berthe")).status_code == 403
        finally:
            drill.over.set()
        for each in calling:
            each.result(60)
        states = site.settled()
        drill.repeat()
        assert site.check_log() > 0
        with site.site() as opened:
            at = [entry.at for entry in opened.audit.entries()]
        assert max(at) - min(at) > timedelta(seconds=2 * DAY - 60), "entries tell what the clock said, in the order of the log"
    landed = Counter(line["ref"] for line in ledger.lines)
    print(Counter(each.status for each in drill.told), Counter(states.values()))  # noqa: T201 - shown by pytest -s
    assert (landed["note-early"], landed["note-late"]) == (1, 0)
    assert all(each.kept or each.status == 429 for each in drill.told), Counter(each.status for each in drill.told)
    assert set(states.values()) <= SURE | SHOWN | {"held"}
    assert not [ref for ref, times in landed.items() if times > 1 and not ref.startswith("set")]
    for each in drill.told:
        if each.kept:
            state = states[each.body["intent"]]
            assert landed[each.ref] if state in SURE else state in SHOWN | {"held"}, (each.ref, state)
