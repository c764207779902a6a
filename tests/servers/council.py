"""A gateway whose people, applications, approvals and Cedar policies are real ones, over a ledger; and keys to vote with."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sovereign.access import Clients, Limits, People, Rights
from sovereign.clock import now
from sovereign.gateway import dlp
from sovereign.gateway.approvals import Approvals
from sovereign.gateway.ballot import Verdict
from sovereign.gateway.decision import Decision, Policy, Question
from sovereign.gateway.decree import Desk
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.kept import kept
from sovereign.gateway.openings import Openings
from sovereign.gateway.ports import Parts, Standing
from sovereign.gateway.receipt import heard
from sovereign.gateway.sealing import Sealing
from tests.servers.gate import HERE, Way, gate
from tests.servers.policies import policy, rule
from vault import notes

LATER = "2099-01-01"
OPEN = rule("open", "permit", expires=LATER)
HELD = rule("held", "permit", expires=LATER, more='@hold("quorum=1;groups=rssi;within=48h")')
CLOSED = rule("closed", "forbid", expires=LATER)
PEOPLE = {"agathe": "rssi", "berthe": "rssi", "carole": "dsi", "hélène": "rssi"}
"""Who may approve, and their group; agathe answers for the applications."""


@dataclass
class Council:
    """The people and applications of a site around its gateway.

    ahead: how far its time runs before the machine's; jumped: by how much its clock was set forwards, no time going by.
    """

    parts: Parts
    force: Policy = field(default_factory=lambda: policy(HELD))
    limits: Limits | None = None
    ahead: timedelta = timedelta()
    jumped: timedelta = timedelta()

    def __post_init__(self) -> None:
        parts = self.parts
        self.clients = Clients(parts.state, parts.audit, self.clock)
        people = self.people = People(parts.state, parts.audit, self.clock)
        self.rights = Rights(parts.state, parts.audit, self.clock, people)
        self.approvals = Approvals(parts.state, parts.audit, parts.keys, self.clock, self.rights)
        self.openings = Openings(parts.state, parts.audit, parts.keys, self.clock, os.urandom)
        self.signers: dict[str, notes.Signer] = {}
        self.tokens: dict[str, str] = {}
        for number, (name, group) in enumerate(PEOPLE.items()):
            people.put(name, [group])
            self.rights.grant("person", name, "role", "rssi", by="root", reason="r")
            self.signers[name] = notes.Signer(f"k{number}", bytes([number + 1]) * 32)
            self.approvals.enrol(name, self.signers[name].verifier.vkey, by="root")
        for name in ("app", "stranger", "intern", "other"):
            reached = ["parks"] if name == "other" else ["ledger"]
            made = self.clients.add(name, owner="agathe", purpose="p", connections=reached, limits=self.limits)
            self.tokens[name] = made.token

    @property
    def changed(self) -> dict[str, Any]:
        """What it puts in the place of a drill's parts."""
        key = self.parts.keys.derive("gateway/pseudonym")
        return {
            "clock": self.clock, "monotonic": self.monotonic, "policy": self, "approvals": self.approvals,
            "standing": self.standing, "scan": dlp.scan,
            "pseudonymise": lambda body, kind, pointers: dlp.pseudonymise(body, kind, pointers, key),
        }  # fmt: skip

    def clock(self) -> datetime:
        """The present, for the gateway and its people."""
        return now() + self.ahead + self.jumped

    def monotonic(self) -> float:
        """The time that went by, in seconds."""
        return time.monotonic() + self.ahead.total_seconds()

    @property
    def digest(self) -> str:
        """The hash of the set in force."""
        return self.force.digest

    def decide(self, question: Question) -> Decision:
        """What the set in force says."""
        return self.force.decide(question)

    def enact(self, *rules: str) -> None:
        """Put another set in force."""
        self.force = policy(*rules)

    def standing(self, client: str, _person: str | None) -> Standing:
        """Who answers for a client, with their rights at this instant."""
        writes = self.clients.get(client)
        return Standing(writes.owner, *self.rights.standing(writes.owner), writes.lives(self.clock()))

    def ballot(self, intent: str, person: str, verdict: Verdict = "approve", *, key: str | None = None) -> str:
        """A signed note."""
        with self.parts.state.read() as reader:
            asked = self.approvals.find(reader, intent)
            held = kept(reader, Sealing(self.parts.keys, self.parts.period), self.parts.audit, intent)
        return notes.sign(self.approvals.ballot(asked, held.digest, verdict, person).text(), self.signers[key or person])

    def vote(self, gateway: Gateway, intent: str, person: str, verdict: Verdict = "approve") -> str:
        """Have a voice counted, as the command line does; gives what the request came to."""
        note = self.ballot(intent, person, verdict)
        with self.parts.state.begin() as transaction:
            _, outcome = self.approvals.vote(transaction, note)
            heard(gateway.deliveries, transaction, intent, outcome, self.clock())
        return outcome

    def desk(self, gateway: Gateway) -> Desk:
        """The desk of an operator."""
        return Desk(gateway.deliveries, self.clock)


@asynccontextmanager
async def sitting(
    root: Path, url: str, force: Policy | None = None, *, limits: Limits | None = None, way: Way = HERE
) -> AsyncIterator[tuple[Gateway, Council]]:
    """Open the gateway of a folder with its people. force: the policy, `HELD` unless told; limits: of each application."""
    made: list[Council] = []

    def changed(parts: Parts) -> dict[str, Any]:
        made.append(Council(parts, force or policy(HELD), limits))
        return made[0].changed

    async with gate(root, url, changed=changed, way=way) as gateway:
        yield gateway, made[0]
