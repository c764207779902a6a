"""The files of letters and attachments: fetched once for each content, checked, given to the store.

1. What the store holds under a file's tag is not fetched. A letter's tag is the vendor's fingerprint; an attachment has none in
   its list: its tag is its number, its version and when it last changed.
2. A SHA-512 or SHA-256 fingerprint is checked on the bytes that came. A file that differs is not kept: the record says so, the
   verdict weighs it, and the next read asks again.
3. Where none of the first files of a part, `ENOUGH` or more, is what its fingerprint says, one is fetched again: when it comes
   the same, the server alters what it serves (a watermark, encryption at rest). Files are then kept, unverified, under a tag
   of their own, and it is told once, with the setting that says so.
4. A file that the vendor refuses to give is told, and the others are fetched; a route that is not allowed, a credential that is
   refused, or a vendor that gives none of a whole batch, stops the read.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from saas_connectors.asking import Answer, fetch, file, holding
from saas_connectors.connector import Document, Filed
from saas_connectors.mail.maarch_calls import ROUTE_DENIED, admit, sentence
from saas_connectors.request import Request, Response
from vault.content import blocks

AT_ONCE: Final = 16
ENOUGH: Final = 3
ALTERED: Final = "altered"
"""Of `Files.troubles`: files that are kept although they differ."""
BYTES: Final = 32 << 20
LARGEST: Final = 1 << 28
"""A file said to be larger is not asked for: no answer may be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file: how to ask for it, its tag (None when only its bytes can tell), its fingerprint and size, when known."""

    request: Request
    name: str
    tag: str | None
    fingerprint: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file. `state`: `filed`, `unverified` (kept, nothing to check it by), `differs`, `missing`, `none`."""

    state: str
    filed: Filed | None = None


NONE: Final = Taken("none")


