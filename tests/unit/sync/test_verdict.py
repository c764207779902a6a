"""Verdicts and quarantine, as their laws say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_connectors.connector import Evidence
from sovereign.sync.verdict import Facts, Guards, hold, judge


def count(*numbers: int) -> list[Evidence]:
    return [Evidence("s", "vendor_count", None, {"count": number}) for number in numbers]


def test_a_matching_count_makes_a_read_complete() -> None:
    assert judge("s", count(100), Facts(full=True, distinct=100)).state == "complete"


def test_without_a_count_continuous_pages_prove_nothing_more() -> None:
    assert judge("s", [], Facts(full=True, distinct=100)).state == "unverified"


def test_a_vendor_that_counts_more_than_was_read_makes_it_partial() -> None:
    verdict = judge("s", count(101), Facts(full=True, distinct=100))
    assert verdict.state == "partial"
    assert verdict.evidence[-1].detail == {"count": 101, "read": 100}


def test_a_vendor_that_counts_fewer_than_it_gave_proves_nothing() -> None:
    assert judge("s", count(90), Facts(full=True, distinct=100)).state == "unverified"


def test_counts_that_move_while_people_work_match_anything_between_them() -> None:
    assert judge("s", count(98, 103, 101), Facts(full=True, distinct=100)).state == "complete"
    assert judge("s", count(98, 99), Facts(full=True, distinct=97)).state == "partial"


def test_records_that_came_back_may_hide_others_unless_the_count_clears_it() -> None:
    assert judge("s", [], Facts(full=True, distinct=100, repeated_same=10)).state == "partial"
    assert judge("s", count(100), Facts(full=True, distinct=100, repeated_same=10)).state == "complete"
    assert judge("s", [], Facts(full=False, distinct=100, repeated_same=10)).state == "unverified"


def test_a_page_that_came_twice_is_cleared_by_a_matching_count_alone() -> None:
    twice = Evidence("s", "page_repeated", False, {"page": 4})
    assert judge("s", [twice], Facts(full=True, distinct=100)).state == "partial"
    assert judge("s", [twice, *count(100)], Facts(full=True, distinct=100, repeated_same=5)).state == "complete"


@pytest.mark.parametrize("check", ["filter_ignored", "went_backwards", "invalid_records", "page_cap"])
def test_what_speaks_against_completeness_prevails(check: str) -> None:
    evidence = [Evidence("s", check, False), *count(100)]
    assert judge("s", evidence, Facts(full=True, distinct=100)).state == "partial"


def test_remarks_and_other_streams_do_not_weigh() -> None:
    evidence = [Evidence("s", "suspect_values", None, {"count": 3}), Evidence("t", "filter_ignored", False), *count(100)]
    assert judge("s", evidence, Facts(full=True, distinct=100)).state == "complete"


def test_records_the_contract_refused_are_missing() -> None:
    assert judge("s", count(100), Facts(full=True, distinct=100, discarded=1)).state == "partial"


@pytest.mark.parametrize(
    ("previous", "rows", "deleted", "rule"),
    [
        (None, 0, 0, None), (0, 0, 0, None), (100, 0, 100, "empty"), (100, 49, 51, "fall"), (100, 50, 30, None),
        (100, 99, 31, "deletions"), (100, 70, 30, None), (1, 1, 0, None),
    ],
)  # fmt: skip
def test_a_copy_is_held_when_it_shrinks_more_than_allowed(
    previous: int | None, rows: int, deleted: int, rule: str | None
) -> None:
    held = hold(previous=previous, rows=rows, deleted=deleted, guards=Guards())
    assert (held.rule if held else None) == rule
    if held:
        assert str(previous) in held.fr
        assert str(previous) in held.en


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_open_guards_hold_nothing_but_an_empty_copy(previous: int, rows: int, deleted: int) -> None:
    held = hold(previous=previous, rows=rows, deleted=min(deleted, previous), guards=Guards(max_fall=1, max_deletions=1))
    assert (held.rule if held else None) == ("empty" if rows == 0 else None)
