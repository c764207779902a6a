"""Requests signed as AWS does (Signature Version 4, "Authenticating Requests: Authorization Header"), for stores that speak S3.

1. Everything that says what is asked is signed: method, address, query, the headers below, and the body by its SHA-256.
2. The address is signed as it stands in the request, which is encoded once, and goes on the wire as it stands.
3. The secret key signs, and is never sent.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from saas_connectors.auth import Flow
from saas_connectors.request import Pairs, Request

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Signature:
    """An access key, and the secret key that goes with it. region, service: what the store calls itself."""

    access: str
    secret: str = field(repr=False)
    region: str
    clock: Callable[[], datetime]
    service: str = "s3"
    hosts: tuple[str, ...] = ()

    def flow(self, request: Request) -> Flow:
        """Yield the request, signed."""
        yield replace(request, headers=(*_kept(request.headers), *self._shown(request)))

    def _shown(self, request: Request) -> Pairs:
        parts = urlsplit(request.full_url)
        stamp = self.clock().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(request.body or b"").hexdigest()
        port = parts.port
        host = (parts.hostname or "") if port in (None, _PORTS.get(parts.scheme)) else f"{parts.hostname}:{port}"
        signed = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = ";".join(sorted(signed))
        asked = "\n".join([
            request.method, parts.path or "/", _query(parts.query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)), "", names, digest,
        ])  # fmt: skip
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        said = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(asked.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for step in scope.split("/"):
            key = hmac.digest(key, step.encode(), "sha256")
        mark = hmac.digest(key, said.encode(), "sha256").hex()
        credential = f"{_ALGORITHM} Credential={self.access}/{scope}, SignedHeaders={names}, Signature={mark}"
        return (("X-Amz-Date", stamp), ("X-Amz-Content-Sha256", digest), ("Authorization", credential))


def _kept(headers: Pairs) -> Pairs:
    ours = ("authorization", "x-amz-date", "x-amz-content-sha256")
    return tuple((name, value) for name, value in headers if name.lower() not in ours)


def _query(query: str) -> str:
    """The query in its canonical form: parameters in their order, each with its `=`."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)
