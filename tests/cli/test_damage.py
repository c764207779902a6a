"""One damaged file of the site: what else is asked is answered, and the damage is told."""

from pathlib import Path

from saas_connectors.sandbox import Sandbox, Table
from tests.cli.conftest import TOWNS, Run

COUNT = "SELECT count(*) AS n FROM geo.communes"


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _other_dataset_damaged(site: Path) -> None:
    """A second dataset, whose only manifest cannot be read."""
    folder = site / "snapshots" / "geo" / "rivers" / "manifests"
    folder.mkdir(parents=True, mode=0o700)
    [manifest] = (site / "snapshots" / "geo" / "communes" / "manifests").glob("*.manifest")
    (folder / manifest.name).write_bytes(manifest.read_bytes())
    _flip(folder / manifest.name)


def test_a_damaged_manifest_of_another_dataset_does_not_stop_a_question(run: Run, pulled: Path) -> None:
    _other_dataset_damaged(pulled)
    assert run("query", COUNT).code == 0
    listed = run("snapshot", "list")
    assert (listed.code, "geo.communes" in listed.out, "geo.rivers" in listed.err) == (3, True, True)
    assert run("snapshot", "verify").code == 20


def test_a_damaged_old_manifest_leaves_the_others_answering(run: Run, pulled: Path, vendor: Sandbox) -> None:
    folder = pulled / "snapshots" / "geo" / "communes" / "manifests"
    [old] = folder.glob("*.manifest")
    vendor.vendor.datasets["communes"] = Table.of(TOWNS[:-1], ("code", "type"))
    assert run("sync", "run", "geo").code == 0
    _flip(old)
    answered = run("query", COUNT)
    assert (answered.code, old.name[:12] in answered.err) == (0, True)
    assert run("query", COUNT, "--as-of", "2").code == 0
    assert run("query", COUNT, "--as-of", "1").code == 20
    listed = run("snapshot", "list", "geo.communes")
    assert (listed.code, "geo.communes" in listed.err) == (3, True)
    assert run("snapshot", "verify").code == 20


def test_a_damaged_head_is_refused_and_no_older_copy_is_given_instead(run: Run, pulled: Path, vendor: Sandbox) -> None:
    folder = pulled / "snapshots" / "geo" / "communes" / "manifests"
    [old] = folder.glob("*.manifest")
    vendor.vendor.datasets["communes"] = Table.of(TOWNS[:-1], ("code", "type"))
    assert run("sync", "run", "geo").code == 0
    [new] = set(folder.glob("*.manifest")) - {old}
    _flip(new)
    assert run("query", COUNT).code == 20
    assert run("query", COUNT, "--as-of", "2099-01-01").code == 20


def test_a_damaged_manifest_beside_the_head_is_a_warning(run: Run, pulled: Path) -> None:
    folder = pulled / "snapshots" / "geo" / "communes" / "manifests"
    (folder / f"{'0' * 64}.manifest").write_bytes(b"not a manifest")
    answered = run("query", COUNT, "--clearance", "sensitive")
    assert (answered.code, "000000000000" in answered.err) == (0, True)
    assert run("snapshot", "verify").code == 20


def test_a_dataset_that_does_not_exist_is_refused_by_its_name(run: Run, pulled: Path) -> None:
    for verb in ("verify", "list", "show"):
        said = run("snapshot", verb, "geo.typo")
        assert (said.code, "geo.typo" in said.err) == (2, True), verb
