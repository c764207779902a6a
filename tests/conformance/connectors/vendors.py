"""A vendor for each kind of connector: what the laws of misbehaviour need to know of it, and nothing else."""

from collections.abc import Callable, Mapping, MutableSequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from saas_connectors.conformance.tampering import Lists
from saas_connectors.connector import Json
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Table, Vendor
from saas_connectors.sandbox.graph import Graph
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.open311 import NOW as REPORTED
from saas_connectors.sandbox.open311 import Open311, reports
from saas_connectors.sandbox.opendatasoft import SECRET as PORTAL_SECRET
from saas_connectors.sandbox.opendatasoft import Portal, notice, notices
from saas_connectors.sandbox.scim import Scim
from saas_connectors.sandbox.scim import user as account
from saas_connectors.sandbox.troubles import Troubles
from saas_connectors.sandbox.vendor import SECRET, USER
from saas_connectors.sandbox.wire import Call, Reply
from tests.servers.city_features import Places, place

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Server(Protocol):
    """What answers, on a socket or in the same process."""

    troubles: Troubles

    @property
    def calls(self) -> MutableSequence[Call]: ...

    def answer(self, call: Call) -> Reply: ...

    def respond(self, request: Request) -> Response: ...


@dataclass
class Misbehaving:
    """One kind's vendor.

    server: of a few pages. settings: of the connection, without its `url`; root: what the url adds to the server's address;
    fewer: settings of a real run, of several requests and few streams. auth: the credential, `secret` its secret. lists: where
    its lists are; data: how the addresses of its records begin. closed: the connector names the columns that it asks for.
    renews: it renews a token that was refused; resumes: each answer is a resume point. edit: changes a record, gives its
    stream; None where the vendor's data cannot change. back, onward: see `misbehaviour.restored`; None where no stream is
    incremental.
    """

    server: Server
    lists: tuple[Lists, ...]
    data: str
    root: str = ""
    settings: Mapping[str, Json] = field(default_factory=dict)
    auth: Mapping[str, Json] = field(default_factory=dict)
    secret: str = ""
    closed: bool = False
    renews: bool = False
    resumes: bool = True
    fewer: Mapping[str, Json] = field(default_factory=dict)
    edit: Callable[[], str] | None = None
    back: Callable[[], None] | None = None
    onward: Callable[[], tuple[str, Mapping[str, Json]]] | None = None


def _agent(n: int, **changed: object) -> dict[str, Any]:
    at = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": n, "updated": at, "service": f"service {n % 7}", "grade": n % 5} | changed


def _rest(style: str = "page") -> Misbehaving:
    table = Table.of((_agent(n) for n in range(130)), ["id"], "updated")
    stream = {
        "path": f"/auth/oauth/{style}/agents",
        "primary_key": ["id"],
        "cursor": "updated",
        "param": "updated_since",
        "paging": {"size": 20},
    }

    def back() -> None:
        table.remove(*([n] for n in range(100, 130)))

    def onward() -> tuple[str, Mapping[str, Json]]:
        table.put(_agent(100, service="restored"))
        return "agents", {"id": 100}

    def edit() -> str:
        table.put(_agent(5, service="edited"))
        return "agents"

    return Misbehaving(
        Vendor({"agents": table}, cap=20),
        (Lists("/page/agents$", "data", counts=("meta.total", "total", "meta.pages"), plain="grade"),),
        f"/auth/oauth/{style}/agents",
        settings={"streams": {"agents": stream}, "slices": 1},
        auth={"kind": "oauth2", "client": USER, "secret": "api", "token_url": "/oauth/token"},
        secret=SECRET,
        renews=True,
        edit=edit,
        back=back,
        onward=onward,
    )


def _decp() -> Misbehaving:
    files = ["marches_avec_modifications.json", "marches_concessions.json", "Marche.xml"]
    return Misbehaving(
        Vendor({}),
        (
            Lists(r"\.json$", "marches.marche", plain="objet"),
            Lists(r"\.json$", "marches.contrat-concession"),
        ),
        "/files/decp/",
        root="/files/decp/",
        settings={"files": files},
    )


def _files() -> Misbehaving:
    files = ["marches_avec_modifications.json", "marches_concessions.json"]
    streams = {
        f"contracts_{n}": {"files": name, "primary_key": ["id"], "rows": "marches.marche"} for n, name in enumerate(files)
    }
    return Misbehaving(
        Vendor({}),
        (Lists(r"\.json$", "marches.marche", plain="objet"),),
        "/files/decp/",
        root="/files/decp/",
        settings={"place": {"kind": "http", "files": files}, "streams": streams},
    )


def _features() -> Misbehaving:
    server = Places({n: place(n) for n in range(130)})

    def back() -> None:
        for n in range(100, 130):
            del server.features[n]

    def onward() -> tuple[str, Mapping[str, Json]]:
        server.features[100] = place(100, nom="restored")
        return "lieux", {"id": "100"}

    def edit() -> str:
        server.features[5] = place(5, nom="edited")
        return "lieux"

    return Misbehaving(
        server,
        (Lists("/items$", "features", fields="properties", counts=("numberMatched",), plain="places"),),
        "/collections/lieux/items",
        settings={"limit": 20, "streams": {"lieux": {"cursor": "maj"}}},
        edit=edit,
        back=back,
        onward=onward,
    )


