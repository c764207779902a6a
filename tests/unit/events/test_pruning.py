"""An event goes in its time, and never before every flow has seen it; its name stays."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from sovereign.events.diary import Diary
from sovereign.events.pruning import Pruned, prune
from sovereign.events.reading import Told
from sovereign.settings import EventSource
from sovereign.state.flowing import flow_occasions, flows
from tests.servers.receiver import Receiver
from tests.servers.subscribed import House, house, subscriber

DAY = timedelta(days=1)
SOURCES = {"rh": EventSource(keep_days=10), "form": EventSource(keep_days=1000)}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "h") as made:
        yield made


def diary(here: House) -> Diary:
    return Diary(here.state, here.audit, here.keys, here.clock)


def take(here: House, name: str, type_: str = "rh.left", source: str = "rh") -> tuple[str, bool]:
    return diary(here).take(source, name, Told(type_, {"name": name}), b"{}", None)


def pruned(here: House) -> Pruned:
    return prune(here.state, here.audit, SOURCES, {}, here.clock())


def flow(here: House, name: str, state: str = "enabled", **position: Any) -> None:  # noqa: ANN401 - JSON
    row = {
        "flow": name,
        "digest": "d",
        "state": state,
        "since": here.clock(),
        "by_whom": "a",
        "position": dict(position.get("at", {})),
    }
    with here.state.begin() as transaction:
        transaction.execute(insert(flows).values(**row))


def kept(here: House) -> list[str]:
    return [str(diary(here).one(each.id)["name"]) for each in reversed(diary(here).list(1000))]  # type: ignore[index]


def test_an_event_goes_in_the_time_of_its_source_and_is_still_known_when_it_is_sent_again(here: House) -> None:
    first, _ = take(here, "a")
    take(here, "b", source="form")
    here.ahead = 9 * DAY
    take(here, "c")
    assert pruned(here) == Pruned(0, 0)
    assert here.acts("event.pruned") == []
    here.ahead = 11 * DAY
    assert pruned(here) == Pruned(1, 0)
    assert kept(here) == ["b", "c"]
    assert [each.facts for each in here.acts("event.pruned")] == [{"events": 1, "messages": 0}]
    assert take(here, "a") == (first, False)
    assert kept(here) == ["b", "c"]
    assert diary(here).body(first) is None


def test_the_latest_position_stays_so_that_what_comes_next_is_after_what_any_flow_has_seen(here: House) -> None:
    take(here, "a")
    take(here, "b")
    flow(here, "depart", at={"rh.left": diary(here).last("rh.left")})
    here.ahead = 100 * DAY
    assert pruned(here) == Pruned(1, 0)
    take(here, "c")
    assert [data["name"] for _, _, data in diary(here).after("rh.left", 2, 10)] == ["c"]


@pytest.mark.parametrize("state", ["enabled", "disabled"])
def test_what_a_flow_has_yet_to_see_stays_whether_it_is_in_force_or_not(here: House, state: str) -> None:
    for name in "abcd":
        take(here, name)
    take(here, "other", "rh.moved")
    take(here, "last", "rh.moved")
    flow(here, "depart", state, at={"rh.left": 2})
    flow(here, "quick", at={"rh.left": 4, "rh.moved": 6})
    here.ahead = 100 * DAY
    pruned(here)
    assert kept(here) == ["c", "d", "last"]
    with here.state.begin() as transaction:
        transaction.execute(update(flows).values(position={"rh.left": 4, "rh.moved": 6}))
    pruned(here)
    assert kept(here) == ["last"]


@pytest.mark.parametrize(("state", "stays"), [("held", True), ("failed", True), ("taken", False), ("dropped", False)])
def test_what_a_flow_holds_or_could_not_read_stays(here: House, state: str, stays: bool) -> None:
    id_, _ = take(here, "a")
    take(here, "b")
    flow(here, "depart", at={"rh.left": 2})
    row = {"flow": "depart", "occasion": f"event:{id_}", "at": here.clock(), "state": state, "found": 1}
    with here.state.begin() as transaction:
        transaction.execute(insert(flow_occasions).values(**row))
    here.ahead = 100 * DAY
    pruned(here)
    assert kept(here) == (["a", "b"] if stays else ["b"])


def test_more_than_a_piece_goes_in_one_turn(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sovereign.events.pruning.PIECE", 3)
    for number in range(8):
        take(here, str(number))
    here.ahead = 100 * DAY
    assert pruned(here) == Pruned(7, 0)


def test_a_message_that_waits_stays_and_one_that_is_over_goes_in_its_time(here: House) -> None:
    with Receiver().listening() as there:
        declared = {"si": subscriber(there.url, keep_days=10)}
        here.declare(**declared)
        assert here.outbox is not None
        assert here.subscribers is not None
        for number in range(3):
            here.commit(number + 1)
        while here.outbox.gather(here.subscribers.all()):
            pass
        first, second, _ = here.outbox.due("si", 1, ()) + list(reversed(here.outbox.list("si")))[1:]
        here.outbox.end(first, "told", None, 1, 204)
        here.outbox.end(second, "given_up", "http.500", 9, 500)
        here.ahead = 9 * DAY
        assert prune(here.state, here.audit, {}, declared, here.clock()) == Pruned(0, 0)
        here.ahead = 11 * DAY
        assert prune(here.state, here.audit, {}, declared, here.clock()) == Pruned(0, 2)
        assert here.outcomes("si") == ["waiting"]
        here.commit(4)
        here.outbox.gather(here.subscribers.all())
        assert [row.sequence for row in here.rows("si")] == [3, 4]
