"""Ctrl-C, SIGTERM, and two at once: what is started can be stopped, and what is stopped goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from saas_connectors.sandbox import Sandbox, Trouble

from .conftest import Run

SOON = 120.0
"""Seconds to wait at most for something that takes one."""


def _start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "sovereign.cli.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _await(stream: "IO[str] | None", wanted: Callable[[dict[str, object]], bool]) -> None:
    assert stream is not None
    for line in stream:
        if wanted(json.loads(line)):
            return
    pytest.fail("it never came")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_clean_exits_130_and_the_next_run_goes_on(
    run: Run, pulled: Path, vendor: Sandbox, number: signal.Signals
) -> None:
    vendor.vendor.troubles.plan(Trouble("slow", 0.7, path="/page/", times=0))
    with _start("sync", "run", "geo", "--json") as running:
        _await(running.stderr, lambda event: event["type"] == "reading")
        running.send_signal(number)
        out, _ = running.communicate(timeout=SOON)
    assert running.returncode == 130
    assert json.loads(out)["state"] == "cancelled"
    vendor.vendor.troubles.clear()
    (again,) = run("sync", "run", "geo", "--json").of("run")
    assert (again["state"], again["run"], again["attempts"]) == ("succeeded", json.loads(out)["run"], 2)


def test_one_run_a_connection_at_a_time(run: Run, pulled: Path, vendor: Sandbox) -> None:
    vendor.vendor.troubles.plan(Trouble("slow", 1.5, path="/page/", times=0))
    with _start("sync", "run", "geo", "--json") as running:
        _await(running.stderr, lambda event: event["type"] == "reading")
        said = run("sync", "run", "geo", "--json")
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=SOON)
    assert said.code == 11
    assert said.errors[0]["code"].startswith("locked") or "lease" in said.errors[0]["code"]


def test_serve_pulls_what_is_due_and_stops_when_told(run: Run, pulled: Path, vendor: Sandbox) -> None:
    settings = pulled / "sovereign.toml"
    before, table, after = settings.read_text().rpartition("[connections.geo]\n")
    settings.write_text(f'{before}{table}every = "1 minute"\n{after}')
    (job,) = run("job", "list", "--json").of("job")
    assert (job["connection"], job["state"]) == ("geo", "never")
    assert run("job", "run", "geo").code == 0
    with _start("serve", "--json") as serving:
        _await(serving.stdout, lambda event: event["type"] == "serving")
        time.sleep(0.5)
        serving.send_signal(signal.SIGTERM)
        out, _ = serving.communicate(timeout=SOON)
    assert serving.returncode == 0
    assert json.loads(out.splitlines()[-1])["type"] == "stopped"
    acts = {entry["act"] for entry in run("audit", "show", "--json", "--act", "serve").records}
    assert acts == {"serve.started", "serve.stopped"}


def test_the_reader_of_a_long_answer_may_leave(pulled: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as sink:
        asked = subprocess.Popen(
            [sys.executable, "-m", "sovereign.cli.main", "query", "SELECT * FROM range(2000000)", "--format", "csv"],
            stdout=sink, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    os.read(read, 100)
    os.close(read)
    _, said = asked.communicate(timeout=SOON)
    assert (asked.returncode, said) == (1, "")
