"""Cadences in plain words, at both changes of hour."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.sync.cadence import parse
from sovereign.sync.errors import BadCadence


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def dues(cadence: str, start: str, count: int, name: str = "arbres") -> list[str]:
    understood, instant, found = parse(cadence), at(start), []
    for _ in range(count):
        instant = understood.after(instant, name)
        found.append(instant.strftime("%m-%d %H:%M"))
    return found


def test_a_time_of_day_is_the_zones_summer_and_winter() -> None:
    assert dues("every day at 03:30", "2026-03-27T12:00", 3) == ["03-28 02:30", "03-29 01:30", "03-30 01:30"]
    assert dues("chaque jour à 03:30", "2026-10-24T12:00", 2) == ["10-25 02:30", "10-26 02:30"]


def test_a_time_that_spring_skips_falls_due_an_hour_later_once() -> None:
    assert dues("every day at 02:30", "2026-03-28T12:00", 2) == ["03-29 01:30", "03-30 00:30"]


def test_a_time_that_autumn_repeats_falls_due_once() -> None:
    assert dues("every day at 02:30", "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_intervals_do_not_notice_a_change_of_hour() -> None:
    for night in ("2026-03-28T22:07", "2026-10-24T22:07"):
        understood, instant = parse("every 15 minutes"), at(night)
        found = [instant := understood.after(instant, "arbres") for _ in range(40)]
        assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=15)}


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("toutes les 15 minutes", "every 15 minutes"),
        ("toutes les heures", "every hour"),
        ("tous les 3 jours", "every 3 days"),
        ("toutes les 2 heures entre 08:00 et 19:00", "every 2 hours between 08:00 and 19:00"),
        ("toutes les 30 minutes les jours ouvrés entre 8h00 et 19h00", "every 30 minutes on weekdays between 08:00 and 19:00"),
        ("chaque jour à 03:30", "every day at 03:30"),
        ("tous les jours à 08:00 et 18:00", "every day at 08:00 and 18:00"),
        ("chaque lundi à 06:00", "every monday at 06:00"),
        ("tous les lundis et jeudis à 06:00", "every monday and thursday at 06:00"),
        ("chaque jour ouvré à 07:00", "every weekday at 07:00"),
        ("Chaque jour  à 03h30 étalé sur 20 minutes", "every day at 03:30 spread over 20 minutes"),
    ],
)
def test_french_and_english_say_the_same(french: str, english: str) -> None:
    assert dues(french, "2026-11-20T10:00", 12) == dues(english, "2026-11-20T10:00", 12)


def test_weekly_and_weekday_times() -> None:
    assert dues("every monday at 06:00", "2026-11-23T06:00", 2) == ["11-30 05:00", "12-07 05:00"]
    assert dues("every weekday at 07:00", "2026-11-20T12:00", 2) == ["11-23 06:00", "11-24 06:00"]


def test_a_window_opens_with_a_run_and_none_starts_outside_it() -> None:
    found = dues("every 2 hours between 08:00 and 13:00 spread over 0 minutes", "2026-11-23T00:00", 4)
    assert found == ["11-23 07:00", "11-23 09:00", "11-23 11:00", "11-24 07:00"]


def test_a_window_may_cross_midnight() -> None:
    found = dues("every 3 hours between 22:00 and 05:00 spread over 0 minutes", "2026-11-23T12:00", 4)
    assert found == ["11-23 21:00", "11-24 00:00", "11-24 03:00", "11-24 21:00"]


def test_starts_are_spread_the_same_way_every_time() -> None:
    cadence = parse("every day at 03:30 spread over 60 minutes")
    first = {name: cadence.after(at("2026-11-23T00:00"), name) for name in map(str, range(200))}
    assert len(set(first.values())) > 150
    assert all(at("2026-11-23T02:30") <= due < at("2026-11-23T03:30") for due in first.values())
    assert first == {name: cadence.after(at("2026-11-23T00:00"), name) for name in first}


@pytest.mark.parametrize(
    "text",
    ["", "sometimes", "every 0 minutes", "every day at 25:00", "every day", "every blursday at 06:00", "every -5 minutes",
     "every day at 03:30 between 08:00 and 19:00", "every 99999 hours", "every 40 days", "every 0 days",
     "every saturday at 06:00 on weekdays"],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadCadence) as refused:
        parse(text)
    assert "every 15 minutes" in refused.value.diagnostics("en").todo
    assert "toutes les 15 minutes" in refused.value.diagnostics("fr").todo


@given(
    st.sampled_from(
        ["every 15 minutes", "every 7 hours", "every day at 02:30", "every sunday at 02:10 spread over 40 minutes",
         "every 50 minutes on weekdays between 07:00 and 20:00", "every hour between 21:00 and 04:00"]
    ),
    st.integers(int(at("2025-01-01").timestamp()), int(at("2030-01-01").timestamp())),
)  # fmt: skip
def test_due_instants_do_not_depend_on_when_one_asks(text: str, moment: int) -> None:
    cadence, instant = parse(text), datetime.fromtimestamp(moment, UTC)
    due = cadence.after(instant, "arbres")
    assert instant < due <= instant + timedelta(days=8)
    between = instant + (due - instant) / 2
    assert cadence.after(between, "arbres") == (due if between < due else cadence.after(due, "arbres"))
