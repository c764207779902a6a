"""What an application is sent when a write of its is over or waits for a person, and how that is signed. Pure.

    webhook-id          the intent and the number of its step: the same however often it is sent
    webhook-timestamp   seconds since 1970, of this sending
    webhook-signature   `v1,` and base64 of HMAC-SHA256(key, id "." timestamp "." body), one a key, separated by spaces
    body                {"type": "delivery.STATE", "timestamp": when the step was made, "data": {"intent", "state", "delivery"}}

Nothing of what was written is in it, nor of whom it is about: the application asks for the delivery with its own credential.
Source: Standard Webhooks 1.0.0.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

from saas_connectors.request import Pairs


def body_of(intent: str, state: str, at: datetime) -> bytes:
    """What is sent, JSON. at: when the delivery came to that state."""
    return orjson.dumps(
        {
            "type": f"delivery.{state}",
            "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {"intent": intent, "state": state, "delivery": f"/v1/deliveries/{intent}"},
        }
    )


def headers_of(name: str, present: datetime, body: bytes, keys: Iterable[bytes], media: str = "application/json") -> Pairs:
    """The headers that go with it. name: of the message; keys: that sign; media: the type of the body."""
    timestamp = str(int(present.timestamp()))
    signed = f"{name}.{timestamp}.".encode() + body
    signatures = (b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return (
        ("Content-Type", media),
        ("webhook-id", name),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", " ".join(f"v1,{each}" for each in signatures)),
    )
