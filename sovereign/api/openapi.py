"""The description of the door (OpenAPI 3.1), made of what one application may call; it names every address of `routes`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from saas_connectors.connector import Operation
from sovereign.api import components
from sovereign.api.components import ALWAYS, JSON, NEEDED, Say, marks, parameter, refusals, schema
from sovereign.gateway.intent import BY_HTTP
from sovereign.gateway.openings import REASON

_WRITTEN: Final = (403, 404, 409, 410, 415, 422, 502)
_PASSED: Final = (403, 404, 409, 410, 422, 502, 504)
_SPOOLED: Final = (*_PASSED, 507)
_SEGMENT: Final = r"^(?!\.{1,2}$)[^\u0000-\u001f\u007f/\\;%]+$"
"""One segment of a path, decoded: what `paths` lets pass."""
_LINKS: Final = {
    "delivery": {"operationId": "showDelivery", "parameters": {"id": "$response.body#/intent"}},
    "cancel": {"operationId": "cancelDelivery", "parameters": {"id": "$response.body#/intent"}},
}


def description(
    offered: Mapping[str, Iterable[Operation]],
    origin: str,
    wanted: str,
    *,
    certificates: bool = False,
    callbacks: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole description.

    offered: operations by connection; wanted: `fr` or `en`; certificates: of clients, are taken; callbacks: the addresses
    where the application may be told.
    """

    def say(fr: str, en: str) -> str:
        return fr if wanted == "fr" else en

    schemes: dict[str, Any] = {"token": {"type": "http", "scheme": "bearer"}}
    if certificates:
        schemes["certificate"] = {"type": "mutualTLS"}
    asked = parameter("key", "trial", "prefer", "person", "language", *(["callback"] if callbacks else []))
    known = {name: list(operations) for name, operations in sorted(offered.items())}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sovereign", "version": "1", "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
            "description": say(
                "Écrire chez un fournisseur par la passerelle : elle décide, remet une fois ou dit qu'elle ne sait pas.",
                "Write to a vendor by the gateway: it decides, and delivers once or says that it does not know.",
            ),
        },
        "servers": [{"url": origin}],
        "security": [{name: []} for name in schemes],
        "paths": {**_fixed(known, say), **_written(known, say, wanted, asked), **_passed(known, say, asked)},
        "webhooks": {"delivery": {"post": _webhook(say)}},
        "components": {
            "securitySchemes": schemes,
            "schemas": components.SCHEMAS,
            "parameters": components.parameters(say, callbacks),
            "responses": components.responses(say),
        },
    }  # fmt: skip


def _wanted(known: Mapping[str, list[Operation]]) -> dict[str, Any]:
    """A request to open a flow: one of the operations that there are, or the pass-through."""
    shapes = [
        {
            "type": "object",
            "required": ["connection", "operation", "reason"],
            "additionalProperties": False,
            "properties": {
                "connection": {"const": connection},
                "operation": {"enum": [*(each.name for each in operations), BY_HTTP]},
                "reads": {"type": "boolean"},
                "reason": {"type": "string", "pattern": f"^(?:{REASON})$"},
            },
        }
        for connection, operations in known.items()
    ]
    return {"anyOf": shapes} if shapes else {"not": {}}


