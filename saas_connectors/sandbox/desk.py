"""Where the sandbox is written to: records made, replaced, changed and deleted, and what goes wrong with writes.

Every write that reached the data is in `done`, in order: what a gateway believes can be held against it. `Idempotency-Key` is
honoured: the same key gets the same answer, and nothing is done twice.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from saas_connectors.sandbox.datasets import Dataset, Row, Table
from saas_connectors.sandbox.wire import Call, Reply

_NOT_FOUND: Final = b'{"error":"not found"}'


class Desk:
    """The writable side of some datasets; `done`: (method, dataset, key, body) of each write that took place."""

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        self._datasets = datasets
        self._lock = threading.RLock()
        self._keys: dict[str, Reply] = {}
        self._next = 1
        self.done: list[tuple[str, str, tuple[str, ...], Row]] = []

    def answer(self, call: Call, name: str, key: Sequence[str], striking: Mapping[str, Any]) -> Reply:
        """Answer a call on a dataset, or on one record of it."""
        table = self._datasets.get(name)
        if not isinstance(table, Table):
            return Reply(404, _NOT_FOUND)
        if call.method in ("GET", "HEAD"):
            return self._shown(table, call, key)
        if "lands_late" in striking:
            timer = threading.Timer(float(striking["lands_late"]), self._write, (table, call, name, key))
            timer.daemon = True
            timer.start()
            return Reply(reset=True)
        if "lost" in striking:
            return Reply(201 if call.method == "POST" else 204, b"")
        token = "" if "keyless" in striking else call.headers.get("idempotency-key", "")
        with self._lock:
            known = self._keys.get(token) if token else None
            reply = known or self._write(table, call, name, key)
            if token and reply.status < 300:
                self._keys[token] = reply
        if "lands_then_resets" in striking:
            return Reply(reset=True)
        if "lands_then_fails" in striking:
            return Reply(int(striking["lands_then_fails"] or 500), b'{"error":"something broke"}')
        return Reply(reply.status, reply.body, dict(reply.headers))

    def _shown(self, table: Table, call: Call, key: Sequence[str]) -> Reply:
        if not key:
            asked = {name: value for name, value in call.query.items() if name not in ("limit", "offset", "api_key")}
            found = table.matching(asked)
            start, most = int(call.query.get("offset", "0")), int(call.query.get("limit", "100"))
            return Reply(body=orjson.dumps({"items": found[start : start + most], "total": len(found)}))
        record = table.find(*key)
        return Reply(404, _NOT_FOUND) if record is None else Reply(body=orjson.dumps(record))

    def _write(self, table: Table, call: Call, name: str, key: Sequence[str]) -> Reply:
        try:
            body = orjson.loads(call.body) if call.body else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return Reply(400, b'{"error":"a JSON object was expected"}')
        with self._lock:
            reply, named = self._change(table, call.method, tuple(key), body, call.path)
            if reply.status < 300:
                self.done.append((call.method, name, named, body))
        return reply

    def _change(self, table: Table, method: str, key: tuple[str, ...], body: Row, path: str) -> tuple[Reply, tuple[str, ...]]:
        if not key:
            if method != "POST":
                return Reply(405, b'{"error":"method"}'), key
            record = {**dict.fromkeys(table.key, f"n-{self._next}"), **body}
            named = tuple(str(record[part]) for part in table.key)
            if table.find(*named) is not None:
                return Reply(409, b'{"error":"exists"}'), named
            self._next += 1
            table.put(record)
            headers = {"Content-Type": "application/json", "Location": f"{path.rstrip('/')}/{'/'.join(named)}"}
            return Reply(201, orjson.dumps(record), headers), named
        record_now = table.find(*key)
        if record_now is None:
            return Reply(404, _NOT_FOUND), key
        kept = {part: record_now[part] for part in table.key}
        if method == "DELETE":
            table.remove([record_now[part] for part in table.key])
            return Reply(204, b""), key
        if method not in ("PUT", "PATCH"):
            return Reply(405, b'{"error":"method"}'), key
        changed = body if method == "PUT" else {k: v for k, v in {**record_now, **body}.items() if v is not None}
        table.put({**changed, **kept})
        return Reply(200, orjson.dumps({**changed, **kept})), key
