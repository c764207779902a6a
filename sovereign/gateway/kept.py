"""An intent at rest, put together again for whoever decides on it, and held to the digest that approvers sign.

What is shown is what is signed: an intent whose parts no longer give its digest is not shown at all.
"""

import hmac

import orjson
from sqlalchemy import Connection, select

from sovereign.gateway.errors import UnknownDelivery
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.sealing import Sealing
from sovereign.state.outbound import intents
from vault.errors import Corrupt


def kept(reader: Connection, sealing: Sealing, intent: str) -> WriteIntent:
    """The intent in clear. Errors: UnknownDelivery, PayloadGone, WrongKey, Corrupt."""
    row = reader.execute(select(intents).where(intents.c.id == intent)).one_or_none()
    if row is None:
        raise UnknownDelivery(intent=intent)
    wrapped = orjson.dumps(row.wrapped, option=orjson.OPT_SORT_KEYS).decode()
    held = sealing.open(intent, row.connection, wrapped, row.sealed)
    found = WriteIntent(
        row.id, row.client, row.connection, row.door, row.operation, held.body, held.content_type, held.entity,
        row.received_at, held.person, row.method, held.path, held.headers, row.priority, row.expires_at,
    )  # fmt: skip
    if not hmac.compare_digest(found.digest, row.digest):
        raise Corrupt(what=intent)
    return found
