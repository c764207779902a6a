"""Files between a town and its vendor, over a real SFTP server: pulled and compared; written by a flow, whole or not at all."""

import csv
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapshots.dataset import CLASSES, DatasetId
from sovereign.cli.main import main
from sovereign.sync.outcome import RunOutcome
from tests.servers import sshd
from tests.servers.relay import Relay, relaying
from tests.servers.served import Served, served

LOCAL = {"loopback": True}
FLOW = """
title = "Départs du jour, en un fichier"
owner = "agathe"
on = { change = "rh.agents" }
clearance = "personal"
key = ["matricule"]
most = 100000
select = '''
SELECT after.matricule, after.nom FROM changes('rh.agents')
 WHERE after.statut = 'parti' AND (_op = 'i' OR before.statut <> 'parti') ORDER BY 1
'''

[[do]]
name = "fichier"
connection = "echanges"
operation = "write_file"
rows = ["matricule", "nom"]
payload = { name = "departs-{occasion_date}-{occasion}.csv" }
"""


@dataclass
class Town:
    """A site whose human resources come as a file, and whose departures go as one. seen: bytes that showed there, by file."""

    site: Served
    server: sshd.Sshd
    relay: Relay
    seen: dict[str, set[bytes]] = field(default_factory=dict)

    @property
    def arrivals(self) -> Path:
        return self.server.files / "arrivee"

    def drop(self, *gone: int, people: int = 20, name: str = "agents_20261129.csv") -> None:
        """The vendor's file of the day: of these people some are gone."""
        lines = [f"A{n:05d};Éloïse {n};{'parti' if n in gone else 'présent'}" for n in range(people)]
        text = "\r\n".join(["matricule;nom;statut", *lines, ""])
        (self.server.files / "depart" / f".{name}").write_bytes(text.encode("cp1252"))
        (self.server.files / "depart" / f".{name}").rename(self.server.files / "depart" / name)

    def pull(self) -> RunOutcome:
        with self.site.site() as site:
            return site.syncs.run("rh")

    def held(self) -> dict[str, str]:
        with self.site.site() as site:
            head = site.heads()[DatasetId("rh", "agents")]
            rows = [row for batch in site.repository.read(head, CLASSES) for row in batch.to_pylist()]
        return {row["matricule"]: row["statut"] for row in rows}

    def run(self, *line: str, code: int = 0) -> list[dict[str, Any]]:
        said = io.StringIO()
        before = dict(os.environ)
        os.environ.update(self.site.environment)
        try:
            with redirect_stdout(said):
                assert main([*line, "--json"]) == code, said.getvalue()
        finally:
            os.environ.clear()
            os.environ.update(before)
        return [json.loads(each) for each in said.getvalue().splitlines()]

    def files(self) -> dict[str, bytes]:
        """The files that others see."""
        return {path.name: path.read_bytes() for path in self.arrivals.iterdir() if not path.name.startswith(".")}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at what others see, again and again."""
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                for name, content in self.files().items():
                    self.seen.setdefault(name, set()).add(content)
                time.sleep(0.002)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        server = stack.enter_context(sshd.running())
        for name in ("depart", "arrivee"):
            (server.files / name).mkdir()
        relay = stack.enter_context(relaying(server.port))
        here = stack.enter_context(served(folder, {}))
        made = Town(here, server, relay)
        made.drop()
        common = {
            "connector": "files", "secret": "sftp", "auth": {"kind": "ssh-key", "user": server.user},
            "network": LOCAL | {"host_key": server.host_key}, "limits": {"timeout": 60.0, "total_timeout": 90.0, "attempts": 2},
        }  # fmt: skip
        with here.site() as site:
            agents = {"files": "agents_{%Y%m%d}.csv", "primary_key": ["matricule"]}
            site.add_connection("rh", {"url": f"{server.url}depart/", "streams": {"agents": agents}, **common})
            arrival = f"sftp://localhost:{relay.port}{server.files}/arrivee/"
            writes = {"files": ["departs-*.csv"], "options": {"separator": ";", "encoding": "cp1252"}}
            site.add_connection("echanges", {"url": arrival, "writes": writes, **common})
            for name in ("rh", "echanges"):
                site.set_secret(name, "sftp", server.private.encode())
        (here.root / "flows").mkdir(mode=0o700)
        (here.root / "flows" / "departs.toml").write_text(FLOW)
        here.clear("agathe", "rh")
        yield made


def test_human_resources_come_over_sftp_and_only_what_changed_is_told(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        first = here.pull()
        assert (first.state, len(here.held())) == ("succeeded", 20)
        assert here.held()["A00003"] == "présent"
        here.drop(3, 7, name="agents_20261130.csv")
        second = here.pull()
        assert second.state == "succeeded"
        assert {name for name, said in here.held().items() if said == "parti"} == {"A00003", "A00007"}
        with here.site.site() as site:
            dataset = DatasetId("rh", "agents")
            between = [site.snapshot(dataset, number) for number in (1, 2)]
            batches = list(site.changes(dataset, *between, clearance="personal"))
        changed = [row for batch in batches for row in batch.to_pylist()]
        assert [row["_op"] for row in changed] == ["u", "u"]


def test_a_server_whose_key_changed_gives_nothing_and_the_last_copy_stands(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.pull()
        here.drop(*range(20), name="agents_20261130.csv")
        here.server.renew()
        failed = here.pull()
        assert failed.state == "failed"
        assert failed.fault is not None
        assert failed.fault.code == "egress.host_key"
        assert "parti" not in here.held().values()


def test_departures_of_the_day_are_one_file_written_once(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.pull()
        here.run("flow", "enable", "departs")
        here.drop(3, 7, name="agents_20261130.csv")
        here.pull()
        here.run("flow", "run")
        here.run("flow", "run")
        ((name, content),) = here.files().items()
        assert name.startswith("departs-20")
        assert name.endswith("-rh.agents-1-2.csv")
        rows = list(csv.reader(io.StringIO(content.decode("cp1252")), delimiter=";"))
        assert rows == [["matricule", "nom"], ["A00003", "Éloïse 3"], ["A00007", "Éloïse 7"]]
        (row,) = here.run("flow", "show", "departs", "--occasion", "change:rh.agents:1-2")
        assert (row["key"], row["standing"]) == ("*", "confirmed")
        here.drop(3, 7, name="agents_20261201.csv")
        here.pull()
        here.run("flow", "run")
        assert list(here.files()) == [name], "nothing changed, no file"


def test_a_service_killed_while_it_writes_never_leaves_half_a_file(tmp_path: Path) -> None:
    people = 4_000
    with town(tmp_path) as here:
        here.drop(people=people)
        here.pull()
        here.run("flow", "enable", "departs")
        here.drop(*range(people - 1), people=people, name="agents_20261130.csv")
        here.pull()
        with here.watched():
            here.relay.pause_at = 20_000
            with here.site.serving(ends=(-signal.SIGKILL,)) as door:
                last = time.monotonic() + 90
                while not here.relay.hold and time.monotonic() < last:
                    time.sleep(0.01)
                assert here.relay.hold, "the file was on its way"
                door.process.kill()
                door.process.wait(60)
            assert here.files() == {}
            here.relay.hold = False
            with here.site.serving():
                last = time.monotonic() + 90
                while set(here.site.states().values()) != {"confirmed"} and time.monotonic() < last:
                    time.sleep(0.2)
        assert list(here.site.states().values()) == ["confirmed"]
        ((name, contents),) = here.seen.items()
        (content,) = contents
        assert content.decode("cp1252").count("\r\n") == people
        assert content == here.files()[name]
        assert [path.name for path in here.arrivals.iterdir() if path.name.startswith(".")] != [name]
