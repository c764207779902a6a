"""The description of events, in and out (AsyncAPI 3.0), made of the types that there are and of what the settings declare.

1. Every type that may be told is in it, with the schema of its data; the types that a subscriber asked for are its operation.
2. No address of a subscriber is in it, and no secret: it may be handed to whoever is to read events, or to send them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from sovereign.events.kinds import BY_TYPE, KINDS, Kind
from sovereign.events.news import MEDIA
from sovereign.events.schemes import schemes
from sovereign.settings import EventSource, Subscriber

VERSION: Final = "3.0.0"
ALWAYS: Final = ("sovereign.subscriber.tested", "sovereign.subscriber.lost")
"""What every subscriber is told, whatever it asks for."""
ROWS: Final = "sovereign.row.changed"
Say = Callable[[str, str], str]
_HTTP: Final = {"http": {"method": "POST", "bindingVersion": "0.3.0"}}
_OUT: Final = "subscriber"
_EVENT: Final = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "subject", "sequence", "datacontenttype", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1},
        "type": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string", "minLength": 1},
        "sequence": {"type": "string", "pattern": "^[0-9]{20}$"},
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
}
_HEADERS: Final = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string"},
        "webhook-timestamp": {"type": "string", "pattern": "^[0-9]+$"},
        "webhook-signature": {"type": "string", "pattern": "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$"},
    },
}


def description(
    origin: str,
    wanted: str,
    sources: Mapping[str, EventSource] | None = None,
    subscribers: Mapping[str, Subscriber] | None = None,
) -> dict[str, Any]:
    """The whole description. origin: of the gateway; wanted: `fr` or `en`; sources, subscribers: those to name, if any."""

    def say(fr: str, en: str) -> str:
        return fr if wanted == "fr" else en

    parts = urlsplit(origin)
    found = _sources(sources, say)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Sovereign",
            "version": "1",
            "license": {"name": "EUPL-1.2"},
            "description": say(
                "Les événements que d'autres disent à ce site, et ceux qu'il dit à ses abonnés (CloudEvents 1.0, signés).",
                "The events that others tell this site, and those that it tells its subscribers (CloudEvents 1.0, signed).",
            ),
        },
        "defaultContentType": MEDIA,
        "servers": {"gateway": {"host": parts.netloc, "protocol": parts.scheme}},
        "channels": {**{name: channel for name, (channel, _) in found.items()}, _OUT: _out(say)},
        "operations": {**{name: operation for name, (_, operation) in found.items()}, **_told(subscribers, say)},
        "components": {
            "schemas": {"Event": _EVENT, "Signed": _HEADERS, **{kind.type: kind.schema for kind in KINDS}},
            "messages": {kind.type: _message(kind, say) for kind in KINDS},
            "securitySchemes": {
                name: {"type": "httpApiKey", "in": "header", "name": scheme.signature, "description": scheme.title}
                for name, scheme in schemes().items()
            },
        },
    }


def types_of(subscriber: Subscriber) -> tuple[str, ...]:
    """The types that a subscriber may be told."""
    asked = [
        kind.type
        for kind in KINDS
        if kind.acts and any(each in ("*", kind.type) or kind.type.startswith(_stem(each)) for each in subscriber.types)
    ]
    return (*asked, *((ROWS,) if subscriber.changes else ()), *ALWAYS)


def _stem(asked: str) -> str:
    """What the types of a whole family begin with; a single type begins nothing else."""
    return asked[:-1] if asked.endswith(".*") else f"{asked}."


def _message(kind: Kind, say: Say) -> dict[str, Any]:
    mine = {"properties": {"type": {"const": kind.type}, "data": {"$ref": f"#/components/schemas/{kind.type}"}}}
    return {
        "name": kind.type,
        "title": kind.type,
        "summary": say(kind.fr, kind.en),
        "contentType": MEDIA,
        "headers": {"$ref": "#/components/schemas/Signed"},
        "payload": {"allOf": [{"$ref": "#/components/schemas/Event"}, mine]},
    }


def _out(say: Say) -> dict[str, Any]:
    return {
        "address": None,
        "description": say(
            "L'adresse de l'abonné, que l'exploitant règle. Répondre 2xx, c'est avoir pris l'événement ; il peut venir deux "
            "fois, sous le même « id ».",
            "The subscriber's address, which the operator sets. Answering 2xx is having taken the event; it may come twice, "
            "under the same `id`.",
        ),
        "messages": {kind.type: {"$ref": f"#/components/messages/{kind.type}"} for kind in KINDS},
    }


def _told(subscribers: Mapping[str, Subscriber] | None, say: Say) -> dict[str, Any]:
    """What each subscriber is told; of subscribers in general when none is named."""
    asked = {"tell": tuple(BY_TYPE)} if subscribers is None else {
        f"tell-{name}": types_of(each) for name, each in sorted(subscribers.items())
    }  # fmt: skip
    return {
        name: {
            "action": "send",
            "channel": {"$ref": f"#/channels/{_OUT}"},
            "summary": say("Ce qui est dit à un abonné.", "What a subscriber is told."),
            "security": [{"$ref": "#/components/securitySchemes/standard"}],
            "bindings": _HTTP,
            "messages": [{"$ref": f"#/channels/{_OUT}/messages/{type_}"} for type_ in types],
        }
        for name, types in asked.items()
    }


def _sources(sources: Mapping[str, EventSource] | None, say: Say) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The channel and the operation of each source; of sources in general when none is named."""
    if sources is None:
        one = {"source": {"description": say("Le nom de la source.", "The name of the source.")}}
        return {"event": _source("event", "{source}", None, say, {"parameters": one})}
    return {f"event-{name}": _source(f"event-{name}", name, each, say, {}) for name, each in sorted(sources.items())}


def _source(
    key: str, name: str, source: EventSource | None, say: Say, more: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    scheme = "standard" if source is None else source.scheme
    prefix, fixed = ("", None) if source is None else (source.prefix, source.type or ", ".join(source.types) or None)
    message = {
        "name": fixed or f"{prefix}*",
        "contentType": "application/json",
        "summary": say(
            "Un objet JSON signé, ou un CloudEvent : 1 Mio au plus.", "A signed JSON object, or a CloudEvent: 1 MiB at most."
        ),
        "payload": {"type": "object"},
    }  # fmt: skip
    channel = {
        "address": f"/v1/events/{name}",
        "servers": [{"$ref": "#/servers/gateway"}],
        "messages": {"event": message},
        **more,
    }
    operation = {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{key}"},
        "summary": say("Ce qu'une source dit à ce site.", "What a source tells this site."),
        "security": [{"$ref": f"#/components/securitySchemes/{scheme}"}],
        "bindings": _HTTP,
        "messages": [{"$ref": f"#/channels/{key}/messages/event"}],
    }
    return channel, operation
