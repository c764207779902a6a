"""The tables of flows and of events: which flows are enabled, what made them act, each write they asked for, what came in.

`record` is a keyed pseudonym of a row's key; `sealed` holds the row. `position` says how far a flow has seen.
"""

from sqlalchemy import BigInteger, Integer, LargeBinary, String

from sovereign.state.schema import Instant, JsonText, table

flows = table(
    "flows",
    {"flow": String},
    {"digest": String, "state": String, "since": Instant, "by_whom": String, "position": JsonText},
    maybe={"due_at": Instant},
)
flow_occasions = table(
    "flow_occasions",
    {"flow": String, "occasion": String},
    {"at": Instant, "state": String, "found": Integer},
    maybe={"why": String, "first_at": Instant},
)
flow_rows = table(
    "flow_rows",
    {"flow": String, "occasion": String, "record": LargeBinary, "step": String, "undo": Integer},
    {"state": String, "due_at": Instant, "since": Instant, "sealed": LargeBinary},
    maybe={"intent": String, "why": String},
)
events = table(
    "events",
    {"position": BigInteger},
    {"id": String, "source": String, "type": String, "at": Instant, "bytes": BigInteger, "sealed": LargeBinary},
    maybe={"signed_at": Instant},
)
event_names = table("event_names", {"id": String}, {})
