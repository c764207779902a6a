"""A portal of open data pulled by a site: whole or not at all, nothing asked for twice, patient with its quota."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.opendatasoft import SECRET, Portal, communes_of_france, notice, notices
from snapshots.dataset import CLASSES, DatasetId
from sovereign.egress.budget import BUDGETS
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome
from tests.security.canaries.search import search
from tests.servers.sites import Wandering, credentials


@dataclass
class City:
    """A site, the portal it copies, and the clock they live by."""

    site: Site
    root: Path
    portal: Portal
    clock: Wandering = field(default_factory=Wandering)

    def sync(self, **asked: bool) -> RunOutcome:
        return self.site.syncs.run("portail", **asked)

    def held(self, stream: str = "boamp") -> dict[str, str]:
        head = self.site.heads()[DatasetId("portail", stream)]
        rows = [row for batch in self.site.repository.read(head, CLASSES) for row in batch.to_pylist()]
        return {row.get("idweb") or f"{row['code']} {row['type']}": row.get("objet") or row["nom"] for row in rows}

    def there(self) -> dict[str, str]:
        return {row["idweb"]: row["objet"] for row in self.portal.datasets["boamp"].rows}


@contextmanager
def city(folder: Path, **settings: object) -> Iterator[City]:
    portal = Portal({"boamp": notices(3000), "communes-france": communes_of_france()}, secret=SECRET)
    streams = {"boamp": {"cursor": "maj"}, "communes": {"dataset": "communes-france", "key": ["code", "type"]}}
    clock = Wandering()
    with pytest.MonkeyPatch.context() as patch, Sandbox(portal) as sandbox:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        table = {
            "connector": "opendatasoft",
            "url": sandbox.url,
            "secret": "portail",
            "auth": {"kind": "key", "header": "Authorization", "prefix": "Apikey "},
            "network": {"loopback": True, "plaintext": True},
            "limits": {"patience": 1.0, "timeout": 20.0, "attempts": 2},
            "streams": streams,
            **settings,
        }
        with Site.create(folder / "site", provider="systemd-cred:sovereign", name="Ville", clock=clock) as site:
            site.add_connection("portail", table)
            site.set_secret("portail", "portail", SECRET.encode())
            yield City(site, folder / "site", portal, clock)
        BUDGETS.reopen()


def test_a_portal_is_copied_then_asked_only_what_changed(tmp_path: Path) -> None:
    with city(tmp_path, mode="incremental") as here:
        outcome = here.sync()
        assert (outcome.state, {each.verdict for each in outcome.streams}) == ("succeeded", {"complete"})
        assert here.held() == here.there()
        assert len(here.held("communes")) == 37_590
        here.portal.calls.clear()
        outcome = here.sync()
        assert {each.state for each in outcome.streams} == {"unchanged"}
        assert len(here.portal.calls) == 2  # what the catalog says of each of the two that were named
        here.portal.datasets["boamp"].put(notice(5, objet="rectifié", maj="2026-09-01T00:00:00+00:00"), by=["idweb"])
        here.portal.calls.clear()
        outcome = here.sync()
        assert {each.stream: each.state for each in outcome.streams} == {"boamp": "committed", "communes": "unchanged"}
        assert here.held() == here.there()
        assert len(here.portal.calls) == 4


def test_an_export_that_breaks_publishes_nothing_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    with city(tmp_path) as here:
        here.sync()
        good = here.held()
        here.portal.datasets["boamp"].put(notice(5, objet="rectifié"), by=["idweb"])
        here.portal.broken_after = 2000
        outcome = here.sync(full=True)
        assert outcome.state in ("failed", "partial")
        assert outcome.fault is not None
        assert outcome.fault.code == "vendor.malformed"
        assert here.held() == good
        assert search([here.root], ["Jeanne Martin", SECRET]).found == []
        here.portal.broken_after = None
        assert here.sync(full=True).state == "succeeded"
        assert here.held() == here.there()


def test_a_daily_quota_is_waited_for_and_the_read_goes_on_from_its_last_part(tmp_path: Path) -> None:
    with city(tmp_path, part=1000, streams={"boamp": {"split": "maj"}}) as here:
        here.portal.quota, here.portal.reset = 8, datetime.now(UTC) + timedelta(hours=9)
        outcome = here.sync()
        assert outcome.state == "waiting"
        assert outcome.waiting_until is not None
        assert abs(outcome.waiting_until - here.portal.reset) < timedelta(seconds=10)
        exported = [call.query.get("where") for call in here.portal.calls if "exports" in call.path]
        here.portal.quota, here.portal.reset = 100, here.portal.reset + timedelta(days=1)
        here.clock.offset = timedelta(hours=10)
        BUDGETS.reopen()
        here.portal.calls.clear()
        outcome = here.sync()
        assert outcome.state == "succeeded"
        assert here.held() == here.there()
        again = [call.query.get("where") for call in here.portal.calls if "exports" in call.path]
        assert exported
        assert set(exported[:-1]).isdisjoint(again)
