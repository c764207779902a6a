"""The log over the state's tables: append, read, prove, find the last commit of a dataset, erase a body."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, delete, func, select

from sovereign.audit import entry, rows, tiles, tree
from sovereign.audit.acts import HEADS
from sovereign.audit.bodies import Bodies
from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.checkpoints import Checkpoints
from sovereign.audit.entry import MAX_BODY, SALT, NewEntry
from sovereign.audit.errors import BadEntry, BadProof, Damaged, NotEntered
from sovereign.audit.receipt import Receipt
from sovereign.audit.rows import AuditEntry
from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.schema import audit_bodies, audit_entries, instant_text
from sovereign.state.statements import insert, run
from sovereign.state.wal import keep
from vault.errors import Fault
from vault.keys import Keys
from vault.records import NONCE

if TYPE_CHECKING:
    from sovereign.audit.publication import Publication

_TURN: Final = "UPDATE counters SET value = value + :count WHERE name = 'audit' RETURNING value"
_TEXT = select(audit_entries.c.entry).where(audit_entries.c.seq == bindparam("seq"))
_RANDOM: Final = SALT + NONCE


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The head that the log witnessed last: the manifest's hash (hex), its sequence, and the entry that says so."""

    manifest: str
    sequence: int
    seq: int


class _Prepared(NamedTuple):
    """An entry before its turn: all that needs neither its number nor its time."""

    act: str
    actor: str
    subject: bytes
    facts: bytes
    connection: object
    stream: object
    plain: bytes
    commitment: str
    nonce: bytes


