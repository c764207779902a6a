"""Microsoft Graph of a small tenant, for the demo and the tests: users, groups, delta queries and their tokens.

The server is the sandbox vendor with other paths, under `/v1.0`: it has its troubles too, and its tokens (`/oauth/token`,
client credentials). As Graph does, a delta query tells what changed with the properties that changed alone, members one by
one, and an object several times; a page may be empty and have a next one. `moods`:

| mood | what the server does |
|---|---|
| `expired` | refuses every delta token (410) |
| `lost` | answers 204 to a write, and does nothing |
| `texts` | writes `accountEnabled` as "true" and "false" |
| `foreign` | gives next links on another host |
"""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from saas_connectors.sandbox.vendor import Vendor
from saas_connectors.sandbox.wire import Call, Reply

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT: Final = "/v1.0"
Row = dict[str, Any]


def member(number: int, **changed: Any) -> Row:  # noqa: ANN401 - any JSON
    """Make one user of the tenant."""
    made = NOW - timedelta(days=400 - number)
    return {
        "id": f"{(number * 2_654_435_761) % 4_294_967_296:08x}-0000-4000-8000-{number:012d}",
        "userPrincipalName": f"agent{number}@ville.example", "accountEnabled": True, "displayName": f"Agent {number}",
        "givenName": "Léa", "surname": f"Martin {number}", "mail": f"agent{number}@ville.example", "jobTitle": "Rédacteur",
        "department": "Voirie", "companyName": None, "officeLocation": None, "employeeId": f"M{number:05d}",
        "employeeType": None, "mobilePhone": None, "businessPhones": ["+33 4 00 00 00 00"], "userType": "Member",
        "createdDateTime": made.strftime("%Y-%m-%dT%H:%M:%SZ"), "onPremisesSyncEnabled": None,
    } | changed  # fmt: skip


