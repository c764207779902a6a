"""A departure that is taken back gives back what it took, and no more: whoever was shut out before stays shut out."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saas_connectors.sandbox import Sandbox, Table, Vendor
from saas_connectors.sandbox.graph import ROOT, Graph, member
from saas_connectors.sandbox.scim import ROOT as SCIM
from saas_connectors.sandbox.scim import Scim, user
from saas_connectors.sandbox.vendor import SECRET
from saas_connectors.sandbox.vendor import USER as CLIENT
from sovereign.eventing import diary
from sovereign.events.reading import Told
from tests.journeys.test_flows import Town
from tests.servers.active_directory import GROUPS, PEOPLE, ActiveDirectory
from tests.servers.ldap import serving as directory
from tests.servers.ldap_tree import PASSWORD, USER
from tests.servers.served import served

LOCAL = {"loopback": True, "plaintext": True}
FLOW = """
title = "Départ"
owner = "agathe"
on = { event = "rh.word" }
clearance = "personal"
key = ["matricule"]
again = 10
select = "SELECT matricule FROM event WHERE parti"
cancel = "SELECT matricule FROM event WHERE NOT parti"
"""
STEP = """
[[do]]
connection = "{0}"
operation = "disable_user"
payload = {{ {1} = "{{matricule}}" }}
undo = "enable_user"