@dataclass(slots=True)
class Files:
    """Takes the files of one stream; `route` is how `authorized_api` names their address; `troubles` counts what went wrong."""

    stream: str
    route: str
    verify: bool = True
    troubles: Counter[str] = field(default_factory=Counter)
    _altered: bool | None = None
    _served: set[str] = field(default_factory=set)

    def held(self, wanted: Sequence[Wanted | None]) -> Answer[dict[str, Filed]]:
        """Ask the store which of these it holds, by tag."""
        tags = tuple(dict.fromkeys(each.tag for each in wanted if each is not None and each.tag is not None))
        found = yield from holding(self.stream, *tags)
        held = {tag: filed for tag, filed in zip(tags, found, strict=True) if filed is not None}
        left = [tag for tag in tags if tag not in held]
        for tag, filed in zip(left, (yield from holding(self.stream, *map(_as_served, left))), strict=True):
            if filed is not None:
                held[tag] = filed
                self._served.add(tag)
        return held

    def take(self, wanted: Sequence[Wanted | None], held: dict[str, Filed]) -> Answer[list[Taken]]:
        """Give what became of each; those not held are fetched at once, and enter `held`."""
        asked: dict[str | int, Wanted] = {}
        for n, each in enumerate(wanted):
            if each is not None and each.tag not in held and (each.size or 0) <= LARGEST:
                asked.setdefault(n if each.tag is None else each.tag, each)
        responses = yield from fetch(*(each.request for each in asked.values()))
        self._alive(tuple(asked.values()), responses)
        yield from self._learn(tuple(asked.values()), responses)
        taken: dict[str | int, Taken] = {}
        for (key, each), response in zip(asked.items(), responses, strict=True):
            taken[key] = yield from self._one(each, response)
            filed = taken[key].filed
            if each.tag is not None and filed is not None:
                held[each.tag] = filed
        return [self._told(n, each, held, taken) for n, each in enumerate(wanted)]

    def _told(self, n: int, each: Wanted | None, held: dict[str, Filed], taken: dict[str | int, Taken]) -> Taken:
        if each is None:
            return NONE
        found = taken.get(n if each.tag is None else each.tag)
        if found is None and each.tag not in held:
            found = Taken("missing")
        if found is None:
            sure = self.verify and algorithm_of(each.fingerprint) and each.tag not in self._served
            state = "filed" if sure else "unverified"
            found = Taken(state, held.get(each.tag or ""))
        if found.state in ("differs", "missing"):
            self.troubles[found.state] += 1
        return found

    def _alive(self, asked: Sequence[Wanted], responses: Sequence[Response]) -> None:
        """Raise when a refusal is about the account or the server rather than one file."""
        for each, response in zip(asked, responses, strict=True):
            if response.status == 401 or (response.status == 403 and sentence(response) == ROUTE_DENIED):
                admit(each.request, response, self.route)
        if len(asked) == AT_ONCE and all(response.status >= 500 for response in responses):
            admit(asked[0].request, responses[0], self.route)

    def _learn(self, asked: Sequence[Wanted], responses: Sequence[Response]) -> Answer[None]:
        """Find out whether the server gives files as they were filed."""
        came = [(each, response) for each, response in zip(asked, responses, strict=True) if _came(response)]
        checked = [(each, response, self._same(each, response)) for each, response in came if algorithm_of(each.fingerprint)]
        if not self.verify or self._altered is not None or not checked:
            return
        if any(same for *_, same in checked):
            self._altered = False
        elif len(checked) >= ENOUGH:
            wanted, first, _ = checked[0]
            (again,) = yield from fetch(replace(wanted.request, document=False))
            self._altered = _came(again) and again.whole.sha256 == first.whole.sha256
            self.troubles[ALTERED] += len(checked) if self._altered else 0

    def _same(self, wanted: Wanted, response: Response) -> bool:
        """Whether a file is what its fingerprint says, or has none."""
        algorithm = algorithm_of(wanted.fingerprint) if self.verify else None
        return not algorithm or _digest(algorithm, response) == (wanted.fingerprint or "").lower()

    def _one(self, wanted: Wanted, response: Response) -> Answer[Taken]:
        if not _came(response):
            return Taken("missing")
        same = self._same(wanted, response)
        if not same and not self._altered:
            return Taken("differs")
        sure = self.verify and same and algorithm_of(wanted.fingerprint) is not None
        tag = wanted.tag or f"sha512:{_digest('sha512', response)}"
        if not same:
            self._served.add(tag)
            tag = _as_served(tag)
        kind = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip()
        filed = yield from file(Document(self.stream, tag, response.given, kind, wanted.name))
        return Taken("filed" if sure else "unverified", filed)


def batches(wanted: Sequence[Wanted | None], held: dict[str, Filed]) -> Iterator[slice]:
    """Cut records so that each part asks for a bounded number of files and bytes; what is held costs nothing."""
    start = count = size = 0
    for n, each in enumerate(wanted):
        if each is None or each.tag in held:
            continue
        if count and (count >= AT_ONCE or size + (each.size or 0) > BYTES):
            yield slice(start, n)
            start, count, size = n, 0, 0
        count, size = count + 1, size + (each.size or 0)
    if start < len(wanted):
        yield slice(start, len(wanted))


def _came(response: Response) -> bool:
    return 200 <= response.status < 300 and bool(response.size)


def _digest(algorithm: str, response: Response) -> str:
    """The digest of a body, in hexadecimal; that of one put aside is read little by little."""
    if algorithm == "sha256":
        return response.whole.sha256
    made = hashlib.new(algorithm)
    for block in blocks(response.whole):
        made.update(block)
    return made.hexdigest()


def _as_served(tag: str) -> str:
    return f"served:{tag}"


def algorithm_of(fingerprint: str | None) -> str | None:
    """How a fingerprint was made, by its length; None when it is of no kind that we check."""
    if fingerprint is None or any(letter not in "0123456789abcdefABCDEF" for letter in fingerprint):
        return None
    return {128: "sha512", 64: "sha256"}.get(len(fingerprint))
