"""The vendor itself: from a call to a reply, without a socket.

| path | what it gives |
|---|---|
| `/STYLE/DATASET` | a list, in one of the styles of `styles`; `updated_since` filters it on its cursor |
| `/auth/SCHEME/STYLE/DATASET` | the same, to those who show the credential: `basic`, `bearer`, `key`, `query`, `oauth` |
| `/oauth/token` | a token for client credentials, for `token_life` seconds |
| `/records/DATASET` | GET: records by equality of fields; POST: a new one, which gets a number as its key when it has none |
| `/records/DATASET/KEY` | GET, PUT, PATCH (merge patch) and DELETE of one; `/auth/SCHEME/records/…` as well |
| `/count/DATASET` | `{"count": n}` |
| `/files/…` | the sample files, with ETags |
| `/sandbox/rows/DATASET` | POST `{"put": [row…], "remove": [[key…]…], "revision": n}`: changes the data |
| `/sandbox/troubles` | POST `[{"kind": …}…]`: plans troubles; DELETE: forgets them |
"""

import base64
import hashlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import orjson

from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox.datasets import DATA, Bench, Dataset, Table, communes
from saas_connectors.sandbox.desk import Desk
from saas_connectors.sandbox.mishaps import after, instead
from saas_connectors.sandbox.styles import STYLES, List
from saas_connectors.sandbox.troubles import Trouble, Troubles
from saas_connectors.sandbox.wire import Call, Reply

USER: Final = "agent"
SECRET: Final = "s3cr3t-of-the-sandbox"  # noqa: S105 - it opens nothing but this toy


class Vendor:
    """Datasets by name, served; `latency` seconds a request, pages of at most `cap` records."""

    def __init__(self, datasets: Mapping[str, Dataset] | None = None, *, latency: float = 0.0, cap: int = 1000) -> None:
        self.datasets: dict[str, Dataset] = dict(datasets) if datasets is not None else {"communes": communes()}
        self.latency, self.cap = latency, cap
        self.troubles = Troubles()
        self.calls: deque[Call] = deque(maxlen=10_000)
        self.desk = Desk(self.datasets)
        self.token_life = 3600
        self._tokens: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._before: dict[str, Reply] = {}
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        self.calls.append(call)
        if call.path.startswith("/sandbox/"):
            return self._control(call)
        striking = self.troubles.striking(call.path, call.method)
        reply = instead(call, striking)
        if reply is None:
            reply = self._serve(call, striking)
            if "repeated" in striking and call.path in self._before:
                reply = self._before[call.path]
            self._before[call.path] = Reply(reply.status, reply.body, dict(reply.headers))
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

    def _serve(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        if "expired" in striking:
            with self._lock:
                self._tokens.clear()
        match call.path.strip("/").split("/"):
            case ["oauth", "token"]:
                return self._token(call)
            case ["auth", scheme, style, name, *key]:
                if not self._allows(scheme, call):
                    return Reply(401, b'{"error":"unauthorized"}', {"WWW-Authenticate": "Bearer"})
                if style == "records":
                    return self.desk.answer(call, name, key, striking)
                return self._list(call, style, name, striking) if not key else Reply(404, b'{"error":"not found"}')
            case ["records", name, *key]:
                return self.desk.answer(call, name, key, striking)
            case ["count", name] if name in self.datasets:
                return Reply(body=orjson.dumps({"count": self.datasets[name].total() + (striking.get("lying_count") or 0)}))
            case ["files", *path]:
                return _file(call, "/".join(path))
            case [style, name]:
                return self._list(call, style, name, striking)
        return Reply(404, b'{"error":"not found"}')

    def _list(self, call: Call, style: str, name: str, striking: Mapping[str, Any]) -> Reply:
        if style not in STYLES or name not in self.datasets:
            return Reply(404, b'{"error":"not found"}')
        query = dict(call.query)
        if "page" in query and "swapped" in striking:
            number, first = int(query["page"]), striking["swapped"]
            query["page"] = str({first: first + 1, first + 1: first}.get(number, number))
        since, until = query.get("updated_since", query.get("from")), query.get("to")
        if "filter_ignored" in striking:
            since = until = None
        elif "filter_reversed" in striking:
            since, until = None, since
        host = striking.get("foreign_link") or call.headers.get("host", "")
        shown = List(
            self.datasets[name],
            query,
            f"http://{host}{call.path}",  # as a vendor behind its proxy writes it
            striking.get("cap") or self.cap,
            striking.get("lying_count") or 0,
            since,
            until,
            striking.get("schema") or {},
        )
        body, headers = STYLES[style](shown)
        return Reply(200, body, {"Content-Type": "application/json", **headers})

    def _allows(self, scheme: str, call: Call) -> bool:
        shown = call.headers.get("authorization", "")
        match scheme:
            case "basic":
                return shown == "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
            case "bearer":
                return shown == f"Bearer {SECRET}"
            case "key":
                return call.headers.get("x-api-key") == SECRET
            case "query":
                return call.query.get("api_key") == SECRET
            case "oauth":
                with self._lock:
                    return self._tokens.get(shown.removeprefix("Bearer "), 0.0) > time.monotonic()
        return False

    def _token(self, call: Call) -> Reply:
        form = dict(parse_qsl(call.body.decode("latin-1")))
        pair = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        shown = call.headers.get("authorization") == f"Basic {pair}"
        posted = (form.get("client_id"), form.get("client_secret")) == (USER, SECRET)
        if call.method != "POST" or form.get("grant_type") != "client_credentials" or not (shown or posted):
            return Reply(401, b'{"error":"invalid_client"}')
        with self._lock:
            token = f"token-{next(self._numbers)}"
            self._tokens[token] = time.monotonic() + self.token_life
        return Reply(body=orjson.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.token_life}))

    def _control(self, call: Call) -> Reply:
        if call.path == "/sandbox/troubles" and call.method == "DELETE":
            self.troubles.clear()
            return Reply(204)
        try:
            if call.path == "/sandbox/troubles":
                self.troubles.plan(*msgspec.json.decode(call.body, type=list[Trouble]))
                return Reply(204)
            asked, dataset = orjson.loads(call.body), self.datasets.get(call.path.removeprefix("/sandbox/rows/"))
            if isinstance(dataset, Bench):
                dataset.revision = int(asked["revision"])
            elif isinstance(dataset, Table):
                dataset.put(*asked.get("put", []))
                dataset.remove(*asked.get("remove", []))
        except (ValueError, TypeError, KeyError, AttributeError):
            return Reply(400, b'{"error":"bad request"}')
        return Reply(204) if dataset is not None else Reply(404, b'{"error":"not found"}')


def _file(call: Call, name: str) -> Reply:
    path = (DATA / name).resolve()
    if not path.is_relative_to(DATA) or not path.is_file():
        return Reply(404, b'{"error":"not found"}')
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    if call.headers.get("if-none-match") == etag:
        return Reply(304, b"", {"ETag": etag})
    kind = "application/xml" if path.suffix == ".xml" else "application/json"
    return Reply(200, body, {"Content-Type": kind, "ETag": etag})
