"""The server itself: from a call to a reply, without a socket.

Its routes are under `/rest`. An address that is none of them, or another method, gets a page of HTML that shows the login and
the password of a Basic credential in a link. A letter that does not exist is answered as one out of the account's perimeter:
403; only root is told that it does not exist. `/sandbox/troubles` takes troubles, as the other sandbox does.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import orjson

from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox.maarch.desk import OUT, Desk, said, wrong
from saas_connectors.sandbox.maarch.door import Account, Door
from saas_connectors.sandbox.maarch.rules import Model, Rules
from saas_connectors.sandbox.maarch.shown import Shown
from saas_connectors.sandbox.maarch.store import Refused, Store
from saas_connectors.sandbox.mishaps import after, html, instead
from saas_connectors.sandbox.troubles import Trouble, Troubles
from saas_connectors.sandbox.vendor import SECRET, USER
from saas_connectors.sandbox.wire import Call, Reply

OPEN: Final = {"GET/authenticationInformations", "POST/authenticate", "GET/authenticate/token"}
ROUTES: Final = (
    "GET/authenticationInformations", "POST/authenticate", "GET/authenticate/token", "POST/res/list", "PUT/res/resource/status",
    "PUT/res/externalInfos", "POST/resources", "PUT/resources/external", "GET/resources/{resId}", "PUT/resources/{resId}",
    "GET/resources/{resId}/content", "GET/resources/{resId}/originalContent", "GET/resources/{resId}/notes",
    "GET/resources/{resId}/attachments", "POST/notes", "GET/notes/{id}", "PUT/notes/{id}", "DELETE/notes/{id}",
    "POST/attachments", "GET/attachments/{id}", "PUT/attachments/{id}", "DELETE/attachments/{id}",
    "GET/attachments/{id}/originalContent", "GET/contacts", "GET/contacts/{id}", "GET/users", "GET/entities", "GET/statuses",
    "GET/doctypes/types", "GET/history",
)  # fmt: skip
ACCOUNTS: Final = (
    Account(USER, SECRET),
    Account("courrier", SECRET, number=2, mode="standard"),
    Account("superadmin", SECRET, number=3, mode="root_visible", clause=None),
)


def _pattern(route: str) -> tuple[str, str, re.Pattern[str]]:
    method, slash, path = route.partition("/")
    return route, method, re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(slash + path)))


_MODELS: Final = {1: Model()}
_PATTERNS: Final = tuple(_pattern(route) for route in ROUTES)


class Maarch:
    """A MaarchCourrier server with `letters` letters, whose generated documents hold `document_bytes` bytes at least.

    `notes_every`, `attachments_every`: one letter in so many has a note, an attachment; 0 for none. `cap`: most rows of a list,
    whatever is asked. `attempts`: wrong passwords that lock an account. `change_key`: the server still has its first secret.
    `models`: the indexing models, by their number. `migrating`: an update is under way, nothing else is answered.
    """

    def __init__(
        self,
        letters: int = 60,
        *,
        document_bytes: int = 2_000,
        notes_every: int = 4,
        attachments_every: int = 5,
        accounts: tuple[Account, ...] = ACCOUNTS,
        zone: str = "Europe/Paris",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        models: Mapping[int, Model] = _MODELS,
        change_key: bool = False,
        latency: float = 0.0,
        cap: int | None = None,
        attempts: int = 5,
        subqueries: bool = True,
    ) -> None:
        self.store = Store(
            letters, document_bytes, zone=zone, clock=clock, notes_every=notes_every, attachments_every=attachments_every
        )
        self.door = Door({each.login: each for each in accounts}, clock, attempts, timedelta(minutes=30))
        self.desk, self.shown = Desk(self.store, Rules(self.store, models)), Shown(self.store)
        self.migrating = False
        self.troubles = Troubles()
        self.calls: deque[Call] = deque(maxlen=500_000)
        self.change_key, self.latency, self.cap, self.subqueries = change_key, latency, cap, subqueries

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        self.calls.append(call)
        if call.path == "/sandbox/troubles":
            return self._control(call)
        striking = self.troubles.striking(call.path, call.method)
        reply = instead(call, striking) or self._written(call, striking)
        if striking:
            after(call, reply, striking)
        reply.delay += self.latency
        return reply

    def respond(self, request: Request) -> Response:
        """Answer a connector's request in the same process, without a socket."""
        parts = urlsplit(request.full_url)
        headers = {name.lower(): value for name, value in request.headers} | {"host": parts.netloc}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        reply = self.answer(Call(request.method, parts.path, query, headers, request.body or b""))
        return Response(reply.status, request.full_url, reply.body, Headers(reply.headers.items()))

    def _written(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        """Carry out a call, with what befalls writes."""
        if "expired" in striking:
            self.door.revoke(refresh=striking["expired"] == "all")
        if call.method in ("GET", "HEAD") or call.path.endswith(("/res/list", "/resources/external")):
            return self._serve(call)
        if "lost" in striking:
            return said({"resId": 0} if call.method == "POST" else {"success": "success"})
        if "lands_late" in striking:
            import threading

            timer = threading.Timer(float(striking["lands_late"]), self._serve, (call,))
            timer.daemon = True
            timer.start()
            return Reply(reset=True)
        reply = self._serve(call)
        if "lands_then_resets" in striking:
            return Reply(reset=True)
        if "lands_then_fails" in striking:
            return wrong("something broke", int(striking["lands_then_fails"] or 500))
        return reply

    def _serve(self, call: Call) -> Reply:
        if not call.path.startswith("/rest/"):
            return html(call, 404)
        path = call.path.removeprefix("/rest")
        matching = [(route, method, found) for route, method, pattern in _PATTERNS if (found := pattern.fullmatch(path))]
        right = [(route, found) for route, method, found in matching if method == call.method]
        # A fixed path goes before one with a place in it.
        right.sort(key=lambda each: "{" in each[0])
        if not right:
            return html(call, 405 if matching else 404)
        route, found = right[0]
        if self.migrating and route != "GET/authenticationInformations":
            told = {"errors": "Service unavailable : migration in progress", "lang": "migrationProcessing", "migrating": True}
            return Reply(503, orjson.dumps(told), {"Retry-After": "5 minutes"})
        if route in OPEN:
            return self._open(route, call)
        account = self.door.known(call)
        if account is None:
            return wrong("Authentication Failed", 401)
        if account.mode == "rest" and account.authorized_api and route not in account.authorized_api:
            return wrong("This route is not authorized for this user", 403)
        if account.held and account.mode != "rest":
            return wrong(account.held, 403)
        number = found.group(1) if found.groups() else "0"
        if not number.isdigit():
            return OUT if "resources" in route else wrong("Route id is not an integer")
        return self._routed(route, account, int(number), call)

    def _open(self, route: str, call: Call) -> Reply:
        if route == "POST/authenticate":
            return self.door.authenticate(call)
        if route == "GET/authenticate/token":
            return self.door.refresh(call)
        told: dict[str, Any] = {
            "instanceId": "0" * 64,
            "applicationName": "Maarch Courrier",
            "loginMessage": None,
            "changeKey": self.change_key,
        }
        told |= {"authMode": "standard", "lang": "fr", "idleTime": 10_080, "migrating": self.migrating}
        return said(told)

    def _routed(self, route: str, account: Account, number: int, call: Call) -> Reply:
        if call.method in ("POST", "PUT") and route != "POST/res/list":
            body = _body(call)
            if body is None:
                return wrong("Body is not set or empty")
        else:
            body = {}
        if route == "POST/res/list":
            return self._list(account, _body(call) or {})
        if call.method == "GET":
            return self.shown.answer(route, account, number, call)
        return self._changed(route, account, number, call, body)

    def _changed(self, route: str, account: Account, number: int, call: Call, body: dict[str, Any]) -> Reply:
        whole: Mapping[str, Callable[[Account, dict[str, Any]], Reply]] = {
            "PUT/res/resource/status": self.desk.status,
            "PUT/res/externalInfos": self.desk.external,
            "POST/resources": self.desk.create,
            "PUT/resources/external": self.desk.find,
            "POST/notes": self.desk.note,
            "POST/attachments": self.desk.attach,
        }
        if route in whole:
            return whole[route](account, body)
        if route == "PUT/resources/{resId}":
            return self.desk.update(account, number, body, only=bool(call.query.get("onlyDocument")))
        edit = self.desk.edit_note if "notes" in route else self.desk.edit_attachment
        return edit(account, number, body if call.method == "PUT" else None)

    def _list(self, account: Account, body: Mapping[str, Any]) -> Reply:
        select, clause, order, limit = (body.get(name) for name in ("select", "clause", "orderBy", "limit"))
        if not isinstance(select, str) or not select:
            return wrong("Bad Request: select is not valid")
        if not isinstance(clause, str) or not clause:
            return wrong("Bad Request: clause is not valid")
        if order and not isinstance(order, list):
            return wrong("Bad Request: orderBy parameter not valid")
        if limit and not isinstance(limit, int):
            return wrong("Bad Request: limit parameter not valid")
        names = [name.strip() for name in select.split(",")]
        most = min(filter(None, (limit, self.cap)), default=None)
        if not self.subqueries and re.search(r"\bselect\b", clause, re.IGNORECASE):
            return wrong("Requête non valide")
        if account.clause == "":
            return wrong("User has no groups")
        try:
            rows = self.store.list(names, clause, account.clause, order or (), most)
        except Refused:
            return wrong("Requête non valide")
        return said({"resources": rows, "count": len(rows)})

    def _control(self, call: Call) -> Reply:
        if call.method == "DELETE":
            self.troubles.clear()
            return Reply(204)
        try:
            self.troubles.plan(*msgspec.json.decode(call.body, type=list[Trouble]))
        except ValueError:
            return wrong("bad request")
        return Reply(204)


def _body(call: Call) -> dict[str, Any] | None:
    try:
        found = orjson.loads(call.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
