"""Pages hold whatever their words are: dates as people write them, titles that cannot leave their style."""

from datetime import UTC, datetime

import pytest

from sovereign.language import speak
from sovereign.reports.model import Column, Dossier, Fact, Section, Table, Words
from sovereign.reports.page import dossier
from tests.servers.pages import read

AT = datetime(2026, 11, 29, 14, 7, tzinfo=UTC)
HOSTILE = "n°\"}</style><script>alert('é')</script>\\"


def _page(title: str = "lu", rows: int = 1, columns: int = 2) -> str:
    heads = tuple(Column(f"c{number}", Words(f"{title}{number}", f"{title}{number}")) for number in range(columns - 1))
    table = Table(
        "t", Words("t", "t"), (*heads, Column("at", Words("le", "at"), "time")), [("x" * 60,) * (columns - 1) + (AT,)] * rows
    )
    facts = (Fact("since", Words("depuis", "since"), AT, "time"),)
    made = Dossier("k", Words("d", "d"), "Ville", AT, "Europe/Paris", facts, (Section("s", Words("s", "s"), (table,)),))
    return dossier(made).decode()


@pytest.mark.parametrize(("tongue", "told"), [("fr", "29/11/2026 15:07:00 CET"), ("en", "2026-11-29 15:07:00 CET")])
def test_instants_are_written_as_people_of_that_language_write_them(tongue: str, told: str) -> None:
    speak(tongue)
    page = _page()
    read(page).sound(tongue)
    assert page.count(told) == 3  # made at, a fact, a cell
    assert 'datetime="2026-11-29T14:07:00+00:00"' in page


def test_a_hostile_title_stays_within_its_style() -> None:
    speak("fr")
    page = read(_page(HOSTILE))
    page.sound("fr")
    assert page.tags["style"] == 1
    assert HOSTILE + "0" in page.text  # as the title of its column
    assert "<" not in page.style


@pytest.mark.parametrize(("columns", "broad"), [(9, 0), (10, 1)])
def test_a_table_too_wide_for_paper_is_printed_row_by_row(columns: int, broad: int) -> None:
    assert _page(columns=columns).count('class="broad"') == broad