[[do]]
name = "{0}-groupe"
connection = "{0}"
operation = "remove_from_group"
payload = {{ {1} = "{{matricule}}", {2} }}
undo = "add_to_group"
"""
CARD = """
[[do]]
connection = "{0}"
operation = "change"
payload = {{ id = "{{matricule}}", state = "closed" }}
undo = "change"
undo_payload = {{ id = "{{matricule}}", state = "open" }}
"""
GROUP = "00000000-0000-4000-9000-000000000000"
NAMED = {
    "espaces": ("externalId", 'groupName = "Service 0"'), "tenant": ("employeeId", f'group = "{GROUP}"'),
    "annuaire": ("employee_number", 'group_name = "VPN"'),
}  # fmt: skip
CARDS = ("badges", "sourd")
PLACES = [*NAMED, *(f"{name}-groupe" for name in NAMED), *CARDS]
LEAVES, SUSPENDED = "M00003", "M00004"


@dataclass
class Places:
    """Whether each system lets someone in, and has them in its group."""

    scim: Scim
    graph: Graph
    active: ActiveDirectory
    badges: dict[str, Table]
    vpn: str
    keys: dict[str, str] = field(default_factory=dict)

    def open(self, who: str) -> dict[str, bool]:
        (user_id,) = (each["id"] for each in self.scim.users.values() if each["externalId"] == who)
        held = self.active.at(self.keys[who]).attributes["userAccountControl"]
        return {
            "espaces": next(each["active"] for each in self.scim.users.values() if each["externalId"] == who),
            "tenant": next(each["accountEnabled"] for each in self.graph.users.values() if each["employeeId"] == who),
            "annuaire": held == [b"512"],
            "espaces-groupe": any(each["value"] == user_id for each in self.scim.groups["g-0"]["members"]),
            "tenant-groupe": member(int(who[1:]))["id"] in self.graph.members[GROUP],
            "annuaire-groupe": uuid.UUID(self.keys[who]).bytes_le in self.active.groups[uuid.UUID(self.vpn).bytes_le],
            **{name: table.matching({"id": who})[0]["state"] == "open" for name, table in self.badges.items()},
        }


@contextmanager
def places(folder: Path) -> Iterator[tuple[Town, Places]]:
    with ExitStack() as stack:
        active = ActiveDirectory()
        keys = {f"M{n:05d}": active.person(n, userAccountControl="514" if n == 4 else "512") for n in (3, 4)}
        vpn = active.group("VPN", keys[LEAVES], active.person(5))
        scim = Scim([user(3), user(5), user(4, active=False)], secret=SECRET)
        scim.groups["g-0"]["members"].pop()
        graph = Graph([member(3), member(5), member(4, accountEnabled=False)])
        graph.leave(GROUP, member(4)["id"])
        rows = [{"id": LEAVES, "state": "open"}, {"id": SUSPENDED, "state": "closed"}]
        badges = {name: Table.of((dict(row) for row in rows), ["id"]) for name in CARDS}
        ldap = stack.enter_context(directory(active, folder))
        urls = {name: stack.enter_context(Sandbox(each)).url for name, each in (("espaces", scim), ("tenant", graph))}
        urls |= {name: stack.enter_context(Sandbox(Vendor({"cards": table}))).url for name, table in badges.items()}
        here = stack.enter_context(served(folder, {}))
        bearer = {"secret": "api", "auth": {"kind": "bearer"}, "network": LOCAL}
        oauth = {"kind": "oauth2", "client": CLIENT, "token_url": f"{urls['tenant']}/oauth/token"}
        network = {"loopback": True, "ca_bundle": str(ldap.authority)}
        basic = {"secret": "api", "auth": {"kind": "basic", "user": USER}, "network": network}
        writes = ["disable_user", "enable_user", "add_to_group", "remove_from_group"]
        with here.site() as site:
            site.add_connection("espaces", {"connector": "scim", "url": f"{urls['espaces']}{SCIM}", "writes": writes, **bearer})
            graph_at = {"connector": "graph-users", "url": f"{urls['tenant']}{ROOT}", "writes": writes, "network": LOCAL}
            site.add_connection("tenant", {**graph_at, "secret": "api", "auth": oauth})
            site.add_connection(
                "annuaire", {"connector": "ldap", "url": ldap.url, "bases": [PEOPLE, GROUPS], "writes": writes, **basic}
            )
            for name in badges:
                site.add_connection(name, _cards(urls[name], looks=name == "badges"))
            for name, secret in (("espaces", SECRET), ("tenant", SECRET), ("annuaire", PASSWORD)):
                site.set_secret(name, "api", secret.encode())
        (here.root / "flows").mkdir(mode=0o700)
        (here.root / "flows" / "depart.toml").write_text(
            FLOW + "".join([*(STEP.format(name, *each) for name, each in NAMED.items()), *map(CARD.format, CARDS)])
        )
        yield Town(here, Table.of([], ["id"]), {}), Places(scim, graph, active, badges, vpn, keys)


def _cards(url: str, *, looks: bool) -> dict[str, Any]:
    named = {name: {"type": "string"} for name in ("id", "state")}
    streams = {"cards": {"path": "/cards", "primary_key": ["id"]}}
    change = {
        "method": "PATCH", "path": "/cards/{id}", "idempotent": True, "departure": True,
        "schema": {"required": ["id", "state"], "properties": named}, **({"look": {"path": "/cards/{id}"}} if looks else {}),
    }  # fmt: skip
    return {
        "connector": "rest",
        "url": f"{url}/records",
        "network": LOCAL,
        "streams": streams,
        "operations": {"change": change},
    }


def say(here: Town, name: str, *people: str, leaves: bool) -> None:
    with here.site.site() as site:
        for who in people:
            diary(site).take("rh", f"{name}-{who}", Told("rh.word", {"matricule": who, "parti": leaves}), b"{}", None)


def until(here: Town, found: Callable[[], object], wanted: object) -> None:
    """Let flows act until something is as it should be."""
    last = time.monotonic() + 60
    while found() != wanted and time.monotonic() < last:
        here.run("flow", "run")
    assert found() == wanted


def told(here: Town, who: str, *, undo: bool) -> dict[str, tuple[str, str | None]]:
    rows = here.run("flow", "show", "depart", "--key", who)
    return {row["step"]: (row["standing"], row["why"]) for row in rows if row["undo"] is undo}


def test_an_undo_opens_what_the_departure_shut_and_asks_a_person_where_nothing_tells(tmp_path: Path) -> None:
    with places(tmp_path) as (here, known):
        here.run("flow", "enable", "depart")
        say(here, "left", LEAVES, SUSPENDED, leaves=True)
        shut = dict.fromkeys(PLACES, False)
        until(here, lambda: (known.open(LEAVES), known.open(SUSPENDED)), (shut, shut))
        say(here, "back", LEAVES, SUSPENDED, leaves=False)
        until(here, lambda: known.open(LEAVES), {**dict.fromkeys(shut, True), "sourd": False})
        unchanged, unknown = ("cancelled", "undo.unchanged"), ("held", "undo.unknown")
        wanted = {**dict.fromkeys(shut, unchanged), "sourd": unknown}
        until(here, lambda: told(here, SUSPENDED, undo=True), wanted)
        assert known.open(SUSPENDED) == shut, "whoever was shut out before stays shut out"
        done = {
            row["step"]: row["changed"] for row in here.run("flow", "show", "depart", "--key", SUSPENDED) if not row["undo"]
        }
        assert done == {**dict.fromkeys(shut, False), "sourd": None}, "what the look showed is kept with each delivery"
        seen = [each["facts"] for each in here.run("audit", "show", "--limit", "500") if each["act"] == "delivery.delivered"]
        assert [each.get("changed") for each in seen].count(False) == len(PLACES) - 1
        left = here.run("flow", "pending", "depart")
        assert len(left) == 2, left
        for verb, who in (("release", LEAVES), ("drop", SUSPENDED)):
            rows = here.run("flow", "show", "depart", "--key", who)
            (occasion,) = {row["occasion"] for row in rows if row["standing"] == "held"}
            here.run("flow", verb, "depart", occasion, "--key", who, "--reason", "asked whoever answers for it")
        until(here, lambda: known.open(LEAVES)["sourd"], True)
        assert (known.open(SUSPENDED)["sourd"], here.run("flow", "pending", "depart")) == (False, [])
        assert here.site.check_log() > 0
