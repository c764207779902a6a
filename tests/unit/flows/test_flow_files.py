"""A flow file says what it means, or which field is wrong; a row gives a payload, or the place where it cannot."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.flows.errors import BadFlow, Unmapped
from sovereign.flows.flow import Step, changed, columns_of, parse, readable
from sovereign.flows.mapping import payload
from sovereign.flows.planning import Plan, plan

GOOD = """
title = "Un départ"
owner = "rh"
on = { change = "rh.agents" }
key = ["id"]
select = "SELECT after.id AS id FROM changes('rh.agents')"
[[do]]
connection = "annuaire"
operation = "disable"
payload = { id = "{id}" }
"""
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def test_a_flow_file_is_read_whole() -> None:
    file = parse("depart", GOOD)
    assert (file.client, file.flow.do[0].name, file.datasets) == ("flow-depart", "annuaire", {"rh.agents"})
    assert file.digest == parse("depart", GOOD).digest != parse("depart", GOOD + "\n").digest


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        ('owner = "rh"', "", "owner"),
        ('owner = "rh"', 'owner = "rh"\ncolour = "red"', "colour"),
        ('{ change = "rh.agents" }', '{ change = "rh.agents", event = "a" }', "on"),
        ('{ change = "rh.agents" }', '{ change = "rh" }', "on.change"),
        ('{ change = "rh.agents" }', '{ every = "sometimes" }', "on.every"),
        ('key = ["id"]', "key = []", "key"),
        ("SELECT after.id AS id FROM changes('rh.agents')", "DELETE FROM rh.agents", "select"),
        ("SELECT after.id AS id FROM changes('rh.agents')", "SELECT * FROM read_csv('/etc/passwd')", "select"),
        ("changes('rh.agents')", "changes('paie.agents')", "select"),
        ('operation = "disable"', "operation = 3", "do[0].operation"),
        ('operation = "disable"', 'operation = "a"\npayload = {}\n[[do]]\nconnection = "annuaire"\noperation = "x"', "do.name"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_wrong_field_is_named_and_its_value_is_not_said(was: str, becomes: str, field: str) -> None:
    with pytest.raises(BadFlow) as refused:
        parse("depart", GOOD.replace(was, becomes))
    assert refused.value.fields["field"] == field
    assert "passwd" not in str(refused.value)


def step(template: dict[str, Any]) -> Step:
    return Step("annuaire", "disable", template, name="annuaire")


def test_a_column_keeps_its_type_alone_and_is_written_within_a_text() -> None:
    row = {"id": 7, "nom": "Éloïse", "part": Decimal("12.50"), "le": date(2026, 1, 2), "vide": None, "oui": True}
    template = {
        "id": "{id}", "part": "{part}", "le": "{le}", "vide": "{vide}", "texte": "{nom} ({id}), {part}, {le}, {oui}",
        "dans": [{"n": "{nom}"}, "{vide}"], "brut": "{{id}}", "fixe": 3,
    }  # fmt: skip
    assert payload(step(template), row) == {
        "id": 7, "part": Decimal("12.50"), "le": "2026-01-02", "texte": "Éloïse (7), 12.50, 2026-01-02, true",
        "dans": [{"n": "Éloïse"}], "brut": "{id}", "fixe": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("template", "pointer"), [({"a": {"b": ["{rien}"]}}, "/a/b/0"), ({"t": "x {vide}"}, "/t")])
def test_a_row_that_gives_no_payload_is_told_by_place_alone(template: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Unmapped) as refused:
        payload(step(template), {"vide": None, "nir": "285057800608436"})
    assert refused.value.fields["pointer"] == pointer
    assert "285057800608436" not in str(refused.value)


@given(
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=20) | st.integers() | st.none(), max_size=3), st.text(max_size=30)
)
def test_whatever_a_row_holds_its_text_is_never_read_as_a_template(row: dict[str, Any], more: str) -> None:
    made = payload(step({"a": "{a}", "fixed": more.replace("{", "{{").replace("}", "}}")}), {"a": None, **row})
    assert made.get("a") == row.get("a")
    assert made["fixed"] == more


def test_the_columns_of_a_template_are_found_and_braces_are_not() -> None:
    assert columns_of({"a": "{x} and {{y}}", "b": ["{z}", {"c": "{x}"}]}) == {"x", "z"}


def test_changes_become_a_table_that_no_connection_can_bear() -> None:
    sql = "SELECT * FROM changes( 'RH.agents' ) c"
    assert (changed(sql), readable(sql)) == ({"rh.agents"}, 'SELECT * FROM "changes of"."rh.agents" c')


def test_a_plan_holds_what_cannot_be_trusted_and_stops_what_cannot_be_mapped() -> None:
    flow = parse("depart", GOOD.replace('key = ["id"]', 'key = ["id"]\nwhen = "le"\nmost = 3')).flow

    def made(*rows: dict[str, Any], lately: int = 0) -> Plan:
        return plan(flow, "change:rh.agents:12-13", rows, NOW, PARIS, lambda _: lately)

    assert made({"id": 1, "le": None}).held is None
    assert made({"id": None}).held == "key_missing"
    assert made({"id": 1}, {"id": 1}).held == "key_repeated"
    assert made(*({"id": number} for number in range(4))).held == "too_many"
    assert [each.why for each in made({"id": 1}, lately=3).rows] == ["loop"]
    assert [each.why for each in made({"id": 1, "le": "demain"}).rows] == ["when"]
    due = made({"id": 1, "le": "2026-12-31"}, {"id": 2, "le": datetime(2020, 1, 1)}).rows  # noqa: DTZ001 - as a copy gives it
    assert [each.due_at for each in due] == [datetime(2026, 12, 30, 23, tzinfo=UTC), NOW]


FILED = (
    GOOD
    + """
