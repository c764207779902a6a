"""Whatever state a step is in, its page says where it stands, what to do and who decides, in both languages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sovereign.flows.undoing import DONE as DONE_FOR_FLOWS
from sovereign.flows.undoing import WITHOUT_EFFECT
from sovereign.gateway.states import STATES
from sovereign.language import speak
from sovereign.reports.departing import lines, of_all, of_record
from sovereign.reports.departure import DONE, FAILED, GONE, OPEN, ROWS, STAGES, Asked, Step, Trace, latest, to_do
from sovereign.reports.model import Words
from sovereign.reports.page import dossier
from sovereign.reports.showing import lasting
from tests.servers.pages import read

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
STEP = Step(
    "depart", "ab" * 16, "", "change:rh.agents:1-2", AT, "annuaire", "annuaire.disable", False, True, "queued", None, AT, AT,
    "drh", intent="w-1", approval=Asked(("rssi", "dsi"), 2, AT, "open"),
)  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_write_has_a_stage_and_what_is_open_has_someone_who_decides(state: str) -> None:
    step = replace(STEP, state=state)
    assert step.stage(AT) in STAGES
    for each in to_do(step, AT) if step.open(AT) else ():
        assert each.label.fr
        assert each.label.en
    assert step.standing.label.fr != state


@pytest.mark.parametrize("state", sorted(ROWS))
@pytest.mark.parametrize("why", [None, "loop", "undo.none", "flow.unmapped"])
def test_every_state_of_a_row_has_a_stage_and_what_is_open_has_someone_who_decides(state: str, why: str | None) -> None:
    step = replace(STEP, taken=False, state=state, why=why)
    assert step.stage(AT) in STAGES
    assert not step.open(AT) or all(each.label.fr and each.label.en for each in to_do(step, AT))


def test_what_flows_take_for_done_is_done_here_and_what_had_no_effect_is_open_or_gone() -> None:
    assert DONE == DONE_FOR_FLOWS
    assert FAILED | GONE | {"did_not_happen"} == WITHOUT_EFFECT


def test_only_what_is_open_and_past_its_instant_is_late() -> None:
    later = AT + timedelta(hours=2)
    assert STEP.late(later) == 7200
    assert STEP.late(AT + timedelta(minutes=14)) is None
    assert replace(STEP, state="confirmed").late(later) is None
    assert replace(STEP, state="cancelled").late(later) is None
    assert replace(STEP, state="denied").late(later) == 7200
    assert replace(STEP, taken=False, state="waiting", wanted_at=later + timedelta(days=1)).late(later) is None


def test_the_latest_row_of_a_step_is_the_one_that_counts() -> None:
    done = replace(STEP, state="confirmed", ended_at=AT)
    undone = replace(done, undo=True, occasion_at=AT + timedelta(days=1))
    again = replace(STEP, state="queued", occasion_at=AT + timedelta(days=2))
    assert [each.stage(AT) for each in latest([undone, done])] == ["undone"]
    assert [each.stage(AT) for each in latest([again, undone, done])] == ["moving"]


def test_what_is_latest_comes_first_and_a_list_that_is_cut_says_so() -> None:
    speak("en")
    now = AT + timedelta(days=3)
    steps = [replace(STEP, record=f"{n:032x}", wanted_at=AT + timedelta(hours=n)) for n in range(5)]
    assert [line["record"] for line in lines(steps, now)] == [f"{n:032x}"[:12] for n in range(5)]
    whole, cut = (
        read(dossier(of_all(steps, [], site="Ville", zone="Europe/Paris", now=now, whole=each)).decode())
        for each in (True, False)
    )
    assert "more records than this list holds" in cut.text
    assert "more records than this list holds" not in whole.text


@pytest.mark.parametrize("tongue", ["fr", "en"])
def test_a_step_that_names_markup_is_text(tongue: str) -> None:
    speak(tongue)
    hostile = replace(STEP, name="<script>x</script>", write="<b>", owner="<i>", receipt="<u>", state="rejected")
    trace = Trace("depart", Words("<h1>", "<h1>"), "<i>", "ab" * 16, "", (hostile,), ())
    shown = read(dossier(of_record(trace, site="<x>", zone="Europe/Paris", now=AT)).decode())
    shown.sound(tongue)
    assert not shown.tags.keys() & {"script", "b", "i", "u"}


@pytest.mark.parametrize(
    ("seconds", "fr", "en"),
    [(0, "0 s", "0 s"), (59, "59 s", "59 s"),
     (3700, "1 h 1 min", "1 h 1 min"), (180_000, "2 j 2 h", "2 d 2 h"), (86_405, "1 j", "1 d")],
)  # fmt: skip
def test_a_duration_is_told_by_its_two_greatest_units(seconds: float, fr: str, en: str) -> None:
    assert tuple(lasting(seconds)) == (fr, en)


def test_stages_that_are_open_are_stages() -> None:
    assert set(STAGES) > OPEN
