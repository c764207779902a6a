"""Writes through the gateway (full decision, DLP, durable intent, audit) against mitmdump and Envoy, which only pass bytes on.

The same vendor, the same 2 kB JSON POST, 32 connections, each server in turn in each round; the caller and the vendor are
processes of their own, and `direct` is what they do with nothing between. Then the gateway and Envoy at one fixed rate, half
of what the gateway carries. Medians over the rounds. `--pids` prints the processes on standard error, for a profiler.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import HERE, PYTHON, report

TOOLS = HERE.parent / ".tools"
SETTINGS = """
[gateway]
listen = "127.0.0.1:0"

[connections.mail]
connector = "rest"
url = "http://127.0.0.1:{port}"
network = {{ loopback = true, plaintext = true }}
limits = {{ concurrency = 32 }}

[connections.mail.streams.letters]
path = "/letters"
primary_key = ["id"]

[connections.mail.operations.create]
method = "POST"
path = "/letters"
entity = ["ref"]
key_header = "Idempotency-Key"

[connections.mail.operations.create.schema]
type = "object"
required = ["ref", "subject"]

[connections.mail.operations.create.schema.properties]
ref = {{ type = "string" }}
subject = {{ type = "string" }}
priority = {{ type = "integer" }}
text = {{ type = "string" }}
"""
ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: vendor}}}}]}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: vendor
    type: STATIC
    load_assignment:
      cluster_name: vendor
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]
"""


@dataclass(frozen=True)
class Server:
    """A server under load: where it listens, and how it is asked."""

    name: str
    pid: int
    port: int
    path: str
    token: str | None = None


def cpu(pid: int) -> float:
    """CPU seconds so far of a process and of those that it started (Linux, `proc(5)`)."""
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK") + sum(cpu(int(each)) for each in children)


