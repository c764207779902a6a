"""A connector's author: from a scaffold to a package that is installed, allowed by name, tried and run."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from saas_connectors.registry import KINDS
from saas_connectors.sandbox import Sandbox, Table
from sovereign.authoring.rehearsals import ELSEWHERE, REHEARSALS
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
LOCAL = ("--set", "network.loopback=true", "--set", "network.plaintext=true")
ROWS = [
    {
        "id": str(n),
        "reference": f"R-{n}",
        "status": "open",
        "citizen": f"Citizen {n}",
        "updated_at": f"2026-03-{n:02}T08:00:00Z",
    }
    for n in range(1, 29)
]


def author(run: Run, name: str, kind: str = "read") -> Path:
    folder = Path(f"connector-{name}")
    assert run("connector", "new", name, str(folder), "--kind", kind).code == 0
    return folder


@pytest.fixture(scope="session")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installer of an environment of its own."""
    folder = tmp_path_factory.mktemp("pip") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    return folder / "bin" / "python"


def install(pip: Path, package: Path, into: Path) -> None:
    done = subprocess.run(
        [
            str(pip),
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--target",
            str(into),
            str(package.absolute()),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("kind", "laws"), [("read", 13), ("write", 17)])
def test_what_is_scaffolded_keeps_every_law_at_once(run: Run, kind: str, laws: int) -> None:
    folder = author(run, f"fresh-{kind}", kind)
    said = run("connector", "test", str(folder), "--json")
    assert said.code == 0
    assert [each["outcome"] for each in said.of("law")] == ["kept"] * laws
    assert said.of("stream") == [{"type": "stream", "case": "rehearsal", "stream": "requests", "records": 180}]
    (tested,) = said.of("tested")
    assert tested == {"type": "tested", "laws": laws, "broken": 0, "untried": 0}


@pytest.mark.parametrize("kind", ["read", "write"])
def test_the_scaffolded_tests_pass(run: Run, kind: str) -> None:
    folder = author(run, f"tested-{kind}", kind)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder.absolute()), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_law_that_is_broken_is_named_and_the_others_are_still_tried(run: Run) -> None:
    folder = author(run, "broken")
    source = folder / "connector_broken" / "__init__.py"
    source.write_text(source.read_text().replace("position or [1, since]", "[1, since]"))
    said = run("connector", "test", str(folder), "--json")
    assert said.code == 20
    assert {each["law"] for each in said.of("law") if each["outcome"] == "broken"} == {"resume", "breaks"}
    assert "✗ broken" in run("connector", "test", str(folder)).out
    assert "✗ rompue" in run("--lang", "fr", "connector", "test", str(folder)).out


def test_a_connector_that_crashes_is_told_by_a_type_and_a_place_of_its_own(run: Run) -> None:
    folder = author(run, "crash")
    source = folder / "connector_crash" / "__init__.py"
    source.write_text(
        source.read_text().replace("        (stream,) = (", "        int('Jeanne Martin')\n        (stream,) = (", 1)
    )
    said = run("connector", "test", str(folder), "--json")
    assert said.code == 20
    details = {each["law"]: each["detail"] for each in said.of("law")}
    assert details["pages"].startswith("ends in ValueError (__init__.py:")
    assert "Jeanne" not in said.out + said.err


@pytest.mark.parametrize("kind", sorted(REHEARSALS))
def test_a_kind_of_the_product_is_tried_on_the_sandbox(run: Run, kind: str) -> None:
    said = run("connector", "test", kind, "--json")
    assert said.code == 0
    assert [each["outcome"] for each in said.of("law")] == ["kept"] * 13


@pytest.mark.parametrize("target", ["nothing", "."])
def test_what_cannot_be_tried_says_what_to_give(run: Run, target: str) -> None:
    said = run("connector", "test", target, "--json")
    assert said.code == 2
    assert [each["code"] for each in said.errors] == ["authoring.no_target"]


@pytest.mark.parametrize("kind", sorted(ELSEWHERE))
def test_a_kind_that_speaks_no_http_says_which_commands_prove_it(run: Run, kind: str) -> None:
    said = run("connector", "test", kind, "--json")
    assert said.code == 2
    assert [each["code"] for each in said.errors] == ["authoring.no_rehearsal"]
    assert "sovereign connection check" in said.err
    assert "sovereign sync run" in said.err


@pytest.mark.parametrize("name", ["rest", "Acme", "a_b", "-a", "a-", "x" * 41, "a/b"])
def test_a_name_that_cannot_be_is_refused(run: Run, name: str) -> None:
    said = run("connector", "new", "--json", "--", name, "there")
    assert said.code == 2
    assert [each["code"] for each in said.errors] == ["authoring.name"]
    assert not Path("there").exists()


def test_nothing_is_ever_written_over(run: Run) -> None:
    Path("full").mkdir()
    Path("full/mine").write_text("mine")
    assert run("connector", "new", "over", "full").code == 2
    assert [each.name for each in Path("full").iterdir()] == ["mine"]


