"""A dry run records a vendor's answers with nothing real in them, and they replay as the real ones did."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import Send, Unrehearsed
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Bench, Sandbox, Table, Vendor
from saas_connectors.sandbox.vendor import SECRET
from sovereign.authoring import fixtures
from sovereign.authoring.laws import try_reading
from tests.cli.conftest import Run

NAMES = ("Jeanne", "Aïcha", "Étienne", "Maëlle", "Firmin", "Zoé")
LOCAL = ("--set", "network.loopback=true", "--set", "network.plaintext=true")


def person(n: int) -> dict[str, object]:
    name = f"{NAMES[n % 6]} Canari-{n:04}"
    return {
        "id": 5_000_000 + 7 * n,
        "ref": f"CANARI-{n:05}",
        "name": name,
        "email": f"canari.{n}@mairie-canari.fr",
        "born": f"19{40 + n % 50}-0{n % 9 + 1}-1{n % 9}",
        "phone": f"06 12 34 {n % 90 + 10} {n % 80 + 11}",
        "iban": "FR7630006000011234567890189",
        "hidden": base64.b64encode(f'{{"nom":"Canaribase {n}"}}'.encode()).decode(),
        "inside": json.dumps({"nom": f"Canarijson {n}", "liste": [f"Canariliste {n}"]}),
        "amount": n + 0.25,
        "note": f"Rappeler {name} lundi au sujet du dossier",
        "updated_at": f"2026-0{n % 9 + 1}-1{n % 9}T08:1{n % 10}:00Z",
        "state": ("open", "closed")[n % 2],
        "next": {"href": f"http://elsewhere.canari.fr/people/canari.{n}?token=Canaritoken{n}"},
    }


PEOPLE = [person(n) for n in range(330)]
STYLES = ("page", "offset", "cursor", "link", "next", "odata", "hal", "bare", "whole")


def connect(run: Run, vendor: Sandbox, style: str, *more: str, internal: Sequence[str] = ("state", "amount")) -> None:
    vendor.vendor.datasets["people"] = Table.of(PEOPLE, ["id"], "updated_at")
    classes = f"streams.people.classes.internal={json.dumps(internal)}"
    for pair in (
        f"streams.people.path=/{style}/people",
        'streams.people.primary_key=["id"]',
        "streams.people.cursor=updated_at",
        classes,
    ):
        more += ("--set", pair)
    said = run("connection", "add", "hall", "--connector", "rest", "--url", vendor.url, *LOCAL, *more)
    assert said.code == 0, said.err


def everything(folder: Path) -> str:
    """All that a recording says: as it is written, and what hides in its texts."""
    told = "".join(path.read_text() for path in sorted(folder.iterdir()))
    for line in (folder / "exchanges.jsonl").read_bytes().splitlines():
        told += str(msgspec.json.decode(line))
    words = set(msgspec.json.decode(b'"' + b'"') or "") | set(
        told.replace('"', " ").replace("\\", " ").replace("'", " ").split()
    )
    for word in words:
        try:
            told += base64.b64decode(word, validate=True).decode()
        except ValueError:
            continue
    return told


@pytest.mark.parametrize("style", STYLES)
def test_nothing_real_remains_and_the_recording_replays_to_the_last_record(
    run: Run, site: Path, vendor: Sandbox, style: str
) -> None:
    connect(run, vendor, style)
    said = run("connector", "dry-run", "hall", "--record", "recorded", "--json")
    assert said.code == 0, said.err
    (told,) = said.of("recorded")
    assert told["whole"] is True
    (stream,) = said.of("stream")
    assert stream["records"] == len(PEOPLE)

    heard = everything(Path("recorded"))
    for canary in ("Canari", "CANARI", "canari", "127.0.0.1", "5000007", "0001234567890189", "Jeanne", "Rappeler"):
        assert canary not in heard, canary
    assert "2026-01-10T08:10" not in heard
    assert "closed" in heard

    tried = run("connector", "test", "recorded", "--json")
    assert tried.code == 0, tried.out
    assert tried.of("stream") == [{"type": "stream", "case": "recorded", "stream": "people", "records": len(PEOPLE)}]


def test_the_canaries_can_be_seen_where_nothing_scrubs_them(run: Run, site: Path, vendor: Sandbox) -> None:
    """The control: the same look finds them in what the vendor really said."""
    connect(run, vendor, "page", internal=[*PEOPLE[0]])
    assert run("connector", "dry-run", "hall", "--record", "open").code == 0
    heard = everything(Path("open"))
    for canary in ("Canaribase", "Canarijson", "CANARI-", "Jeanne"):
        assert canary in heard, canary


def test_a_dry_run_leaves_no_snapshot_and_is_entered_in_the_log(run: Run, site: Path, vendor: Sandbox) -> None:
    connect(run, vendor, "page")
    assert run("connector", "dry-run", "hall", "--pages", "1").code == 0
    assert run("query", "SELECT count(*) FROM hall.people").code != 0
    assert not list((site / "snapshots").rglob("*.parquet"))
    assert "exchanges recorded, scrubbed" in run("audit", "show").out


def test_a_recording_that_stops_early_says_which_laws_it_could_not_try(run: Run, site: Path, vendor: Sandbox) -> None:
    connect(run, vendor, "cursor")
    assert run("connector", "dry-run", "hall", "--pages", "1", "--record", "short").code == 0
    tried = run("connector", "test", "short", "--json")
    assert tried.code == 3
    assert {each["law"] for each in tried.of("law") if each["outcome"] == "untried"} == {"resume"}


def test_laws_are_held_on_the_beginning_of_a_recording_that_stops_early(run: Run, site: Path, vendor: Sandbox) -> None:
    connect(run, vendor, "cursor")
    assert run("connector", "dry-run", "hall", "--pages", "2", "--record", "short").code == 0
    tried = run("connector", "test", "short", "--json")
    assert {each["outcome"] for each in tried.of("law")} == {"kept"}
    assert tried.code == 0


def test_a_law_that_the_beginning_of_a_recording_breaks_is_said() -> None:
    stream = {"path": "/page/requests", "primary_key": ["town"], "paging": {"size": 100}}

    def cut() -> Send:
        vendor, left = Vendor({"requests": Bench(350)}), iter(range(8))

        def send(request: Request) -> Response:
            if next(left, None) is None:
                raise Unrehearsed
            return vendor.respond(request)

        return send

    connector = registry.make("rest", "cut", {"url": "http://vendor.example", "streams": {"requests": stream}})
    verdicts, _ = try_reading(connector, cut, whole=False)
    assert {each.law: each.outcome for each in verdicts}["pages"] == "broken"


def test_joins_order_and_forms_hold(run: Run, site: Path, vendor: Sandbox) -> None:
    connect(run, vendor, "page")
    assert run("connector", "dry-run", "hall", "--record", "recorded").code == 0
    rows: list[dict[str, object]] = []
    for act, _, response in fixtures.load(Path("recorded")).exchanges:
        if act == "read":
            rows += msgspec.json.decode(response.body)["data"]
    assert len(rows) == len(PEOPLE)
    for field in ("id", "ref", "updated_at"):
        order = sorted(range(len(rows)), key=lambda at: PEOPLE[at][field])
        assert order == sorted(range(len(rows)), key=lambda at: rows[at][field])
    for field in PEOPLE[0]:
        pairs = {(json.dumps(real[field]), json.dumps(made[field])) for real, made in zip(PEOPLE, rows, strict=True)}
        assert len({real for real, _ in pairs}) == len(pairs) == len({made for _, made in pairs}), field
    iban = str(rows[0]["iban"])
    assert int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1
    assert str(rows[0]["email"]).endswith(".example")
    assert json.loads(base64.b64decode(str(rows[0]["hidden"])))["nom"]


def test_a_credential_that_the_vendor_shows_back_is_not_recorded(run: Run, site: Path, vendor: Sandbox) -> None:
    Path("secret").write_text(SECRET)
    rows = [person(n) | {"state": f"shown {SECRET}"} for n in range(3)]
    connect(run, vendor, "auth/bearer/page", "--set", "auth.kind=bearer", "--secret-file", "secret")
    vendor.vendor.datasets["people"] = Table.of(rows, ["id"], "updated_at")
    said = run("connector", "dry-run", "hall", "--record", "recorded", "--json")
    assert [each["code"] for each in said.errors] == ["authoring.unscrubbed"]
    assert said.code == 1
    assert SECRET not in said.out + said.err
    assert not Path("recorded").exists()


def test_an_unknown_stream_or_a_full_folder_is_refused(run: Run, site: Path, vendor: Sandbox) -> None:
    connect(run, vendor, "page")
    assert run("connector", "dry-run", "hall", "--stream", "none").code == 2
    Path("full").mkdir()
    Path("full/mine").write_text("mine")
    assert run("connector", "dry-run", "hall", "--record", "full").code == 2
