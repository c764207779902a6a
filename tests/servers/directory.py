"""Ways out to a directory, as a connection would have them, and what is asked on them."""

import json
from pathlib import Path
from typing import Any

from saas_connectors.auth import basic
from saas_connectors.connector import Json
from saas_connectors.request import Request, Response
from sovereign.egress import open_transport
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport
from tests.servers.ldap_tree import PASSWORD, USER
from tests.servers.sites import Wandering

CONNECTION = "annuaire"
ALL: dict[str, Any] = {"present": "objectClass"}


def way_out(url: str, authority: Path, *, user: str = USER, password: str = PASSWORD, **more: Json) -> Transport:
    """A way out to a server."""
    allowed: dict[str, Any] = {"loopback": True, "ca_bundle": authority, "attempts": 1} | more
    return open_transport(EgressPolicy(CONNECTION, url, **allowed), basic(user, password), Wandering())


def asked(url: str, method: str, **body: Json) -> Request:
    """A request of a directory."""
    return Request(method, f"{url}/", body=json.dumps(body).encode(), reads=method in ("SEARCH", "WHOAMI"))


def search(way: Transport, url: str, base: str, tree: Json = ALL, scope: str = "subtree", **more: Json) -> dict[str, Any]:
    """What a search finds."""
    answer = way.send(asked(url, "SEARCH", base=base, scope=scope, filter=tree, **more))
    assert answer.status == 200, code(answer)
    found: dict[str, Any] = json.loads(answer.body)
    return found


def code(answer: Response) -> tuple[int, str, str]:
    """A status, the result code and its detail."""
    return answer.status, answer.headers.get("ldap-code", ""), answer.headers.get("ldap-detail", "")
