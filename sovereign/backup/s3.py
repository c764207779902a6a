"""A bucket as a target: an object store that speaks S3, through pyarrow.

1. An upload is invisible until it is complete, and then whole: there is no rename, and none is needed, names being content.
   A put whose bytes stop coming is removed; the library can only complete it first, so the last of the bytes is sent once all
   have come: what a crash leaves between the two is shorter than its name's, and the next backup puts it again.
2. The address is judged by egress's guard before the library dials it, and TLS is what its scheme says, under the CA bundle
   that is given. The library resolves the name again by itself: this guards against mistakes of settings, not against a name
   server that lies (docs/backup.md says so).
3. Errors of the library come out as `TargetFailed`, without what the server said.
"""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sovereign.backup.errors import TargetFailed
from sovereign.backup.target import BLOCK, Absent
from sovereign.egress import guard
from sovereign.egress.errors import Refused

SECONDS: Final = 20.0
_CERTIFICATE: Final = (51, 58, 60, 77)
"""What curl calls a certificate that it does not believe, or authorities that it cannot read."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where a bucket is, and what opens it. prefix: ends with `/` when not empty."""

    bucket: str
    url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    prefix: str = ""
    ca_bundle: Path | None = None
    private: bool = False
    loopback: bool = False


def connect(name: str, store: Store) -> "S3Target":
    """Open a target; the address is judged now, the bucket asked when it is used. Errors: TargetFailed."""
    from pyarrow import fs

    parts = urlsplit(store.url)
    _judge(name, parts.hostname or "", store)
    filesystem = fs.S3FileSystem(
        access_key=store.access_key,
        secret_key=store.secret_key,
        region=store.region,
        scheme=parts.scheme,
        endpoint_override=parts.netloc + parts.path.rstrip("/"),
        connect_timeout=SECONDS,
        request_timeout=SECONDS,
        background_writes=False,
        tls_ca_file_path=None if store.ca_bundle is None else str(store.ca_bundle),
    )
    return S3Target(name, filesystem, f"{store.bucket}/{store.prefix}")


def _judge(name: str, host: str, store: Store) -> None:
    try:
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            guard.check(str(address[0]), private=store.private, loopback=store.loopback)
    except Refused as refused:
        raise TargetFailed(target=name, reason=str(refused.fields.get("rule", "egress.address"))) from None
    except OSError:
        raise TargetFailed(target=name, reason=f"DNS: {host}") from None


class S3Target:
    """The target that is a bucket."""

    folder: Path | None = None

    def __init__(self, name: str, filesystem: Any, root: str) -> None:  # noqa: ANN401 - pyarrow has no types
        self.name, self._fs, self._root = name, filesystem, root

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Make an object."""
        with self._told():
            held, whole = b"", False
            stream = self._fs.open_output_stream(self._root + name)
            try:
                for chunk in chunks:
                    stream.write(held)
                    held = chunk
                stream.write(held)
                whole = True
            finally:
                stream.close()
                if not whole:
                    self.remove(name)

    def get(self, name: str) -> Iterator[bytes]:
        """Give an object's bytes."""
        with self._told(), self._opened(name) as stream:
            while block := stream.read(BLOCK):
                yield block

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        try:
            stream = self._fs.open_input_stream(self._root + name)
        except FileNotFoundError:
            raise Absent(name) from None
        with stream:
            yield stream

    def sizes(self, prefix: str) -> dict[str, int]:
        """Give names and sizes."""
        from pyarrow import fs

        with self._told():
            chosen = fs.FileSelector((self._root + prefix).rstrip("/"), recursive=True, allow_not_found=True)
            found = self._fs.get_file_info(chosen)
            return {each.path.removeprefix(self._root): each.size for each in found if each.type == fs.FileType.File}

    def remove(self, name: str) -> None:
        """Remove an object."""
        with self._told():
            try:
                self._fs.delete_file(self._root + name)
            except FileNotFoundError:
                return

    def sweep(self) -> None:
        """Do nothing: an upload that was cut is the store's own to forget (docs/backup.md)."""

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Absent:
            raise
        except OSError as error:
            raise TargetFailed(target=self.name, reason=_reason(error)) from None


def _reason(error: OSError) -> str:
    """What kind of error it was, without the server's own words."""
    said = str(error)
    if any(f"curlCode: {number}," in said for number in _CERTIFICATE):
        return "TLS_CERTIFICATE"
    for code in ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "NETWORK_CONNECTION"):
        if code in said:
            return code
    return type(error).__name__