def _portal() -> Misbehaving:
    server = Portal({"boamp": notices(130)}, secret=PORTAL_SECRET)
    held = server.datasets["boamp"]

    def back() -> None:
        held.rows = held.rows[:100]
        held.processed -= timedelta(days=2)

    def onward() -> tuple[str, Mapping[str, Json]]:
        held.put(notice(100, objet="restored"), by=["idweb"])
        return "boamp", {"idweb": "26-000100"}

    def edit() -> str:
        held.put(notice(5, objet="edited"), by=["idweb"])
        return "boamp"

    return Misbehaving(
        server,
        (
            Lists("/exports/json$", "", plain="lots"),
            Lists("/records$", "results", counts=("total_count",), plain="lots"),
            Lists("/datasets/boamp$", "fields", counts=("metas.default.records_count",)),
        ),
        "/api/explore/v2.1/catalog/datasets/boamp/",
        settings={"part": 1000, "streams": {"boamp": {"cursor": "maj"}}},
        fewer={"streams": {"boamp": {"cursor": "maj", "exports": False}}},
        auth={"kind": "key", "header": "Authorization", "prefix": "Apikey ", "secret": "api"},
        secret=PORTAL_SECRET,
        edit=edit,
        back=back,
        onward=onward,
    )


def _maarch() -> Misbehaving:
    privileges = frozenset({"admin_users", "admin_contacts"})
    server = Maarch(20, accounts=(Account(USER, SECRET, mode="standard", privileges=privileges),), clock=lambda: NOW)
    store = server.store
    (last,) = store.rows("SELECT * FROM res_letterbox ORDER BY res_id DESC LIMIT 1")

    def back() -> None:
        store.drop("res_letterbox", "res_id", last["res_id"])

    def onward() -> tuple[str, Mapping[str, Json]]:
        store.add("res_letterbox", **last | {"subject": "restored"})
        return "resources", {"res_id": last["res_id"]}

    def edit() -> str:
        store.change("res_letterbox", "res_id", last["res_id"], subject="edited")
        return "resources"

    return Misbehaving(
        server,
        (
            Lists("/res/list$", "resources", counts=("count",), plain="subject"),
            Lists("/contacts$", "contacts", counts=("count",)),
            Lists("/users$", "users"),
        ),
        "/rest/res/list",
        settings={"limit": 10},
        fewer={"streams": ["resources", "documents"]},
        auth={"kind": "maarch", "user": USER, "secret": "api"},
        secret=SECRET,
        closed=True,
        renews=True,
        edit=edit,
        back=back,
        onward=onward,
    )


def _open311() -> Misbehaving:
    server = Open311(reports(60, days=400))
    last = max(server.held.values(), key=lambda report: report.made)

    def back() -> None:
        del server.held[last.id]

    def onward() -> tuple[str, Mapping[str, Json]]:
        server.held[last.id] = replace(last, description="restored")
        return "requests", {"service_request_id": str(last.id)}

    def edit() -> str:
        server.held[last.id] = replace(last, description="edited")
        return "requests"

    return Misbehaving(
        server,
        (Lists(r"/requests\.json$", "", plain="description"), Lists(r"/services\.json$", "")),
        "/v2/requests",
        root="/v2",
        settings={"since": "2025-06-01", "format": "json"},
        edit=edit,
        back=back,
        onward=onward,
    )


def _scim() -> Misbehaving:
    server = Scim()
    last = max(server.users.values(), key=lambda row: row["meta"]["lastModified"])

    def back() -> None:
        del server.users[last["id"]]

    def onward() -> tuple[str, Mapping[str, Json]]:
        server.put("users", account(129, title="restored"))
        return "users", {"id": last["id"]}

    def edit() -> str:
        server.put("users", account(5, title="edited"))
        return "users"

    return Misbehaving(
        server,
        (
            Lists("/Users$", "Resources", counts=("totalResults", "itemsPerPage"), plain="title"),
            Lists("/Groups$", "Resources", counts=("totalResults",), plain="displayName"),
        ),
        "/scim/v2/Users",
        root="/scim/v2",
        settings={"count": 20},
        fewer={"streams": ["users"]},
        edit=edit,
        back=back,
        onward=onward,
    )


def _graph() -> Misbehaving:
    server = Graph()
    first, *_, last = server.users

    def back() -> None:
        server.log.clear()
        del server.users[last]

    def onward() -> tuple[str, Mapping[str, Json]]:
        server.change("users", last, userPrincipalName="restored@ville.example", accountEnabled=True)
        return "users", {"id": last}

    def edit() -> str:
        server.change("users", first, jobTitle="edited")
        return "users"

    server.change("users", last, jobTitle="Cheffe")
    return Misbehaving(
        server,
        (Lists("/users/delta$", "value", plain="jobTitle"), Lists("/groups/delta$", "value", plain="displayName")),
        "/v1.0/users/delta",
        root="/v1.0",
        fewer={"streams": ["users"]},
        auth={"kind": "oauth2", "client": USER, "secret": "api", "token_url": "/oauth/token"},
        secret=SECRET,
        closed=True,
        renews=True,
        edit=edit,
        back=back,
        onward=onward,
    )


VENDORS: Final[Mapping[str, Callable[[], Misbehaving]]] = {
    "rest": _rest,
    "decp": _decp,
    "ogc-features": _features,
    "opendatasoft": _portal,
    "maarch": _maarch,
    "open311": _open311,
    "scim": _scim,
    "graph-users": _graph,
    "files": _files,
}
"""One a kind of the registry that speaks HTTP."""
SESSIONS: Final = frozenset({"imap", "ldap"})
"""The kinds that speak another protocol: `test_KIND.py` beside this file holds each to the same laws, over its own server."""
STARTED: Final = max(NOW, REPORTED)
