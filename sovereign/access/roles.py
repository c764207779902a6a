"""The five roles of a city, and what each may do: a closed table, in two languages."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Permission = Literal[
    "connections.manage", "syncs.run", "data.query", "data.export", "policy.propose", "policy.sign", "writes.approve",
    "deliveries.resolve", "vendor.cut", "audit.read", "reports.read", "access.grant", "clients.manage", "keys.manage",
]  # fmt: skip
PERMISSIONS: Final[tuple[str, ...]] = get_args(Permission)


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its names, and what it may do."""

    fr: str
    en: str
    may: frozenset[str]


ROLES: Final[dict[str, Role]] = {
    "dsi": Role(
        "DSI : relie les fournisseurs, planifie, surveille",
        "CIO office: connects vendors, schedules, watches",
        frozenset({
            "connections.manage", "syncs.run", "policy.propose", "deliveries.resolve", "vendor.cut", "audit.read",
            "reports.read", "clients.manage", "keys.manage",
        }),
    ),
    "analyst": Role(
        "analyste : interroge les copies locales",
        "analyst: asks the local copies questions",
        frozenset({"data.query", "data.export"}),
    ),
    "rssi": Role(
        "RSSI : écrit la politique, approuve, contrôle",
        "security officer: writes policy, approves, reviews",
        frozenset({
            "policy.propose", "policy.sign", "writes.approve", "deliveries.resolve", "vendor.cut", "audit.read", "reports.read",
            "access.grant",
        }),
    ),
    "auditor": Role(
        "auditeur : lit le journal et les rapports, ne change rien",
        "auditor: reads the audit log and the reports, changes nothing",
        frozenset({"audit.read", "reports.read"}),
    ),
    "owner": Role(
        "responsable d'application : répond de ce que son application écrit",
        "application owner: answers for what the application writes",
        frozenset({"writes.approve", "reports.read"}),
    ),
}  # fmt: skip
