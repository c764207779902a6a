"""From the event by which human resources say that someone left to ten accounts disabled and read back.

The services are SCIM sandboxes in a process of their own; the gateway is `sovereign serve`; both share this machine. A
departure's time runs from just before its signed event is sent until its last account is read back, as the state database
dates it. First one departure after another, then `--burst` at once; for accounts and for whole departures.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import requests
from bench_gateway import process
from measure import HERE, PYTHON, report

from sovereign.clock import now
from sovereign.gateway.webhooks import headers_of

KEY = b"what both sides of a bench share"
SETTINGS = """
[gateway]
listen = "127.0.0.1:0"

[events.rh]
scheme = "standard"
prefix = "rh."
type_field = "event"
"""
SERVICE = """
[connections.{name}]
connector = "scim"
url = "http://127.0.0.1:{port}/scim/v2"
network = {{ loopback = true, plaintext = true }}
limits = {{ concurrency = 4, rate = 10000.0 }}
writes = ["disable_user"]
"""
FLOW = """
title = "Départ d'un agent"
owner = "agathe"
on = { event = "rh.departure" }
clearance = "personal"
key = ["matricule"]
select = "SELECT matricule FROM event"
"""
STEP = """
[[do]]
connection = "{name}"
operation = "disable_user"
payload = {{ externalId = "{{matricule}}" }}
"""


def site(root: Path, ports: list[int]) -> dict[str, str]:
    """Make the site, its flow and what opens it; gives its environment."""
    (root / "passphrase").write_text("cheval exact pile agrafe\n")
    (root / "shared").write_bytes(b"whsec_" + b64encode(KEY))
    town = root / "town"
    environment = {
        "SOVEREIGN_PASSPHRASE_FILE": str(root / "passphrase"), "SOVEREIGN_SITE": str(town), "SOVEREIGN_LANG": "en",
    }  # fmt: skip

    def sovereign(*line: str) -> None:
        command = [PYTHON, "-m", "sovereign.cli.main", *line, "--json"]
        subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)

    sovereign("init", str(town))
    names = [f"service_{number}" for number in range(len(ports))]
    with (town / "sovereign.toml").open("a") as file:
        file.write(SETTINGS + "".join(SERVICE.format(name=name, port=port) for name, port in zip(names, ports, strict=True)))
    (town / "flows").mkdir(mode=0o700)
    (town / "flows" / "depart.toml").write_text(FLOW + "".join(STEP.format(name=name) for name in names))
    sovereign("event", "secret", "rh", "--file", str(root / "shared"))
    sovereign("flow", "enable", "depart")
    for name in names:
        sovereign("policy", "open", name, "disable_user", "--client", "flow-depart", "--add")
    return environment


def leave(session: requests.Session, address: str, number: int) -> float:
    """Say that someone left; gives the instant just before."""
    body = json.dumps({"event": "departure", "matricule": f"M{number:05d}"}).encode()
    headers = dict(headers_of(f"leaver-{number}", now(), body, [KEY]))
    began = time.time()
    told = session.post(f"{address}/v1/events/rh", data=body, headers=headers, timeout=60)
    if told.status_code != 202:
        raise SystemExit(f"the door answered {told.status_code}")
    return began


def await_closed(state: sqlite3.Connection, wanted: int, seconds: float) -> None:
    """Wait until so many writes are closed by their read-back."""
    until = time.monotonic() + seconds
    while state.execute("SELECT count(*) FROM deliveries WHERE state = 'confirmed'").fetchone()[0] < wanted:
        if time.monotonic() > until:
            raise SystemExit(f"fewer than {wanted} accounts were read back in {seconds:.0f} s")
        time.sleep(0.02)


def closed(state: sqlite3.Connection) -> dict[int, list[float]]:
    """When each account of each departure was read back, by the order in which departures came."""
    asked = (
        "WITH came AS (SELECT occasion, row_number() OVER (ORDER BY min(rowid)) - 1 AS nth FROM flow_rows GROUP BY occasion)"
        " SELECT nth, max(e.at) FROM came JOIN flow_rows r USING (occasion) JOIN delivery_events e ON e.intent = r.intent"
        " WHERE e.state = 'confirmed' GROUP BY r.intent"
    )
    found: dict[int, list[float]] = {}
    for number, at in state.execute(asked):
        found.setdefault(number, []).append(datetime.fromisoformat(at).timestamp())
    return found


def spread(seconds: list[float]) -> Mapping[str, float]:
    """Median, 99th percentile and worst, in seconds."""
    ordered = sorted(seconds)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[max(0, -(-99 * len(ordered) // 100) - 1)], 3),
        "max": round(ordered[-1], 3),
    }


def main() -> None:
    """Let people leave, and say how long each account lived on."""
    options = argparse.ArgumentParser()
    options.add_argument("--departures", type=int, default=500)
    options.add_argument("--systems", type=int, default=10)
    options.add_argument("--burst", type=int, default=50)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        people = given.departures + given.burst
        services = stack.enter_context(
            process(PYTHON, HERE / "services.py", "--systems", str(given.systems), "--people", str(people))
        )
        assert services.stdout is not None  # noqa: S101 -- PIPE was asked for
        environment = site(Path(folder), json.loads(services.stdout.readline()))
        serving = stack.enter_context(process(PYTHON, "-m", "sovereign.cli.main", "serve", "--json", **environment))
        assert serving.stdout is not None  # noqa: S101 -- PIPE was asked for
        address = next(said["address"] for line in serving.stdout if (said := json.loads(line))["type"] == "gateway")
        state = sqlite3.connect(f"file:{folder}/town/state.db?mode=ro", uri=True)
        session = stack.enter_context(requests.Session())
        sent = []
        for number in range(given.departures):
            sent.append(leave(session, address, number))
            await_closed(state, (number + 1) * given.systems, 60)
        sent += [leave(session, address, number) for number in range(given.departures, people)]
        await_closed(state, people * given.systems, 300)
        took = {number: [at - sent[number] for at in each] for number, each in closed(state).items()}
        parts = {"one after another": range(given.departures), "at once": range(given.departures, people)}
        for load, numbers in parts.items():
            if numbers:
                accounts = [each for number in numbers for each in took[number]]
                whole = [max(took[number]) for number in numbers]
                report("departures", load=load, departures=len(numbers), systems=given.systems,
                       account=spread(accounts), departure=spread(whole))  # fmt: skip


if __name__ == "__main__":
    main()
