"""Reports say what a real site did, agree with its audit log, and show no formula, no markup and nobody's name unasked."""

import csv
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from sqlalchemy import create_engine, text

from saas_connectors.sandbox import Trouble
from sovereign.audit import ACTS
from sovereign.gateway.states import FINAL, STATES, after
from sovereign.language import speak
from sovereign.reports.labels import STATES as LABELS
from sovereign.reports.model import Column, Report, Section, Table, Verdict, Words
from sovereign.reports.outbound import OVER
from sovereign.reports.page import page
from sovereign.reports.sheets import sheets
from tests.journeys.test_gateway import Town, opened
from tests.journeys.test_gateway import _write as write


def until(address: str, token: str, intent: str, *states: str) -> None:
    state, last = "", time.monotonic() + 60
    while state not in states and time.monotonic() < last:
        asked = requests.get(f"{address}/v1/deliveries/{intent}", headers={"Authorization": f"Bearer {token}"}, timeout=30)
        state = asked.json()["state"]
        time.sleep(0.1)
    assert state in states


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town where a write was confirmed, one denied, one unknown then found, and a stream pulled."""
    with opened(tmp_path_factory.mktemp("lived")) as town:
        live(town)
        yield town


@pytest.fixture
def busy(lived: Town, tmp_path: Path) -> Town:
    """A copy of it, for one test alone."""
    shutil.copytree(lived.root, tmp_path / "town")
    return replace(lived, root=tmp_path / "town", environment=lived.environment | {"SOVEREIGN_SITE": str(tmp_path / "town")})


def live(town: Town) -> None:
    settings = town.root / "sovereign.toml"
    settings.write_text(settings.read_text().replace('key_header = "Idempotency-Key"\n', ""))  # else a write is sent again
    desk, stranger = town.token("desk"), town.token("stranger")
    town.run("policy", "open", "mail", "create", "--client", "desk", "--add")
    town.run("sync", "run", "mail")
    town.run("query", "SELECT id FROM mail.letters")
    with town.serving() as address:
        until(address, desk, write(address, desk, "A1").json()["intent"], "confirmed")
        assert write(address, stranger, "A2").status_code == 403
        town.vendor.troubles.plan(Trouble("lands_then_resets", method="POST"))
        until(address, desk, write(address, desk, "A3").json()["intent"], "landed", "confirmed")


def _json(town: Town, kind: str, *more: str, code: int = 0) -> dict[str, Any]:
    path = town.root.parent / f"{kind}{len(more)}{code}.json"
    town.run("report", kind, "--format", "json", "--output", str(path), *more, code=code)
    assert path.stat().st_mode & 0o077 == 0
    made: dict[str, Any] = json.loads(path.read_text())
    return made


def test_figures_agree_with_the_log(busy: Town) -> None:
    out, entered = _json(busy, "outbound"), _json(busy, "inbound")
    entries = [each for each in busy.run("audit", "show", "--limit", "10000") if each["type"] == "entry"]
    acts = Counter(each["act"] for each in entries)
    written = out["sections"]["writes"]["writes"]["rows"]
    assert sum(row["count"] for row in written) == acts["intent.received"] == 3
    outcomes = {(row["client"], row["outcome"]): row["count"] for row in written}
    assert outcomes == {("desk", "confirmed"): 1, ("desk", "landed"): 1, ("stranger", "denied"): 1}
    sizes = sum(each["facts"]["bytes"] for each in entries if each["act"] == "intent.received")
    assert sum(row["bytes"] for row in written) == sizes
    (refused,) = out["sections"]["refusals"]["refusals"]["rows"]
    assert (refused["client"], refused["count"]) == ("stranger", 1)
    (doubt,) = out["sections"]["unknown"]["unknown"]["rows"]
    assert (doubt["outcome"], doubt["by"]) == ("landed", "sovereign serve")
    assert doubt["since"] < doubt["closed_at"]
    (letters,) = entered["sections"]["pulls"]["datasets"]["rows"]
    assert (letters["stream"], letters["rows"], letters["inserted"], letters["committed"]) == ("letters", 3, 3, 1)
    assert sum(row["count"] for row in entered["sections"]["questions"]["questions"]["rows"]) == acts["query.ran"] == 1
    counted = {row["act"]: row["count"] for row in entered["sections"]["conduct"]["counts"]["rows"]}
    assert counted["report.made"] == acts["report.made"] - 1  # its own comes after it is made
    assert (counted["client.added"], counted["policy.changed"]) == (acts["client.added"], acts["policy.changed"]) == (2, 1)
    assert out["audit_log"]["intact"]
    assert out["audit_log"]["entries"] + 2 == len(entries)


def test_people_are_named_only_when_asked_and_the_log_knows(busy: Town) -> None:
    busy.run("access", "grant", "berthe", "--role", "rssi", "--reason", "secret reason")
    hidden, shown = _json(busy, "outbound"), _json(busy, "outbound", "--names")
    me = busy.run("audit", "show", "--act", "access.granted")[0]["body"]["actor"]
    who = [{row["who"] for row in each["sections"]["conduct"]["acts"]["rows"]} for each in (hidden, shown)]
    assert me not in who[0]
    assert me in who[1]
    assert "berthe" not in json.dumps([hidden, shown])
    assert [each["facts"]["names"] for each in busy.run("audit", "show", "--act", "report.made")] == [False, True]


def test_what_waits_for_someone_is_told(busy: Town) -> None:
    assert _json(busy, "outbound")["sections"]["due"]["due"]["rows"] == []
    busy.run("vendor", "cut", "mail", "--reason", "trial")
    (row,) = _json(busy, "outbound", "--names")["sections"]["due"]["due"]["rows"]
    assert (row["kind"], row["subject"], row["connection"]) == ("vendor", "cut", "mail")


def test_a_period_counts_its_last_day_and_nothing_else(busy: Town) -> None:
    before = _json(busy, "outbound", "--from", "2020-01-01", "--to", "2020-12-31")
    assert before["sections"]["writes"]["writes"]["rows"] == []
    assert before["sections"]["conduct"]["acts"] == {"total": 0, "rows": []}
    later = _json(busy, "outbound", "--from", "2020-01-01T00:00:00Z", "--to", "2999-12-31", "--names")
    assert sum(row["count"] for row in later["sections"]["writes"]["writes"]["rows"]) == 3
    busy.run("report", "outbound", "--from", "2026-02-01", "--to", "2026-01-01", code=2)


def test_an_altered_entry_is_left_out_counted_and_told(busy: Town) -> None:
    engine = create_engine(f"sqlite:///{busy.root / 'state.db'}")
    with engine.begin() as transaction:
        alter = "UPDATE audit_entries SET entry = replace(entry, 'deny', 'allow')"
        alter += " WHERE act = 'intent.decided' AND entry LIKE '%deny%'"
        changed = transaction.execute(text(alter))
        assert changed.rowcount == 1
    engine.dispose()
    made = _json(busy, "outbound", code=20)
    assert (made["audit_log"]["intact"], made["audit_log"]["unread"]) == (False, 1)
    assert made["sections"]["refusals"]["refusals"]["rows"] == []
    assert sum(row["count"] for row in made["sections"]["writes"]["writes"]["rows"]) == 3
    path = busy.root.parent / "broken.html"
    busy.run("report", "outbound", "--output", str(path), code=20)
    assert "The log does not hold" in path.read_text()


class Cells(HTMLParser):
    """Tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.text: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_in_both_languages(busy: Town) -> None:
    for tongue, kind in product(("fr", "en"), ("outbound", "inbound")):
        path = busy.root.parent / f"{tongue}-{kind}.html"
        busy.run("report", kind, "--output", str(path), "--lang", tongue)
        read = Cells()
        read.feed(path.read_text())
        assert read.attributes["html"]["lang"] == tongue
        assert not read.tags.keys() & {"script", "img", "link", "iframe"}
        assert read.tags["table"] == read.tags["caption"] == read.tags["thead"] > 3
        assert ("Le journal d'audit" in "".join(read.text)) == (tongue == "fr")


