"""A vendor of letters with files, and the connector that pulls them: the document store under real parts.

The list gives letters by number, a page at a time, each with the fingerprint of its file; a file is fetched by its number. The
connector asks the store first, and fetches what is not held.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pytest

from saas_connectors import registry
from saas_connectors.asking import fetch, file, holding
from saas_connectors.connector import (
    Catalog,
    Checked,
    Class,
    Document,
    Exchange,
    Filed,
    Json,
    Page,
    Reading,
    ReadPlan,
    Slice,
    Stream,
)
from saas_connectors.errors import Malformed, Rejected
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Sandbox, Vendor
from saas_connectors.sandbox.wire import Call, Reply
from snapshots.dataset import CLASSES, DatasetId
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome
from tests.servers.sites import Wandering, credentials
from vault.content import Content, blocks

CONNECTION: Final = "courrier"
LETTERS: Final = DatasetId(CONNECTION, "letters")
CANARIES: Final = ("Canari-Piece-9e21aa", "canari-objet-9e21aa", "canari-fichier-9e21aa.pdf")
"""Planted in every file, every subject and every file's name."""
SECRET: Final = "s3cr3t-of-the-letters"
SCHEMA: Final = pa.schema(
    [("id", pa.int64()), ("subject", pa.string()), ("name", pa.string()), ("document", pa.string()), ("size", pa.int64())]
)
PAGE: Final = 10