[[do]]
name = "fichier"
connection = "echanges"
operation = "write_file"
rows = ["id", "part", "le"]
needs = "part"
payload = { name = "departs-{occasion_date}-{occasion}.csv", text = "{{id}}" }
"""
)


def test_a_step_with_rows_takes_them_all_at_once_after_the_others() -> None:
    flow = parse("depart", FILED).flow
    rows = [
        {"id": 1, "part": Decimal("1.10"), "le": date(2026, 1, 2), "nir": "never asked for"},
        {"id": 2, "part": None, "le": None, "nir": ""},
        {"id": 3, "part": Decimal(2), "le": None, "nir": ""},
    ]
    late = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)
    made = plan(flow, "change:rh.agents:12-13", rows, late, PARIS, lambda _: 0).rows
    assert [(each.key, each.step) for each in made] == [
        ((1,), "annuaire"),
        ((2,), "annuaire"),
        ((3,), "annuaire"),
        (("*",), "fichier"),
    ]
    assert payload(flow.do[1], made[-1].row) == {
        "name": "departs-2026-11-30-rh.agents-12-13.csv", "text": "{id}", "columns": ["id", "part", "le"],
        "rows": [{"id": 1, "part": Decimal("1.10"), "le": "2026-01-02"}, {"id": 3, "part": Decimal(2), "le": None}],
    }  # fmt: skip


def test_no_row_makes_no_file_and_a_column_that_is_not_there_stops_it() -> None:
    flow = parse("depart", FILED).flow
    assert plan(flow, "every:x", [], NOW, PARIS, lambda _: 0).rows == []
    assert [each.step for each in plan(flow, "every:x", [{"id": 1, "part": ""}], NOW, PARIS, lambda _: 0).rows] == ["annuaire"]
    often = plan(flow, "every:x", [{"id": 1, "part": 2, "le": None}], NOW, PARIS, lambda key: 120 if key == ("*",) else 0).rows
    assert [each.why for each in often] == [None, "loop"]
    stopped = plan(flow, "every:x", [{"id": 1, "part": 2}], NOW, PARIS, lambda _: 0).rows[-1]
    assert (stopped.step, stopped.why) == ("fichier", "flow.unmapped")


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        ('rows = ["id", "part", "le"]', "rows = []", "do[1].rows"),
        ('rows = ["id", "part", "le"]', 'rows = ["id", "id"]', "do[1].rows"),
        ('rows = ["id", "part", "le"]', 'rows = ["no; column"]', "do[1].rows"),
        ('text = "{{id}}"', 'text = "{id}"', "do[1].payload"),
        ('text = "{{id}}"', 'rows = "x"', "do[1].payload"),
        ('needs = "part"', 'needs = "part"\nundo = "remove"', "do[1].undo"),
        ('key = ["id"]', 'key = ["id"]\nwhen = "le"', "do[1].rows"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_a_step_with_rows_cannot_do_is_refused(was: str, becomes: str, field: str) -> None:
    with pytest.raises(BadFlow) as refused:
        parse("depart", FILED.replace(was, becomes))
    assert refused.value.fields["field"] == field


def test_a_flow_that_writes_files_alone_asks_nothing_of_each_record() -> None:
    alone = FILED.replace('[[do]]\nconnection = "annuaire"\noperation = "disable"\npayload = { id = "{id}" }\n', "")
    asked: list[object] = []
    rows = [{"id": number, "part": number, "le": None} for number in range(50)]
    made = plan(parse("depart", alone).flow, "every:x", rows, NOW, PARIS, lambda key: asked.append(key) or 0)
    assert ([each.step for each in made.rows], made.found, asked) == (["fichier"], 50, [("*",)])