class AuditLog:
    """The site's audit log.

    actor: who acts when `append` is not told; a person's name goes to the sealed body alone, the entry has its pseudonym.
    folder: where it is published, `audit` beside `state.db` when None. cosignatures: how many a receipt's checkpoint
    should carry.
    """

    def __init__(
        self,
        state: State,
        keys: Keys,
        clock: Clock,
        *,
        actor: str = "sovereign",
        entropy: Callable[[int], bytes] = os.urandom,
        folder: Path | None = None,
        cosignatures: int = 0,
    ) -> None:
        """Open the log, moving into the tree what was entered before there was one; errors: Damaged."""
        self._state, self._clock, self._actor, self._entropy = state, clock, actor, entropy
        key = keys.derive("audit/actor")
        self._pseudonym = lru_cache(maxsize=1024)(lambda name: entry.pseudonym(key, name))
        self._alone = lru_cache(maxsize=1024)(lambda name: entry.encode("", {"actor": name}))
        self._bodies = Bodies(keys)
        self._entry = insert(state, "audit_entries", "seq", "entry", "leaf", "at", "act", "connection", "stream")
        self._body = insert(state, "audit_bodies", "seq", "sealed")
        self.checkpoints = Checkpoints(state, keys, clock)
        self.entered = False
        """Whether anything was entered through this object."""
        self._cosignatures = cosignatures
        self._folder = folder or state.path.parent / "audit"
        tiles.move(state)
        state.before_commit(tiles.settle)

    @cached_property
    def publication(self) -> "Publication":
        """The log as files that anyone with its public key may check."""
        from sovereign.audit.publication import Publication

        return Publication(self._state, self.checkpoints, self._folder)

    def close(self) -> None:
        """Publish what was entered here; errors: those of `publish`, unless another fault is under way."""
        if self.entered:
            with suppress(Fault) if sys.exception() else nullcontext():
                self.publication.publish()

    def append(
        self,
        act: str,
        subject: Mapping[str, object] | None = None,
        facts: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        actor: str | None = None,
        within: Connection | None = None,
    ) -> int:
        """Enter an act; returns its number, from 0.

        subject: what the act was on (`connection`, `stream`, `run`…); facts: what it did; neither may be personal. body: what
        is personal. within: the write transaction of the state it witnesses. Errors: BadEntry.
        """
        return self.append_many((NewEntry(act, subject or {}, facts or {}, body or {}, actor),), within=within)[0]

    def append_many(self, entries: Sequence[NewEntry], *, within: Connection | None = None) -> range:
        """Enter acts, in this order and at one instant, all or none; returns their numbers. Errors: BadEntry."""
        random = self._entropy(_RANDOM * len(entries))
        prepared = [self._prepare(each, random[at * _RANDOM : (at + 1) * _RANDOM]) for at, each in enumerate(entries)]
        if not prepared:
            return range(0)
        with self._state.within(within) as transaction:
            # The counter's row is the writers' turn, on every engine: numbers follow commits, without a gap.
            end = int(run(transaction, _TURN, count=len(prepared)).fetchone()[0])
            first, at = end - len(prepared), instant_text(self._clock())
            made, sealed = [], []
            for seq, each in enumerate(prepared, first):
                data = entry.compose(each.act, at, each.actor, each.subject, each.facts, each.commitment)
                made.append(
                    {"seq": seq, "entry": data.decode(), "leaf": entry.leaf(data), "at": at, "act": each.act,
                     "connection": each.connection, "stream": each.stream}
                )  # fmt: skip
                sealed.append({"seq": seq, "sealed": self._bodies.seal(seq, each.plain, each.nonce)})
            self._entry.each(transaction, made)
            self._body.each(transaction, sealed)
            transaction.info[tiles.ENTERED] = self.entered = True
        return range(first, end)

    def _prepare(self, new: NewEntry, random: bytes) -> _Prepared:
        entry.known(new.act)
        act, subject, facts, body, actor = new
        actor = actor or self._actor
        content = entry.encode(act, {"actor": actor, **body}) if body else self._alone(actor)
        if len(content) > MAX_BODY:
            raise BadEntry(act=act, why_fr="corps trop long", why_en="body too long")
        salt, who = random[:SALT], self._pseudonym(actor)
        return _Prepared(
            act, who, entry.encode(act, subject), entry.encode(act, facts), subject.get("connection"), subject.get("stream"),
            salt + content, entry.commitment(salt, content), random[SALT:],
        )  # fmt: skip

    def entries(
        self,
        *,
        act: str | None = None,
        connection: str | None = None,
        stream: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[AuditEntry, ...]:
        """The latest entries that match, oldest first, each checked against its hash, bodies opened.

        act: an act, or its noun alone (`query`). since: an instant. limit: how many at most. Errors: Damaged.
        """
        query = rows.chosen().order_by(audit_entries.c.seq.desc())
        if act is not None:
            query = query.where(audit_entries.c.act == act if "." in act else audit_entries.c.act.like(f"{act}.%"))
        if connection is not None:
            query = query.where(audit_entries.c.connection == connection)
        if stream is not None:
            query = query.where(audit_entries.c.stream == stream)
        if since is not None:
            query = query.where(audit_entries.c.at >= since)
        return tuple(reversed(self._all(query.limit(limit) if limit is not None else query)))

    def following(self, seq: int, *, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """The entries from number `seq` on, oldest first, `limit` at most; pruned ones are passed over. Errors: Damaged."""
        query = rows.chosen().where(audit_entries.c.seq >= seq).order_by(audit_entries.c.seq)
        return self._all(query.limit(limit))

    def bare(self, seq: int, *, limit: int) -> tuple[tuple[int, entry.Entry, bytes], ...]:
        """Entries from number `seq` on, bodies left sealed: number, entry, leaf hash. Errors: Damaged."""
        with self._state.read() as reader:
            return rows.bare(reader, seq, limit)

    def settle(self) -> None:
        """Have the disk keep every entry that can be read now; errors: StateUnsure."""
        keep(self._state)

    def last_commit(self, connection: str, stream: str) -> LastCommit | None:
        """The head of a dataset as the log witnessed it last; None when it never did. Errors: Damaged."""
        query = (
            rows.chosen()
            .where(audit_entries.c.connection == connection, audit_entries.c.stream == stream, audit_entries.c.act.in_(HEADS))
            .order_by(audit_entries.c.seq.desc())
            .limit(1)
        )
        for found in self._all(query):
            return LastCommit(str(found.facts["manifest"]), int(found.facts["sequence"]), found.seq)
        return None

    def witnessed(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """The manifests (hex) that the log ever witnessed as heads, oldest first, by connection and stream. Errors: Damaged."""
        found: dict[tuple[str, str], list[str]] = {}
        for each in self._all(rows.chosen().where(audit_entries.c.act.in_(HEADS)).order_by(audit_entries.c.seq)):
            name = str(each.subject["connection"]), str(each.subject["stream"])
            found.setdefault(name, []).append(str(each.facts["manifest"]))
        return {name: tuple(each) for name, each in found.items()}

    def size(self) -> int:
        """How many entries there ever were."""
        with self._state.read() as connection:
            return tiles.sizes(connection)[0]

    def prove(self, seq: int) -> Receipt:
        """The receipt of an entry, under the latest checkpoint, a cosigned one when there is, signed now when needed.

        Errors: NotEntered, Damaged, Forked.
        """
        with self._state.read() as connection:
            found = self._receipt(connection, seq, self.checkpoints.covering(connection, seq, self._cosignatures))
        if found is None:
            checkpoint = self.checkpoints.sign()
            with self._state.read() as connection:
                found = self._receipt(connection, seq, checkpoint)
        if found is None:
            raise Damaged(seq=seq, what="tree")
        return found

    def _receipt(self, connection: Connection, seq: int, checkpoint: Checkpoint | None) -> Receipt | None:
        text = connection.execute(_TEXT, {"seq": seq}).scalar_one_or_none()
        if text is None:
            first = connection.execute(select(func.min(audit_entries.c.seq))).scalar() or 0
            raise NotEntered(seq=seq, first=first, last=tiles.sizes(connection)[0] - 1)
        if checkpoint is None or checkpoint.size <= seq:
            return None
        try:
            proof = tree.inclusion(seq, checkpoint.size, tiles.reader(connection))
            tree.check_inclusion(entry.leaf(text.encode()), seq, checkpoint.size, proof, checkpoint.root)
        except BadProof:
            raise Damaged(seq=seq, what="tile") from None
        return Receipt(text.encode(), seq, proof, checkpoint.note)

    def consistency(self, old: int, new: Checkpoint) -> tuple[bytes, ...]:
        """Prove that the tree of `old` entries is the beginning of the one that `new` signed; errors: Damaged."""
        try:
            with self._state.read() as connection:
                return tree.consistency(old, new.size, tiles.reader(connection))
        except BadProof:
            raise Damaged(seq=old, what="tile") from None

    def erase(self, seq: int, reason: str, *, actor: str | None = None) -> int:
        """Erase the body of an entry for good, without changing a hash; returns the number of the entry that says so.

        Errors: StateBusy when it is erased, but a long reader keeps its sealed bytes in the write-ahead log: do it again.
        """
        with self._state.begin() as transaction:
            transaction.execute(delete(audit_bodies).where(audit_bodies.c.seq == seq))
            said = self.append("audit.erased", {"entry": seq}, {}, {"reason": reason}, actor=actor, within=transaction)
        self._state.scrub()
        return said

    def prune(self, before: datetime, reason: str = "", *, unconfirmed: int | None = None) -> int:
        """Let go of the whole bundles of 256 entries that are older; returns how many went.

        unconfirmed: the first entry that a receiver still waits for. Errors: NotDue, Awaited, StateBusy.
        """
        from sovereign.audit.pruning import prune

        gone = prune(self._state, self, before, reason=reason, unconfirmed=unconfirmed)
        self.publication.publish()
        return gone

    def verify(self) -> int:
        """Check every entry, body, tile and checkpoint; returns how many entries there ever were. Errors: Damaged."""
        from sovereign.audit.verification import verify

        return verify(self._state, self._bodies, self.checkpoints)

    @property
    def state(self) -> State:
        """Where it is kept."""
        return self._state

    def checked(self, seq: int, text: str, leaf: bytes, sealed: bytes | None, *index: object) -> AuditEntry:
        """One entry as its rows have it, checked against its hash, its index and its commitment. Errors: Damaged."""
        return rows.read(self._bodies, seq, text, leaf, sealed, *index)

    def _all(self, query: Select[Any]) -> tuple[AuditEntry, ...]:
        with self._state.read() as reader:
            return tuple(rows.read(self._bodies, *row) for row in reader.execute(query))
