"""What keeps the copies safe, typed: passphrases, secrets, keys and what was altered."""

import shutil
import stat
from pathlib import Path

import pytest

from saas_connectors.sandbox import Sandbox

from .conftest import COMMUNES, TOWNS, Run


def test_a_passphrase_that_is_not_the_right_one_exits_12(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "right").write_text("the right passphrase\n")
    (tmp_path / "wrong").write_text("the wrong passphrase\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "right"))
    assert run("init", "town").code == 0
    assert run("--site", "town", "keys", "list").code == 0
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "wrong"))
    said = run("--site", "town", "keys", "list")
    assert said.code == 12
    assert "right passphrase" not in said.err
    said = run("--site", "town", "doctor")
    assert (said.code, said.out.count("master.json")) == (12, 1)
    monkeypatch.delenv("SOVEREIGN_PASSPHRASE_FILE")
    assert run("--site", "town", "keys", "list", "--json").errors[0]["code"] == "passphrase.none"
    Path("town/keys/master.json").unlink()
    said = run("--site", "town", "keys", "list")
    assert (said.code, "keys restore-recovery" in said.err) == (12, True)


def test_a_secret_is_sealed_and_never_shown_again(run: Run, site: Path, vendor: Sandbox, tmp_path: Path) -> None:
    from saas_connectors.sandbox.vendor import SECRET

    (tmp_path / "token").write_text(f"{SECRET}\n")
    settings = [each.replace("/page/", "/auth/bearer/page/") for each in COMMUNES]
    said = run("connection", "add", "geo", "--connector", "rest", "--url", vendor.url, *settings,
               "--set", "auth.kind=bearer", "--secret-file", str(tmp_path / "token"))  # fmt: skip
    assert said.code == 0
    assert run("sync", "run", "geo").code == 0
    assert run("secret", "list").out.splitlines()[1].split() == ["geo", "geo"]
    (tmp_path / "token").write_text("another\n")
    assert run("secret", "set", "geo", "--file", str(tmp_path / "token")).code == 0
    said = run("sync", "run", "geo", "--json")
    assert (said.code, said.errors[0]["code"]) == (1, "vendor.unauthorized")
    everything = said.out + said.err + run("audit", "show").out
    assert SECRET not in everything
    assert not [path for path in site.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert run("secret", "remove", "geo", "geo").code == 0
    assert run("doctor").code == 1


def test_what_was_altered_is_found_and_exits_20(run: Run, pulled: Path) -> None:
    (part,) = pulled.glob("snapshots/geo/communes/parts/*.internal.parquet")
    held = bytearray(part.read_bytes())
    held[len(held) // 2] ^= 1
    part.write_bytes(held)
    said = run("snapshot", "verify", "--json")
    assert said.code == 20
    assert said.of("verdict")[0]["ok"] is False
    assert run("snapshot", "verify").out.splitlines()[-1].startswith("✗ ")


def test_a_manifest_that_was_taken_away_is_missed(run: Run, pulled: Path, vendor: Sandbox) -> None:
    vendor.vendor.datasets["communes"].put({**TOWNS[0], "population": 11})  # type: ignore[attr-defined]  # a table
    assert run("sync", "run").code == 0
    newest = run("snapshot", "list", "geo.communes", "--json").records[-1]["hash"]
    next(pulled.rglob(f"{newest}.manifest")).unlink()
    assert run("snapshot", "verify").code == 20
    said = run("query", "SELECT population FROM geo.communes WHERE nom = 'Saint-Étienne'", "--json")
    assert (said.code, said.of("answer")[0]["datasets"][0]["sequence"]) == (0, 1)
    assert "snapshot 2" in said.of("answer")[0]["warnings"][0]
    assert run("sync", "run").code == 0
    assert run("snapshot", "verify").code == 20  # a later sync does not hide what is missing


def test_destroying_keys_asks_for_the_scope_s_name(run: Run, pulled: Path) -> None:
    period = run("keys", "list", "--json").records[0]["period"]
    said = run("keys", "destroy", "geo", "personal", period, "--json")
    assert (said.code, said.errors[0]["code"], said.errors[0]["scope"]) == (2, "keys.not_confirmed", f"geo/personal/{period}")
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code == 0
    assert run("keys", "destroy", "geo", "personal", period, "--yes", "--reason", "end of retention").code == 0
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code != 0
    said = run("query", "SELECT maire FROM geo.communes", "--clearance", "personal")
    assert ("keys of class personal were destroyed" in said.err, "--clearance" in said.err) == (True, False)
    assert run("query", "SELECT code FROM geo.communes").code == 0
    states = {record["key_class"]: record["state"] for record in run("keys", "list", "--json").of("key")}
    assert (states["personal"], states["internal"]) == ("destroyed", "active")


def test_a_destruction_that_did_not_happen_is_not_entered(run: Run, pulled: Path) -> None:
    period = run("keys", "list", "--json").records[0]["period"]
    for scope in (("nowhere", "personal", period), ("geo", "personal", "1999")):
        said = run("keys", "destroy", *scope, "--yes", "--json")
        assert (said.code, said.errors[0]["code"]) == (12, "vault.no_key")
    assert run("audit", "show", "--act", "keys.destroyed", "--json").records == []


def test_rotation_keeps_everything_readable(run: Run, pulled: Path) -> None:
    said = run("keys", "rotate", "--json")
    assert said.code == 0
    assert said.records[0]["keys"] > 0
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code == 0
    assert run("snapshot", "verify").code == 0


def test_a_lost_master_is_replaced_with_the_shares(
    run: Run, pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("keys", "check").out.splitlines()[-1] == "✓ no fault, 1 to look at"
    said = run("keys", "export-recovery", "--threshold", "2", "--shares", "3", "--output", "shares")
    assert said.code == 0
    shares = sorted(Path("shares").iterdir())
    assert [stat.S_IMODE(share.stat().st_mode) for share in shares] == [0o600] * 3
    assert shares[0].read_text().strip() not in said.out + said.err
    assert run("keys", "check").code == 0
    assert run("keys", "export-recovery", "--output", "shares", "--json").errors[0]["code"] == "output.exists"

    shutil.rmtree(tmp_path / "credentials")
    assert run("keys", "list").code != 0
    (tmp_path / "passphrase").write_text("a new beginning\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    restore = ("keys", "restore-recovery", "--keys", "file:keys/new.json")
    assert run(*restore, "--share", str(shares[0])).code != 0
    assert run(*restore, "--share", str(shares[0]), "--share", str(shares[2])).code == 0
    assert run("query", "SELECT maire FROM geo.communes", "--clearance", "personal").code == 0
