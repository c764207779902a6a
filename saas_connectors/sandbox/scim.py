"""A SCIM 2.0 server of a service that the city's agents use, for the demo and the tests: people, groups, and its moods.

The server is the sandbox vendor with other paths, under `/scim/v2`: it has its troubles too. `moods` say in what it departs
from the standard, or from what one hopes for:

| mood | what the server does |
|---|---|
| `unstable` | lists in another order each time, whatever is asked |
| `unsorted` | lists in the order of creation, whatever is asked |
| `filter_ignored` | lists all, whatever the filter |
| `no_filter` | refuses filters, and says so |
| `no_patch` | refuses PATCH, and says so |
| `no_config` | shows no `ServiceProviderConfig` |
| `texts` | writes `active` as "True" and "False" |
| `omits` | leaves `Resources` out of a list that is empty |
| `loose` | accepts two users of one `userName` |
| `shy` | shows no members in the list of groups |
"""

import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from saas_connectors.sandbox.vendor import Vendor
from saas_connectors.sandbox.wire import Call, Reply

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT: Final = "/scim/v2"
_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_FILTER: Final = re.compile(r'\s*([\w.]+)\s+(eq|gt|ge)\s+("(?:[^"\\]|\\.)*"|true|false)\s*')
_MEMBER: Final = re.compile(r'members\[value eq ("(?:[^"\\]|\\.)*")\]')
Row = dict[str, Any]


def user(number: int, **changed: Any) -> Row:  # noqa: ANN401 - any JSON
    """Make one account."""
    names = ("Jeanne", "Mamadou", "Léa", "Paul")
    return {
        "schemas": [_USER, ENTERPRISE], "id": f"{(number * 2_654_435_761) % 4_294_967_296:08x}-{number:04d}",
        "externalId": f"M{number:05d}", "userName": f"agent{number}@ville.example", "active": True,
        "name": {"familyName": f"Agent {number}", "givenName": names[number % 4]}, "title": "Rédacteur",
        "emails": [{"value": f"agent{number}@ville.example", "type": "work", "primary": True}],
        ENTERPRISE: {"employeeNumber": f"{number:05d}", "department": "Voirie" if number % 2 else "État civil"},
    } | changed  # fmt: skip


