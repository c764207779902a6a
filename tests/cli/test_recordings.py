"""What real kinds of vendors answer can be recorded too: their files, their code lists, their folders; the laws hold on it."""

import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from hashlib import sha512
from importlib.resources import files
from pathlib import Path

import pytest

from saas_connectors.request import Request
from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.open311 import Open311, reports
from saas_connectors.sandbox.opendatasoft import Portal, notices
from saas_connectors.sandbox.vendor import SECRET, USER
from sovereign.authoring import fixtures
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
