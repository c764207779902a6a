"""What a lease promises."""

import os
import signal
import subprocess
import sys
import threading
import time as real_time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sovereign.clock import now
from sovereign.state import Lease, LeaseHeld, LeaseLost, Leases, State, StateFull
from tests.servers.wayout import Time

MINUTE = timedelta(minutes=1)
HOLDER = """
import sys, time
from datetime import timedelta
from pathlib import Path
from sovereign.clock import now
from sovereign.state import Leases, State
Leases(State(Path(sys.argv[1])), now).acquire("ville", "other", timedelta(hours=9))
print("held", flush=True)
time.sleep(300)
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


def test_one_holder_at_a_time_and_the_next_when_it_is_given_back(state: State) -> None:
    leases = Leases(state, now)
    first = leases.acquire("ville", "one", MINUTE)
    with pytest.raises(LeaseHeld) as fault:
        leases.acquire("ville", "two", MINUTE)
    assert "one" in str(fault.value)
    assert leases.holder("ville") == "one"
    leases.acquire("autre", "two", MINUTE)
    leases.release(first)
    assert leases.holder("ville") is None
    assert leases.acquire("ville", "two", MINUTE).token == first.token + 1


def test_a_term_that_ran_out_is_taken_over_and_the_old_holder_is_fenced(state: State) -> None:
    time = Time()
    leases = Leases(state, time.clock)
    old = leases.acquire("ville", "one", MINUTE)
    time.sleep(59)
    leases.renew(old, MINUTE)
    time.sleep(59)
    with pytest.raises(LeaseHeld):
        leases.acquire("ville", "two", MINUTE)
    time.sleep(2)
    new = leases.acquire("ville", "two", MINUTE)
    with pytest.raises(LeaseLost), state.begin() as connection:
        leases.check(old, connection)
    with pytest.raises(LeaseLost):
        leases.renew(old, MINUTE)
    leases.release(old)
    with state.begin() as connection:
        leases.check(new, connection)


def test_the_lease_of_a_killed_process_is_taken_over_at_once_and_that_of_a_living_one_is_not(state: State) -> None:
    leases = Leases(state, now)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(state.path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert leases.holder("ville") == "other"
        with pytest.raises(LeaseHeld):
            leases.acquire("ville", "me", MINUTE)
        os.kill(process.pid, signal.SIGKILL)
        # Not reaped yet: a process that ended holds nothing, even while its entry stays.
        deadline = real_time.monotonic() + 60
        while leases.holder("ville") is not None and real_time.monotonic() < deadline:
            real_time.sleep(0.01)
        assert leases.acquire("ville", "me", MINUTE).token == 2


def test_a_process_number_used_again_is_not_taken_for_the_holder(state: State) -> None:
    leases = Leases(state, now)
    leases.acquire("ville", "one", MINUTE)
    with state.begin() as connection:
        # As if this very process number had belonged to a process born earlier.
        connection.exec_driver_sql("UPDATE leases SET born = born - 1")
    assert leases.acquire("ville", "two", MINUTE).token == 2


def test_of_a_holder_on_another_machine_only_the_term_is_known(state: State) -> None:
    leases = Leases(state, now)
    leases.acquire("ville", "one", MINUTE)
    with state.begin() as connection:
        connection.exec_driver_sql("UPDATE leases SET place = 'elsewhere', pid = 1, born = 1")
    with pytest.raises(LeaseHeld):
        leases.acquire("ville", "two", MINUTE)


def test_of_many_that_ask_at_once_one_gets_it(state: State) -> None:
    leases, won, lost = Leases(state, now), [], []

    def ask(name: str) -> None:
        try:
            won.append(leases.acquire("ville", name, MINUTE))
        except LeaseHeld:
            lost.append(name)

    threads = [threading.Thread(target=ask, args=(f"h{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)


def test_a_block_that_lasts_longer_than_the_term_keeps_its_lease(state: State) -> None:
    leases = Leases(state, now)
    with leases.hold("ville", "one", timedelta(seconds=0.3)) as lease:
        real_time.sleep(0.8)
        with state.begin() as connection:
            leases.check(lease, connection)
        assert leases.holder("ville") == "one"
    assert leases.holder("ville") is None


def test_a_renewal_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    class Stumbling(Leases):
        stumbled = threading.Event()
        renewed = threading.Event()

        def renew(self, lease: Lease, ttl: timedelta) -> None:
            if not self.stumbled.is_set():
                self.stumbled.set()
                raise StateFull(path="state.db")
            super().renew(lease, ttl)
            self.renewed.set()

    with State(tmp_path / "state.db") as state:
        leases = Stumbling(state, now)
        with leases.hold("x", "me", timedelta(seconds=0.3)):
            assert leases.renewed.wait(60)