class Scim(Vendor):
    """The server; `now` is its clock, `secret` the bearer token that it wants, if any."""

    def __init__(
        self, people: Iterable[Row] | None = None, *, moods: Iterable[str] = (), secret: str = "", now: datetime = NOW,
        cap: int = 100, latency: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__({}, latency=latency, cap=cap)
        self.moods, self.secret, self.now = set(moods), secret, now
        self.users: dict[str, Row] = {}
        self.groups: dict[str, Row] = {}
        self._chance = random.Random(17)  # noqa: S311 - an order, not a secret
        self._writing = threading.RLock()
        self._versions = 0
        start = now - timedelta(days=30)
        for number, made in enumerate(people if people is not None else map(user, range(130))):
            self.put("users", made, start + timedelta(minutes=number))
        everyone = list(self.users)
        for number, members in enumerate((everyone[:40], everyone[30:60], [])):
            named = {"schemas": [_GROUP], "id": f"g-{number}", "displayName": f"Service {number}"}
            self.put("groups", {**named, "members": [{"value": one, "type": "User"} for one in members]}, start)

    def put(self, kind: str, row: Row, at: datetime | None = None) -> None:
        """Create or change a resource."""
        with self._writing:
            self._versions += 1
            if at is None:
                self.now += timedelta(milliseconds=1)
            held, changed = getattr(self, kind), (at or self.now).isoformat().replace("+00:00", "Z")
            made = held.get(row["id"], {}).get("meta", {}).get("created", changed)
            name = kind.title()
            meta = {
                "resourceType": name[:-1], "created": made, "lastModified": changed, "version": f'W/"{self._versions}"',
                "location": f"http://scim.example{ROOT}/{name}/{row['id']}",
            }  # fmt: skip
            held[row["id"]] = {**row, "meta": meta}

    def _serve(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        if self.secret and call.headers.get("authorization") != f"Bearer {self.secret}":
            return _error(401)
        if not call.path.startswith(ROOT + "/"):
            return _error(404)
        match call.path.removeprefix(ROOT).strip("/").split("/"):
            case ["ServiceProviderConfig"] if "no_config" not in self.moods:
                return _reply(200, self._config())
            case [("Users" | "Groups") as kind]:
                return self._all(call, kind.lower(), striking)
            case [("Users" | "Groups") as kind, name]:
                return self._one(call, kind.lower(), name, striking)
        return _error(404)

    def _config(self) -> Row:
        lacks = {"patch": "no_patch", "filter": "no_filter", "sort": "unsorted", "etag": "", "bulk": "", "changePassword": ""}
        said: Row = {name: {"supported": mood not in self.moods} for name, mood in lacks.items()}
        said["filter"]["maxResults"] = 1000
        return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"], **said}

    def _all(self, call: Call, kind: str, striking: Mapping[str, Any]) -> Reply:
        if call.method == "POST" and kind == "users":
            return self._write(striking, lambda: self._create(call))
        if call.method not in ("GET", "HEAD"):
            return _error(405)
        with self._writing:
            found = list(getattr(self, kind).values())
        if "filter" in call.query and "filter_ignored" not in self.moods:
            asked = None if "no_filter" in self.moods else _FILTER.fullmatch(call.query["filter"])
            if asked is None:
                return _error(400, "invalidFilter")
            found = [row for row in found if _holds(row, asked[1], asked[2], orjson.loads(asked[3]))]
        if "unstable" in self.moods:
            self._chance.shuffle(found)
        elif "sortBy" in call.query and "unsorted" not in self.moods:
            found.sort(key=lambda row: str(_at(row, call.query["sortBy"])))
        start = max(1, int(call.query.get("startIndex", "1"))) - 1
        end = start + min(self.cap, int(call.query.get("count", "100")))
        shown = [self._shown(row, listed=True) for row in found[start:end]]
        answer = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": len(found)}
        paged = {"startIndex": start + 1, "itemsPerPage": len(shown), "Resources": shown}
        return _reply(200, answer if "omits" in self.moods and not found else answer | paged)

    def _shown(self, row: Row, *, listed: bool = False) -> Row:
        made = dict(row)
        if "texts" in self.moods and "active" in made:
            made["active"] = str(made["active"])
        if listed and "shy" in self.moods:
            made.pop("members", None)
        return made

    def _one(self, call: Call, kind: str, name: str, striking: Mapping[str, Any]) -> Reply:
        with self._writing:
            row = getattr(self, kind).get(name)
        if row is None:
            return _error(404)
        if call.method in ("GET", "HEAD"):
            return _reply(200, self._shown(row), {"ETag": row["meta"]["version"]})
        if call.headers.get("if-match", row["meta"]["version"]) != row["meta"]["version"]:
            return _error(412)
        if call.method == "DELETE":
            return self._write(striking, lambda: self._delete(kind, name))
        if call.method == "PUT" or (call.method == "PATCH" and "no_patch" not in self.moods):
            return self._write(striking, lambda: self._change(call, kind, row))
        return _error(501)

    def _write(self, striking: Mapping[str, Any], act: Callable[[], Reply]) -> Reply:
        if "lost" in striking:
            return Reply(204, b"")
        with self._writing:
            reply = act()
        if "lands_then_resets" in striking:
            return Reply(reset=True)
        return _error(int(striking["lands_then_fails"] or 500)) if "lands_then_fails" in striking else reply

    def _create(self, call: Call) -> Reply:
        asked = orjson.loads(call.body)
        taken = {row["userName"].casefold() for row in self.users.values()}
        if "loose" not in self.moods and asked["userName"].casefold() in taken:
            return _error(409, "uniqueness")
        made = {"active": True, **asked, "id": f"new-{self._versions:06d}"}
        self.put("users", made)
        held = self.users[made["id"]]
        return _reply(201, held, {"Location": held["meta"]["location"], "ETag": held["meta"]["version"]})

    def _delete(self, kind: str, name: str) -> Reply:
        del getattr(self, kind)[name]
        return Reply(204, b"")

    def _change(self, call: Call, kind: str, row: Row) -> Reply:
        asked = orjson.loads(call.body)
        made = {**asked, "id": row["id"]} if call.method == "PUT" else dict(row)
        for operation in asked.get("Operations", ()) if call.method == "PATCH" else ():
            if not _patch(made, operation):
                return _error(400, "invalidPath")
        self.put(kind, made)
        return _reply(200, self._shown(getattr(self, kind)[row["id"]]))


def _patch(row: Row, operation: Row) -> bool:
    path: str = operation.get("path", "")
    value: Any = operation.get("value")
    if found := _MEMBER.fullmatch(path):
        gone = orjson.loads(found[1])
        row["members"] = [one for one in row.get("members", []) if one["value"] != gone]
    elif path == "members" and operation["op"] == "add":
        held = {one["value"] for one in row.get("members", [])}
        row["members"] = [*row.get("members", []), *(one for one in value if one["value"] not in held)]
    elif path.startswith(ENTERPRISE + ":"):
        row[ENTERPRISE] = {**row.get(ENTERPRISE, {}), path.removeprefix(ENTERPRISE + ":"): value}
    elif "." in path:
        outer, _, inner = path.partition(".")
        row[outer] = {**row.get(outer, {}), inner: value}
    elif re.fullmatch(r"\w+", path):
        row[path] = value
    else:
        return False
    return True


def _at(row: Row, path: str) -> Any:  # noqa: ANN401 - any JSON
    held: Any = row
    for step in path.split("."):
        held = held.get(step) if isinstance(held, dict) else None
    return held


def _holds(row: Row, path: str, operator: str, wanted: Any) -> bool:  # noqa: ANN401 - any JSON
    held = _at(row, path)
    if operator == "eq":
        return bool(held.casefold() == wanted.casefold() if path == "userName" and held else held == wanted)
    if not isinstance(held, str) or not isinstance(wanted, str):
        return False
    ours, theirs = datetime.fromisoformat(held), datetime.fromisoformat(wanted)
    return ours > theirs or (operator == "ge" and ours == theirs)


def _reply(status: int, document: Row, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, orjson.dumps(document), {"Content-Type": "application/scim+json", **(headers or {})})


def _error(status: int, kind: str = "") -> Reply:
    said: Row = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status)}
    return _reply(status, said | ({"scimType": kind} if kind else {}) | {"detail": "agent7@ville.example"})
