"""The tables of events that go out: who is told, and what each is to be told.

`sealed` holds the body of a message. `sequence` is the number of the latest message of a subscriber, lost ones counted.
"""

from sqlalchemy import BigInteger, Integer, LargeBinary, String

from sovereign.state.schema import Instant, table

subscribers = table(
    "subscribers",
    {"name": String},
    {"since": BigInteger, "sequence": BigInteger, "lost": BigInteger, "digest": String},
    maybe={"removed_at": Instant},
)
subscriber_messages = table(
    "subscriber_messages",
    {"subscriber": String, "sequence": BigInteger},
    {
        "id": String,
        "type": String,
        "at": Instant,
        "attempts": Integer,
        "outcome": String,
        "since": Instant,
        "sealed": LargeBinary,
    },
    maybe={"next_at": Instant, "status": Integer, "why": String},
)
