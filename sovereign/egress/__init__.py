"""The one way out: every byte to or from a vendor passes here, allowed by name, guarded by address, paced, bounded and counted.

`open_transport(policy, auth, clock)` gives the `Transport` of one connection; docs/egress.md tells the rules, ADR 0005 the
choices.
"""

from sovereign.egress.budget import BUDGETS, Budgets
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.errors import (
    BadEncoding,
    Broken,
    EgressError,
    Interrupted,
    NotSent,
    Redirected,
    Refused,
    TimedOut,
    TlsFailed,
    TooLarge,
    Waiting,
)
from sovereign.egress.policy import EgressPolicy, policy_of
from sovereign.egress.transport import Transport, open_transport

__all__ = [
    "BUDGETS",
    "BadEncoding",
    "Broken",
    "Budgets",
    "Counters",
    "EgressError",
    "EgressPolicy",
    "Interrupted",
    "NotSent",
    "Redirected",
    "Refused",
    "Remark",
    "TimedOut",
    "TlsFailed",
    "TooLarge",
    "Transport",
    "Waiting",
    "open_transport",
    "policy_of",
]
