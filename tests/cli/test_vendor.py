"""What an operator types about vendors: breaking the glass is entered loudly, by two people, and names nobody in clear."""

from pathlib import Path

import pytest

from sovereign.site import Site

from .conftest import Run

SAID = ("--since", "2026-01-02T10:00", "--until", "2026-01-02T11:00", "--reason", "certificate of town hall")


def test_a_write_made_outside_the_gateway_is_entered_by_two_people_whose_names_are_sealed(run: Run, pulled: Path) -> None:
    said = run("vendor", "bypassed", "geo", "--by", "agathe", "--by", "berthe", *SAID, "--json")
    assert said.code == 0, said.err
    (entry,) = run("audit", "show", "--act", "vendor.bypassed", "--json").records
    assert entry["facts"] == {"people": 2, "since": "2026-01-02T09:00:00Z", "until": "2026-01-02T10:00:00Z"}
    with Site.open(pulled) as site:
        (entered,) = site.audit.entries(act="vendor.bypassed")
    assert (entered.body["people"], entered.body["reason"]) == (["agathe", "berthe"], "certificate of town hall")
    database = b"".join(file.read_bytes() for file in pulled.glob("state.db*"))
    assert b"berthe" not in database
    assert b"town hall" not in database


@pytest.mark.parametrize(
    "line",
    [
        ("--by", "agathe", *SAID), ("--by", "agathe", "--by", "Agathé ", *SAID),
        ("--by", "a", "--by", "b", "--since", "2026-01-03", "--until", "2026-01-02", "--reason", "r"),
        ("--by", "a", "--by", "b", "--since", "2026-01-03", "--until", "2999-01-02", "--reason", "r"),
    ],
)  # fmt: skip
def test_neither_one_person_alone_nor_an_hour_that_cannot_be_is_entered(run: Run, pulled: Path, line: tuple[str, ...]) -> None:
    assert run("vendor", "bypassed", "geo", *line).code == 2
    with Site.open(pulled) as site:
        assert site.audit.entries(act="vendor.bypassed") == ()
