"""What schemathesis cannot know of the door: a key serves one request, and a person's name is UTF-8."""

from itertools import count
from typing import Any

import schemathesis

_KEYS = count(1)
KEY, PERSON = "Idempotency-Key", "Sovereign-Person"


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]) -> None:
    """Give each request that keeps to the description a key of its own, and its person as the bytes that the page promises."""
    meta = case.meta
    if case.headers is None or (meta is not None and meta.generation.mode.is_negative):
        return
    if KEY in case.headers:
        case.headers[KEY] = f"k{next(_KEYS)}"
    if PERSON in case.headers:
        case.headers[PERSON] = str(case.headers[PERSON]).encode().decode("latin-1")
