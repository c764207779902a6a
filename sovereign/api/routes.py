"""The addresses of the door, as one table: requests are led by it, and the description (`openapi`) is held to it.

1. What is not in the table is not served.
2. An address is read as it was sent, piece by piece, so that an escape cannot change where it leads.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from sovereign.api.errors import NoSuchPlace


@dataclass(frozen=True, slots=True)
class Route:
    """An address. path: its pieces, `{name}` for any one, a last `{path}` for all that follow. door: whom it is open to.

    door: `open` to anyone, `voter` to whoever signs what they send, `source` to a source of events that signs, `client` to an
    application.
    """

    name: str
    path: str
    methods: tuple[str, ...]
    door: Literal["open", "voter", "source", "client"] = "client"


ROUTES: Final = (
    Route("health", "/health", ("GET", "HEAD"), "open"),
    Route("metrics", "/metrics", ("GET",), "open"),
    Route("description", "/v1/openapi.json", ("GET",)),
    Route("events", "/v1/asyncapi.json", ("GET",)),
    Route("connections", "/v1/connections", ("GET",)),
    Route("operations", "/v1/connections/{connection}/operations", ("GET",)),
    Route("operation", "/v1/connections/{connection}/operations/{operation}", ("POST",)),
    Route("pass", "/v1/connections/{connection}/http/{path}", ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")),
    Route("delivery", "/v1/deliveries/{id}", ("GET",)),
    Route("proof", "/v1/deliveries/{id}/proofs/{entry}", ("GET",)),
    Route("cancel", "/v1/deliveries/{id}/cancel", ("POST",)),
    Route("approvals", "/v1/approvals", ("GET",)),
    Route("approval", "/v1/approvals/{id}", ("GET",)),
    Route("openings", "/v1/openings", ("GET", "POST")),
    Route("event", "/v1/events/{source}", ("POST",), "source"),
    Route("look", "/v1/approvals/{id}/look", ("POST",), "voter"),
    Route("vote", "/v1/approvals/{id}/votes", ("POST",), "voter"),
)
_HERE, _ANY, _REST = "", "{}", "{path}"


def _grown() -> dict[str, Any]:
    """The table as a tree: a piece of an address leads to the next, `_HERE` to the route that ends there."""
    tree: dict[str, Any] = {}
    for route in ROUTES:
        node = tree
        for piece in route.path.split("/")[1:]:
            if piece == _REST:
                node[_REST] = route
                break
            node = node.setdefault(_ANY if piece.startswith("{") else f"/{piece}", {})
        node[_HERE] = route
    return tree


_TREE: Final = _grown()


def led(path: str) -> tuple[Route, tuple[str, ...]]:
    """Where an address leads, and what stands at its `{…}`, the rest of a pass-through left out. Errors: NoSuchPlace."""
    node, given = _TREE, list[str]()
    for piece in path.split("/")[1:]:
        if (after := node.get(f"/{piece}")) is None:
            if (rest := node.get(_REST)) is not None:
                return rest, tuple(given)
            if (after := node.get(_ANY)) is None:
                raise NoSuchPlace
            given.append(piece)
        node = after
    if (route := node.get(_HERE)) is None:
        raise NoSuchPlace
    return route, tuple(given)
