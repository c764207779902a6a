"""What real kinds of vendors answer can be recorded too: their files, their code lists, their folders; the laws hold on it."""

import gzip
import shutil
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha512
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.formats import of
from saas_connectors.formats.wrapping import zipped
from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.open311 import Open311, reports
from saas_connectors.sandbox.opendatasoft import Portal, notices
from saas_connectors.sandbox.vendor import SECRET, USER
from sovereign.authoring import fixtures
from sovereign.authoring.binary import legible
from sovereign.authoring.scrubbing import Scrub
from sovereign.site import Site
from tests.cli.conftest import Run, Said

LOCAL = ("--set", "network.loopback=true", "--set", "network.plaintext=true")
PUBLISHED = Path(str(files("saas_connectors.sandbox"))) / "data" / "decp"
BASIC = ("Authorization", f"Basic {b64encode(f'{USER}:{SECRET}'.encode()).decode()}")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
Vendor = Callable[[], AbstractContextManager[tuple[str, tuple[str, ...]]]]


@contextmanager
def letters() -> Iterator[tuple[str, tuple[str, ...]]]:
    Path("secret").write_text(SECRET)
    with Sandbox(Maarch(40)) as sandbox:
        yield sandbox.url, (*LOCAL, "--set", "auth.kind=basic", "--set", f"auth.user={USER}", "--secret-file", "secret")


@contextmanager
def reported() -> Iterator[tuple[str, tuple[str, ...]]]:
    with Sandbox(Open311(reports(60, until=NOW), now=NOW)) as sandbox:
        yield f"{sandbox.url}/v2", LOCAL


@contextmanager
def portal() -> Iterator[tuple[str, tuple[str, ...]]]:
    with Sandbox(Portal({"boamp": notices(60)})) as sandbox:
        yield sandbox.url, (*LOCAL, "--set", "streams.boamp.cursor=maj")


@contextmanager
def every_dataset() -> Iterator[tuple[str, tuple[str, ...]]]:
    with Sandbox(Portal({"boamp": notices(60), "marchés-2026": notices(20)})) as sandbox:
        yield sandbox.url, LOCAL


@contextmanager
def folder() -> Iterator[tuple[str, tuple[str, ...]]]:
    Path("published").mkdir()
    for each in (*PUBLISHED.glob("*marche*.json"), *PUBLISHED.glob("concessions*.json"), *PUBLISHED.glob("*.xml")):
        shutil.copy(each, "published")
    yield f"folder:{Path('published').absolute()}", ()


def recorded(run: Run, kind: str, url: str, more: tuple[str, ...]) -> Said:
    assert run("connection", "add", "town", "--connector", kind, "--url", url, *more).code == 0
    said = run("connector", "dry-run", "town", "--record", "recorded", "--json")
    assert said.code == 0, said.err
    return said


@pytest.mark.parametrize(
    ("kind", "vendor"),
    [("maarch", letters), ("open311", reported), ("opendatasoft", portal), ("opendatasoft", every_dataset), ("decp", folder)],
    ids=["maarch", "open311", "opendatasoft", "every dataset", "decp"],
)
def test_each_is_recorded_whole_and_no_law_breaks_on_the_recording(run: Run, site: Path, kind: str, vendor: Vendor) -> None:
    with vendor() as (url, more):
        said = recorded(run, kind, url, more)
    assert said.of("recorded")[0]["whole"] is True
    assert min(each["records"] for each in said.of("stream")) > 0
    tried = run("connector", "test", "recorded", "--json")
    assert [each for each in tried.of("law") if each["outcome"] == "broken"] == []
    records = {each["stream"]: each["records"] for each in said.of("stream")}
    assert {each["stream"]: each["records"] for each in tried.of("stream")} == records


