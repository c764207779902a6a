"""Writes of applications to a directory, through the gateway's way out: what is known of each when the directory fails."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from saas_connectors.connector import Json
from saas_connectors.request import Request
from sovereign.egress.errors import Refused
from sovereign.gateway import outcome as judge
from sovereign.gateway.outcome import Outcome
from sovereign.gateway.vendor import Sent, converse
from sovereign.site import Site
from sovereign.ways import Ways
from tests.servers.active_directory import GROUPS, LEFT, PEOPLE, ActiveDirectory
from tests.servers.directory import CONNECTION, asked
from tests.servers.ldap import Served, serving
from tests.servers.ldap_tree import PASSWORD, USER, Code, Hangup, Session
from tests.servers.ldap_tree import Outcome as Answer
from tests.servers.ldap_wire import Bind, Modify
from tests.servers.sites import Wandering, credentials

NOW = datetime(2026, 11, 29, tzinfo=UTC)
PAYLOAD: dict[str, Json] = {"employee_number": "M00003"}


class Fragile(ActiveDirectory):
    """A directory that hangs up, before or after it did what it was asked."""

    def __init__(self) -> None:
        super().__init__(10)
        self.before = self.after = self.locked = self.shut = False
        self.refusal = 0

    def bind(self, session: Session, asked: Bind) -> Answer:
        if self.locked:
            raise Hangup
        if self.shut:
            raise Code(49)
        return super().bind(session, asked)

    def modify(self, session: Session, asked: Modify) -> Answer:
        if self.before:
            raise Hangup
        if self.refusal:
            raise Code(self.refusal)
        done = super().modify(session, asked)
        if self.after:
            raise Hangup
        return done

    def control(self) -> bytes:
        (found,) = [each for each in self.entries.values() if each.attributes.get("employeeID") == [b"M00003"]]
        return found.attributes["userAccountControl"][0]


@dataclass
class Town:
    """A site, and the directory that it writes to."""

    site: Site
    served: Served
    vendor: Fragile

    def write(self, *before: Callable[[], object]) -> Outcome:
        """Shut an account as the gateway does; before: what happens once the way out has been used."""
        return asyncio.run(self._written(before))

    async def _written(self, before: tuple[Callable[[], object], ...]) -> Outcome:
        ways, sent = Ways(self.site), Sent()
        try:
            vendor = ways(CONNECTION)
            await vendor.send(asked(self.served.url, "WHOAMI"))
            for each in before:
                each()
            writer, operation = vendor.operation("disable_user")
            applied = await converse(writer.apply(operation.name, PAYLOAD), vendor.send, sent)
        except Exception as error:  # noqa: BLE001 — whatever it is, the gateway judges it
            return judge.of_fault(error, sent, NOW, again=False, maybe=False)
        finally:
            await ways.close()
        return judge.of_applied(applied)


@contextmanager
def opened(folder: Path) -> Iterator[Town]:
    vendor = Fragile()
    with pytest.MonkeyPatch.context() as patch, serving(vendor, folder) as served:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        with Site.create(folder / "site", provider="systemd-cred:sovereign", name="Ville", clock=Wandering()) as site:
            (folder / "site" / "ca.pem").write_bytes(served.authority.read_bytes())
            site.add_connection(
                CONNECTION,
                {
                    "connector": "ldap", "url": served.url, "secret": "annuaire", "auth": {"kind": "basic", "user": USER},
                    "network": {"loopback": True, "ca_bundle": "ca.pem"}, "limits": {"attempts": 1},
                    "bases": [PEOPLE, GROUPS], "writes": ["disable_user"], "destinations": [LEFT],
                },
            )  # fmt: skip
            site.set_secret(CONNECTION, "annuaire", PASSWORD.encode())
            yield Town(site, served, vendor)


def test_an_account_is_shut_through_the_gateways_way_out(tmp_path: Path) -> None:
    with opened(tmp_path) as town:
        assert town.write().ends == "delivered"
        assert town.vendor.control() == b"514"


@pytest.mark.parametrize(("when", "control"), [("before", b"512"), ("after", b"514")])
def test_a_write_that_the_directory_does_not_answer_is_unknown_and_sent_once(tmp_path: Path, when: str, control: bytes) -> None:
    with opened(tmp_path) as town:
        outcome = town.write(lambda: setattr(town.vendor, when, True))
        assert (outcome.ends, outcome.arrived) == ("unknown", True)
        assert town.vendor.control() == control
        assert len([each for each in town.vendor.asked if isinstance(each, Modify)]) == 1


def test_a_write_that_could_not_log_in_again_did_not_leave(tmp_path: Path) -> None:
    with opened(tmp_path) as town:
        outcome = town.write(lambda: setattr(town.vendor, "locked", True), town.served.cut)
        assert (outcome.ends, outcome.arrived) == ("to_retry", False)
        assert town.vendor.control() == b"512"


def test_a_write_whose_account_is_locked_waits_and_is_not_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as town:
        outcome = town.write(lambda: setattr(town.vendor, "shut", True), town.served.cut)
        assert (outcome.ends, outcome.why, outcome.arrived) == ("to_retry", "vendor.login_refused", False)
        assert town.vendor.control() == b"512"


@pytest.mark.parametrize(("code", "ends"), [(51, "to_retry"), (50, "rejected"), (80, "unknown")])
def test_a_refusal_of_the_directory_ends_a_write_as_its_code_says(tmp_path: Path, code: int, ends: str) -> None:
    with opened(tmp_path) as town:
        assert town.write(lambda: setattr(town.vendor, "refusal", code)).ends == ends
        assert town.vendor.control() == b"512"


def test_the_pass_through_reaches_no_directory(tmp_path: Path) -> None:
    async def passed(town: Town, method: str) -> None:
        ways = Ways(town.site)
        try:
            vendor = ways(CONNECTION)
            await vendor.send(Request(method, f"{vendor.origin}/", body=b"{}"))
        finally:
            await ways.close()

    with opened(tmp_path) as town:
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"):
            with pytest.raises(Refused) as refusal:
                asyncio.run(passed(town, method))
            assert refusal.value.rule == "egress.method"
        assert town.served.sessions == 0