HOSTILE = "=HYPERLINK(\"http://x\")<script>alert('1')</script>"


def _hostile() -> Report:
    from datetime import UTC, datetime

    at = datetime(2026, 11, 24, tzinfo=UTC)
    columns = (Column("a", Words("a", "a")), Column("b", Words("b", "b")), Column("n", Words("n", "n"), "number"))
    table = Table("t", Words("t", "t"), columns, [(HOSTILE, ("-1", "two; three", "a,b\r\n@c"), 12000)] * 2)
    verdict = Verdict(True, Words("v", "v"), 1, "00", "k", ("c",))
    return Report(
        "outbound", Words("r", "r"), HOSTILE, at, at, at, "Europe/Paris", verdict, (Section("s", Words("s", "s"), (table,)),)
    )


def test_hostile_values_run_nowhere(tmp_path: Path) -> None:
    speak("en")
    read = Cells()
    read.feed(page(_hostile()).decode())
    assert not read.tags["script"]
    assert any(HOSTILE in each for each in read.text)
    for name, content in sheets(_hostile()):
        (tmp_path / name).write_bytes(content)
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines(keepends=True)))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert not [each for row in rows for each in row if each.startswith(("=", "+", "-", "@", "\t", "\r"))]
    (first, _) = duckdb.read_csv(str(tmp_path / "t.csv"), header=True).fetchall()
    assert first == (f"'{HOSTILE}", "'-1; two; three; a,b\r\n@c", 12000)


def test_every_state_and_act_has_words_and_a_state_is_over_when_nothing_leaves_it() -> None:
    assert set(LABELS) == set(STATES)
    assert {state for state in FINAL if not after(state)} == OVER
    assert "report.made" in ACTS
