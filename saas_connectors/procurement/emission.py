"""From published files to pages: which publication of a contract stands, resume points, and what was counted.

1. The files are gone through twice: to find the contracts published several times, then to give those that stand.
2. Where the last publication is invalid, the last valid one stands.
3. Pages of the four streams come together; the last of them carries the resume point: how many contracts are done, the
   hashes of the files, and what was counted so far.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from saas_connectors.connector import Evidence, Json, Page
from saas_connectors.procurement.contracts import Rows, schemas
from saas_connectors.procurement.files import Contract, File
from saas_connectors.procurement.shapes import Unfit
from saas_connectors.records import pieces

PAGE: Final = 10_000
_CHUNK: Final = 5_000
_CONTRACTS: Final = ("marches", "concessions")


@dataclass(slots=True)
class Facts:
    """What was counted so far; travels in resume points."""

    done: int = 0
    failed: list[int] = field(default_factory=list)
    emitted: Counter[str] = field(default_factory=Counter)
    invalid: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in schemas()})
    remarks: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in schemas()})

    @classmethod
    def of(cls, position: Json) -> "Facts":
        """Take up what a resume point holds."""
        if position is None:
            return cls()
        invalid, remarks = ({name: Counter(held) for name, held in position[part].items()} for part in ("invalid", "remarks"))
        return cls(position["done"], list(position["failed"]), Counter(position["emitted"]), invalid, remarks)

    def position(self, files: Mapping[str, str]) -> Json:
        """Give the resume point; `files` are their hashes."""
        invalid, remarks = ({name: dict(held) for name, held in part.items()} for part in (self.invalid, self.remarks))
        facts = {"done": self.done, "failed": list(self.failed), "emitted": dict(self.emitted)}
        return {"files": dict(files), **facts, "invalid": invalid, "remarks": remarks}


@dataclass(slots=True)
class Emission:
    """From held files to pages and evidence."""

    files: list[File]
    hashes: Mapping[str, str]
    wanted: tuple[str, ...]
    facts: Facts
    rows: Rows = field(default_factory=Rows)
    last: dict[bytes, str] = field(default_factory=dict)  # a contract's last publication: date, dates of its parts, place
    repeated: set[bytes] = field(default_factory=set)
    superseded: Counter[str] = field(default_factory=Counter)

    def pages(self) -> Iterator[Page | Evidence]:
        """Give the pages, then the evidence."""
        self._index()
        failed = set(self.facts.failed)
        again: set[bytes] = set()
        for place, contract in self._contracts():
            key = _digest(contract)
            if place in failed and key:
                again.add(key)
            if place < self.facts.done or (key in self.repeated and not self.last[key].endswith(_place(place))):
                continue
            if not self._add(contract) and key in self.repeated:
                self.facts.failed.append(place)
                again.add(key)
            self.facts.done = place + 1
            if len(self.rows.tables[contract.kind.stream]) >= _CHUNK or any(len(t) >= PAGE for t in self.rows.tables.values()):
                yield from self._flush()
        yield from self._flush()
        yield from self._rescue(again)
        yield from self._evidence()

    def _contracts(self) -> Iterator[tuple[int, Contract]]:
        place = 0
        for file in self.files:
            for contract in file.contracts():
                yield place, contract
                place += 1

    def _index(self) -> None:
        """Find the contracts published several times, and the last publication of each."""
        seen: set[bytes] = set()
        for _, contract in self._contracts():
            if key := _digest(contract):
                if key in seen:
                    self.repeated.add(key)
                    self.superseded[contract.kind.stream] += 1
                seen.add(key)
        for place, contract in self._contracts() if self.repeated else ():
            key = _digest(contract)
            if key in self.repeated:
                self.last[key] = max(self.last.get(key, ""), contract.published() + _place(place))

    def _add(self, contract: Contract) -> bool:
        """Add a contract to the rows, or count the rule it breaks."""
        kind = contract.kind
        try:
            record = contract.record(self.rows.remarks[kind.stream])
        except Unfit as refusal:
            self.facts.invalid[kind.stream][refusal.rule] += 1
            return False
        self.rows.add(kind, record)
        return True

    def _rescue(self, again: set[bytes]) -> Iterator[Page]:
        """Where the last publication is invalid, the last valid one stands."""
        best: dict[bytes, tuple[str, int]] = {}
        failed = set(self.facts.failed)
        for place, contract in self._contracts() if again else ():
            key = _digest(contract)
            if place in failed or key not in again:
                continue
            try:
                contract.record(Counter())
            except Unfit as refusal:
                self.facts.invalid[contract.kind.stream][refusal.rule] += 1
            else:
                best[key] = max(best.get(key, ("", -1)), (contract.published(), place))
        places = {place for _, place in best.values()}
        for place, contract in self._contracts() if places else ():
            if place in places:
                self._add(contract)
        yield from self._flush()

    def _flush(self) -> Iterator[Page]:
        """Pages of what was gathered; the last one carries the resume point."""
        pages: list[Page] = []
        for stream, remarks in self.rows.remarks.items():
            self.facts.remarks[stream].update(remarks)
        for stream in self.wanted:
            rows = self.rows.tables[stream]
            self.facts.emitted[stream] += len(rows)
            schema = schemas()[stream]
            for start in range(0, len(rows), PAGE):
                table = schema.empty_table().from_pylist(rows[start : start + PAGE], schema=schema)
                pages += [Page(stream, piece) for piece in pieces(table)]
        self.rows = Rows()
        if pages:
            yield from pages[:-1]
            yield replace(pages[-1], position=self.facts.position(self.hashes))

    def _evidence(self) -> Iterator[Evidence]:
        aside: Counter[str] = sum(self.facts.invalid.values(), Counter())
        for stream in self.wanted:
            # An invalid contract takes its holders and modifications with it: their streams are no more complete than its own.
            invalid = self.facts.invalid[stream] if stream in _CONTRACTS else aside
            remarks = self.facts.remarks[stream]
            if self.superseded[stream]:
                remarks["republished"] = self.superseded[stream]
            if invalid:
                yield Evidence(stream, "invalid_records", False, {"count": invalid.total(), "rules": dict(invalid)})
            if remarks:
                yield Evidence(stream, "suspect_values", None, {"count": remarks.total(), "rules": dict(remarks)})
            if stream in _CONTRACTS or not invalid:  # how many rows an invalid contract would have given is not known
                count = self.facts.emitted[stream] + invalid.total()
                yield Evidence(stream, "vendor_count", not invalid, {"count": count})


def _digest(contract: Contract) -> bytes:
    """A short name of a contract's key; empty when it has none."""
    key = contract.key()
    return hashlib.blake2b(key.encode(), digest_size=16).digest() if key else b""


def _place(place: int) -> str:
    return f" {place:012d}"
