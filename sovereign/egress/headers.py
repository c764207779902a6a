"""Which headers cross the way out, in both directions: pure rules.

1. A name is a token, a value holds no control character (RFC 9110 section 5.5): no CR, LF, NUL, no folded line.
2. What frames a message or names its destination (`Host`, lengths, codings, hop-by-hop fields) is the transport's alone: a
   connector that sets it is refused. An application that goes through the gateway has it dropped, since every client sends it.
3. A message whose framing can be read in two ways (both a length and a coding, two lengths, a coding other than `chunked`) is
   refused whole: it was made to be understood differently by two readers (RFC 9112 section 6.3).
4. A credential is never the application's to send: it is dropped.
5. Of an answer, what speaks of the connection, of cookies or of the vendor's own origin stays here.
"""

import re
from collections.abc import Iterable
from typing import Final

from saas_connectors.request import Pairs
from sovereign.egress.errors import Refused

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_LENGTH: Final = re.compile(r"[0-9]{1,18}\Z")
HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"})
"""What concerns one connection (RFC 9110 section 7.6.1)."""
RESERVED: Final = HOP | {"host", "content-length", "expect", "accept-encoding"}
"""The transport's alone, as all that begins with `proxy-`."""
_ABOUT_THE_CLIENT: Final = frozenset(
    {"authorization", "cookie", "cookie2", "forwarded", "via", "x-real-ip", "x-original-url", "x-rewrite-url"}
    | {"x-http-method-override", "x-http-method", "x-method-override"}
)
_ABOUT_THE_VENDOR: Final = frozenset(
    {"set-cookie", "set-cookie2", "alt-svc", "strict-transport-security", "public-key-pins", "clear-site-data"}
)


def well_formed(name: str, value: str) -> bool:
    """Whether a header can be written on the wire and be read back as the same header."""
    return _NAME.match(name) is not None and _VALUE.match(value) is not None


def reserved(key: str) -> bool:
    """Whether a header belongs to the transport. key: in lower case."""
    return key in RESERVED or key.startswith("proxy-")


def end_to_end(received: Iterable[tuple[str, str]], credential: Iterable[str] = ()) -> Pairs:
    """What of an application's headers may reach the vendor.

    received: as they came, values decoded as Latin-1; credential: names of the headers that carry the vendor's credential.
    Gives the pairs in their order. Errors: Refused `egress.header`, when one is malformed or the framing is ambiguous.
    """
    pairs = tuple(received)
    if not all(well_formed(name, value) and value == value.strip(" \t") for name, value in pairs):
        raise Refused("egress.header")
    lengths = [value for name, value in pairs if name.lower() == "content-length"]
    codings = [value for name, value in pairs if name.lower() == "transfer-encoding"]
    if len(lengths) + len(codings) > 1 or not all(map(_LENGTH.match, lengths)):
        raise Refused("egress.header")
    if codings and codings[0].lower() != "chunked":
        raise Refused("egress.header")
    kept = _named(pairs) | {name.lower() for name in credential} | _ABOUT_THE_CLIENT
    return tuple(
        (name, value)
        for name, value in pairs
        if not reserved(key := name.lower()) and key not in kept and not key.startswith("x-forwarded-")
    )


def relayed(received: Iterable[tuple[str, str]], *, decoded: bool) -> Pairs | None:
    """What of an answer's headers may go further; None when one is malformed.

    decoded: the body was decompressed here, so that its coding and length no longer hold.
    """
    pairs = tuple(received)
    if not all(well_formed(name, value) for name, value in pairs):
        return None
    dropped = _named(pairs) | HOP | _ABOUT_THE_VENDOR
    if decoded:
        dropped |= {"content-encoding", "content-length"}
    return tuple(
        (name, value) for name, value in pairs if (key := name.lower()) not in dropped and not key.startswith("proxy-")
    )


def _named(pairs: Pairs) -> set[str]:
    """What `Connection` names, which concerns that connection alone."""
    values = (value for name, value in pairs if name.lower() == "connection")
    return {word.strip().lower() for value in values for word in value.split(",")}
