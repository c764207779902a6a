"""Two files of agents read and compared.

Usage: python bench/peer_files.py duckdb|format|sovereign FIRST SECOND.

Prints the seconds that the work took, on the wall and of CPU, and, where it compares, the rows added, changed, removed, kept.
Of Sovereign, also the seconds in which a flow found who is gone and handed each departure to the gateway, durable (`asked`).
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

TYPES = {"né le": "date", "entré le": "date", "salaire": "decimal(10,2)", "prime": "decimal(10,2)"}
STREAM = {
    "files": "agents.csv", "primary_key": ["matricule"], "separator": ";", "encoding": "latin-1", "dates": "dd/mm/yyyy",
    "decimal": ",", "types": TYPES,
}  # fmt: skip
FLOW = """
title = "Départs"
owner = "drh"
on = { change = "rh.agents" }
clearance = "personal"
key = ["matricule"]
most = 1000
select = "SELECT before.matricule FROM changes('rh.agents') WHERE _op = 'd'"
[[do]]
connection = "messagerie"
operation = "disable_user"
payload = { externalId = "{matricule}" }
"""
OPEN = """@id("bench") @owner("dsi") @expires("2099-01-01") @fr("Un banc d'essai.") @en("A bench.")
permit (principal, action, resource);
"""


def by_duckdb(first: Path, second: Path) -> dict[str, object]:
    """Read and join in memory."""
    import duckdb

    with duckdb.connect(":memory:") as held:
        began, cpu = time.monotonic(), time.process_time()
        for name, path in (("a", first), ("b", second)):
            held.execute(
                f"CREATE TABLE {name} AS FROM read_csv('{path}', delim=';', encoding='latin-1', dateformat='%d/%m/%Y', "
                "types={'matricule': 'VARCHAR'}, decimal_separator=',')"
            )
        counts = held.execute(
            "SELECT count(*) FILTER (a.matricule IS NULL), "
            "count(*) FILTER (a.matricule = b.matricule AND a IS DISTINCT FROM b), "
            "count(*) FILTER (b.matricule IS NULL), count(*) FILTER (a IS NOT DISTINCT FROM b) "
            "FROM a FULL JOIN b ON a.matricule = b.matricule"
        ).fetchone()
        return {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu, "counts": counts}


def by_format(first: Path, second: Path) -> dict[str, object]:
    """Read both, types applied; nothing is compared."""
    from saas_connectors.formats import of
    from saas_connectors.formats.columns import declared
    from saas_connectors.formats.format import Reading

    options = {name: STREAM[name] for name in ("separator", "encoding", "dates", "decimal")}
    reading, csv = Reading(TYPES, options), of("csv")
    began, cpu = time.monotonic(), time.process_time()
    for path in (first, second):
        found = declared(csv.columns(path.read_bytes(), reading), reading)
        if found.rejected:
            raise SystemExit("rows were set aside")
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}


def by_sovereign(first: Path, second: Path) -> dict[str, object]:
    """Pull the first file, then, timed, the second, and have a flow act on what changed."""
    from datetime import timedelta

    from sovereign.clock import now
    from sovereign.flowing import bus, enable
    from sovereign.service import fronted
    from sovereign.site import Site

    root = Path(tempfile.mkdtemp())
    folder = root / "depot"
    folder.mkdir()
    with Site.create(root / "site", passphrase=lambda: "a bench has no secret") as site:
        site.add_connection("rh", {"connector": "files", "url": f"folder:{folder}", "streams": {"agents": STREAM}})
        nobody = {"loopback": True, "plaintext": True}
        service = {"connector": "scim", "url": "http://127.0.0.1:9", "writes": ["disable_user"], "network": nobody}
        site.add_connection("messagerie", service)
        site.outbound.people.put("drh", [])
        site.outbound.rights.grant("person", "drh", "clearance", "personal", by="bench", reason="bench", connection="rh",
                                   expires_at=now() + timedelta(days=1))  # fmt: skip
        for name, text in (("flows/depart.toml", FLOW), ("policies/bench.cedar", OPEN)):
            (root / "site" / name).parent.mkdir(mode=0o700, exist_ok=True)
            (root / "site" / name).write_text(text)
        shutil.copy(first, folder / "agents.csv")
        site.syncs.run("rh")
        enable(site, "depart")
        shutil.copy(second, folder / "agents.csv")
        began, cpu = time.monotonic(), time.process_time()
        outcome = site.syncs.run("rh")
        seconds, spent = time.monotonic() - began, time.process_time() - cpu
        with fronted(site) as front:
            began, cpu = time.monotonic(), time.process_time()
            acting = bus(site)
            acting.look()
            asked = len(acting.work(front))
            asking = {"asked": asked, "asked_seconds": time.monotonic() - began, "asked_cpu": time.process_time() - cpu}
    shutil.rmtree(root)
    if outcome.state != "succeeded":
        raise SystemExit(f"the pull ended as {outcome.state}: {outcome.fault} {outcome.streams}")
    counts = next(stream.counts for stream in outcome.streams if stream.stream == "agents")
    return {
        "seconds": seconds,
        "cpu": spent,
        **asking,
        "counts": [counts[name] for name in ("inserted", "updated", "deleted", "unchanged")],
    }


if __name__ == "__main__":
    peers = {"duckdb": by_duckdb, "format": by_format, "sovereign": by_sovereign}
    print(json.dumps(peers[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