def _fixed(known: Mapping[str, list[Operation]], say: Say) -> dict[str, Any]:
    """What is there for every application."""
    named = parameter("intent", "language")
    health = _answers("Health", "OK")
    metrics = {"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    vote = say("Le vote est compté ; ce que devient la demande.", "The voice is counted; what becomes of the request.")
    note = say("Une note signée par la clé d'un approbateur.", "A note signed by an approver's key.")
    return {
        "/health": {
            "get": _one("health", say("La passerelle répond.", "The gateway answers."), health, open_=True),
            "head": _one(
                "healthHead",
                say("La même, sans corps.", "The same, without a body."),
                {"200": {"description": "OK"}},
                open_=True,
            ),
        },
        "/metrics": {
            "get": _one("metrics", say("Des comptes, pour Prometheus.", "Counts, for Prometheus."), metrics, open_=True)
        },
        "/v1/openapi.json": {
            "get": _one(
                "describe", say("Cette description.", "This description."), _answers("Description", "OK"), parameter("language")
            )
        },
        "/v1/asyncapi.json": {
            "get": _one(
                "describeEvents",
                say("Les événements, reçus et envoyés (AsyncAPI 3.0).", "Events, in and out (AsyncAPI 3.0)."),
                _answers("EventsDescription", "OK"),
                parameter("language"),
            )
        },
        "/v1/connections": {
            "get": _one(
                "listConnections",
                say("Ce que cette application peut appeler.", "What this application may call."),
                _answers("Connections", "OK"),
            )
        },
        "/v1/connections/{connection}/operations": {
            "get": _one(
                "listOperations",
                say("Les opérations d'une connexion.", "The operations of a connection."),
                _answers("Operations", "OK"),
                [_named("connection"), *parameter("language")],
                (403,),
            )
        },
        "/v1/deliveries/{id}": {
            "get": _one(
                "showDelivery",
                say("Où en est une écriture, pas à pas.", "Where a write stands, step by step."),
                _answers("Delivery", "OK"),
                named,
                (404,),
            )
        },
        "/v1/deliveries/{id}/proofs/{entry}": {
            "get": _one(
                "proveDelivery",
                say(
                    "La preuve qu'un pas de cette écriture est au journal d'audit, à vérifier avec sa seule clé publique.",
                    "The proof that a step of this write is in the audit log, to be checked with its public key alone.",
                ),
                {"200": {"description": "C2SP tlog-proof", "content": {"text/plain": {"schema": {"type": "string"}}}}},
                [*named, _named("entry")],
                (404, 410),
            )
        },
        "/v1/deliveries/{id}/cancel": {
            "post": _one(
                "cancelDelivery",
                say("Reprendre ce qui n'est pas parti.", "Take back what has not left."),
                _answers("Receipt", "OK"),
                named,
                (404, 409),
            )
        },
        "/v1/openings": {
            "get": _one(
                "listOpenings",
                say("Les ouvertures de flux qu'elle a demandées.", "The flows that it asked to have opened."),
                _list("openings", "Opening"),
            ),
            "post": {
                **_one(
                    "fileOpening",
                    say("Demande l'ouverture d'un flux refusé.", "Ask for a flow that was denied."),
                    {
                        **_answers("Opening", say("Déjà demandée, elle attend.", "Asked already, it waits.")),
                        "201": _answers("Opening", say("Demandée.", "Asked."))["200"],
                    },
                    parameter("language"),
                    (403, 404, 415, 422, 429),
                ),
                "requestBody": {"required": True, "content": {JSON: {"schema": _wanted(known)}}},
            },
        },
        "/v1/approvals": {
            "get": _one(
                "listApprovals",
                say("Ce qui attend des approbateurs.", "What waits for approvers."),
                _list("approvals", "ApprovalRequest"),
            )
        },
        "/v1/approvals/{id}": {
            "get": _one(
                "showApproval",
                say("Une demande, avec ce qui serait envoyé.", "A request, with what would be sent."),
                _answers("ApprovalContent", "OK"),
                named,
                (404,),
            )
        },
        "/v1/approvals/{id}/look": {
            "post": {
                **_one(
                    "lookApproval",
                    say("La demande entière, pour qui signe.", "The request whole, for whoever signs."),
                    _answers("ApprovalLook", "OK"),
                    named,
                    (403, 404, 409, 410, 429),
                    open_=True,
                ),
                "requestBody": {
                    "required": True,
                    "content": {"text/plain": {"schema": {"type": "string", "maxLength": 16_384}}},
                },
            }
        },
        "/v1/events/{source}": {
            "post": {
                **_one(
                    "tellEvent",
                    say("Un événement, signé par sa source.", "An event, signed by its source."),
                    _answers("EventTaken", say("Déjà pris.", "Taken already."))
                    | _answers("EventTaken", say("Pris, gardé.", "Taken, kept."), "202"),
                    [_named("source"), *parameter("language")],
                    (401, 413, 422, 429),
                    open_=True,
                ),
                "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}}}},
            }
        },
        "/v1/approvals/{id}/votes": {
            "post": {
                **_one("vote", note, _answers("Vote", vote), named, (403, 404, 409, 410, 429), open_=True),
                "requestBody": {
                    "required": True,
                    "content": {"text/plain": {"schema": {"type": "string", "maxLength": 16_384}}},
                },
            }
        },
    }


def _webhook(say: Say) -> dict[str, Any]:
    """What an application that has a callback is sent."""
    said = say(
        "Une écriture est close ou attend une personne (Standard Webhooks) ; renvoyé jusqu'à 2xx.",
        "A write is over or waits for a person (Standard Webhooks); sent again until 2xx.",
    )
    text = {"type": "string"}
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "operationId": "deliveryMoved", "summary": said, "security": [],
        "parameters": [{"name": name, "in": "header", "required": True, "schema": text} for name in names],
        "requestBody": {"required": True, "content": {JSON: {"schema": schema("Callback")}}},
        "responses": {"2XX": {"description": say("pris", "taken")}, "410": {"description": say("plus jamais", "never again")}},
    }  # fmt: skip


