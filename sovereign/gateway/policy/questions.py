"""A question as Cedar is asked it.

principal  Client::"<client>"          in the groups and roles of who it writes for
action     Action::"read" | "write"
resource   Operation::"<connection>/<operation>", in Connection::"<connection>"
context    the rest; see schema.cedarschema
"""

from collections.abc import Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any, Final

import cedarpy
import orjson

from sovereign.gateway.decision import Finding, Question
from sovereign.gateway.policy.load import schema
from sovereign.gateway.policy.rules import KINDS

_ACTIONS: Final = {True: 'Action::"read"', False: 'Action::"write"'}
_NOTHING: Final = dict.fromkeys((*KINDS, "other"), 0)


def request(question: Question) -> dict[str, Any]:
    """What Cedar is asked. Errors: ValueError when the instant has no zone."""
    at = question.at
    if at.tzinfo is None:
        raise ValueError("an instant without zone")
    context: dict[str, Any] = {
        "found": counts(question.findings, sure=True),
        "suspected": counts(question.findings, sure=False),
        "classes": list(question.classes),
        "bytes": question.bytes,
        "records": question.records,
        "writes_this_hour": question.hour,
        "writes_today": question.day,
        "at": {"__extn": {"fn": "datetime", "arg": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}},
        "hour": at.hour,
        "weekday": at.isoweekday(),
        "departure": question.departure,
        "dry_run": question.dry_run,
        "method": question.method,
        "path": question.path,
    }
    if question.person is not None:
        context["person"] = {"__entity": {"type": "Person", "id": question.person}}
    return {
        "principal": {"type": "Client", "id": question.client},
        "action": _ACTIONS[question.reads],
        "resource": {"type": "Operation", "id": f"{question.connection}/{question.operation}"},
        "context": orjson.dumps(context).decode(),
    }


def entities(question: Question) -> cedarpy.Entities:
    """Who and what the question names, as Cedar knows them; the same ones are parsed once."""
    return _entities(
        question.client, question.owner, question.groups, question.roles, question.connection, question.vendor,
        question.operation, question.door,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _entities(
    client: str,
    owner: str,
    groups: frozenset[str],
    roles: frozenset[str],
    connection: str,
    vendor: str,
    operation: str,
    door: str,
) -> cedarpy.Entities:
    at = {"type": "Connection", "id": connection}
    parents = [{"type": "Group", "id": each} for each in groups] + [{"type": "Role", "id": each} for each in roles]
    known = [
        {
            "uid": {"type": "Client", "id": client},
            "attrs": {"owner": {"__entity": {"type": "Person", "id": owner}}},
            "parents": parents,
        },
        {"uid": at, "attrs": {"vendor": vendor}, "parents": []},
        {
            "uid": {"type": "Operation", "id": f"{connection}/{operation}"},
            "attrs": {"connection": {"__entity": at}, "name": operation, "door": door},
            "parents": [at],
        },
    ]
    return cedarpy.Entities.from_json_str(orjson.dumps(known).decode(), schema())


def counts(findings: tuple[Finding, ...], *, sure: bool) -> Mapping[str, int]:
    """How many findings of each kind are certain, or likely, in one order of kinds."""
    if not findings:
        return _NOTHING
    found = dict(_NOTHING)
    for finding in findings:
        if finding.sure is sure:
            # Nothing that was found may weigh nothing.
            found[finding.kind if finding.kind in KINDS else "other"] += max(finding.count, 1)
    return found
