"""How an Open311 server writes its answers, and the families of servers that the moods of the sandbox make up.

What each family does was read in the source, or in the documentation, of its servers; the names are those of the software, or
of the city that runs it. The rest of the moods is in `open311`.

| mood | what the server writes |
|---|---|
| `enveloped` | `{"requests": [{"request": […]}]}`, and in XML `requests` for `service_requests` |
| `single_lists` | each value of a service alone in a list |
| `counted` | `{"requests": […], "meta": {"total": n}}` |
| `dashed` | XML under `service-requests type="array"` |
| `nested` | the answer to a new request in two envelopes |
| `none_is_404` | an error (404) for a list that holds nothing |
| `boxed_errors` | `{"error": {"code": …, "message": …}}` |
| `terse_errors` | errors without a code |
| `pages_for_errors` | errors as pages of HTML, with status 200 |
| `zeros` | codes such as 001 without quotes, which is no JSON |
"""

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson

from saas_connectors.sandbox.wire import Reply

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "fixmystreet": ("enveloped", "single_lists", "pages_for_errors", "local_dates", "id_breaks", "always", "jurisdiction"),
    "markaspot": ("counted", "none_is_404", "boxed_errors", "nested", "no_ids", "oldest_first", "always", "limit"),
    "ureport": ("all_statuses", "one_id", "terse_errors", "withheld", "updates", "always"),
    "klarschiff": ("open_only", "dashed", "updates", "unlimited"),
    "chicago": ("page_size", "unnamed", "updates", "tokens"),
    "spot": ("per_page", "boxed_errors", "none_is_404"),
    "helsinki": ("exclusive", "enveloped", "updates", "unlimited"),
}
"""The moods of the servers of a family."""


class Shape:
    """Writes the answers of one server; `moods` may change while it answers."""

    def __init__(self, moods: set[str]) -> None:
        self.moods = moods

    def listed(self, form: str, root: str, tag: str, rows: list[dict[str, Any]]) -> Reply:
        """A list of services, or of requests."""
        if "none_is_404" in self.moods and not rows and tag == "request":
            return self.refusal(form, 404, "no service requests found")
        new = "service_request_id" in (rows or [{}])[0] and "status" not in rows[0]
        if "enveloped" in self.moods:
            root = root.removeprefix("service_")
        if form == "xml":
            inside = "".join(element(tag, row) for row in rows)
            if "nested" in self.moods and new:
                inside = f"<{root}>{inside}</{root}>"
            dashed = f'{root.replace("_", "-")} type="array"' if "dashed" in self.moods else root
            return xml(dashed, inside)
        return self._json(root, tag, rows, new=new)

    def _json(self, root: str, tag: str, rows: list[dict[str, Any]], *, new: bool) -> Reply:
        if "single_lists" in self.moods and tag == "service":
            rows = [{name: [value] for name, value in row.items()} for row in rows]
        held: Any = rows
        if "enveloped" in self.moods:
            held = {root: [{tag: rows}]}
        elif "nested" in self.moods and new:
            held = {root: {tag: rows[0]}}
        elif "counted" in self.moods:
            held = {root.removeprefix("service_"): rows, "meta": {"total": len(rows)}}
        body = orjson.dumps(held)
        if "zeros" in self.moods:
            for code in ("001", "002", "010", "011"):
                body = body.replace(f'"service_code":"{code}"'.encode(), f'"service_code":{code}'.encode())
        return Reply(body=body, headers={"Content-Type": "application/json; charset=utf-8"})

    def refusal(self, form: str, status: int, description: str) -> Reply:
        """An error."""
        if "pages_for_errors" in self.moods:
            return Reply(200, b"<!DOCTYPE html><html><body>ERROR</body></html>", {"Content-Type": "text/html"})
        error: dict[str, Any] = {"code": status, "description": description}
        if "terse_errors" in self.moods:
            error = {"description": description}
        elif "boxed_errors" in self.moods:
            error = {"code": status, "message": description}
        boxed = {"error": error} if "boxed_errors" in self.moods else [error]
        reply = Reply(body=orjson.dumps(boxed)) if form == "json" else xml("errors", element("error", error))
        reply.status = status
        return reply


def xml(root: str, inside: str) -> Reply:
    """An answer in XML; `root`: the name of its root element, and its attributes."""
    body = f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>{inside}</{root.split(maxsplit=1)[0]}>'.encode()
    return Reply(body=body, headers={"Content-Type": "text/xml; charset=utf-8"})


def element(name: str, value: Any, inner: str = "value") -> str:  # noqa: ANN401 - any JSON
    """An element of XML, and what it holds."""
    if isinstance(value, dict):
        text = "".join(element(key, held) for key, held in value.items())
    elif isinstance(value, list):
        text = "".join(element(inner, held) for held in value)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = "" if value is None else escape(str(value))
    return f"<{name}>{text}</{name}>"
