"""What differs from what is declared is marked, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest

from sovereign.cartography.chart import KINDS, MARKS, SHORT
from sovereign.cartography.marks import marks, silent
from sovereign.cartography.register import EEA, MISSING, Place, Processing, table
from sovereign.reports.labels import FINDINGS
from sovereign.reports.model import Code, Words
from sovereign.reports.sheets import sheet
from sovereign.sync.cadence import parse

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("declared", "observed", "classes", "found", "expected"),
    [
        (True, True, None, ("sensitive",), ()),
        (True, True, ("internal",), ("internal",), ()),
        (True, True, ("internal",), ("internal", "personal"), ("above",)),
        (True, True, (), ("personal",), ("above",)),
        (True, True, ("sensitive",), ("personal",), ()),
        (True, False, None, (), ("unseen",)),
        (False, True, None, (), ("undeclared",)),
        (False, False, None, (), ()),
    ],
)
def test_marks_say_where_the_two_differ(
    declared: bool, observed: bool, classes: tuple[str, ...] | None, found: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert marks(declared=declared, observed=observed, classes=classes, found=found) == expected


@pytest.mark.parametrize(("hours", "expected"), [(0.5, False), (1.5, False), (3.1, True)])
def test_silence_is_two_instants_of_the_cadence(hours: float, expected: bool) -> None:
    assert silent(parse("every hour"), "rh", NOW - timedelta(hours=hours), NOW) is expected


def test_what_has_no_cadence_or_was_never_seen_is_not_silent() -> None:
    assert not silent(None, "rh", NOW, NOW)
    assert not silent(parse("every hour"), "rh", None, NOW)


def test_every_mark_and_kind_has_words_in_both_languages() -> None:
    assert set(MARKS) == set(SHORT)
    for words in (*MARKS.values(), *SHORT.values(), *KINDS.values()):
        assert words.fr
        assert words.en
    assert {"nir", "iban"} <= set(FINDINGS)


def test_nothing_is_invented_for_the_record() -> None:
    (row,) = table([Processing("rh", Code("copy", Words("c", "c")), places=(Place("rh.example"),))]).rows
    told = dict(zip((column.key for column in table([]).columns), row, strict=True))
    assert all(told[name] == MISSING for name in ("purpose", "controller", "owner", "basis", "persons", "data", "safeguards"))
    missing = told["missing"]
    assert isinstance(missing, tuple)
    assert {each.code for each in missing if isinstance(each, Code)} == {
        "purpose", "controller", "owner", "basis", "persons", "data", "transfers", "safeguards", "retention",
    }  # fmt: skip


@pytest.mark.parametrize(("country", "expected"), [("FR", "none_needed"), ("US", "to_complete"), (None, "to_complete")])
def test_safeguards_are_asked_for_beyond_the_european_economic_area(country: str | None, expected: str) -> None:
    cells = Processing("rh", Code("copy", Words("c", "c")), places=(Place("rh.example", country),)).cells()
    safeguards = dict(zip((column.key for column in table([]).columns), cells, strict=True))["safeguards"]
    assert isinstance(safeguards, Code)
    assert safeguards.code == expected
    assert len(EEA) == 30


def test_a_formula_in_a_purpose_is_no_formula_in_the_sheet() -> None:
    written = sheet(table([Processing("rh", Code("copy", Words("c", "c")), purpose="=HYPERLINK(1)")]), "Europe/Paris").decode(
        "utf-8-sig"
    )
    assert ",'=HYPERLINK(1)," in written
