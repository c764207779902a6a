"""The laws that every writer keeps; a writer that breaks one raises `Violation`.

1. Operations have names of their own, two titles, and closed schemas; what a schema does not name is refused, and no refusal
   shows a value.
2. `apply` sends one request that writes, alone, and nothing after it; `read_back` and `probe` only read.
3. A payload has one entity, and classes; both are the same each time.
4. No request carries a credential.
5. What was applied is confirmed by reading back, and an operation that can be probed is found to have landed.
6. Whatever the vendor answers to the write, `apply` ends in `Applied` or in a `ConnectorError` that holds nothing of the
   answer; no refusal of the 5xx family is definitive.
7. GET and HEAD are reads; PUT, PATCH and DELETE never are.

The payload given is applied once, then each hostile answer is played without being sent.
"""

from collections.abc import Generator, Sequence
from typing import Any

from saas_connectors.conformance.driver import Send
from saas_connectors.conformance.suite import HOSTILE, MARK, hold, modest, said
from saas_connectors.connector import Applied, Fetch, Json, Operation, Writer
from saas_connectors.errors import BadPayload, ConnectorError, Rejected
from saas_connectors.request import Headers, Request, Response


def run_writer(writer: Writer, name: str, payload: Json, send: Send, *, secrets: Sequence[str] = ()) -> Applied:
    """Hold a writer to the laws with one operation and a payload that its vendor accepts; raises `Violation`."""
    operation = declared(writer, name)
    closed(writer, operation, payload)
    discreet(writer, name, payload, send)
    applied: Applied
    applied, asked = carried(writer.apply(name, payload), send)
    writes = [request for request, _ in asked if _writes(request)]
    hold(f"{name} sends one write, the last", len(writes) == 1 and _writes(asked[-1][0]))
    hold(f"{name} gives what the vendor answered", isinstance(applied, Applied))
    seen, looked = carried(writer.read_back(name, payload, applied), send)
    probed, looked_again = carried(writer.probe(name, payload), send)
    hold(f"looking at {name} only reads", not any(_writes(request) for request, _ in [*looked, *looked_again]))
    modest([*asked, *looked, *looked_again], secrets)
    hold(f"{name} is read back as it was asked", seen.outcome == ("confirmed" if operation.reads_back else "unsupported"))
    hold(f"{name} is found by its probe", probed.outcome == ("landed" if operation.probes else "inconclusive"))
    return applied


def declared(writer: Writer, name: str) -> Operation:
    """Laws 1 and 7 of what is declared."""
    operations = writer.operations()
    hold("operations have names of their own", len({operation.name for operation in operations}) == len(operations))
    for operation in operations:
        hold(f"`{operation.name}` has titles", operation.title_fr and operation.title_en)
        hold(f"`{operation.name}` takes an object", operation.schema.get("type") == "object")
    hold("GET and HEAD are reads", all(writer.is_read(method, "/") for method in ("GET", "HEAD")))
    hold("PUT, PATCH and DELETE are writes", not any(writer.is_read(method, "/") for method in ("PUT", "PATCH", "DELETE")))
    return next(operation for operation in operations if operation.name == name)


def closed(writer: Writer, operation: Operation, payload: Json) -> None:
    """Laws 1 and 3 of a payload."""
    name = operation.name
    hold(f"{name} has one entity", writer.entity(name, payload) == writer.entity(name, payload))
    hold(f"{name} has classes", writer.classes(name, payload) <= {"internal", "personal", "sensitive"})
    for wrong in ({**payload, MARK: MARK}, {}, [MARK], MARK, {key: {MARK: MARK} for key in payload}):
        try:
            writer.entity(name, wrong)
        except BadPayload as refusal:
            shown = f"{refusal!r} {refusal.diagnostics('fr')} {refusal.diagnostics('en')} {list(said(refusal))}"
            hold(f"{name}: a refusal shows a value", MARK not in shown)
        else:
            hold(f"{name} refuses what its schema does not name", False)


def carried(exchange: Generator[Fetch, tuple[Response, ...], Any], send: Send) -> tuple[Any, list[tuple[Request, Response]]]:
    """Carry a conversation to its end; a write comes alone."""
    asked: list[tuple[Request, Response]] = []
    return _carry(exchange, send, asked), asked


def _carry(exchange: Generator[Fetch, tuple[Response, ...], Any], send: Send, asked: list[tuple[Request, Response]]) -> Any:  # noqa: ANN401 - whatever it ends in
    try:
        fetch = next(exchange)
        while True:
            hold("a write comes alone", len(fetch.requests) == 1 or not any(map(_writes, fetch.requests)))
            answers = tuple(send(request) for request in fetch.requests)
            asked += zip(fetch.requests, answers, strict=True)
            fetch = exchange.send(answers)
    except StopIteration as end:
        return end.value


def _writes(request: Request) -> bool:
    return request.method not in ("GET", "HEAD") and not request.reads


def discreet(writer: Writer, name: str, payload: Json, send: Send) -> None:
    """Law 6: the looks before the write are real, the write is not sent."""
    for what, (status, body) in HOSTILE.items():

        def answer(request: Request, status: int = status, body: bytes = body) -> Response:
            if not _writes(request):
                return send(request)
            return Response(status, request.full_url, body, Headers([("Content-Type", "text/html"), ("Location", MARK)]))

        try:
            result, _ = carried(writer.apply(name, payload), answer)
            hold(f"{name}: {what} ends in a result", isinstance(result, Applied))
        except ConnectorError as error:
            hold(f"{name}: {what} shows in the error", not any(MARK in text for text in said(error)))
            hold(f"{name}: {what} is not for good", not isinstance(error, Rejected) or status < 500 or not error.definitive)
