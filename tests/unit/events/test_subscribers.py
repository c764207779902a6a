"""What a subscriber is promised: each event, in its order, once or twice under one id, whatever it or another does."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sovereign.access import BadRight
from sovereign.audit.errors import Awaited
from sovereign.events.errors import UnknownMessage, UnknownSubscriber
from sovereign.events.gathering import Rows
from sovereign.events.news import News
from sovereign.events.outbox import LASTING
from sovereign.events.subscribing import Told, findings
from sovereign.gateway.callbacks import Schedule
from sovereign.settings import Network
from tests.servers.receiver import Receiver, genuine
from tests.servers.subscribed import QUICK, Drill, House, house, subscriber

COMMITTED = "sovereign.snapshot.committed"
LONG = Schedule(waits=(0.05,) * 1000, rest=0.05)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "h") as made:
        yield made


def run(here: House, work: Callable[[Drill], Awaitable[None]], schedule: Schedule = QUICK) -> None:
    async def main() -> None:
        async with here.announcing(schedule) as drill:
            await work(drill)

    asyncio.run(main())


def told(there: Receiver) -> list[int]:
    """The snapshots that it was told of, in order."""
    return [each.json()["data"]["snapshot"] for each in there.heard if each.json()["type"] == COMMITTED]


def gather(here: House) -> None:
    assert here.outbox is not None
    assert here.subscribers is not None
    while here.outbox.gather(here.subscribers.all()):
        pass


def test_an_event_is_told_once_signed_and_its_content_is_nowhere_in_clear(here: House) -> None:
    with Receiver().listening() as there:
        here.commit(1)
        secret = here.declare(si=subscriber(there.url))["si"]
        here.commit(2, "a_stream_of_its_own")

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("si") == ["told"])
            await at.announcer.look()

        run(here, work)
        (heard,) = there.heard
        assert genuine(heard, secret)
        assert heard.json()["data"]["snapshot"] == 2
        row = here.rows()[0]
        assert heard.headers["webhook-id"] == heard.json()["id"] == row.id
        assert b"a_stream" not in row.sealed
        (_, entry) = here.acts("sync.committed")
        assert row.id == f"{entry.seq}.{entry.leaf[:4].hex()}.0", "restored, another act of that number is another event"
    assert [each.facts for each in here.acts("subscriber.due")] == [{"first": 1, "last": 1}]
    assert [each.facts["status"] for each in here.acts("subscriber.told")] == [204]


@pytest.mark.parametrize(
    ("status", "attempts", "why"), [(410, 1, "http.410"), (500, 6, "http.500"), (302, 6, "egress.redirected")]
)
def test_what_is_never_taken_is_listed_as_given_up_and_sent_again_under_the_same_id_when_a_person_says_so(
    here: House, status: int, attempts: int, why: str
) -> None:
    there, first = Receiver(lambda _: status), list[Any]()
    with there.listening():
        here.declare(si=subscriber(there.url))
        here.commit(1)

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("si") == ["given_up"])
            first.extend(there.heard)
            there.answer = lambda _: 204
            assert here.outbox is not None
            assert here.outbox.replay("si") == 1
            assert here.outbox.replay("si") == 0
            await at.until(lambda: here.outcomes("si") == ["told"])

        run(here, work)
    assert [each.facts["why"] for each in here.acts("subscriber.given_up")] == [why]
    assert len(first) == attempts
    assert {each.headers["webhook-id"] for each in there.heard} == {here.rows()[0].id}
    assert here.outbox is not None
    with pytest.raises(UnknownMessage):
        here.outbox.replay("si", {"nothing"})
    assert here.outbox.replay("si", {here.rows()[0].id}) == 1


def test_a_subscriber_that_does_not_answer_slows_no_other(here: House) -> None:
    freed = threading.Event()

    def stuck(_: int) -> int:
        freed.wait(120)
        return 204

    with Receiver(stuck).listening() as slow, Receiver().listening() as quick:
        here.declare(slow=subscriber(slow.url), quick=subscriber(quick.url))
        for number in range(10):
            here.commit(number)

        async def work(at: Drill) -> None:
            await at.until(lambda: slow.heard and told(quick) == list(range(10)))
            assert len(slow.heard) == 1
            freed.set()
            await at.until(lambda: here.outcomes("slow") == ["told"] * 10)

        run(here, work, LONG)
        assert list(dict.fromkeys(told(slow))) == list(range(10))


@contextmanager
def endless() -> Iterator[str]:
    """A server that takes everything and whose answer never ends."""
    ended = threading.Event()

    def serve(server: socket.socket) -> None:
        while not ended.is_set():
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                try:
                    line.recv(65_536)
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while not ended.is_set():
                        line.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/told"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def test_the_body_of_an_answer_is_not_read_however_long_it_is(here: House) -> None:
    with endless() as url:
        here.declare(si=subscriber(url))
        here.commit(1)
        here.commit(2)

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("si") == ["told", "told"])

        run(here, work)


def test_neither_a_bad_certificate_nor_an_address_that_was_not_opened_is_told(here: House) -> None:
    with Receiver().listening() as there:
        tls = subscriber(there.url.replace("http:", "https:"), network=Network(loopback=True))
        shut = subscriber(there.url.replace("127.0.0.1", "localhost"), network=Network(plaintext=True))
        here.declare(tls=tls, shut=shut)
        here.commit(1)

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("tls") == here.outcomes("shut") == ["given_up"])

        run(here, work)
        assert there.heard == []
    why = {row.subscriber: row.why for row in here.rows()}
    assert why["shut"] == "egress.refused"
    assert why["tls"].startswith("egress.")


def test_an_ordered_subscriber_is_held_by_what_it_does_not_take_until_a_person_drops_it(here: House) -> None:
    def refuses_the_first(_: int) -> int:
        return 500 if there.heard[-1].json()["data"]["snapshot"] == 1 else 204

    there = Receiver(refuses_the_first)
    with there.listening():
        here.declare(si=subscriber(there.url))
        for number in (1, 2, 3):
            here.commit(number)

        async def work(at: Drill) -> None:
            await at.until(lambda: len(there.heard) > 5)
            assert set(told(there)) == {1}
            assert here.outbox is not None
            await asyncio.to_thread(here.outbox.drop, "si", here.rows()[0].id)
            await at.until(lambda: here.outcomes("si") == ["dropped", "told", "told"])
            assert told(there)[-2:] == [2, 3]
            with pytest.raises(UnknownMessage):
                here.outbox.drop("si", here.rows()[0].id)

        run(here, work, LONG)


def test_a_subscriber_that_is_not_ordered_is_told_what_follows_what_it_does_not_take(here: House) -> None:
    there = Receiver(lambda number: 500 if number == 0 else 204)
    with there.listening():
        here.declare(si=subscriber(there.url, ordered=False))
        for number in range(1, 6):
            here.commit(number)

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("si") == ["told"] * 5)

        run(here, work, Schedule(waits=(1.0,) * 20, rest=0.05))
        assert sorted(told(there)) in ([1, 1, 2, 3, 4, 5], [1, 2, 2, 3, 4, 5])


def test_what_does_not_fit_is_lost_with_a_gap_an_entry_and_an_event_that_says_how_many(here: House) -> None:
    with Receiver().listening() as there:
        here.declare(si=subscriber(there.url, most=3))
        for number in range(1, 8):
            here.commit(number)
        gather(here)
        assert here.subscribers is not None
        assert here.subscribers.standing("si").lost == 4
        assert [each.facts for each in here.acts("subscriber.overflowed")] == [{"lost": 4, "waiting": 3}]
        assert [each.code for each in findings(here.subscribers)] == ["doctor.subscriber"]

        async def work(at: Drill) -> None:
            await at.until(lambda: told(there) == [1, 2, 3])
            here.commit(8)
            await at.until(lambda: here.outcomes("si") == ["told"] * 5)

        run(here, work)
        said = [each.json() for each in there.heard]
    assert [int(each["sequence"]) for each in said] == [1, 2, 3, 8, 9]
    assert (said[3]["type"], said[3]["data"]) == ("sovereign.subscriber.lost", {"subscriber": "si", "lost": 4})
    assert told(there) == [1, 2, 3, 8]
    assert here.subscribers.standing("si").lost == 0
    assert list(findings(here.subscribers)) == []


def test_a_subscriber_without_a_secret_waits_for_it_and_doctor_says_so(here: House) -> None:
    with Receiver().listening() as there:
        here.declare(si=subscriber(there.url))
        assert here.subscribers is not None
        here.subscribers.signing.remove("si")
        here.commit(1)
        assert [each.code for each in findings(here.subscribers)] == ["doctor.subscriber"]

        async def work(at: Drill) -> None:
            await at.until(here.rows)
            await at.announcer.look()
            assert [(row.attempts, row.outcome) for row in here.rows()] == [(0, "waiting")]
            assert here.subscribers is not None
            secret, until = here.subscribers.secret("si")
            await at.until(lambda: here.outcomes("si") == ["told"])
            assert until is None
            assert genuine(there.heard[0], secret)

        run(here, work)
        with pytest.raises(BadRight):
            here.subscribers.secret("si", b"whsec_too-short")
        with pytest.raises(UnknownSubscriber):
            here.subscribers.secret("nobody")


def test_one_that_is_declared_no_longer_is_told_nothing_more_and_comes_back_after_its_last_number(here: House) -> None:
    with Receiver().listening() as there:
        one = subscriber(there.url)
        here.declare(si=one)
        here.commit(1)
        gather(here)
        here.declare()
        assert here.outcomes("si") == ["dropped"]
        assert [each.facts for each in here.acts("subscriber.removed")] == [{"dropped": 1}]
        here.commit(2)
        here.declare(si=one)
        here.declare(si=one)
        here.commit(3)

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("si") == ["dropped", "told"])

        run(here, work)
        assert told(there) == [3]
        assert int(there.heard[0].json()["sequence"]) == 2
        assert len(here.acts("subscriber.added")) == 2
        here.declare(si=subscriber(there.url, most=7))
        assert len(here.acts("subscriber.changed")) == 1


def test_a_new_subscriber_is_told_nothing_of_what_came_before_it_and_another_misses_nothing(here: House) -> None:
    with Receiver().listening() as there, Receiver().listening() as late:
        one = subscriber(there.url)
        here.declare(si=one)
        here.commit(1)
        here.declare(si=one, late=subscriber(late.url))
        here.commit(2)

        async def work(at: Drill) -> None:
            await at.until(lambda: told(there) == [1, 2] and told(late) == [2])

        run(here, work)


def test_two_who_look_at_once_make_each_message_once(here: House) -> None:
    here.declare(si=subscriber("http://127.0.0.1:9/"))
    for number in range(200):
        here.commit(number)
    with ThreadPoolExecutor(4) as hands:
        list(hands.map(lambda _: gather(here), range(8)))
    assert [row.sequence for row in here.rows()] == list(range(1, 201))
    assert len({row.id for row in here.rows()}) == 200


def test_what_waited_longer_than_four_days_is_given_up_at_its_next_failure(here: House) -> None:
    with Receiver(lambda _: 500).listening() as there:
        here.declare(si=subscriber(there.url))
        here.commit(1)
        gather(here)
        here.ahead = LASTING + timedelta(hours=1)

        async def work(at: Drill) -> None:
            await at.until(lambda: here.outcomes("si") == ["given_up"])

        run(here, work, LONG)
        assert len(there.heard) == 1


def test_changed_rows_are_told_after_their_copy_and_what_keeps_them_is_entered(here: House) -> None:
    def changed(one: Told, news: News) -> Rows:
        if news.data["snapshot"] == 2:
            return Rows(why="clearance")
        data = {"connection": "rh", "stream": "agents", "snapshot": 1, "change": "inserted", "before": None, "after": {"id": 1}}
        made = [
            News(f"{news.id}.{n}", "sovereign.row.changed", news.at, news.subject, news.entry, "rh", data) for n in range(2)
        ]
        return Rows(made, left=3)

    with Receiver().listening() as there:
        one = subscriber(there.url, COMMITTED, changes=("rh.agents",), owner="agathe")
        here.declare(changed, si=one)
        here.commit(1, "other")
        here.commit(1)
        here.commit(2)

        async def work(at: Drill) -> None:
            await at.until(lambda: told(there) == [1, 1, 2] and here.outcomes("si") == ["told"] * 6)

        run(here, work)
        said = [each.json() for each in there.heard]
    kinds = ["committed", "committed", "changed", "changed", "committed", "lost"]
    assert [each["type"].rpartition(".")[2] for each in said] == kinds
    assert [int(each["sequence"]) for each in said] == [1, 2, 3, 4, 5, 9]
    assert [each.facts["why"] for each in here.acts("subscriber.withheld")] == ["clearance"]
    assert said[-1]["data"]["lost"] == 3


def test_no_entry_that_subscribers_have_yet_to_be_told_of_may_be_pruned(here: House) -> None:
    here.declare()
    assert here.subscribers is not None
    assert here.subscribers.awaited() is None
    here.declare(si=subscriber("http://127.0.0.1:9/"))
    entry = here.commit(1)
    assert here.subscribers.awaited() == entry - 1, "the secret that was made is an entry too"
    gather(here)
    assert here.subscribers.awaited() == entry + 1
    for number in range(600):
        here.commit(number)
    here.ahead = timedelta(days=400)
    with pytest.raises(Awaited):
        here.audit.prune(here.clock() - timedelta(days=1), unconfirmed=here.subscribers.awaited())
    gather(here)
    assert here.audit.prune(here.clock() - timedelta(days=1), unconfirmed=here.subscribers.awaited()) > 0
    here.declare()
    assert here.subscribers.awaited() is None