@contextmanager
def process(*command: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process until the end of the block."""
    started = subprocess.Popen(
        [str(each) for each in command], env={**os.environ, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(60)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def opened(port: int) -> None:
    """Wait until something listens there."""
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on {port}")


def site(root: Path, vendor: int) -> tuple[dict[str, str], str]:
    """Make a site with one vendor, one application and the policy that opens it; gives its environment and the token."""
    (root / "passphrase").write_text("cheval exact pile agrafe\n")
    environment = {
        "SOVEREIGN_PASSPHRASE_FILE": str(root / "passphrase"), "SOVEREIGN_SITE": str(root / "town"), "SOVEREIGN_LANG": "en",
    }  # fmt: skip

    def sovereign(*line: str) -> str:
        command = [PYTHON, "-m", "sovereign.cli.main", *line, "--json"]
        return subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True).stdout

    sovereign("init", str(root / "town"))
    with (root / "town" / "sovereign.toml").open("a") as file:
        file.write(SETTINGS.format(port=vendor))
    made = sovereign(
        "client",
        "add",
        "desk",
        "--owner",
        "agathe",
        "--purpose",
        "bench",
        "--connection",
        "mail",
        "--rate",
        "10000",
        "--concurrency",
        "64",
    )
    sovereign("policy", "open", "mail", "create", "--client", "desk", "--add")
    return environment, str(json.loads(made.splitlines()[0])["token"])


def servers(stack: ExitStack, root: Path) -> tuple[Server, list[Server], dict[str, str]]:
    """Start the vendor, the gateway and both peers; gives the vendor, what is compared, and the site's environment."""
    taker = stack.enter_context(process(PYTHON, HERE / "taker.py"))
    assert taker.stdout is not None  # noqa: S101 -- PIPE was asked for
    vendor = int(taker.stdout.readline())
    environment, token = site(root, vendor)
    gateway = stack.enter_context(process(PYTHON, "-m", "sovereign.cli.main", "serve", "--json", **environment))
    assert gateway.stdout is not None  # noqa: S101 -- PIPE was asked for
    address = next(said["address"] for line in gateway.stdout if (said := json.loads(line))["type"] == "gateway")
    ports = [free_port(), free_port()]
    (root / "envoy.yaml").write_text(ENVOY.format(listen=ports[1], port=vendor))
    mitmdump = stack.enter_context(
        process(TOOLS / "mitmproxy/bin/mitmdump", "-q", "--listen-host", "127.0.0.1", "--listen-port", str(ports[0]),
                "--mode", f"reverse:http://127.0.0.1:{vendor}", "--set", f"confdir={root / 'mitm'}")
    )  # fmt: skip
    envoy = stack.enter_context(
        process(TOOLS / "envoy/bin/envoy", "-c", root / "envoy.yaml", "-l", "error", "--disable-hot-restart")
    )
    for port in ports:
        opened(port)
    compared = [
        Server("gateway", gateway.pid, int(address.rpartition(":")[2]), "/v1/connections/mail/operations/create", token),
        Server("mitmdump", mitmdump.pid, ports[0], "/letters"),
        Server("envoy", envoy.pid, ports[1], "/letters"),
    ]
    return Server("direct", taker.pid, vendor, "/letters"), compared, environment


def load(server: Server, run: str, seconds: float, rate: float = 0.0) -> dict[str, Any]:
    """Load one server and say what was seen, with the CPU of the server a request."""
    before = cpu(server.pid)
    command = [PYTHON, str(HERE / "caller.py"), str(server.port), server.path, run, "--seconds", str(seconds)]
    command += ["--rate", str(rate)]
    told = {**os.environ, "BENCH_TOKEN": server.token or "none"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=told, check=False)
    if done.returncode:
        raise SystemExit(f"the load of {server.name} failed")
    seen: dict[str, Any] = json.loads(done.stdout)
    if set(seen["statuses"]) - {"200", "201"} or seen["unanswered"]:
        raise SystemExit(f"{server.name} answered {seen['statuses']}, {seen['unanswered']} not at all")
    seen["cpu_us"] = round(1e6 * (cpu(server.pid) - before) / seen["requests"], 1)
    seen["caller_us"] = round(1e6 * seen.pop("caller_cpu") / seen["requests"], 1)
    return seen


def middle(runs: list[dict[str, Any]], name: str) -> float:
    """The median of a figure over the rounds."""
    return statistics.median(each[name] for each in runs)


def main() -> None:
    """Load all of them in turn and compare."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=8.0)
    options.add_argument("--pids", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        direct, compared, environment = servers(stack, Path(folder))
        if given.pids:
            print({each.name: each.pid for each in compared}, file=sys.stderr, flush=True)
        for each in compared:
            load(each, "warm", 2)
        runs: dict[str, list[dict[str, Any]]] = {}
        for number in range(given.rounds):
            for each in (direct, *compared):
                runs.setdefault(each.name, []).append(load(each, f"free{number}", given.seconds))
        gateway, mitmdump, envoy = runs["gateway"], runs["mitmdump"], runs["envoy"]
        rate = middle(gateway, "per_second") / 2
        paced: dict[str, list[dict[str, Any]]] = {}
        for number in range(given.rounds):
            for each in (compared[0], compared[2]):
                paced.setdefault(each.name, []).append(load(each, f"paced{number}", given.seconds, rate))
        names = ("per_second", "cpu_us", "caller_us", "p50_ms", "p99_ms", "max_ms")
        for name, seen in runs.items():
            report("gateway", server=name, load="as fast as answered", **{each: middle(seen, each) for each in names})
        for name, seen in paced.items():
            report("gateway", server=name, load=f"{rate:.0f} a second", **{each: middle(seen, each) for each in names})
        report(
            "gateway",
            rate_against_mitmdump=middle(gateway, "per_second") / middle(mitmdump, "per_second"),
            cpu_against_envoy=middle(gateway, "cpu_us") / middle(envoy, "cpu_us"),
            p99_against_envoy=middle(gateway, "p99_ms") / middle(envoy, "p99_ms"),
            p99_against_envoy_paced=middle(paced["gateway"], "p99_ms") / middle(paced["envoy"], "p99_ms"),
            cpu_against_mitmdump=middle(gateway, "cpu_us") / middle(mitmdump, "cpu_us"),
        )
        command = [PYTHON, "-m", "sovereign.cli.main", "audit", "verify", "--json"]
        subprocess.run(command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
