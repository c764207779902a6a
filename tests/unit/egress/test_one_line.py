"""What the budget promises when threads and tasks stand in one line."""

import asyncio
import threading
import time

from sovereign.clock import now
from sovereign.egress import Budgets
from sovereign.egress.budget import HostBudget


async def in_line(budget: HostBudget, many: int) -> None:
    """Wait until so many stand in line."""
    while len(budget._line) < many:  # noqa: ASYNC110 - they are what is waited for
        await asyncio.sleep(0.005)


def test_a_task_goes_when_a_thread_leaves_and_a_thread_when_a_task_leaves_in_the_order_they_came() -> None:
    budget, stop = Budgets().join("ville.fr", 443, "x", rate=None, concurrency=1), threading.Event()
    order: list[str] = []

    def pull() -> None:
        budget.enter(now, time.sleep, stop, 0.0)
        order.append("thread")
        budget.leave()

    async def run() -> None:
        async def write(name: str) -> None:
            await budget.enter_task(now, 0.0, 60.0)
            order.append(name)
            budget.leave()

        budget.enter(now, time.sleep, stop, 0.0)
        first = asyncio.create_task(write("first"))
        await in_line(budget, 1)
        thread = threading.Thread(target=pull)
        thread.start()
        await in_line(budget, 2)
        second = asyncio.create_task(write("second"))
        await in_line(budget, 3)
        # The holder leaves from another thread, which must wake the loop.
        threading.Thread(target=budget.leave).start()
        async with asyncio.timeout(60):
            await asyncio.gather(first, second)
        thread.join(60)

    asyncio.run(run())
    assert order == ["first", "thread", "second"]


def test_a_task_that_gives_up_and_a_loop_that_closed_lose_no_place() -> None:
    budget, stop = Budgets().join("ville.fr", 443, "x", rate=None, concurrency=1), threading.Event()
    budget.enter(now, time.sleep, stop, 0.0)

    async def gives_up() -> None:
        task = asyncio.create_task(budget.enter_task(now, 0.0, 60.0))
        await in_line(budget, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(gives_up())
    abandoned = asyncio.new_event_loop()
    waiting = abandoned.create_task(budget.enter_task(now, 0.0, 60.0))
    abandoned.call_later(0.02, abandoned.stop)
    abandoned.run_forever()
    waiting._log_destroy_pending = False  # type: ignore[attr-defined] # it is left behind on purpose
    abandoned.close()
    budget.leave()
    entered = threading.Thread(target=budget.enter, args=(now, time.sleep, stop, 0.0), daemon=True)
    entered.start()
    entered.join(60)
    assert not entered.is_alive()
