"""Questions as they are kept: what may be read stands as JSON; the path and the names of people are sealed within."""

from base64 import b64decode, b64encode
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from sovereign.gateway.decision import Finding, Question
from vault import envelope
from vault.keys import Keys

_HIDDEN: Final = ("path", "person", "owner")
_CONTEXT: Final = b"sovereign-question/1"


class Questions:
    """Packs and unpacks the questions of `decisions.question`."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.derive("gateway/question")

    def pack(self, question: Question) -> str:
        """A question as JSON text without any personal value."""
        shown: dict[str, Any] = {each.name: getattr(question, each.name) for each in fields(question)}
        hidden = {name: shown.pop(name) for name in _HIDDEN}
        for name in ("roles", "groups", "classes"):
            shown[name] = sorted(shown[name])
        shown["findings"] = [[each.kind, each.count, each.sure] for each in question.findings]
        hidden["pointers"] = [each.pointer for each in question.findings]
        if any(hidden.values()):
            shown["sealed"] = b64encode(envelope.seal(self._key, _CONTEXT, msgspec.json.encode(hidden))).decode()
        shown["at"] = question.at.isoformat()
        return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode()

    def unpack(self, text: str) -> Question:
        """The question again; errors: WrongKey, Corrupt."""
        held: dict[str, Any] = orjson.loads(text)
        sealed = held.pop("sealed", None)
        hidden: dict[str, Any] = {"path": "", "person": None, "owner": "", "pointers": []}
        if sealed is not None:
            hidden = msgspec.json.decode(envelope.open(self._key, _CONTEXT, b64decode(sealed)), type=dict[str, Any])
        pointers = hidden.pop("pointers") or [""] * len(held["findings"])
        held["findings"] = tuple(
            Finding(kind, pointer, count, sure) for (kind, count, sure), pointer in zip(held["findings"], pointers, strict=True)
        )
        for name in ("roles", "groups", "classes"):
            held[name] = frozenset(held[name])
        held["at"] = datetime.fromisoformat(held["at"])
        return Question(**held, **hidden)
