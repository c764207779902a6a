"""What a vendor host's budget promises."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from sovereign.egress.budget import Budgets
from sovereign.egress.errors import Interrupted, Waiting
from sovereign.egress.waiting import quota_reset, retry_after
from tests.servers.wayout import Time

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_rate_is_kept_over_any_stretch_of_time() -> None:
    time = Time()
    budget = Budgets(time.monotonic).join("ville.fr", 443, time, rate=5.0, concurrency=1)
    for _ in range(51):
        budget.enter(time.clock, time.sleep, threading.Event(), 0.0)
        budget.leave()
    assert sum(time.sleeps) == pytest.approx(10.0)


def test_an_idle_budget_does_not_save_up_a_burst() -> None:
    time = Time()
    budget = Budgets(time.monotonic).join("ville.fr", 443, time, rate=20.0, concurrency=1)
    time.present += timedelta(hours=1)
    began = time.present
    for _ in range(20):
        budget.enter(time.clock, time.sleep, threading.Event(), 0.0)
        budget.leave()
    assert (time.present - began).total_seconds() == pytest.approx(18 / 20)


def test_the_smallest_rate_of_those_who_share_a_host_holds_and_leaves_with_its_owner() -> None:
    time = Time()
    budgets = Budgets(time.monotonic)
    slow, fast = object(), object()
    budget = budgets.join("ville.fr", 443, fast, rate=None, concurrency=4)
    assert budgets.join("ville.fr", 443, slow, rate=1.0, concurrency=4) is budget
    for _ in range(3):
        budget.enter(time.clock, time.sleep, threading.Event(), 0.0)
        budget.leave()
    assert sum(time.sleeps) == pytest.approx(2.0)
    budgets.part(slow)
    budget.enter(time.clock, time.sleep, threading.Event(), 0.0)
    assert sum(time.sleeps) == pytest.approx(2.0)


def test_another_port_is_another_vendor() -> None:
    budgets = Budgets()
    assert budgets.join("ville.fr", 443, budgets, rate=None, concurrency=1) is not budgets.join(
        "ville.fr", 8443, budgets, rate=None, concurrency=1
    )


def test_an_interrupted_wait_gives_its_token_back() -> None:
    time = Time()
    budget = Budgets(time.monotonic).join("ville.fr", 443, time, rate=1.0, concurrency=1)

    def interrupted(_: float) -> None:
        raise Interrupted

    budget.enter(time.clock, time.sleep, threading.Event(), 0.0)
    budget.leave()
    for _ in range(5):
        with pytest.raises(Interrupted):
            budget.enter(time.clock, interrupted, threading.Event(), 0.0)
    budget.enter(time.clock, time.sleep, threading.Event(), 0.0)
    assert sum(time.sleeps) == pytest.approx(1.0)


def test_a_closure_only_grows() -> None:
    time = Time()
    budget = Budgets(time.monotonic).join("ville.fr", 443, time, rate=None, concurrency=1)
    budget.close(time.present + timedelta(hours=2))
    budget.close(time.present + timedelta(hours=1))
    with pytest.raises(Waiting) as waiting:
        budget.enter(time.clock, time.sleep, threading.Event(), 30.0)
    assert waiting.value.fields["until"] == time.present + timedelta(hours=2)


def test_whoever_finds_a_host_closed_is_told_the_instant_by_the_clock_of_now() -> None:
    time = Time()
    budget = Budgets(time.monotonic).join("ville.fr", 443, time, rate=None, concurrency=4)
    assert budget.heed(503, {"retry-after": "60"}, time.present, 1.0)
    back = time.present - timedelta(days=2)
    with pytest.raises(Waiting) as told:
        budget.enter(lambda: back, time.sleep, threading.Event(), 0.0)
    assert told.value.fields["until"] == back + timedelta(seconds=60)
    with pytest.raises(Waiting) as told:
        budget.enter(lambda: time.present, time.sleep, threading.Event(), 0.0)
    assert told.value.fields["until"] == time.present + timedelta(seconds=60)


def test_a_clock_that_is_set_back_keeps_a_host_closed_no_longer_than_it_asked() -> None:
    time = Time()
    budget = Budgets(time.monotonic).join("ville.fr", 443, time, rate=None, concurrency=4)
    back = timedelta(days=1)
    assert budget.heed(429, {"retry-after": "60"}, time.present, 1.0)
    time.present += timedelta(seconds=59)
    with pytest.raises(Waiting):
        budget.enter(lambda: time.present - back, time.sleep, threading.Event(), 0.5)
    time.present += timedelta(seconds=2)
    budget.enter(lambda: time.present - back, time.sleep, threading.Event(), 0.5)
    assert budget.heed(429, {"retry-after": "60"}, time.present, 1.0)
    assert budget.heed(429, {"retry-after": "120"}, time.present - back, 1.0)
    time.present += timedelta(seconds=61)
    with pytest.raises(Waiting):
        budget.enter(lambda: time.present - back, time.sleep, threading.Event(), 0.5)


def test_a_host_can_be_reopened_by_whoever_knows_better() -> None:
    time = Time()
    budgets = Budgets(time.monotonic)
    budget = budgets.join("ville.fr", 443, time, rate=None, concurrency=1)
    budget.close(time.present + timedelta(hours=2))
    budgets.reopen()
    assert budget.enter(time.clock, time.sleep, threading.Event(), 0.0) == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", NOW), ("120", NOW + timedelta(seconds=120)), (" 7 ", NOW + timedelta(seconds=7)),
        ("604800", NOW + timedelta(days=7)),
        ("Mon, 23 Nov 2026 12:10:00 GMT", NOW + timedelta(minutes=10)),
        ("Monday, 23-Nov-26 12:10:00 GMT", NOW + timedelta(minutes=10)),
        ("Mon, 23 Nov 2026 11:00:00 GMT", NOW), ("999999999999", datetime(9999, 12, 31, tzinfo=UTC)),
        ("99999999999999999999", datetime(9999, 12, 31, tzinfo=UTC)),
        ("5 minutes", NOW + timedelta(minutes=5)), ("1 hour", NOW + timedelta(hours=1)), ("30s", NOW + timedelta(seconds=30)),
        ("5 moons", None), ("5 minutes or so", None), ("soon", None), ("", None), ("-5", None), ("1.5", None), ("٣", None),
        ("Mon, 99 Nov 2026 12:10:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date_of_any_length(value: str, expected: datetime | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == expected


def test_a_date_is_read_against_the_vendors_own_clock() -> None:
    headers = {"retry-after": "Mon, 23 Nov 2026 09:10:00 GMT", "date": "Mon, 23 Nov 2026 09:00:00 GMT"}
    assert retry_after(headers, NOW) == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3600", NOW + timedelta(hours=1)),
        (str(int((NOW + timedelta(hours=9)).timestamp())), NOW + timedelta(hours=9)),
        (str(int((NOW - timedelta(hours=9)).timestamp())), NOW),
        ((NOW + timedelta(hours=9)).isoformat(), NOW + timedelta(hours=9)),
        ((NOW + timedelta(hours=9)).strftime("%Y-%m-%d %H:%M:%S"), NOW + timedelta(hours=9)),
        ("999999999999", datetime(9999, 12, 31, tzinfo=UTC)),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
    ids=["seconds", "since 1970", "past", "a date", "without a zone", "the end of time", "a word", "nothing", "negative"],
)
def test_the_end_of_a_quota_is_read_however_it_is_written(value: str, expected: datetime | None) -> None:
    assert quota_reset({"x-ratelimit-reset": value}, NOW) == expected
