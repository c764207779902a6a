"""Time-stamps of the audit log: OpenSSL is the authority, and whoever checks our tokens without us."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sovereign.audit import AuditLog
from sovereign.audit.stamping import Stamping
from sovereign.site import Site
from sovereign.timestamping import stamper
from tests.cli.conftest import Run
from tests.servers.sites import Wandering
from tests.servers.stamping import OTHER_POLICY, Tsa, certify, openssl, running
from vault.errors import Fault


@pytest.fixture
def tsa(tmp_path: Path) -> Iterator[Tsa]:
    certify(tmp_path / "tsa")
    with running(tmp_path / "tsa") as serving:
        yield serving


@pytest.fixture
def stamped(site: Path, tsa: Tsa) -> Path:
    """A site that names the authority."""
    shutil.copy(tsa.folder / "ca.pem", site / "ours.pem")
    settings = site / "sovereign.toml"
    table = (
        f'\n[audit.timestamps]\nurl = "{tsa.url}"\nauthority = "ours.pem"\nnetwork = {{ loopback = true, plaintext = true }}\n'
    )
    settings.write_text(settings.read_text() + table)
    return site


def tokens(site: Path) -> list[Path]:
    return sorted((site / "audit" / "timestamps").glob("*.tsr"), key=lambda each: int(each.stem))


def test_a_token_is_kept_beside_the_log_and_checked_with_openssl_and_without_a_site(
    run: Run, stamped: Path, tsa: Tsa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("audit", "stamp", "--json").of("stamp")[0]
    second = run("audit", "stamp", "--json").of("stamp")[0]
    assert second["size"] > first["size"]
    assert [int(each.stem) for each in tokens(stamped)] == [first["size"], second["size"]]
    for token in tokens(stamped):
        said = openssl(
            tsa.folder, "ts", "-verify", "-data", str(token.with_suffix(".note")), "-in", str(token), "-CAfile", "ca.pem"
        )
        assert b"Verification: OK" in said
        assert token.stat().st_mode & 0o777 == token.with_suffix(".note").stat().st_mode & 0o777 == 0o600
    entered = run("audit", "show", "--act", "audit.stamped", "--json").of("entry")
    assert [each["subject"]["size"] for each in entered] == [first["size"], second["size"]]

    verified = run("audit", "verify", "--json").of("stamp")[0]
    assert (verified["size"], verified["at"], verified["tokens"]) == (second["size"], second["at"], 2)
    key = run("audit", "export", str(tmp_path / "given"), "--json").of("audit.exported")[0]["key"]
    shutil.move(stamped, tmp_path / "away")
    monkeypatch.delenv("SOVEREIGN_SITE")
    verify = ("audit", "verify", "--folder", str(tmp_path / "given"), "--key", key)
    assert run(*verify, "--authority", str(tsa.folder / "ca.pem"), "--json").of("stamp")[0]["at"] == second["at"]
    assert "2 time-stamp tokens not checked" in run(*verify).err


@pytest.mark.parametrize(
    ("manner", "code", "said"),
    [
        ("nonce", 20, "vault.bad_timestamp"), ("imprint", 20, "vault.bad_timestamp"), ("rejection", 20, "vault.bad_timestamp"),
        ("html", 20, "vault.bad_timestamp"), ("noise", 20, "vault.bad_timestamp"), ("trailing", 20, "vault.bad_timestamp"),
        ("error", 1, "audit.not_stamped"), ("huge", 1, "egress.too_large"), ("redirect", 1, "egress.redirected"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_refused_with_its_reason_and_nothing_of_it_is_kept(
    run: Run, stamped: Path, tsa: Tsa, manner: str, code: int, said: str
) -> None:
    tsa.manner = manner
    done = run("audit", "stamp", "--json")
    assert (done.code, done.errors[0]["code"]) == (code, said)
    assert tokens(stamped) == []
    assert run("audit", "show", "--act", "audit.stamped", "--json").of("entry") == []
    assert run("audit", "verify").code == 0
    tsa.manner = "good"
    assert run("audit", "stamp").code == 0


def test_an_authority_of_another_root_or_policy_and_one_that_is_away_are_refused(run: Run, stamped: Path, tsa: Tsa) -> None:
    settings = stamped / "sovereign.toml"
    good = settings.read_text()
    shutil.copy(certify(stamped.parent / "stranger"), stamped / "ours.pem")
    assert run("audit", "stamp").code == 20
    shutil.copy(tsa.folder / "ca.pem", stamped / "ours.pem")
    settings.write_text(good.replace('"ours.pem"', f'"ours.pem"\npolicy = "{OTHER_POLICY}"'))
    assert run("audit", "stamp", "--json").of("stamp")[0]["policy"] == OTHER_POLICY
    settings.write_text(good.replace('"ours.pem"', '"absent.pem"'))
    assert run("audit", "stamp", "--json").errors[0]["field"] == "audit.timestamps.authority"
    settings.write_text(good.replace(", plaintext = true", ""))
    assert run("audit", "stamp").code == 2
    settings.write_text(good.replace(tsa.url, "http://127.0.0.1:9"))
    assert run("audit", "stamp", "--json").errors[0]["code"] == "egress.not_sent"
    settings.write_text(good.replace("loopback = true, ", ""))
    assert run("audit", "stamp", "--json").errors[0]["code"] == "egress.refused"
    assert len(tokens(stamped)) == 1


def test_a_site_without_authority_says_so(run: Run, site: Path) -> None:
    assert run("audit", "stamp", "--json").errors[0]["code"] == "audit.no_authority"
    assert "timestamps" not in run("doctor").out


def test_a_token_taken_away_swapped_or_of_another_log_fails_verification(run: Run, stamped: Path, tsa: Tsa) -> None:
    for _ in range(2):
        assert run("audit", "stamp").code == 0
    first, second = tokens(stamped)
    kept = {path: path.read_bytes() for path in (stamped / "audit" / "timestamps").iterdir()}

    def fails() -> None:
        done = run("audit", "verify", "--json")
        assert (done.code, done.errors[0]["code"]) == (20, "audit.bad_stamp")
        for path, data in kept.items():
            path.write_bytes(data)
        assert run("audit", "verify").code == 0

    second.unlink()
    fails()
    second.write_bytes(kept[first])
    fails()
    for suffix in (".note", ".tsr"):
        second.with_suffix(suffix).write_bytes(kept[first.with_suffix(suffix)])
    fails()
    first.with_suffix(".note").write_bytes(kept[first.with_suffix(".note")].replace(b"\n", b"\n\n", 1))
    fails()
    # A token that no entry tells of, over a checkpoint that this log signed, of more than it holds.
    for suffix in (".note", ".tsr"):
        (second.parent / f"9999{suffix}").write_bytes(kept[second.with_suffix(suffix)])
    assert run("audit", "verify").code == 20


def test_doctor_names_the_authority_and_tells_the_age_of_the_last_token(run: Run, stamped: Path, tsa: Tsa) -> None:
    never = [each for each in run("doctor", "--json").of("check") if each["check"].startswith("doctor.")]
    said = {each["check"]: each for each in never}
    assert tsa.url in said["doctor.timestamps"]["what"]
    assert (said["doctor.stamp"]["state"], "never obtained" in said["doctor.stamp"]["what"]) == ("warning", True)
    assert run("audit", "stamp").code == 0
    assert {each["check"]: each["state"] for each in run("doctor", "--json").of("check")}["doctor.stamp"] == "info"


def entered(log: AuditLog) -> int:
    return len(log.entries(act="audit.stamped"))


def until(log: AuditLog, count: int) -> None:
    deadline = time.monotonic() + 60
    while entered(log) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_service_asks_once_a_day_and_again_after_a_failure(stamped: Path, tsa: Tsa) -> None:
    clock, told = Wandering(), list[Fault]()
    tsa.manner = "html"
    with Site.open(stamped, clock=clock) as site:
        made = stamper(site)
        assert made is not None
        assert made.due()
        with Stamping(made, told.append, look=0.05, again=0.05):
            deadline = time.monotonic() + 60
            while tsa.asked < 3:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            tsa.manner = "good"
            until(site.audit, 1)
            time.sleep(0.3)
            assert entered(site.audit) == 1
            clock.offset = timedelta(hours=25)  # the authority's clock stays: its time is not ours any more
            deadline, asked = time.monotonic() + 60, tsa.asked
            while len(told) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert [each.fields["reason"] for each in told] == ["form", "time"]
        assert tsa.asked > asked
        assert entered(site.audit) == 1


def test_serve_stamps_by_itself_and_a_silent_authority_does_not_hold_it(stamped: Path, tsa: Tsa) -> None:
    command = [sys.executable, "-m", "sovereign.cli.main", "serve", "--json"]
    tsa.manner = "slow"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    try:
        with Site.open(stamped) as site:
            deadline = time.monotonic() + 60
            while not site.audit.entries(act="serve.started"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert entered(site.audit) == 0
            tsa.manner = "good"
            tsa.wake.set()
            until(site.audit, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
