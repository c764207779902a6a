"""Writes to the Maarch sandbox without a socket, as the gateway does: one conversation at a time."""

import base64
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from saas_connectors.conformance.writing import carried
from saas_connectors.connector import Json, Writer
from saas_connectors.mail.maarch_operations import OPERATIONS
from saas_connectors.registry import writer
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.maarch import Account, Maarch, Model
from tests.unit.connectors_maarch.pulling import URL, agent, sender

PDF = base64.b64encode(b"%PDF-1.4\nLettre inventee\n").decode()
LETTER = {
    "externalId": "GW-0001", "modelId": 1, "doctype": 101, "destination": 3, "status": "NEW", "subject": "Nuisances sonores",
    "documentDate": "2026-11-20", "arrivalDate": "2026-11-21 10:30:00", "encodedFile": PDF, "format": "pdf",
    "customFields": {"3": "quartier nord"}, "confidentiality": True,
}  # fmt: skip


@dataclass
class Desk:
    """A server, the writer of a connection to it, and what was asked."""

    server: Maarch
    writer: Writer
    asked: list[Request] = field(default_factory=list)

    def do(self, exchange: Generator[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the conversation ends in
        return carried(exchange, self.send)[0]

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        return sender(self.server)(request)

    def writes(self) -> list[str]:
        return [f"{each.method} {each.url.removeprefix(URL)}" for each in self.asked if each.method != "GET" and not each.reads]

    def write(self, operation: str, payload: Json) -> str:
        """Write and hold what was made: it must be confirmed; gives its number."""
        applied = self.do(self.writer.apply(operation, payload))
        assert self.do(self.writer.read_back(operation, payload, applied)).outcome == "confirmed"
        return str(applied.vendor_id)

    def status(self, letter: int) -> str:
        found = self.server.store.one("SELECT status FROM res_letterbox WHERE res_id = ?", letter)
        assert found is not None
        return str(found["status"])


def desk(account: Account | None = None, models: Mapping[int, Model] | None = None, **settings: object) -> Desk:
    server = Maarch(12, accounts=(account or agent(),), models=models or {1: Model()})
    return Desk(server, writer("maarch", "courrier", {"url": URL, "writes": list(OPERATIONS), **settings}))