class Graph(Vendor):
    """The tenant; `users` and `groups` by identifier, `members` by group, `managers` by user."""

    def __init__(
        self, people: Iterable[Row] | None = None, *, moods: Iterable[str] = (), cap: int = 20, latency: float = 0.0
    ) -> None:  # fmt: skip
        super().__init__({}, latency=latency, cap=cap)
        self.moods = set(moods)
        self.users = {row["id"]: row for row in (people if people is not None else map(member, range(65)))}
        names = list(self.users)
        self.managers = dict.fromkeys(names[1:5], names[0])
        self.groups: dict[str, Row] = {}
        self.members: dict[str, list[str]] = {}
        for number, held in enumerate((names[:30], names[25:35], [])):
            name = f"00000000-0000-4000-9000-{number:012d}"
            self.groups[name] = {
                "id": name, "displayName": f"Service {number}", "description": None, "mail": None, "mailEnabled": False,
                "securityEnabled": True, "groupTypes": [], "createdDateTime": "2025-01-01T00:00:00Z",
            }  # fmt: skip
            self.members[name] = list(held)
        self.log: list[tuple[str, Row]] = []
        self.revoked: list[str] = []
        self._writing = threading.RLock()

    def change(self, kind: str, name: str, **changed: Any) -> None:  # noqa: ANN401 - any JSON
        """Change properties of an object, or create it."""
        with self._writing:
            held = getattr(self, kind)
            fresh = name not in held
            held[name] = {**held.get(name, {"id": name}), **changed}
            self.log.append((kind, dict(held[name]) if fresh else {"id": name, **changed}))

    def remove(self, kind: str, name: str, reason: str = "changed") -> None:
        """Delete an object: `changed` while it can be restored, `deleted` for good."""
        with self._writing:
            getattr(self, kind).pop(name, None)
            for group in [name] if kind == "groups" else list(self.members):
                if kind == "groups":
                    self.members.pop(group)
                elif name in self.members[group]:
                    self.leave(group, name)
            self.log.append((kind, {"id": name, "@removed": {"reason": reason}}))

    def join(self, group: str, name: str) -> None:
        """Put a user in a group."""
        self.members[group].append(name)
        self.log.append(("groups", {"id": group, "members@delta": [_linked(name)]}))

    def leave(self, group: str, name: str) -> None:
        """Take a user out of a group."""
        self.members[group].remove(name)
        self.log.append(("groups", {"id": group, "members@delta": [{**_linked(name), "@removed": {"reason": "deleted"}}]}))

    def _serve(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        if call.path == "/oauth/token" or "expired" in striking:
            reply = super()._serve(call, striking)
            if call.path == "/oauth/token":
                return reply
        if not self._allows("oauth", call):
            return Reply(401, b'{"error":{"code":"InvalidAuthenticationToken"}}', {"WWW-Authenticate": "Bearer"})
        steps = [unquote(step) for step in call.path.removeprefix(ROOT).strip("/").split("/")]
        if call.method not in ("GET", "HEAD"):
            with self._writing:
                return self._written(call, steps, striking)
        with self._writing:
            return self._read(call, steps)

    def _read(self, call: Call, steps: list[str]) -> Reply:
        match steps:
            case [("users" | "groups") as kind, "delta"]:
                return self._delta(call, kind)
            case ["users"]:
                return self._listed(call)
            case [("users" | "groups") as kind, name] if (row := self._named(kind, name)) is not None:
                manager = self.managers.get(row["id"])
                linked = {"manager": {"id": manager}} if "$expand" in call.query and manager in self.users else {}
                return _reply(200, {**self._shown(row, call), **linked})
            case ["groups", name, "members"] if name in self.members:
                return _reply(200, {"value": [{"id": one} for one in self.members[name]]})
        return _error(404, "Request_ResourceNotFound")

    def _named(self, kind: str, name: str) -> Row | None:
        found: Row | None = getattr(self, kind).get(name)
        if found is None and kind == "users":
            found = next((row for row in self.users.values() if row["userPrincipalName"].casefold() == name.casefold()), None)
        return found

    def _shown(self, row: Row, call: Call) -> Row:
        asked = call.query.get("$select", "").split(",")
        made = {name: value for name, value in row.items() if asked == [""] or name in asked or "@" in name or name == "id"}
        if "texts" in self.moods and isinstance(made.get("accountEnabled"), bool):
            made["accountEnabled"] = str(made["accountEnabled"]).lower()
        return made

    def _listed(self, call: Call) -> Reply:
        name, found, wanted = call.query.get("$filter", "").partition(" eq ")
        plain = wanted[1:-1].replace("''", "'")
        if found and (name not in ("employeeId", "mail") or wanted[:1] != "'" or "'" in wanted[1:-1].replace("''", "")):
            return _error(400, "Request_UnsupportedQuery")
        rows = [row for row in self.users.values() if not found or row.get(name) == plain]
        return _reply(200, {"value": [self._shown(row, call) for row in rows[: int(call.query.get("$top", "100"))]]})

    def _delta(self, call: Call, kind: str) -> Reply:
        if token := call.query.get("$deltatoken"):
            start = int(token.partition(".")[0])
            if "expired" in self.moods or start > len(self.log):
                return _error(410, "syncStateNotFound")
            return self._page(call, kind, start, 0, len(self.log))
        if token := call.query.get("$skiptoken"):
            start, offset, end = (int(part) for part in token.split("."))
            return self._page(call, kind, start, offset, end)
        return self._page(call, kind, -1, 0, len(self.log))

    def _page(self, call: Call, kind: str, start: int, offset: int, end: int) -> Reply:
        """A page of what happened between two places of the log; from -1, of everything."""
        rows = self._all(kind) if start < 0 else [row for which, row in self.log[start:end] if which == kind]
        # The second page is empty, as Graph's may be.
        at = max(0, offset - 1) * self.cap if offset > 1 else 0
        shown = [] if offset == 1 else rows[at : at + self.cap]
        more = offset == 0 or at + self.cap < len(rows)
        link = (
            ("@odata.nextLink", f"$skiptoken={start}.{offset + 1}.{end}")
            if more
            else ("@odata.deltaLink", f"$deltatoken={end}.x")
        )
        host = "elsewhere.example" if "foreign" in self.moods else call.headers.get("host", "")
        select = quote(call.query.get("$select", ""), safe=",")
        url = f"http://{host}{ROOT}/{kind}/delta?$select={select}&{link[1]}"
        return _reply(200, {"@odata.context": "x", link[0]: url, "value": [self._shown(row, call) for row in shown]})

    def _all(self, kind: str) -> list[Row]:
        if kind == "users":
            return [
                {**row, **({"manager@delta": [{"id": self.managers[name]}]} if name in self.managers else {})}
                for name, row in self.users.items()
            ]
        made: list[Row] = []
        for name, row in self.groups.items():
            held = self.members[name]
            made.append({**row, "members@delta": [_linked(one) for one in held[:20]]})
            made += [{"id": name, "members@delta": [_linked(one) for one in held[20:]]}] if held[20:] else []
        return made

    def _written(self, call: Call, steps: list[str], striking: Mapping[str, Any]) -> Reply:
        body: Row = orjson.loads(call.body) if call.body else {}
        if "lost" in striking or "lost" in self.moods:
            return Reply(204, b"")
        match call.method, steps:
            case "PATCH", ["users", name] if name in self.users:
                self.change("users", name, **body)
                reply = Reply(204, b"")
            case "POST", ["users", name, "revokeSignInSessions"] if name in self.users:
                self.revoked.append(name)
                reply = _reply(200, {"value": True})
            case "POST", ["groups", group, "members", "$ref"] if group in self.members:
                name = str(body["@odata.id"]).rpartition("/")[2]
                if name in self.members[group]:
                    return _error(400, "Request_BadRequest")
                self.join(group, name)
                reply = Reply(204, b"")
            case "DELETE", ["groups", group, "members", name, "$ref"] if name in self.members.get(group, ()):
                self.leave(group, name)
                reply = Reply(204, b"")
            case _:
                return _error(404, "Request_ResourceNotFound")
        if "lands_then_resets" in striking:
            return Reply(reset=True)
        return _error(int(striking["lands_then_fails"] or 500), "x") if "lands_then_fails" in striking else reply


def _linked(name: str) -> Row:
    return {"@odata.type": "#microsoft.graph.user", "id": name}


def _reply(status: int, document: Row) -> Reply:
    return Reply(status, orjson.dumps(document), {"Content-Type": "application/json"})


def _error(status: int, code: str) -> Reply:
    return _reply(status, {"error": {"code": code, "message": "agent7@ville.example"}})
