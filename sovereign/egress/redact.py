"""What of an answer may go further than the transport.

An error page is not data: vendors have been seen to echo login and password in one. The body of a refusal (4xx, 5xx) is kept
only when it is JSON, XML or a witness's tree size, and holds nothing of the credential that was sent. Cookies and hop-by-hop
fields never go further.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from html import escape
from urllib.parse import parse_qsl, quote, quote_plus

from saas_connectors.request import Request

_DATA = re.compile(r"(?:application|text)/(?:[a-z0-9.+-]+\+)?(?:json|xml|x\.tlog\.size)\s*(?:;|\Z)", re.IGNORECASE)
SURE = 8
"""From how many characters a secret is looked for in an answer that is no error: a shorter one is found in honest data too."""
DROPPED = frozenset({"set-cookie", "set-cookie2", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization"})


def error_body(body: bytes, content_type: str, asked: Request, sent: Request) -> bytes:
    """What may be kept of the body of a refusal: all of it, or nothing.

    asked: the request as the connector made it; sent: the same with its credential.
    """
    if not body or not _DATA.match(content_type.strip()):
        return b""
    return b"" if any(secret in body for secret in spellings(asked, sent)) else body


def spellings(asked: Request, sent: Request, shortest: int = 4) -> set[bytes]:
    """The ways a page may spell the credential that was added. shortest: characters; a shorter secret is not looked for."""
    added = {value for name, value in sent.headers if (name, value) not in asked.headers}
    added |= {value for name, value in sent.params if (name, value) not in asked.params}
    added |= {value for _, value in fields(asked, sent)}
    secrets = set()
    for value in added:
        word = value.rpartition(" ")[2]
        secrets |= {value, word}
        if value[:6].lower() == "basic ":
            try:
                pair = base64.b64decode(word, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            secrets |= {pair, pair.partition(":")[2]}
    return {form.encode() for secret in secrets if len(secret) >= shortest for form in _forms(secret)}


def fields(asked: Request, sent: Request) -> frozenset[tuple[str, str]]:
    """The fields of a form that were added on the way out: what the connector wrote itself is no credential."""
    if sent.body is None or sent.body is asked.body:
        return frozenset()
    written = parse_qsl((asked.body or b"").decode("latin-1"))
    return frozenset(parse_qsl(sent.body.decode("latin-1"))).difference(written)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, and as URLs, JSON (slashes escaped or not, as PHP does by default) and XML write it."""
    yield secret
    yield from (coded := quote(secret, safe=""), quote_plus(secret), coded.lower())
    for ascii_only in (True, False):
        written = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (written, written.replace("/", "\\/"))
    yield from (escape(secret, quote=False), escape(secret), escape(secret).replace("&#x27;", "&apos;"))


class Sieve:
    """Lets an answer pass piece by piece, up to the first place that holds one of the secrets; not a byte of it passes."""

    def __init__(self, secrets: set[bytes]) -> None:
        # What contains another of them need not be looked for.
        self._secrets = [one for one in secrets if not any(other in one for other in secrets - {one})]
        self._kept = max(map(len, secrets), default=1) - 1
        self._tail = b""

    def sift(self, piece: bytes) -> bytes:
        """Give what may pass so far; errors: ValueError when a secret is met."""
        data = self._tail + piece
        if self.meets(data):
            raise ValueError
        cut = max(0, len(data) - self._kept)
        self._tail = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """Give what was held back; nothing follows."""
        return self._tail

    def meets(self, data: bytes) -> bool:
        """Whether a secret stands in the data."""
        return any(secret in data for secret in self._secrets)