def test_a_file_is_replaced_and_its_fingerprint_is_that_of_the_file_that_stands_for_it(run: Run, site: Path) -> None:
    with letters() as (url, more):
        recorded(run, "maarch", url, more)
    fakes, told = set[bytes](), ""
    for _, request, response in fixtures.load(Path("recorded")).exchanges:
        if request.document and response.status == 200:
            fakes.add(response.body)
        told += response.body.decode()
    assert [fake for fake in fakes if not fake.startswith(b"file ")] == []
    assert sum(sha512(fake).hexdigest() in told for fake in fakes) == 40, "letters; attachments have no fingerprint"
    address = "http://m/rest/resources/101/originalContent"
    real = Maarch(40).respond(Request("GET", address, headers=(BASIC,))).body
    assert real.startswith(b"%PDF")
    assert "%PDF" not in told
    assert sha512(real).hexdigest() not in told


CANARY = "Canari-Dossier-3e71"


def dropped() -> dict[str, bytes]:
    """Files of a place, of every kind that a recording has another of."""
    rows = [{"id": f"A{n:04d}", "nom": f"{CANARY} Zoé {n}", "montant": Decimal(n * 7 + 3) / 2} for n in range(30)]
    csv = "id;nom\r\n" + "".join(f"{row['id']};{row['nom']}\r\n" for row in rows)
    columns = ["id", "nom", "montant"]
    return {
        "agents.xlsx": of("xlsx").write(columns, rows),
        "agents.parquet": of("parquet").write(columns, rows),
        "agents.csv": csv.encode("cp1252"),
        "agents.csv.gz": gzip.compress(csv.encode()),
        "agents.zip": zipped(f"{CANARY}.csv", csv.encode()),
    }


STREAMS = {
    "book": {"files": "agents.xlsx", "primary_key": ["id"]},
    "columns": {"files": "agents.parquet", "primary_key": ["id"]},
    "lines": {"files": "agents.csv", "primary_key": ["id"], "separator": ";", "encoding": "cp1252"},
    "packed": {"files": "agents.csv.gz", "primary_key": ["id"], "separator": ";"},
    "archived": {"files": "agents.zip", "primary_key": ["id"], "separator": ";"},
}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def place(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if kind == "folder":
        yield f"folder:{folder}", {}
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        network = {"loopback": True, "plaintext": True}
        files = {"kind": "https", "files": sorted(each.name for each in folder.iterdir())}
        yield f"http://127.0.0.1:{server.server_address[1]}/", {"network": network, "place": files}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", ["folder", "https"])
def test_files_of_every_kind_are_recorded_with_others_of_their_kind(run: Run, site: Path, kind: str) -> None:
    folder = Path("drop").absolute()
    folder.mkdir()
    for name, body in dropped().items():
        (folder / name).write_bytes(body)
    with place(kind, folder) as (url, more):
        with Site.open(site) as opened:
            opened.add_connection("town", {"connector": "files", "url": url, "streams": STREAMS, **more})
        said = run("connector", "dry-run", "town", "--record", "recorded", "--json")
    assert said.code == 0, said.err
    tried = run("connector", "test", "recorded", "--json")
    assert [each for each in tried.of("law") if each["outcome"] == "broken"] == []
    assert {each["stream"]: each["records"] for each in tried.of("stream") if each["records"]} == dict.fromkeys(STREAMS, 30)
    for _, _, response in fixtures.load(Path("recorded")).exchanges:
        assert CANARY.encode() not in legible(response.body)
        assert CANARY.encode() not in response.body


@pytest.mark.parametrize("body", [b"\x89PNG\r\n\x1a\n\xff", b"%PDF-1.7 \xff\xfe"])
def test_what_is_no_text_and_no_table_is_as_many_zero_bytes(body: bytes) -> None:
    body += CANARY.encode() + b"\xff" * 50
    scrub = Scrub(str.upper, {}, frozenset(), frozenset())
    assert scrub.body(Response(200, "https://v.example/photo", body), "read") == bytes(len(body))


def test_a_text_of_another_charset_stays_in_it() -> None:
    scrub = Scrub(str.upper, {}, frozenset(), frozenset())
    asked = Response(
        200, "https://v.example/list", "nom,ville\nzoé,évreux\n".encode("utf-16"), Headers([("Content-Type", "text/csv")])
    )
    assert scrub.body(asked, "read").decode("utf-16") == "nom,ville\nZOÉ,ÉVREUX\n"
