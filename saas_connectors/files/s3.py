"""A bucket of an object store that speaks S3 as a place, or what stands under one prefix of it.

1. `url` is `https://HOST/BUCKET/[PREFIX/]`, or `https://BUCKET.HOST/[PREFIX/]` with `bucket = "host"`. Requests are signed by
   the connection's authentication, of kind `aws`.
2. The listing is ListObjectsV2, every page of it; what stands deeper than the prefix is not listed. An ETag names its bytes.
3. An object is put whole or not at all, by S3's own law. A new one is looked for first, and put under `If-None-Match: *`, which
   not every store holds to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from lxml import etree

from saas_connectors.answer import accept, malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.place import Entry
from saas_connectors.formats.xml import elements
from saas_connectors.request import Request, Response

_PAGES: Final = 10_000
_SPACE: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def make(at: str, url: str, options: Mapping[str, Json]) -> "S3Place":
    """Make the place; its option `bucket` says where the bucket is named: `path` (as it is left out) or `host`."""
    for name in options.keys() - {"bucket"}:
        raise SettingsError(
            field=f"{at}.{name}", expected_fr="aucun réglage que « bucket »", expected_en="no setting but `bucket`"
        )
    if options.get("bucket", "path") not in ("path", "host"):
        raise SettingsError(field=f"{at}.bucket", expected_fr="« path » ou « host »", expected_en="`path` or `host`")
    parts = urlsplit(url)
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if options.get("bucket", "path") == "path":
        if not steps:
            expected = "une adresse https://HÔTE/SEAU/", "an address https://HOST/BUCKET/"
            raise SettingsError(field=f"{at}.url", expected_fr=expected[0], expected_en=expected[1])
        return S3Place(
            f"{parts.scheme}://{parts.netloc}/{quote(steps[0], safe='')}/", "".join(f"{step}/" for step in steps[1:])
        )
    return S3Place(f"{parts.scheme}://{parts.netloc}/", "".join(f"{step}/" for step in steps))


@dataclass(frozen=True, slots=True)
class S3Place:
    """The objects of one bucket under one prefix. bucket: its address, ending with a slash; prefix: empty, or ends with one."""

    bucket: str
    prefix: str = ""

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """See `Place`: a request a page."""
        found: dict[str, Entry] = {}
        token = ""
        for _ in range(_PAGES):
            params = {"delimiter": "/", "encoding-type": "url", "list-type": "2", "prefix": self.prefix}
            if token:
                params["continuation-token"] = token
            query = "&".join(f"{name}={quote(params[name], safe='')}" for name in sorted(params))
            request = Request("GET", f"{self.bucket}?{query}")
            (response,) = yield from fetch(request)
            accept(request, response)
            token, last = self._page(response, found), token
            if not token:
                return tuple(found[name] for name in sorted(found))
            if token == last:
                break
        raise malformed(request, response, "une liste qui finit était attendue", "a listing that ends was expected")

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """See `Place`."""
        (response,) = yield from fetch(Request("GET", self._address(entry.name), max_bytes=max_bytes, spooled=True))
        return response

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:
        """See `Place`."""
        if new:
            (there,) = yield from fetch(Request("HEAD", self._address(name)))
            if 200 <= there.status < 300:
                return Response(412, there.url, b"")
        headers = (("If-None-Match", "*"),) if new else ()
        (response,) = yield from fetch(Request("PUT", self._address(name), headers=headers, body=body))
        return response

    def _page(self, response: Response, found: dict[str, Entry]) -> str:
        """Take in a page; gives the token of the next one, "" after the last."""
        # Some stores answer without the namespace.
        space = _SPACE if _SPACE[1:-1].encode() in response.body[:4096] else ""
        token, more, coded = "", False, b"<EncodingType>url</EncodingType>" in response.body
        names = tuple(f"{space}{name}" for name in ("Contents", "NextContinuationToken", "IsTruncated"))
        for element in elements(response.body, f"{space}ListBucketResult", names):
            if element.tag == names[0]:
                entry = self._entry(element, space, coded=coded)
                if entry is not None:
                    found[entry.name] = entry
            elif element.tag == names[1]:
                token = element.text or ""
            else:
                more = element.text == "true"
        return token if more else ""

    def _entry(self, element: etree._Element, space: str, *, coded: bool) -> Entry | None:
        key = element.findtext(f"{space}Key", "")
        key = unquote(key.replace("+", " ")) if coded else key
        name = key.removeprefix(self.prefix)
        if not key.startswith(self.prefix) or not name or name.startswith(".") or any(sign in name for sign in "/\0\r\n"):
            return None
        size, tag = element.findtext(f"{space}Size", ""), element.findtext(f"{space}ETag", "").strip('"')
        try:
            modified = datetime.fromisoformat(element.findtext(f"{space}LastModified", "")).astimezone(UTC)
        except ValueError:
            modified = None
        known = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
        return Entry(name, known, modified, tag if re.fullmatch(r"[\x21-\x7e]{8,200}", tag) else None)

    def _address(self, name: str) -> str:
        return self.bucket + quote(self.prefix, safe="/-_.~") + quote(name, safe="-_.~")
