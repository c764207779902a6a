"""What a vendor does wrong, on demand.

A trouble strikes the requests whose path begins with `path` (and whose method is `method`, if it names one): the `at`-th of
them (1 the first) and the `times - 1` that follow (0: all that follow).

| kind | what happens | value |
|---|---|---|
| `status` | an error | the status |
| `throttle` | 429 with `Retry-After` | seconds, or an HTTP date |
| `reset` | the connection is reset before any answer | |
| `slow` | the answer waits | seconds |
| `html` | an error page in HTML that echoes the credential | the status |
| `not_json` | a page of HTML with status 200 | |
| `error_in_200` | `{"error": …}` with status 200 | |
| `truncated` | the body stops half way, the length says otherwise | |
| `wrong_length` | a `Content-Length` shorter than the body | |
| `cut_json` | half of the body, with its right length | |
| `redirect` | 302 | the address |
| `gzip_bomb` | a few kilobytes that decompress to as many bytes as said | bytes |
| `huge` | a body that goes on and on | bytes |
| `expired` | the tokens given so far are refused from now on | |
| `repeated` | the page before, again | |
| `swapped` | two neighbouring pages in place of each other, by their number | the number of the first |
| `lying_count` | counts that are wrong | what is added to them |
| `cap` | pages silently smaller than asked | records |
| `filter_ignored`, `filter_reversed` | the filter on what changed does not do what it says | |
| `schema` | fields renamed, dropped or made text | `{"rename": {}, "drop": [], "text": []}` |
| `foreign_link` | next links lead to another host | the host |
| `lands_then_resets` | a write is done, then the connection is reset before any answer | |
| `lands_late` | the connection is reset; the write is done later | seconds |
| `lands_then_fails` | a write is done, then answered by an error | the status, 500 without one |
| `lost` | a write is answered as done, and is not | |
| `keyless` | `Idempotency-Key` is ignored | |
| `echo` | a success shows the credential, in a header and in the body | |
"""

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble, and when it strikes."""

    kind: str
    value: Any = None
    path: str = "/"
    at: int = 1
    times: int = 1
    method: str = ""


@dataclass
class Troubles:
    """Those that are planned, each with the number of requests it has seen."""

    _planned: list[tuple[Trouble, list[int]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, *troubles: Trouble) -> None:
        """Plan troubles."""
        with self._lock:
            self._planned.extend((trouble, [0]) for trouble in troubles)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._planned.clear()

    def striking(self, path: str, method: str = "") -> dict[str, Any]:
        """Give those that strike this request: kind and value."""
        found: dict[str, Any] = {}
        if not self._planned:
            return found
        with self._lock:
            for trouble, seen in self._planned:
                if path.startswith(trouble.path) and trouble.method in ("", method):
                    seen[0] += 1
                    if seen[0] >= trouble.at and (trouble.times == 0 or seen[0] < trouble.at + trouble.times):
                        found[trouble.kind] = trouble.value
        return found
