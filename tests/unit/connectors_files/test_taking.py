"""Which files are taken, of all that lie at a place: over a server of files in the same process, or a folder."""

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import Read, converse, read
from saas_connectors.connector import Json, ReadPlan
from saas_connectors.errors import ResumeLost, SettingsError, Unauthorized
from saas_connectors.files.naming import BadPattern, pattern
from saas_connectors.formats import of
from saas_connectors.formats.format import Reading
from saas_connectors.formats.wrapping import zipped
from saas_connectors.request import Headers, Request, Response

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
ROWS = [{"id": str(n), "nom": f"Zoé {n}"} for n in range(4)]


@dataclass
class Depot:
    """Files with the instants of their last change, as a folder and as an HTTP server. tags: whether it gives ETags.

    present: what the server's clock says at the first request, five seconds later at each; it does not say when None.
    """

    files: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    tags: bool = True
    heads: bool = True
    status: int = 200
    present: datetime | None = None
    calls: list[str] = field(default_factory=list)

    def put(self, name: str, body: bytes, at: datetime = NOW - timedelta(hours=1)) -> None:
        self.files[name] = (body, at)

    def respond(self, request: Request) -> Response:
        self.calls.append(f"{request.method} {request.url}")
        if request.url == "folder:":
            listed = [
                {"name": name, "size": len(body), "modified": at.isoformat(), "sha256": hashlib.sha256(body).hexdigest()}
                for name, (body, at) in sorted(self.files.items())
            ]
            return Response(200, request.url, json.dumps(listed).encode())
        name = request.url.removeprefix("folder:") if request.url.startswith("folder:") else self._named(request.url)
        if self.status != 200 or (request.method == "HEAD" and not self.heads):
            return Response(self.status if self.status != 200 else 405, request.url, b"")
        if name not in self.files:
            return Response(404, request.url, b"")
        body, at = self.files[name]
        headers = [("Content-Length", str(len(body))), ("Last-Modified", format_datetime(at, usegmt=True))]
        if self.present is not None:
            headers.append(("Date", format_datetime(self.present, usegmt=True)))
            self.present += timedelta(seconds=5)
        if self.tags:
            headers.append(("ETag", f'"{hashlib.sha256(body).hexdigest()}"'))
        return Response(200, request.url, body if request.method == "GET" else b"", Headers(headers))

    @staticmethod
    def _named(url: str) -> str:
        return unquote(urlsplit(url).path.removeprefix("/depot/"))


def csv(rows: list[dict[str, Json]]) -> bytes:
    return of("csv").write(["id", "nom"], rows, Reading(options={"separator": ";"}))


def pull(
    depot: Depot, stream: Mapping[str, Json], cursor: Json = None, *, url: str = "folder:", position: Json = None, **more: Json
) -> Read:
    """Pull one dataset; cursor: what the last pull gave."""
    settings = {"url": url, "streams": {"agents": {"primary_key": ["id"], **stream}}, **more}
    connector = registry.make("files", "rh", settings)
    streams = converse(connector.discover(), depot.respond).streams
    cursors = {} if cursor is None else {"agents": cursor}
    plan = ReadPlan(streams, {each.name: each.modes[0] for each in streams}, cursors, NOW)
    (part,) = converse(connector.slices(plan), depot.respond)
    return read(connector, plan, part, position, depot.respond)


def names(got: Read) -> list[str]:
    return [row["id"] for page in got.pages if page.stream == "agents" for row in page.records.to_pylist()]


def said(got: Read) -> list[str]:
    return [note.detail.get("why", note.check) for note in got.evidence if note.stream == "agents"]


HTTP = {"url": "https://ville.example/depot/", "place": {"kind": "https", "files": ["agents.csv"]}}


@pytest.mark.parametrize("tags", [True, False], ids=["tags", "no-tags"])
def test_a_file_on_a_server_is_read_once_and_asked_for_by_its_headers_afterwards(tags: bool) -> None:
    depot = Depot(tags=tags)
    depot.put("agents.csv", csv(ROWS))
    first = pull(depot, {"files": "agents.csv"}, **HTTP)
    assert names(first) == ["0", "1", "2", "3"]
    depot.calls.clear()
    again = pull(depot, {"files": "agents.csv"}, first.cursors["agents"], **HTTP)
    assert (said(again), again.pages) == (["unchanged"], ())
    assert [call.split()[0] for call in depot.calls] == (["HEAD"] if tags else ["HEAD", "GET"])
    depot.put("agents.csv", csv(ROWS[:3]), NOW)
    assert names(pull(depot, {"files": "agents.csv"}, first.cursors["agents"], **HTTP)) == ["0", "1", "2"]


