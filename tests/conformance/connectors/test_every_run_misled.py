"""Every kind of connector in a real run, before a vendor that throttles for an hour, breaks, refuses its tokens, or answers an
error in a success: the run waits or fails, the next one goes on, nothing is lost, doubled, shown or published by halves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from saas_connectors import registry
from saas_connectors.conformance import tampering
from saas_connectors.conformance.tampering import Counts, Fields, Records, Tampering
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Sandbox, Trouble
from saas_connectors.sandbox.wire import Call, Reply
from snapshots.dataset import CLASSES
from sovereign.egress.budget import BUDGETS
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome
from tests.conformance.connectors.vendors import SESSIONS, VENDORS, Misbehaving, Server
from tests.security.canaries.search import search
from tests.servers.sites import Wandering, credentials

KINDS = sorted(registry.KINDS.keys() - SESSIONS)
HIDDEN = ["Jeanne Martin"]
Held = dict[str, list[str]]


@dataclass
class Bent:
    """A vendor whose answers are tampered with before they leave."""

    server: Server
    tampering: Tampering | None = None

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        reply = self.server.answer(call)
        if self.tampering is not None:
            request = Request(call.method, f"http://vendor.example{call.path}", tuple(call.query.items()), body=call.body)
            reply.body = self.tampering(request, Response(reply.status, request.url, reply.body)).body
        return reply


@dataclass
class Town:
    """A site connected to one vendor, and the clock they live by."""

    site: Site
    root: Path
    vendor: Misbehaving
    bent: Bent
    clock: Wandering

    @property
    def server(self) -> Server:
        return self.vendor.server

    def sync(self, *, full: bool = False) -> RunOutcome:
        return self.site.syncs.run("town", full=full)

    def strike(self, kind: str, value: object = None, *, at: int) -> None:
        self.server.calls.clear()
        self.server.troubles.plan(Trouble(kind, value, self.vendor.data, at))

    def calm(self) -> None:
        self.server.troubles.clear()

    @property
    def asked(self) -> list[str]:
        """The requests for records so far, those that were refused among them."""
        return [
            f"{call.path}?{sorted(call.query.items())}#{call.body.decode()}"
            for call in self.server.calls
            if call.path.startswith(self.vendor.data)
        ]

    def held(self) -> Held:
        found = {}
        for dataset, head in self.site.heads().items():
            rows = [row for batch in self.site.repository.read(head, CLASSES) for row in batch.to_pylist()]
            found[dataset.stream] = sorted(map(repr, rows))
        return found

    def moments(self) -> list[int]:
        """Make a good copy; which requests for records are struck: the first, one in the middle, the last of a full read."""
        assert self.sync().state == "succeeded"
        count = len(self.asked)
        return sorted({1, count // 2 + 1, count})


@contextmanager
def town(folder: Path, kind: str) -> Iterator[Town]:
    if kind not in VENDORS:
        pytest.fail(f"no vendor for `{kind}` in tests/conformance/connectors/vendors.py: add one")
    vendor, clock = VENDORS[kind](), Wandering()
    bent = Bent(vendor.server)
    with pytest.MonkeyPatch.context() as patch, Sandbox(bent) as sandbox:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        table: dict[str, object] = {
            "connector": kind,
            "url": f"{sandbox.url}{vendor.root}",
            "network": {"loopback": True, "plaintext": True},
            "limits": {"patience": 1.0, "timeout": 20.0, "attempts": 1, "concurrency": 1},
            **vendor.settings,
            **vendor.fewer,
        }
        if vendor.auth:
            table["secret"] = "api"
            table["auth"] = {
                name: f"{sandbox.url}{value}" if name == "token_url" else value
                for name, value in vendor.auth.items()
                if name != "secret"
            }
        with Site.create(folder / "site", provider="systemd-cred:sovereign", name="Ville", clock=clock) as site:
            site.add_connection("town", table)
            if vendor.auth:
                site.set_secret("town", "api", vendor.secret.encode())
            yield Town(site, folder / "site", vendor, bent, clock)
        BUDGETS.reopen()


@pytest.mark.parametrize("kind", KINDS)
def test_throttled_for_an_hour_the_run_waits_then_goes_on_where_it_was(tmp_path: Path, kind: str) -> None:
    with town(tmp_path, kind) as here:
        moments = here.moments()
        whole, good = here.asked, here.held()
        for at in moments:
            here.strike("throttle", 3600, at=at)
            waiting = here.sync(full=True)
            assert waiting.state == "waiting"
            assert waiting.waiting_until is not None
            assert timedelta(minutes=59) < waiting.waiting_until - here.clock() < timedelta(minutes=61)
            before = here.asked
            assert len(before) == at  # nothing was asked for after the refusal
            here.calm()
            here.server.calls.clear()
            here.clock.offset += timedelta(minutes=61)
            outcome = here.sync()
            assert outcome.state == "succeeded"
            assert here.held() == good
            if waiting.pages and here.vendor.resumes:
                assert outcome.run == waiting.run
                # The request that was refused comes twice, and the one before it where the two make one answer; no other.
                assert len(before) + len(here.asked) <= len(whole) + 2
                assert here.asked[0] in before[-2:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_breaks_at_any_request_loses_nothing(tmp_path: Path, kind: str) -> None:
    with town(tmp_path, kind) as here:
        moments = here.moments()
        good = here.held()
        for at in moments[1:] or moments:
            here.strike("reset", at=at)
            outcome = here.sync(full=True)
            assert outcome.state in ("failed", "partial")
            assert outcome.fault is not None
            assert outcome.fault.code.startswith("egress")
            assert here.held() == good
            here.calm()
            assert here.sync().state == "succeeded"
            assert here.held() == good


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_expires_between_two_pages_is_renewed_or_refused_and_nothing_is_lost(tmp_path: Path, kind: str) -> None:
    with town(tmp_path, kind) as here:
        middle = here.moments()[1:-1]
        good = here.held()
        for at in middle or [1]:
            here.strike(*(("expired", None) if here.vendor.renews else ("status", 401)), at=at)
            outcome = here.sync(full=True)
            if here.vendor.renews:
                assert outcome.state == "succeeded"
            else:
                assert outcome.fault is not None
                assert (outcome.state, outcome.fault.code) == ("failed", "vendor.unauthorized")
                assert here.held() == good
                here.calm()
                assert here.sync().state == "succeeded"
            assert here.held() == good


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_inside_a_success_publishes_nothing_and_is_shown_nowhere(tmp_path: Path, kind: str) -> None:
    with town(tmp_path, kind) as here:
        moments = here.moments()
        good = here.held()
        stream = ""
        if here.vendor.edit is not None:
            stream = here.vendor.edit()  # so that a publication would show
        here.strike("error_in_200", at=moments[len(moments) // 2])
        outcome = here.sync(full=True)
        assert outcome.state in ("failed", "partial")
        assert outcome.fault is not None
        assert outcome.fault.code.startswith("vendor")
        assert here.held().get(stream) == good.get(stream)
        entries = [(entry.act, dict(entry.subject), dict(entry.facts), entry.body) for entry in here.site.audit.entries()]
        shown = json.dumps([msgspec.to_builtins(outcome), entries], default=str, ensure_ascii=False)
        assert not [each for each in HIDDEN if each in shown]
        assert search([here.root], HIDDEN).found == []
        here.calm()
        assert here.sync(full=True).state == "succeeded"
        assert stream == "" or here.held()[stream] != good[stream]


@pytest.mark.parametrize("kind", KINDS)
def test_counts_that_lie_and_records_that_move_or_come_twice_change_nothing_in_the_copy(tmp_path: Path, kind: str) -> None:
    with town(tmp_path, kind) as here:
        assert here.sync().state == "succeeded"
        good, lists = here.held(), here.vendor.lists
        wrong = [Counts(lists, 40), Counts(lists, -40), Records(lists, tampering.reordered), Records(lists, tampering.repeated)]
        for here.bent.tampering in wrong:
            here.sync(full=True)
            assert here.held() == good
        here.bent.tampering = None
        assert here.sync(full=True).state == "succeeded"
        assert here.held() == good


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_appears_between_two_runs_is_drift_and_comes_into_the_copy(tmp_path: Path, kind: str) -> None:
    with town(tmp_path, kind) as here:
        assert here.sync().state == "succeeded"
        good = {stream: len(rows) for stream, rows in here.held().items()}
        here.bent.tampering = Fields(here.vendor.lists, added=True)
        outcome = here.sync(full=True)
        assert outcome.state in ("succeeded", "partial", "quarantined")
        assert {stream: len(rows) for stream, rows in here.held().items()} == good
        held = [row for rows in here.held().values() for row in rows]
        shown = any(tampering.SURPRISE in row for row in held)
        refused = any(noted.holds is False for stream in outcome.streams for noted in stream.evidence)
        assert shown or refused or here.vendor.closed
        column = any(f"'{tampering.SURPRISE}':" in row for row in held)  # not where a connector keeps what is new in one field
        assert not column or any(stream.drift for stream in outcome.streams)