def test_an_installed_connector_runs_only_once_it_is_allowed_by_name(
    run: Run, site: Path, vendor: Sandbox, pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = Path("plugins").absolute()
    install(pip, author(run, "acme", "write"), plugins)
    monkeypatch.syspath_prepend(str(plugins))
    vendor.vendor.datasets["requests"] = Table.of(ROWS, ["id"], "updated_at")

    refused = run("connection", "add", "hall", "--connector", "acme", "--url", vendor.url, *LOCAL)
    assert refused.code == 2
    assert "connectors.allow" in refused.err
    assert "connector_acme" not in sys.modules
    (row,) = [each for each in run("connector", "list", "--json").of("connector") if each["kind"] == "acme"]
    assert (row["package"], row["version"], row["allowed"], row["writes"]) == ("connector-acme", "0.1.0", False, True)
    assert "connector_acme" not in sys.modules

    with (site / "sovereign.toml").open("a") as settings:
        settings.write('\n[connectors]\nallow = ["acme"]\n')
    assert run("connection", "add", "hall", "--connector", "acme", "--url", vendor.url, *LOCAL).code == 0
    assert run("sync", "run", "hall").code == 0
    asked = run("query", "SELECT count(*) AS n, max(id) AS last FROM hall.requests", "--json")
    assert asked.of("row")[0]["values"] == {"n": 28, "last": "9"}
    assert run("connector", "test", "acme").code == 0
    (row,) = [each for each in run("connector", "list", "--json").of("connector") if each["kind"] == "acme"]
    assert row["allowed"] is True


def forged(folder: Path, package: str, kind: str) -> None:
    """What an installer would have written down."""
    about = folder / f"{package}-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[sovereign.connectors]\n{kind} = {package}:make\n")
    (folder / f"{package}.py").write_text("raise RuntimeError('it ran')\n")


def test_a_package_cannot_take_the_name_of_a_kind_of_the_product(
    run: Run, site: Path, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged(Path("forged").absolute(), "shadow", "rest")
    monkeypatch.syspath_prepend(str(Path("forged").absolute()))
    with (site / "sovereign.toml").open("a") as settings:
        settings.write('\n[connectors]\nallow = ["rest"]\n')
    streams = ("--set", "streams.communes.path=/page/communes", "--set", 'streams.communes.primary_key=["code","type"]')
    assert run("connection", "add", "geo", "--connector", "rest", "--url", vendor.url, *streams, *LOCAL).code == 0
    assert run("connection", "check", "geo").code == 0
    rows = [each for each in run("connector", "list", "--json").of("connector") if each["kind"] == "rest"]
    assert [(each["package"], each["allowed"]) for each in rows] == [("sovereign", True), ("shadow", False)]
    assert "shadow" not in sys.modules


def test_a_kind_that_two_packages_bring_is_refused(
    run: Run, site: Path, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("first", "second"):
        forged(Path("twice").absolute(), package, "twice")
    monkeypatch.syspath_prepend(str(Path("twice").absolute()))
    with (site / "sovereign.toml").open("a") as settings:
        settings.write('\n[connectors]\nallow = ["twice"]\n')
    said = run("connection", "add", "one", "--connector", "twice", "--url", vendor.url, *LOCAL)
    assert said.code == 2
    assert "first, second" in said.err


def test_a_package_that_does_not_load_is_told_without_its_message(
    run: Run, site: Path, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged(Path("bad").absolute(), "unloadable", "unloadable")
    monkeypatch.syspath_prepend(str(Path("bad").absolute()))
    with (site / "sovereign.toml").open("a") as settings:
        settings.write('\n[connectors]\nallow = ["unloadable"]\n')
    said = run("connection", "add", "one", "--connector", "unloadable", "--url", vendor.url, *LOCAL, "--json")
    assert [each["code"] for each in said.errors] == ["connector.unloadable"]
    assert "it ran" not in said.err


def test_the_list_needs_no_site_and_says_then_that_nothing_is_decided(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    forged(Path("alone").absolute(), "alone", "alone")
    monkeypatch.syspath_prepend(str(Path("alone").absolute()))
    rows = {each["kind"]: each["allowed"] for each in run("connector", "list", "--json").of("connector")}
    assert rows == dict.fromkeys(KINDS, True) | {"alone": None}


def test_the_help_of_a_connection_names_each_kind_of_the_product(run: Run) -> None:
    told = run("connection", "add", "--help").out
    assert [kind for kind in KINDS if kind not in told] == []


def test_each_kind_of_the_product_leads_to_its_page(run: Run) -> None:
    pages = {each["kind"]: each["doc"] for each in run("connector", "list", "--json").of("connector")}
    assert pages["rest"] == "docs/connectors.md"
    assert [page for page in pages.values() if not (ROOT / page).is_file()] == []