def test_a_file_that_is_given_its_tag_while_it_is_read_is_not_taken_for_one_that_changes() -> None:
    depot = Depot(present=NOW)
    depot.put("agents.csv", csv(ROWS), NOW)
    got = pull(depot, {"files": "agents.csv"}, **HTTP)
    assert (names(got), said(got)) == (["0", "1", "2", "3"], []), depot.calls


def test_a_server_without_head_is_read_and_one_that_refuses_is_told() -> None:
    depot = Depot(heads=False)
    depot.put("agents.csv", csv(ROWS))
    assert len(names(pull(depot, {"files": "agents.csv"}, url="https://ville.example/depot/agents.csv"))) == 4
    depot.status = 403
    with pytest.raises(Unauthorized):
        pull(depot, {"files": "agents.csv"}, url="https://ville.example/depot/agents.csv")


@pytest.mark.parametrize(
    "name", ["../secret.csv", "/etc/passwd", "//evil.example/a.csv", "https://evil.example/a.csv", "a?b", "a#b"]
)
def test_a_file_named_on_a_server_never_leads_elsewhere(name: str) -> None:
    with pytest.raises(SettingsError, match=r"place\.files"):
        pull(Depot(), {"files": "agents.csv"}, url=HTTP["url"], place={"kind": "https", "files": [name]})


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "xlsx", "ods", "parquet", "xml"])
@pytest.mark.parametrize("wrapped", ["", ".gz", ".zip"])
def test_every_format_is_read_alike_as_it_is_or_wrapped(kind: str, wrapped: str) -> None:
    options = {"rows": "agents/agent"} if kind == "xml" else {}
    body = of(kind).write(["id", "nom"], ROWS, Reading(options=options))
    wrap = {"": lambda held: held, ".gz": gzip.compress, ".zip": lambda held: zipped(f"agents.{kind}", held)}
    depot = Depot()
    depot.put(f"agents.{kind}{wrapped}", wrap[wrapped](body))
    got = pull(depot, {"files": f"agents.{kind}{wrapped}", **options})
    assert [row for page in got.pages for row in page.records.to_pylist()] == ROWS
    whole = [note.detail["by"] for note in got.evidence if note.stream == "agents" and note.check == "file_whole"]
    assert whole == ([] if kind in ("csv", "jsonl") and not wrapped else ["format"])


def test_several_files_of_an_archive_are_one_table_when_a_pattern_says_so() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        made.writestr("nord/agents_1.csv", csv(ROWS[:2]))
        made.writestr("sud/agents_2.csv", csv(ROWS[2:]))
        made.writestr("lisez-moi.txt", "rien")
    depot = Depot()
    depot.put("depot.zip", sink.getvalue())
    assert names(pull(depot, {"files": "depot.zip", "inside": "agents_*.csv"})) == ["0", "1", "2", "3"]
    with pytest.raises(SettingsError, match=r"streams\.agents\.inside"):
        pull(depot, {"files": "depot.zip"})


def test_a_file_that_has_not_been_quiet_long_enough_waits() -> None:
    depot = Depot()
    stream = {"files": "agents_{%Y%m%d}.csv", "quiet": "10 minutes"}
    depot.put("agents_20261128.csv", csv(ROWS), NOW - timedelta(hours=20))
    depot.put("agents_20261129.csv", csv(ROWS[:1]), NOW - timedelta(minutes=9))
    first = pull(depot, stream)
    assert (names(first), said(first)) == (["0", "1", "2", "3"], ["quiet"])
    depot.put("agents_20261129.csv", csv(ROWS[:1]), NOW - timedelta(minutes=11))
    assert names(pull(depot, stream, first.cursors["agents"])) == ["0"]


def test_the_date_in_a_name_decides_and_not_that_of_the_last_change() -> None:
    depot = Depot()
    depot.put("agents_20261128.csv", csv(ROWS), NOW)
    depot.put("agents_20261129.csv", csv(ROWS[:1]), NOW - timedelta(days=9))
    depot.put("agents_20261399.csv", csv(ROWS[:2]), NOW)
    depot.put("agents_20261130.csv.part", csv(ROWS[:2]), NOW)
    assert names(pull(depot, {"files": "agents_{%Y%m%d}.csv"})) == ["0"]


def test_a_file_put_back_with_an_earlier_date_is_not_taken_unless_it_is_allowed() -> None:
    depot = Depot()
    depot.put("agents.csv", csv(ROWS), NOW - timedelta(hours=1))
    first = pull(depot, {"files": "agents.csv"})
    depot.put("agents.csv", csv(ROWS[:1]), NOW - timedelta(hours=30))
    behind = pull(depot, {"files": "agents.csv"}, first.cursors["agents"])
    assert (said(behind), behind.pages, behind.cursors["agents"]) == (["older", "unchanged"], (), first.cursors["agents"])
    assert names(pull(depot, {"files": "agents.csv", "older": "take"}, first.cursors["agents"])) == ["0"]


