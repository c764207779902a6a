"""What is looked at of a body before policy decides, and what policy has replaced in it: a long body by its beginning alone.

1. Of a body that lies in a file, the first `Parts.scanned` bytes are read and looked into, one such body at a time: what waits
   to be decided holds no memory. One that is longer gives the finding `truncated`.
2. What policy wants replaced is replaced in the whole, or the write is denied: nothing is hidden by halves.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sovereign.gateway.beside import beside
from sovereign.gateway.decision import Decision
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.ports import Parts, Scanned

_TOO_LONG: Final = (
    "La politique veut remplacer des valeurs dans un corps trop long pour être réécrit.",
    "Policy wants values replaced in a body that is too long to be written anew.",
)


class Examining:
    """Looks into bodies for one gateway."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._turn = parts, asyncio.Lock()

    async def seen(self, intent: WriteIntent, classes: Callable[[], frozenset[str]]) -> tuple[Scanned, frozenset[str]]:
        """What was found in a body, and the classes of data that it may hold, as the function tells."""
        parts, kind = self._parts, intent.content_type
        if intent.upload is None or parts.spool is None:
            return await beside(intent.size, lambda: (parts.scan(intent.body, kind), classes()))
        async with self._turn:
            head = await asyncio.to_thread(parts.spool.head, intent.id, intent.upload, parts.scanned + 1)
            return await beside(len(head), lambda: (parts.scan(head, kind), classes()))

    async def masked(self, intent: WriteIntent, decision: Decision) -> tuple[WriteIntent, Decision]:
        """The intent with what policy wants replaced, and the decision that then stands. Errors: ValueError."""
        parts, upload, body = self._parts, intent.upload, intent.body
        if not decision.transforms or parts.pseudonymise is None:
            return intent, decision
        if upload is not None and (parts.spool is None or upload.size > parts.scanned):
            fr, en = _TOO_LONG
            return intent, replace(decision, effect="deny", fr=fr, en=en, transforms=())
        if upload is not None and parts.spool is not None:
            body = await asyncio.to_thread(parts.spool.head, intent.id, upload, upload.size)
        hidden = await beside(len(body), parts.pseudonymise, body, intent.content_type, decision.transforms)
        if upload is not None and parts.spool is not None:
            await asyncio.to_thread(parts.spool.remove, [intent.id])
        return replace(intent, body=hidden, upload=None), decision
