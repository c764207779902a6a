"""What a run tells of a vendor's drift: every news once, and no name that may be personal."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sovereign.cli.main import main
from sovereign.cli.output import Output
from sovereign.sync.outcome import RunOutcome
from tests.servers.sites import AGENTS, Town, agents, town

MORE = {"birth": "1970-01-01", "childhood_name": "Durand", "rank": 7}


def drift(outcome: RunOutcome) -> list[dict[str, Any]]:
    return sorted(({**each} for each in outcome.streams[0].drift), key=lambda each: (each["action"], each["class"]))


def grow(here: Town, **fields: object) -> None:
    here.table.put(*({**row, **fields} for row in here.there()))


def test_personal_and_sensitive_fields_are_counted_and_internal_ones_named(tmp_path: Path) -> None:
    classes = {"internal": ["id", "updated", "service", "rank"], "personal": ["mail"], "sensitive": ["health", "birth"]}
    with town(tmp_path, stream={"classes": classes}) as here:
        here.sync()
        grow(here, **MORE, nick="J")
        outcome = here.sync()
        assert drift(outcome) == [
            {"action": "added", "class": "internal", "fields": 1, "values": 500, "field": "rank"},
            {"action": "added", "class": "personal", "fields": 2, "values": 1000},
            {"action": "added", "class": "sensitive", "fields": 1, "values": 500},
        ]
        shown = msgspec.json.encode([outcome, here.site.runs.get(outcome.run)]).decode()
        entries = str([(entry.subject, entry.facts) for entry in here.site.audit.entries()])
        for name in ("birth", "childhood_name", "nick"):
            assert name not in shown + entries
        kept = {each.field for each in here.site.repository.drift(here.site.heads()[AGENTS], "sensitive")}
        assert kept == {*MORE, "nick"}


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        (
            "en",
            [
                "agents · drift · new fields: 2 personal fields (1,000 values)",
                "agents · drift · absent fields: service, 1 sensitive field",
            ],
        ),
        (
            "fr",
            [
                "agents · dérive · champs nouveaux : 2 champs personnels (1\u202f000 valeurs)",
                "agents · dérive · champs absents : service, 1 champ sensible",
            ],
        ),
    ],
)
def test_a_person_reads_the_drift_in_her_language(
    tmp_path: Path, language: str, sentences: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOVEREIGN_LANG", language)
    with town(tmp_path) as here:
        here.sync()
        here.table.put(
            *({k: v for k, v in {**row, "a": 1, "b": 2}.items() if k not in ("service", "health")} for row in agents(500))
        )
        run = here.sync().run
        here.close()
        assert main(["--site", str(here.root), "sync", "show", run], out=Output()) == 0
    said = " ".join(capsys.readouterr().out.replace("\u00a0", " ").split())
    for sentence in sentences:
        assert " ".join(sentence.split()) in said, said


def test_drift_that_the_copy_took_in_is_told_once(tmp_path: Path) -> None:
    with town(tmp_path, stream={"types": {"rank": "int"}}) as here:
        grow(here, rank=6)
        here.sync()
        grow(here, rank="first", nick="J")
        first = here.sync()
        assert {each["action"] for each in first.streams[0].drift} == {"added", "text"}
        assert here.sync().streams[0].drift == ()
        grow(here, rank="second")
        again = here.sync()
        assert (again.streams[0].state, again.streams[0].drift) == ("committed", ())
        grow(here, grade=9)
        assert drift(here.sync()) == [{"action": "added", "class": "personal", "fields": 1, "values": 500}]


def test_a_field_that_went_is_told_once_and_again_when_it_came_back_and_went(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        gone = [{"action": "absent", "class": "internal", "fields": 1, "values": 0, "field": "service"}]
        here.trouble("schema", {"drop": ["service"]}, times=0)
        assert drift(here.sync()) == gone
        assert here.sync().streams[0].drift == ()
        here.table.put({**agents(1)[0], "id": 9000})
        changed = here.sync()
        assert (changed.streams[0].state, changed.streams[0].drift) == ("committed", ())
        here.calm()
        assert here.sync().streams[0].drift == ()
        here.trouble("schema", {"drop": ["service"]}, times=0)
        assert drift(here.sync()) == gone


def test_an_incremental_read_takes_no_missing_value_for_a_missing_field(tmp_path: Path) -> None:
    with town(tmp_path, cursor=True, stream={"cursor": "updated", "param": "updated_since"}) as here:
        here.sync()
        here.table.put({"id": 9000, "updated": "2026-06-01T00:00:00Z", "service": "x", "mail": "y"})
        outcome = here.sync()
        assert (outcome.streams[0].mode, outcome.streams[0].drift) == ("incremental", ())


def test_what_the_contract_discards_is_told_each_time(tmp_path: Path) -> None:
    with town(tmp_path, stream={"contract": "discard_value"}) as here:
        here.sync()
        grow(here, nick="J")
        discarded = [{"action": "value_discarded", "class": "personal", "fields": 1, "values": 500}]
        assert [drift(here.sync()), drift(here.sync())] == [discarded, discarded]
