"""An answer's body, whole, within the cap: counted while it arrives, and counted again while it decompresses.

`gzip` and `deflate` are what we ask for (RFC 9110 section 8.4.1); anything else is refused. A stated length beyond the cap is
refused before a byte is read; a bomb is refused as soon as it passes the cap, with at most the cap in memory.
"""

import io
import zlib
from collections.abc import Iterable, Iterator

from urllib3 import BaseHTTPResponse

from sovereign.egress.errors import BadEncoding, Broken, TooLarge
from vault.spool import Spool, Spooled

ACCEPTED = "gzip, deflate"
_PIECE = 256 * 1024


def read(raw: BaseHTTPResponse, cap: int, host: str, connection: str) -> bytes:
    """Read the body. cap: bytes. Errors: TooLarge, BadEncoding, Broken, and urllib3's own."""
    encoding = raw.headers.get("content-encoding", "").strip().lower()
    length = raw.length_remaining
    if length is not None and length > cap:
        raise TooLarge(host=host, connection=connection, limit=cap, what="content-length")
    if encoding in ("", "identity"):
        if length is None:
            return _joined(_pieces(raw, cap, host, connection))
        # With nothing to read, an unbounded read is what lets the connection be used again.
        data = raw.read(length or None, decode_content=False)
        if len(data) != length:
            raise Broken(host=host, connection=connection, reason="truncated")
        return data
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BadEncoding(host=host, connection=connection, encoding="unknown")
    try:
        return inflate(_pieces(raw, cap, host, connection), encoding, cap)
    except OverflowError:
        raise TooLarge(host=host, connection=connection, limit=cap, what="decompressed") from None
    except EOFError:
        raise Broken(host=host, connection=connection, reason="truncated") from None
    except zlib.error:
        raise BadEncoding(host=host, connection=connection, encoding=encoding) from None


def aside(raw: BaseHTTPResponse, cap: int, host: str, connection: str, spool: Spool) -> Spooled:
    """Read the body into a spool; see `read`. Errors: NotSpooled, too."""
    encoding = raw.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BadEncoding(host=host, connection=connection, encoding="unknown")
    if raw.length_remaining is not None and raw.length_remaining > cap:
        raise TooLarge(host=host, connection=connection, limit=cap, what="content-length")
    inflater = Inflater(encoding, cap) if encoding not in ("", "identity") else None
    try:
        for piece in _pieces(raw, cap, host, connection):
            for done in (piece,) if inflater is None else inflater.feed(piece, _PIECE):
                spool.write(done)
        if inflater is not None:
            inflater.finish()
    except OverflowError:
        raise TooLarge(host=host, connection=connection, limit=cap, what="decompressed") from None
    except EOFError:
        raise Broken(host=host, connection=connection, reason="truncated") from None
    except zlib.error:
        raise BadEncoding(host=host, connection=connection, encoding=encoding) from None
    return spool.close()


def _pieces(raw: BaseHTTPResponse, cap: int, host: str, connection: str) -> Iterator[bytes]:
    """The bytes as they arrive, at most `cap`."""
    total, length = 0, raw.length_remaining
    while piece := raw.read(_PIECE, decode_content=False):
        total += len(piece)
        if total > cap:
            raise TooLarge(host=host, connection=connection, limit=cap, what="received")
        yield piece
    if length is not None and total != length:
        raise Broken(host=host, connection=connection, reason="truncated")


def inflate(pieces: Iterator[bytes], encoding: str, cap: int) -> bytes:
    """Decompress to at most `cap` bytes; errors: OverflowError beyond, EOFError when cut, zlib.error when damaged."""
    inflater = Inflater(encoding, cap)
    out = _joined(done for piece in pieces for done in inflater.feed(piece))
    inflater.finish()
    return out


def _joined(pieces: Iterable[bytes]) -> bytes:
    """Put pieces together as they come: a list of them, joined at the end, would be held twice."""
    held = io.BytesIO()
    for piece in pieces:
        held.write(piece)
    return held.getvalue()


class Inflater:
    """Decompresses piece by piece, to at most `cap` bytes in all.

    `deflate` is zlib's format (RFC 1950), or the bare one (RFC 1951) that some servers send under that name; `gzip` may hold
    several members.
    """

    def __init__(self, encoding: str, cap: int) -> None:
        self._encoding, self._left, self._started = encoding, cap, False
        self._decoder: zlib._Decompress | None = None

    def feed(self, data: bytes, most: int = 2**62) -> Iterator[bytes]:
        """Give what a piece decompresses to, at most `most` bytes at a time; errors: OverflowError, zlib.error."""
        full = False
        while data or full:
            if self._decoder is None:
                if self._started and (self._encoding == "deflate" or not data.strip(b"\0")):
                    return
                self._decoder, self._started = zlib.decompressobj(_window(self._encoding, data)), True
            limit = min(self._left + 1, most)
            done = self._decoder.decompress(data, limit)
            self._left -= len(done)
            if self._left < 0:
                raise OverflowError
            if done:
                yield done
            # All that came in may be consumed while some of what comes out still waits.
            data, full = self._decoder.unconsumed_tail, len(done) == limit
            if self._decoder.eof:
                data, full, self._decoder = self._decoder.unused_data, False, None

    def finish(self) -> None:
        """Check that nothing is missing; errors: EOFError."""
        if self._decoder is not None:
            raise EOFError


def _window(encoding: str, data: bytes) -> int:
    if encoding != "deflate":
        return 31
    zlibbed = data[0] & 0x0F == 8 and (len(data) < 2 or (data[0] << 8 | data[1]) % 31 == 0)
    return 15 if zlibbed else -15
