"""A published log, checked with its files and its public key alone: no site, no secret, no network.

1. The checkpoint is signed by the key given; entries give the leaves, leaves the tiles, tiles the root that was signed.
2. A partial tile or bundle that was published on the way says the same as the one that took its place.
3. Bundles may be missing only below the first entry that the last `audit.pruned` entry says was kept; their hashes may not.
4. Time-stamp tokens (`stamps`) are held against the tree when the authority's certificates are given; each one that an entry
   tells of must be there.
5. A checkpoint that someone kept from an earlier day, given too, must be continued by this one; so must each that the folder
   keeps of a witness. As many of the witnesses given as are wanted must have cosigned something of the log (`vouching`).

What the folder never held, no one can see here: ask for a checkpoint now and then, and keep it, or ask the witness.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sovereign.audit import entry, layout, stamps, tree, vouching
from sovereign.audit.checkpoint import MAX, Checkpoint
from sovereign.audit.climb import climb
from sovereign.audit.errors import BadProof, Damaged
from sovereign.audit.stamps import Stamped
from sovereign.audit.tree import HASH, TILE, WIDTH
from sovereign.audit.vouching import Witnessed
from vault import files
from vault.cosignatures import Cosignatory
from vault.errors import Corrupt
from vault.notes import Verifier
from vault.timestamps import Authority

_PRUNED = b'{"act":"audit.pruned",'
_STAMPED = b'{"act":"%b",' % stamps.ACT.encode()


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found whole: the checkpoint, the first entry that is still there, what witnesses saw of it.

    stamps: the time-stamp tokens, None when none was looked at.
    """

    checkpoint: Checkpoint
    first: int
    witnessed: Witnessed
    stamps: tuple[Stamped, ...] | None = None


def verify(
    folder: Path,
    log: Verifier,
    *,
    earlier: str | None = None,
    authority: Authority | None = None,
    witnesses: Sequence[Cosignatory] = (),
    wanted: int | None = None,
) -> Checked:
    """Check a published log. log: its public key, come by another way. earlier: a checkpoint kept from before.

    authority: whose time-stamp tokens are believed. witnesses: their public keys, come by another way; wanted: how many of them
    must have cosigned, all when None. Errors: Damaged, Forked, Contradicted, Unwitnessed, BadStamp, and `NotSigned` or
    `Corrupt` for a checkpoint.
    """
    own = vouching.kept(folder, log)
    checkpoint = Checkpoint.verify(_text(folder / layout.CHECKPOINT), log)
    before = [] if earlier is None else [Checkpoint.verify(earlier, log)]
    reading = _Reading(folder, checkpoint.size)
    climb(checkpoint.size, reading.leaves(), reading.tile)
    first = reading.end()

    def root(size: int) -> bytes:
        return tree.root(size, reading.tile)

    try:
        if not hmac.compare_digest(root(checkpoint.size), checkpoint.root):
            raise Damaged(seq=checkpoint.size, what="root")
        vouching.continued(checkpoint, (*before, *own.values()), root, witnesses)
    except BadProof:
        raise Damaged(seq=checkpoint.size, what="tile") from None
    reading.check_partials()
    seen = vouching.vouched(witnesses, len(witnesses) if wanted is None else wanted, own, [checkpoint, *before])
    seen = replace(seen, seconds=reading.span(seen.entries))
    if authority is None:
        return Checked(checkpoint, first, seen)
    return Checked(checkpoint, first, seen, stamps.verify(folder, log, checkpoint.size, root, reading.stamped, authority))