def content(number: int, size: int = 3000, mark: str = "") -> bytes:
    """The bytes of a file: every third one is the same as another's."""
    seed = hashlib.sha256(f"{number - number % 3 if number % 3 == 1 else number}{mark}".encode()).digest()
    head = f"{CANARIES[0]} {seed.hex()} ".encode()
    return (head + seed * (size // 32 + 1))[:size]


class Papers(Vendor):
    """Letters by number; counts the files it gave."""

    def __init__(self, letters: Mapping[int, bytes], *, latency: float = 0.0) -> None:
        super().__init__({}, latency=latency)
        self.letters = dict(letters)
        self.given: list[int] = []

    def _serve(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        last = call.path.rpartition("/")[2]
        if last == "letters":
            after = int(call.query.get("after", "-1"))
            numbers = sorted(number for number in self.letters if number > after)[:PAGE]
            rows = [self.row(number, inside="inside" in call.query) for number in numbers]
            return Reply(200, json.dumps({"letters": rows}).encode())
        if not call.path.startswith("/letters/"):
            return super()._serve(call, striking)
        if int(last) not in self.letters:
            return Reply(404)
        self.given.append(int(last))
        return Reply(200, self.letters[int(last)], {"Content-Type": "application/pdf"})

    def row(self, number: int, *, inside: bool = False) -> dict[str, Any]:
        given = self.letters[number]
        return {"id": number, "subject": f"{CANARIES[1]} {number}", "name": CANARIES[2], "print": _print(given)} | (
            {"content": base64.b64encode(given).decode()} if inside else {}
        )


@dataclass(frozen=True)
class Letters:
    """The connector.

    `way`: `loose` never hands over the files, `alone` fetches one at a time, `inside` finds them in the list.
    """

    url: str
    classes: Mapping[str, Class]
    way: str = ""
    name: str = "letters"
    version: str = "1"

    def check(self) -> Exchange[Checked]:
        yield from ()
        return Checked("letters")

    def discover(self) -> Exchange[Catalog]:
        yield from ()
        return Catalog((Stream("letters", ("id",), SCHEMA, self.classes, document="document"),))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        del plan
        yield from ()
        return (Slice("letters", ("letters",)),)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        del plan, part
        after = -1 if position is None else int(position)
        while True:
            asked = (("after", str(after)), *((("inside", "1"),) if self.way == "inside" else ()))
            (answer,) = yield from fetch(Request("GET", f"{self.url}/letters", asked))
            rows = self._rows(answer)
            if not rows:
                return {}
            filed = yield from holding("letters", *(row["print"] for row in rows))
            known = dict(zip([row["id"] for row in rows], filed, strict=True))
            lacking = [row for row in rows if known[row["id"]] is None]
            for row in [each for each in lacking if "content" in each]:
                content = base64.b64decode(row["content"])
                known[row["id"]] = yield from file(Document("letters", row["print"], content, "application/pdf"))
                lacking.remove(row)
            step = 1 if self.way == "alone" else 4
            for start in range(0, len(lacking), step):
                some = lacking[start : start + step]
                asked = (f"{self.url}/letters/{row['id']}" for row in some)
                answers = yield from fetch(*(Request("GET", url, document=True, spooled=True) for url in asked))
                for row, given in zip(some, answers, strict=True):
                    if given.status >= 500:
                        raise Rejected(method="GET", path="/letters/…", status=given.status)
                    if given.status == 200 and _printed(given.whole) != row["print"]:
                        raise Malformed(method="GET", path="/letters/…", expected_fr="son empreinte", expected_en="its print")
                    if given.status == 200 and self.way != "loose":
                        known[row["id"]] = yield from file(
                            Document("letters", row["print"], given.given, given.headers["content-type"], row["name"])
                        )
            after = rows[-1]["id"]
            yield Page("letters", _table(rows, known), after)

    @staticmethod
    def _rows(answer: Response) -> list[dict[str, Any]]:
        try:
            rows = json.loads(answer.body)["letters"] if answer.status == 200 else None
            if isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row["id"], int) for row in rows):
                return rows
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise Malformed(
            method="GET", path="/letters", expected_fr="une liste de lettres", expected_en="a list of letters"
        ) from None


def _print(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _printed(content: Content) -> str:
    made = hashlib.md5(usedforsecurity=False)
    for block in blocks(content):
        made.update(block)
    return made.hexdigest()


def _table(rows: list[dict[str, Any]], known: Mapping[int, Filed | None]) -> pa.Table:
    made = []
    for row in rows:
        filed = known[row["id"]]
        made.append(
            {
                "id": row["id"],
                "subject": row["subject"],
                "name": row["name"],
                "document": filed.document if filed else None,
                "size": filed.size if filed else None,
            }
        )
    return pa.Table.from_pylist(made, SCHEMA)


def make(name: str, settings: Mapping[str, Json]) -> Letters:
    """Make the connector, as the registry does."""
    del name
    at: Literal["personal", "sensitive"] = settings.get("of", "personal")
    classes: dict[str, Class] = dict.fromkeys(SCHEMA.names, "internal")
    classes |= {"subject": "personal", "name": "personal", "document": at}
    return Letters(settings["url"], classes, settings.get("way", ""))


@dataclass
class Archive:
    """A site that pulls letters, and their vendor."""

    root: Path
    vendor: Papers
    url: str
    clock: Wandering = field(default_factory=Wandering)
    _site: Site | None = None

    @property
    def site(self) -> Site:
        if self._site is None:
            self._site = Site.open(self.root, clock=self.clock)
        return self._site

    def reopen(self) -> Site:
        """Open the site as another process would."""
        self.close()
        return self.site

    def close(self) -> None:
        if self._site is not None:
            self._site.close()
            self._site = None

    def sync(self, **asked: Json) -> RunOutcome:
        return self.site.syncs.run(CONNECTION, **asked)

    def rows(self) -> dict[int, dict[str, Any]]:
        """Every record of the served snapshot, all classes, by number."""
        site = self.site
        head = site.heads()[LETTERS]
        return {row["id"]: row for batch in site.repository.read(head, CLASSES) for row in batch.to_pylist()}

    @property
    def folder(self) -> Path:
        return self.root / "snapshots" / CONNECTION / ".documents"


def settings(url: str, **more: Json) -> dict[str, Any]:
    """The table of the connection."""
    network, limits = {"loopback": True, "plaintext": True}, {"patience": 1.0, "timeout": 10.0, "attempts": 2}
    return {"connector": "letters", "url": url, "network": network, "limits": limits, **more}


@contextmanager
def archive(
    folder: Path, count: int = 30, *, size: int = 3000, latency: float = 0.0, letters: Mapping[int, bytes] | None = None,
    **asked: Json,
) -> Iterator[Archive]:  # fmt: skip
    """A new site connected to a vendor that has `count` letters."""
    vendor = Papers(letters if letters is not None else {n: content(n, size) for n in range(count)}, latency=latency)
    with pytest.MonkeyPatch.context() as patch, Sandbox(vendor) as sandbox:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        patch.setitem(registry.KINDS, "letters", "tests.servers.papers:make")  # type: ignore[arg-type]  # a dict, in fact
        made = Archive(folder / "site", vendor, sandbox.url)
        with Site.create(made.root, provider="systemd-cred:sovereign", name="Ville", clock=made.clock) as site:
            site.add_connection(CONNECTION, settings(sandbox.url, **asked))
        try:
            yield made
        finally:
            made.close()
