"""Who plays the vendor for the kinds of connectors that ship with Sovereign: the sandboxes, in this process, without a socket.

1. Each is as on its first day, small, with lists of a few pages; its credential is the sandbox's, shown by the real flows.
2. A kind that reads a mailbox or a directory has none (`ELSEWHERE`): its laws are held over a real server, by the tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from saas_connectors import auth
from saas_connectors.auth import Auth
from saas_connectors.conformance.driver import Send
from saas_connectors.conformance.tampering import Lists
from saas_connectors.connector import Json
from saas_connectors.request import Headers, Request, Response

ADDRESS: Final = "http://vendor.example"
STARTED: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One kind's vendor: `respond` makes it anew. closed: the connector names the columns that it asks for."""

    settings: Mapping[str, Json]
    respond: Callable[[], Send]
    lists: tuple[Lists, ...]
    auth: Mapping[str, Json] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    closed: bool = False

    def send(self) -> Send:
        """Give a vendor as on the first day, asked with its credential."""
        respond = self.respond()
        if not self.auth:
            return respond
        shown = auth.make({"secret": "rehearsal", **self.auth}, lambda _: self.secret.encode(), lambda: STARTED)
        return lambda request: _carried(shown, request, respond)


def _carried(shown: Auth, request: Request, respond: Send) -> Response:
    flow = shown.flow(request)
    try:
        response = respond(next(flow))
        while True:
            response = respond(flow.send(response))
    except StopIteration:
        return response
    finally:
        flow.close()


def _rest() -> Rehearsal:
    from saas_connectors.sandbox import Bench, Vendor

    stream = {"path": "/page/requests", "primary_key": ["id"], "paging": {"size": 100}}
    lists = (Lists("/page/requests", "data", counts=("meta.total",), plain="town"),)
    return Rehearsal({"streams": {"requests": stream}}, lambda: Vendor({"requests": Bench(350)}).respond, lists)


def _decp() -> Rehearsal:
    from saas_connectors.sandbox import Vendor

    files = ["marches_avec_modifications.json", "marches_concessions.json", "Marche.xml"]
    lists = (Lists(r"\.json$", "marches.marche", plain="objet"), Lists(r"\.json$", "marches.contrat-concession"))
    return Rehearsal({"url": f"{ADDRESS}/files/decp/", "files": files}, lambda: Vendor({}).respond, lists)


def _portal() -> Rehearsal:
    from saas_connectors.sandbox.opendatasoft import SECRET, Portal, notices

    return Rehearsal(
        {"part": 1000, "streams": {"boamp": {"cursor": "maj"}}},
        lambda: Portal({"boamp": notices(130)}, secret=SECRET).respond,
        (
            Lists("/exports/json$", "", plain="lots"),
            Lists("/records$", "results", counts=("total_count",), plain="lots"),
            Lists("/datasets/boamp$", "fields", counts=("metas.default.records_count",)),
        ),
        {"kind": "key", "header": "Authorization", "prefix": "Apikey "},
        SECRET,
    )


def _maarch() -> Rehearsal:
    from saas_connectors.sandbox.maarch import Account, Maarch
    from saas_connectors.sandbox.vendor import SECRET, USER

    account = Account(USER, SECRET, mode="standard", privileges=frozenset({"admin_users", "admin_contacts"}))
    lists = (
        Lists("/res/list$", "resources", counts=("count",), plain="subject"),
        Lists("/contacts$", "contacts", counts=("count",)), Lists("/users$", "users"),
    )  # fmt: skip
    return Rehearsal(
        {"limit": 10},
        lambda: Maarch(20, accounts=(account,), clock=lambda: STARTED).respond,
        lists,
        {"kind": "basic", "user": USER},
        SECRET,
        closed=True,
    )


def _open311() -> Rehearsal:
    from saas_connectors.sandbox.open311 import Open311, reports

    return Rehearsal(
        {"url": f"{ADDRESS}/v2", "since": "2025-06-01", "format": "json"},
        lambda: Open311(reports(60, days=400)).respond,
        (Lists(r"/requests\.json$", "", plain="description"), Lists(r"/services\.json$", "")),
    )


def _scim() -> Rehearsal:
    from saas_connectors.sandbox.scim import Scim

    lists = (
        Lists("/Users$", "Resources", counts=("totalResults", "itemsPerPage"), plain="title"),
        Lists("/Groups$", "Resources", counts=("totalResults",), plain="displayName"),
    )
    return Rehearsal({"url": f"{ADDRESS}/scim/v2", "count": 20}, lambda: Scim().respond, lists)


def _graph() -> Rehearsal:
    from saas_connectors.sandbox.graph import Graph
    from saas_connectors.sandbox.vendor import SECRET, USER

    return Rehearsal(
        {"url": f"{ADDRESS}/v1.0"},
        lambda: Graph().respond,
        (Lists("/users/delta$", "value", plain="jobTitle"), Lists("/groups/delta$", "value", plain="displayName")),
        {"kind": "oauth2", "client": USER, "token_url": f"{ADDRESS}/oauth/token"},
        SECRET,
        closed=True,
    )


def _files() -> Rehearsal:
    """A place of files over HTTPS: one is a JSON array, the other a CSV."""
    from saas_connectors.sandbox.drop import drop

    held = drop(120)

    def respond(request: Request) -> Response:
        name = request.url.rpartition("/")[2]
        if name not in held or request.method not in ("GET", "HEAD"):
            return Response(404, request.full_url, b"")
        kind = "application/json" if name.endswith(".json") else "text/csv"
        body = held[name] if request.method == "GET" else b""
        return Response(200, request.full_url, body, Headers([("Content-Type", kind)]))

    streams = {
        "agents": {"files": "agents.json", "primary_key": ["matricule"]},
        "services": {"files": "services.csv", "primary_key": ["code"], "separator": ";"},
    }
    place = {"kind": "https", "files": sorted(held)}
    settings = {"url": f"{ADDRESS}/depot/", "place": place, "streams": streams}
    return Rehearsal(settings, lambda: respond, (Lists(r"/agents\.json$", "", plain="prenom"),))


REHEARSALS: Final[Mapping[str, Callable[[], Rehearsal]]] = {
    "rest": _rest, "decp": _decp, "opendatasoft": _portal, "maarch": _maarch, "open311": _open311, "scim": _scim,
    "graph-users": _graph, "files": _files,
}  # fmt: skip
"""By kind."""
ELSEWHERE: Final = frozenset({"imap", "ldap"})
"""Kinds that speak no HTTP: a connection alone can prove them."""