@dataclass(slots=True)
class _Reading:
    """The files of a folder, as a tree of `size` entries has them."""

    folder: Path
    size: int
    missing: list[int] = field(default_factory=list)
    pruned: int = 0
    stamped: dict[int, str] = field(default_factory=dict)

    def leaves(self) -> Iterator[bytes | None]:
        """The leaf hashes of each bundle; None for one that is not there."""
        for number in range(-(-self.size // WIDTH)):
            width = self._width(0, number)
            data, held = self._held(layout.ENTRIES, number, width, layout.BUNDLE)
            if data is None:
                self.missing.append(number)
                yield None
                continue
            try:
                found = layout.entries_of(data, held, layout.ENTRIES)[:width]
            except Corrupt:
                raise Damaged(seq=number * WIDTH, what="bundle") from None
            if _PRUNED in data or _STAMPED in data:
                self._note(found, number * WIDTH)
            yield layout.leaves_of(found)

    def tile(self, level: int, number: int) -> bytes:
        """A tile; empty when it is not there."""
        width = self._width(level, number)
        data, held = self._held(level, number, width, TILE)
        return (data or b"") if held == width else (data or b"")[: width * HASH]

    def end(self) -> int:
        """Say that what is missing was pruned, and give the first entry that is there; errors: Damaged."""
        for number in self.missing:
            if (number + 1) * WIDTH > self.pruned:
                raise Damaged(seq=number * WIDTH, what="missing")
        return (self.missing[-1] + 1) * WIDTH if self.missing else 0

    def span(self, first: int) -> float:
        """How many seconds from entry `first` to the last; 0 when there is none, or it was pruned."""
        ends = [self._time(seq) for seq in (first, self.size - 1)] if first < self.size else [None, None]
        return max(0.0, ends[1] - ends[0]) if ends[0] is not None and ends[1] is not None else 0.0

    def _time(self, seq: int) -> float | None:
        number, offset = divmod(seq, WIDTH)
        data, held = self._held(layout.ENTRIES, number, self._width(0, number), layout.BUNDLE)
        return None if data is None else entry.read(layout.entries_of(data, held, layout.ENTRIES)[offset], seq).at.timestamp()

    def check_partials(self) -> None:
        """Hold the partial files of former checkpoints against what this one covers; errors: Damaged."""
        for level, count in tree.widths(self.size):
            number, width = divmod(count, WIDTH)
            if not width:
                continue
            tile = self.tile(level, number)
            wrong = any(data != tile[: held * HASH] for held, data in self._partials(level, number, width))
            if level == 0 and not wrong:
                whole, many = self._held(layout.ENTRIES, number, width, layout.BUNDLE)
                entries = layout.entries_of(whole or b"", many, layout.ENTRIES)
                held = self._partials(layout.ENTRIES, number, width)
                wrong = any(data != layout.bundle(entries[:kept]) for kept, data in held)
            if wrong:
                raise Damaged(seq=number * WIDTH ** (level + 1), what="partial")

    def _partials(self, level: int | str, number: int, width: int) -> Iterator[tuple[int, bytes]]:
        """The partial files of a tile up to a width; a wider one is of a checkpoint that is still to come."""
        for path in (self.folder / layout.tile_path(level, number, width)).parent.glob("[0-9]*"):
            if path.name.isdecimal() and int(path.name) <= width:
                yield int(path.name), files.read(path, limit=layout.BUNDLE)

    def _width(self, level: int, number: int) -> int:
        return min(WIDTH, (self.size >> 8 * level) - number * WIDTH)

    def _note(self, entries: list[bytes], first: int) -> None:
        for offset, data in enumerate(entries):
            if data.startswith(_PRUNED):
                said = entry.read(data, first + offset).facts.get("first")
                self.pruned = max(self.pruned, said) if isinstance(said, int) else self.pruned
            elif data.startswith(_STAMPED):
                told = entry.read(data, first + offset)
                size, token = told.subject.get("size"), told.facts.get("token")
                if not isinstance(size, int) or not isinstance(token, str):
                    raise Damaged(seq=first + offset, what="entry")
                self.stamped[size] = token

    def _held(self, level: int | str, number: int, width: int, limit: int) -> tuple[bytes | None, int]:
        """A tile or bundle, and how many it holds: the whole one when a later checkpoint took the place of the partial one."""
        data = self._read(layout.tile_path(level, number, width), limit)
        if data is None and width < WIDTH:
            return self._read(layout.tile_path(level, number), limit), WIDTH
        return data, width

    def _read(self, path: str, limit: int) -> bytes | None:
        try:
            return files.read(self.folder / path, limit=limit)
        except FileNotFoundError:
            return None
        except Corrupt:
            raise Damaged(seq=0, what=path) from None


def _text(path: Path) -> str:
    try:
        return files.read(path, limit=MAX).decode()
    except FileNotFoundError:
        raise Damaged(seq=0, what="checkpoint") from None
    except UnicodeDecodeError:
        raise Corrupt(what=path.name) from None
