"""What `sovereign keys` says and asks: passphrases, counts, warnings, what a restore did not bring back."""

import json
from pathlib import Path

import pytest

from .conftest import Run
from .test_terminal import type_in

OLD, NEW = "cheval exact pile agrafe", "lanterne verte sous la pluie"


@pytest.fixture
def sealed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site opened by a passphrase, read from a file."""
    (tmp_path / "old").write_text(f"{OLD}\n")
    (tmp_path / "new").write_text(f"{NEW}\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "old"))
    assert run("init", "town").code == 0
    monkeypatch.setenv("SOVEREIGN_SITE", str(tmp_path / "town"))
    return tmp_path


def test_a_passphrase_is_changed_from_files_and_the_act_is_entered(
    run: Run, sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("keys", "passphrase", "--json").errors[0]["code"] == "passphrase.none"
    monkeypatch.setenv("SOVEREIGN_NEW_PASSPHRASE_FILE", str(sealed / "new"))
    said = run("keys", "passphrase", "--json")
    assert (said.code, [record["type"] for record in said.records]) == (0, ["passphrase.changed"])
    assert NEW not in said.out + said.err
    assert run("keys", "list", "--json").errors[0]["code"] == "vault.wrong_passphrase"
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(sealed / "new"))
    assert run("keys", "check").code == 0
    assert [record["act"] for record in run("audit", "show", "--act", "passphrase.changed", "--json").of("entry")] == [
        "passphrase.changed"
    ]


def test_a_new_passphrase_is_asked_twice_and_never_shown(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, screen = type_in("keys", "passphrase", answers=(("New passphrase", NEW), ("Repeat", NEW)))
    assert (code, NEW in screen) == (0, False)
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(sealed / "new"))
    assert type_in("keys", "list")[0] == 0


def test_a_master_key_without_passphrase_is_refused_in_so_many_words(run: Run, site: Path) -> None:
    said = run("keys", "passphrase", "--json")
    assert (said.code, said.errors[0]["code"]) == (2, "vault.passphrase_unknown")
    assert "keys rotate --master" in said.errors[0]["todo"]


def test_destroying_a_class_warns_that_the_raw_archive_still_holds_its_values(run: Run, pulled: Path) -> None:
    period = run("keys", "list", "--json").records[0]["period"]
    said = run("keys", "destroy", "geo", "personal", period, "--yes")
    assert (said.code, said.out.strip()) == (0, f"✓ 1 key destroyed: geo/personal/{period}")
    assert "The raw archive of geo still holds these values" in said.err
    assert "raw archive" not in run("keys", "destroy", "geo", "raw", period, "--yes").err
    assert "raw archive" not in run("keys", "destroy", "geo", "internal", period, "--yes").err


@pytest.mark.parametrize(
    ("language", "none", "one", "gone"),
    [
        ("en", "0 keys rotated, 0 envelopes rewrapped", "1 key rotated, 1 envelope rewrapped", "1 key destroyed"),
        ("fr", "0 clé changée, 0 enveloppe refaite", "1 clé changée, 1 enveloppe refaite", "1 clé détruite"),
    ],
)
def test_what_was_done_to_keys_is_counted_in_grammar(
    run: Run, site: Path, tmp_path: Path, language: str, none: str, one: str, gone: str
) -> None:
    assert run("--lang", language, "keys", "rotate").out.strip() == f"✓ {none}"
    (tmp_path / "secret").write_text("a credential")
    assert run("connection", "add", "geo", "--connector", "rest", "--url", "https://geo.example", *STREAM).code == 0
    assert run("secret", "set", "geo", "--file", str(tmp_path / "secret")).code == 0
    assert run("--lang", language, "keys", "rotate").out.strip() == f"✓ {one}"
    assert run("--lang", language, *DESTROY).out.strip().partition(" :" if language == "fr" else ":")[0] == f"✓ {gone}"


STREAM = ("--set", "streams.communes.path=/page/communes", "--set", 'streams.communes.primary_key=["code"]')
DESTROY = ("keys", "destroy", "geo", "secret", "always", "--yes")


def test_a_restore_of_a_keyring_that_someone_altered_says_so_and_leaves_3(
    run: Run, pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("keys", "export-recovery", "--output", "shares").code == 0
    path = pulled / "keys" / "keyring.json"
    parsed = json.loads(path.read_bytes())
    del parsed["records"][-1]
    path.write_text(json.dumps(parsed))
    (tmp_path / "passphrase").write_text(f"{NEW}\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    shares = [word for share in sorted(Path("shares").iterdir())[:2] for word in ("--share", str(share))]
    said = run("keys", "restore-recovery", "--keys", "file:keys/new.json", *shares, "--json")
    assert (said.code, said.records[0]["intact"], said.records[0]["lost"]) == (3, False, [])
    path.write_text(path.read_text().replace('"revision": ', '"revision": 1'))
    said = run("--lang", "fr", "keys", "restore-recovery", "--keys", "file:keys/other.json", *shares)
    assert (said.code, "n'était pas celui que ce site a écrit" in said.err) == (3, True)


def test_a_restore_that_is_whole_says_so(run: Run, pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("keys", "export-recovery", "--output", "shares").code == 0
    (tmp_path / "passphrase").write_text(f"{NEW}\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    shares = [word for share in sorted(Path("shares").iterdir())[:2] for word in ("--share", str(share))]
    said = run("keys", "restore-recovery", "--keys", "file:keys/new.json", *shares, "--json")
    assert (said.code, said.records[0]["intact"], said.records[0]["lost"]) == (0, True, [])