def test_settings_that_change_what_rows_are_read_the_same_file_again() -> None:
    depot = Depot()
    depot.put("agents.csv", csv(ROWS))
    first = pull(depot, {"files": "agents.csv"})
    again = pull(depot, {"files": "agents.csv", "types": {"id": "int"}}, first.cursors["agents"])
    assert names(again) == [0, 1, 2, 3]


def test_a_file_that_changed_since_the_resume_point_is_read_from_nothing() -> None:
    depot = Depot()
    depot.put("agents.csv", csv(ROWS))
    first = pull(depot, {"files": "agents.csv"})
    position = first.pages[-1].position
    assert pull(depot, {"files": "agents.csv"}, position=position).pages == ()
    depot.put("agents.csv", csv(ROWS[:2]))
    with pytest.raises(ResumeLost):
        pull(depot, {"files": "agents.csv"}, position=position)


def test_a_trailer_that_counts_the_rows_proves_the_file_whole() -> None:
    depot = Depot()
    depot.put("agents.csv", csv(ROWS) + b"FIN;000004\r\n")
    got = pull(depot, {"files": "agents.csv", "trailer": "FIN;{count}", "separator": ";"})
    assert (len(names(got)), said(got)) == (4, ["file_whole"])
    depot.put("agents.csv", csv(ROWS[:3]) + b"FIN;000004\r\n", NOW)
    cut = pull(depot, {"files": "agents.csv", "trailer": "FIN;{count}", "separator": ";"}, got.cursors["agents"])
    assert (said(cut), cut.pages) == (["truncated", "unchanged"], ())


def test_what_is_set_aside_is_classed_as_the_most_guarded_of_its_row() -> None:
    settings = {
        "url": "folder:x",
        "streams": {"agents": {"files": "a.csv", "primary_key": ["id"], "classes": {"sensitive": ["nom"]}}},
    }
    _, aside = converse(registry.make("files", "rh", settings).discover(), Depot().respond).streams
    assert (aside.name, aside.classes["content"], aside.classes["line"], aside.guarded) == (
        "agents_rejected", "sensitive", "internal", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        pytest.param({"files": "a/b.csv"}, "files", id="a-folder"),
        pytest.param({"files": "{%d%m}.csv"}, "files", id="no-year"),
        pytest.param({"files": "a.csv", "take": "newest"}, "files", id="newest-without-a-date"),
        pytest.param({"files": "a.csv", "format": "doc"}, "format", id="format"),
        pytest.param({"files": "a.csv", "encoding": "ebcdic"}, "encoding", id="encoding"),
        pytest.param({"files": "a.csv", "separator": ";;"}, "separator", id="separator"),
        pytest.param({"files": "a.csv", "dates": "jj/mm/aaaa"}, "dates", id="dates"),
        pytest.param({"files": "a.csv", "types": {"n": "nombre"}}, r"types\.n", id="types"),
        pytest.param({"files": "a.csv", "quiet": "un peu"}, "quiet", id="quiet"),
        pytest.param({"files": "a.csv", "zone": "Mars"}, "zone", id="zone"),
        pytest.param({"files": "a.csv", "separateur": ";"}, "separateur", id="unknown"),
        pytest.param({"files": "a.csv", "primary_key": []}, "primary_key", id="no-key"),
    ],
)
def test_a_setting_that_is_wrong_is_named_with_what_it_can_be(stream: dict[str, Json], field: str) -> None:
    with pytest.raises(SettingsError, match=rf"connections\.rh\.streams\.agents\.{field}"):
        pull(Depot(), stream)


def test_a_pattern_of_one_file_that_several_match_and_a_key_that_is_no_column_are_told() -> None:
    depot = Depot()
    depot.put("agents_a.csv", csv(ROWS))
    with pytest.raises(SettingsError, match="primary_key"):
        pull(depot, {"files": "agents_*.csv", "primary_key": ["matricule"]})
    depot.put("agents_b.csv", csv(ROWS))
    with pytest.raises(SettingsError, match="files"):
        pull(depot, {"files": "agents_*.csv"})


@pytest.mark.parametrize("written", ["", "*", "{}", "{%Y", "a}b", "{%Y}{%m}", "{%B %Y}", "*****.csv"])
def test_what_is_no_pattern_is_refused(written: str) -> None:
    with pytest.raises(BadPattern):
        pattern(written)
