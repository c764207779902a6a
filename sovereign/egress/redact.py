"""What of an answer may go further than the transport.

An error page is not data: vendors have been seen to echo login and password in one. The body of a refusal (4xx, 5xx) is kept
only when it is JSON or XML, and holds nothing of the credential that was sent. Cookies and hop-by-hop fields never go further.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from html import escape
from urllib.parse import parse_qsl, quote, quote_plus

from saas_connectors.request import Request

_DATA = re.compile(r"(?:application|text)/(?:[a-z0-9.+-]+\+)?(?:json|xml)\s*(?:;|\Z)", re.IGNORECASE)
DROPPED = frozenset({"set-cookie", "set-cookie2", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization"})


def error_body(body: bytes, content_type: str, asked: Request, sent: Request) -> bytes:
    """What may be kept of the body of a refusal: all of it, or nothing.

    asked: the request as the connector made it; sent: the same with its credential.
    """
    if not body or not _DATA.match(content_type.strip()):
        return b""
    return b"" if any(secret in body for secret in _spellings(asked, sent)) else body


def _spellings(asked: Request, sent: Request) -> set[bytes]:
    """The ways a page may spell the credential that was added."""
    added = {value for name, value in sent.headers if (name, value) not in asked.headers}
    added |= {value for name, value in sent.params if (name, value) not in asked.params}
    if sent.body is not None and sent.body is not asked.body:
        added |= {value for _, value in parse_qsl(sent.body.decode("latin-1"))}
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
    return {form.encode() for secret in secrets if len(secret) > 3 for form in _forms(secret)}


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, and as URLs, JSON (slashes escaped or not, as PHP does by default) and XML write it."""
    yield secret
    yield from (coded := quote(secret, safe=""), quote_plus(secret), coded.lower())
    for ascii_only in (True, False):
        written = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (written, written.replace("/", "\\/"))
    yield from (escape(secret, quote=False), escape(secret), escape(secret).replace("&#x27;", "&apos;"))
