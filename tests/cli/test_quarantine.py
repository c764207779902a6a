"""`snapshot quarantine`: what the guards stopped is listed with the reason, told by doctor, verified, and removed on demand."""

import os
import subprocess
import sys
from pathlib import Path

from saas_connectors.sandbox import Sandbox
from tests.cli.conftest import TOWNS, Run

DRILL = """
import os, sys, threading, time
from pathlib import Path
from sovereign.cli.main import main

os.umask(0)
root, seen, done = Path(sys.argv[1]), {}, threading.Event()

def watch():
    while not done.is_set():
        for path in root.glob("spill/**/*"):
            try:
                if path.is_file() and path.name != "lock":
                    seen[path.name] = path.stat().st_mode & 0o777
            except OSError:
                pass
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
code = main(["--site", str(root), "query", sys.argv[2], "--format", "csv"])
done.set()
watcher.join()
assert os.umask(0) == 0, "the caller's mask was not given back"
print(f"modes {sorted({oct(mode) for mode in seen.values()})}", file=sys.stderr)
sys.exit(code)
"""
SPILLING = (
    "SELECT count(*) AS n FROM (SELECT md5(a.nom || b.nom || c.nom) AS x FROM geo.communes a, geo.communes b, "
    "(FROM geo.communes LIMIT 24) c ORDER BY x OFFSET 1)"
)


def fall(run: Run, vendor: Sandbox) -> str:
    communes = vendor.vendor.datasets["communes"]
    communes.remove(*((row["code"], row["type"]) for row in TOWNS[:200]))  # type: ignore[attr-defined]  # a table
    assert run("sync", "run", "geo").code == 3
    (held,) = run("snapshot", "quarantine", "list", "--json").of("quarantine")
    return str(held["run"])


def test_what_the_guards_stopped_is_listed_in_both_languages(run: Run, pulled: Path, vendor: Sandbox) -> None:
    assert "Nothing in quarantine." in run("snapshot", "quarantine", "list").out
    name = fall(run, vendor)
    (held,) = run("snapshot", "quarantine", "list", "geo.communes", "--json").of("quarantine")
    assert (held["dataset"], held["run"], held["rows"], held["deletions"]) == ("geo.communes", name, 50, 200)
    assert held["bytes"] > 0
    assert held["waits"] is True
    assert held["reason_fr"].startswith("la copie passe de 250 à 50")
    assert held["reason_en"] == held["reason"]
    said = run("snapshot", "quarantine", "list", "--lang", "fr").out
    assert name in said
    assert "la copie passe de 250 à 50" in said


def test_doctor_tells_a_quarantine_that_waits_until_it_is_removed(run: Run, pulled: Path, vendor: Sandbox) -> None:
    name = fall(run, vendor)
    assert "doctor.quarantine" in {each["check"] for each in run("doctor", "--json").of("check")}
    assert run("snapshot", "verify").code == 0
    refused = run("snapshot", "quarantine", "remove", "geo.communes", name, "--json")
    assert (refused.code, refused.errors[0]["code"]) == (2, "quarantine.not_confirmed")
    removed = run("snapshot", "quarantine", "remove", "geo.communes", name, "--yes", "--json")
    assert removed.code == 0
    assert removed.of("quarantine.removed")[0] | {"bytes": 0} == {
        "type": "quarantine.removed", "dataset": "geo.communes", "run": name, "rows": 50, "bytes": 0,
    }  # fmt: skip
    assert "doctor.quarantine" not in {each["check"] for each in run("doctor", "--json").of("check")}
    assert run("snapshot", "quarantine", "list", "--json").of("quarantine") == []
    assert "quarantine.discarded" in {each["act"] for each in run("audit", "show", "--json").of("entry")}
    assert run("query", "SELECT count(*) AS n FROM geo.communes", "--json").of("answer")[0]["rows"] == 1
    assert run("query", "FROM geo.communes", "--json").of("answer")[0]["rows"] == 250


def test_a_quarantine_that_is_not_there_is_named(run: Run, pulled: Path) -> None:
    said = run("snapshot", "quarantine", "remove", "geo.communes", "..", "--yes", "--json")
    assert said.code == 1
    assert said.errors[0]["code"] == "quarantine.none"


def test_verification_reads_the_raw_archive_to_its_last_tag(run: Run, pulled: Path) -> None:
    (segment,) = pulled.glob("snapshots/geo/.raw/*/000001.raw")
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    said = run("snapshot", "verify", "--json")
    assert said.code == 20
    assert {each["code"] for each in said.of("finding")} == {"raw.unverified"}


def test_what_the_engine_spills_is_for_the_account_alone_whatever_its_mask(pulled: Path) -> None:
    settings = pulled / "sovereign.toml"
    settings.write_text(settings.read_text().replace('memory = "512 MiB"', 'memory = "64 MiB"'))
    command = [sys.executable, "-c", DRILL, str(pulled), SPILLING]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "modes ['0o600']" in done.stderr
