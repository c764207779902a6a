"""Events as syslog messages (RFC 5424), framed by their length for TLS (RFC 5425 section 4.3).

    LENGTH SP <PRI>1 TIME HOST sovereign - ACT [sovereign@PEN index="N" log="ORIGIN" leaf="HEX"] {"activity_id":…}

The structured data says the entry's number, so that a receiver that reads no JSON sees a gap or a repetition. The JSON is
ASCII, on one line. A message is at most `LIMIT` bytes: the event of a longer one goes without its unmapped part.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sovereign.audit import ocsf
from sovereign.audit.entry import Entry

if TYPE_CHECKING:
    from sovereign.audit.log import AuditLog

LIMIT: Final = 8192
"""What receivers should take at least (RFC 5425 section 4.3.1), in bytes."""
_SEVERITY: Final = {ocsf.INFORMATIONAL: 6, ocsf.LOW: 5, ocsf.MEDIUM: 4, ocsf.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes messages. facility: RFC 5424 table 1; host: this machine; enterprise: the number after `@`; origin: the log."""

    facility: int
    host: str
    enterprise: int
    origin: str

    def frame(self, seq: int, entry: Entry, leaf: bytes) -> bytes:
        """The message of one entry, behind its length."""
        event = ocsf.event(seq, entry, leaf, self.origin)
        message = self._message(seq, entry, leaf, event)
        if len(message) > LIMIT:
            message = self._message(seq, entry, leaf, ocsf.shortened(event))
        return b"%d %b" % (len(message), message)

    def _message(self, seq: int, entry: Entry, leaf: bytes, event: Mapping[str, Any]) -> bytes:
        priority = self.facility * 8 + _SEVERITY[event["severity_id"]]
        data = f'[sovereign@{self.enterprise} index="{seq}" log="{_parameter(self.origin)}" leaf="{leaf.hex()}"]'
        head = f"<{priority}>1 {entry.time} {_printable(self.host, 255)} sovereign - {_printable(entry.act, 32)} {data} "
        return head.encode() + text(event)


def lines(log: "AuditLog", first: int, end: int) -> Iterator[bytes]:
    """The events of a log from a number on, before another, one a line. Errors: Damaged."""
    while found := [each for each in log.bare(first, limit=500) if each[0] < end]:
        for each in found:
            yield text(ocsf.event(*each, log.checkpoints.verifier.name)) + b"\n"
        first = found[-1][0] + 1


def text(event: Mapping[str, Any]) -> bytes:
    """An event as one line of ASCII JSON, without its end."""
    return json.dumps(event, separators=(",", ":"), sort_keys=True).encode()


def _parameter(value: str) -> str:
    """Escape a parameter's value (RFC 5424 section 6.3.3)."""
    return "".join(f"\\{each}" if each in '"\\]' else each for each in value)


def _printable(value: str, most: int) -> str:
    """A header's field: printable ASCII without space, `-` for nothing."""
    return "".join(each for each in value if "!" <= each <= "~")[:most] or "-"