def _written(offered: Mapping[str, list[Operation]], say: Say, wanted: str, asked: list[dict[str, Any]]) -> dict[str, Any]:
    """The operations, each typed by its own schema."""
    return {
        f"/v1/connections/{connection}/operations/{each.name}": {
            "post": {
                **_one(
                    f"{connection}.{each.name}", each.title_fr if wanted == "fr" else each.title_en, _receipts(say),
                    asked, _WRITTEN,
                ),
                "requestBody": {"required": True, "content": {JSON: {"schema": _payload(connection, each)}}},
            }
        }
        for connection, operations in offered.items()
        for each in operations
    }  # fmt: skip


def _passed(offered: Mapping[str, Any], say: Say, asked: list[dict[str, Any]]) -> dict[str, Any]:
    """The vendor's own interface, when there is a connection to pass by."""
    if not offered:
        return {}
    vendor = say(
        "la réponse du fournisseur, telle quelle (liste fermée d'en-têtes)",
        "the vendor's answer, as it is (a closed list of headers)",
    )
    own = {"default": {"description": vendor, "content": {"*/*": {}}}}
    path = {
        "name": "path", "in": "path", "required": True, "schema": {"type": "string", "pattern": _SEGMENT},
        "description": say(
            "Le chemin chez le fournisseur : il peut avoir plusieurs segments, écrits comme lui.",
            "The path at the vendor: it may have several segments, written as the vendor does.",
        ),
    }  # fmt: skip
    place = [{**_named("connection"), "schema": {"type": "string", "enum": list(offered)}}, path]
    reads, writes = (
        say("Lire par la passerelle.", "Read by the gateway."),
        say("Écrire par la passerelle.", "Write by the gateway."),
    )
    item: dict[str, Any] = {"parameters": place}
    for method in ("get", "head"):
        item[method] = _one(f"{method}Vendor", reads, own, parameter("person", "language"), _PASSED)
    for method in ("delete", "patch", "post", "put"):
        answers = {**own, "202": _receipts(say)["202"]}
        item[method] = {
            **_one(f"{method}Vendor", writes, answers, asked, _SPOOLED),
            "requestBody": {"content": {JSON: {}, "*/*": {}}},
        }
    for method in item.keys() - {"parameters"}:
        for status, told in item[method]["responses"].items():
            if "$ref" in told:  # the vendor's own refusals pass as well
                item[method]["responses"][status] = _either(status, vendor)
    return {"/v1/connections/{connection}/http/{path}": item}


def _either(status: str, vendor: str) -> dict[str, Any]:
    content = {components.PROBLEM: {"schema": schema("Problem")}, "*/*": {}}
    return {"description": f"{status}; {vendor}", "content": content}


def _one(
    name: str,
    said: str,
    answers: Mapping[str, Any],
    asked: list[dict[str, Any]] | None = None,
    refused: tuple[int, ...] = (),
    *,
    open_: bool = False,
) -> dict[str, Any]:
    """One method of one address."""
    made: dict[str, Any] = {"operationId": name, "summary": said}
    if asked:
        made["parameters"] = asked
    if open_:
        made["security"] = []
    made["responses"] = {**answers, **refusals({*ALWAYS, *refused, *(() if open_ else NEEDED)})}
    return made


def _answers(name: str, said: str, status: str = "200") -> dict[str, Any]:
    return {status: {"description": said, "content": {JSON: {"schema": schema(name)}}}}


def _list(name: str, of: str) -> dict[str, Any]:
    shape = {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": schema(of)}}}
    return {"200": {"description": "OK", "content": {JSON: {"schema": shape}}}}


def _receipts(say: Say) -> dict[str, Any]:
    done = say(
        "remise, confirmée ou retrouvée ; ou la décision, à blanc", "delivered, confirmed or landed; or a dry run's decision"
    )
    waits = say(
        "retenue, en file, à réessayer ou inconnue : suivre Location", "held, queued, to be retried or unknown: follow Location"
    )
    content = {JSON: {"schema": schema("Receipt")}}
    return {
        "200": {"description": done, "headers": marks(), "content": content, "links": _LINKS},
        "202": {"description": waits, "headers": marks(place=True), "content": content, "links": _LINKS},
    }


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _payload(connection: str, each: Operation) -> dict[str, Any]:
    """The schema of an operation; one that refers to its own parts is a resource of its own (OpenAPI 3.1 section 4.8.24)."""
    shape = dict(each.schema)
    if b'"$ref"' in orjson.dumps(shape):
        shape.setdefault("$id", f"urn:sovereign:schema:{connection}:{each.name}")
    return shape
