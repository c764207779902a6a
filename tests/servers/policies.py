"""A house for policies: real state, keys and audit log; policies as short as a test can read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from saas_connectors.connector import Json
from sovereign.audit import AuditLog
from sovereign.gateway.decision import Question
from sovereign.gateway.policy import CedarPolicy, Files, Policies
from sovereign.state import State
from tests.servers.masters import Mortal
from vault.keys import Keys
from vault.notes import Signer

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
ASKED = Question("eau", "geo", "geo.example", "operation", "create_item", "", "", AT, owner="jeanne")


def rule(id_: str, head: str, body: str = "", *, expires: str = "2027-01-01", more: str = "") -> str:
    """A policy. head: `permit`, `forbid` or `permit(…scope…)`."""
    scope = head if "(" in head else f"{head} (principal, action, resource)"
    return (
        f'@id("{id_}") @owner("dsi") @expires("{expires}") @fr("Phrase {id_}.") @en("Sentence {id_}.") {more} {scope} {body};\n'
    )


def policy(*rules: str) -> CedarPolicy:
    return CedarPolicy(Files({"all.cedar": "".join(rules)}))


def asked(**changes: Json) -> Question:
    return replace(ASKED, **changes)


class House:
    """A folder with policies, and a gateway process that is opened on it."""

    def __init__(self, folder: Path) -> None:
        self.at = AT
        self.ticks = 0.0
        self.keys = Keys.create(folder / "keys", Mortal(), self.clock)
        self.state = State(folder / "state.db", self.clock)
        self.audit = AuditLog(self.state, self.keys, self.clock, actor="root")
        self.folder = folder / "policies"
        self.folder.mkdir()
        self.signer = Signer("berthe", b"b" * 32)

    def clock(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def elapsed(self) -> float:
        return self.ticks

    def put(self, text: str, name: str = "all.cedar") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def open(self, *, signed: bool = False) -> Policies:
        return Policies(
            self.folder, self.state, self.audit, self.clock, site="ville", actor="root", signed=signed,
            signers=lambda: (self.signer.verifier,), elapsed=self.elapsed,
        )  # fmt: skip

    def later(self) -> None:
        """More than the time between two looks goes by."""
        self.ticks += 2.0

    def acts(self, act: str) -> list[Any]:
        return list(self.audit.entries(act=act))
