"""The log published as files, in a folder that is checked with a public key alone (C2SP tlog-tiles).

1. Tiles and bundles are written before the checkpoint that needs them, each in one step: whoever reads the folder, at any
   instant and after any crash, finds a checkpoint and all that it covers.
2. Nothing is published that does not continue what the folder says was published last (`Forked`): a `state.db` put back to an
   older day is seen here.
3. What a witness cosigned is added to the checkpoint, and kept beside it as the last that this witness saw: never more than the
   checkpoint covers, for whoever reads it first.
4. A partial tile is removed once the whole one is there, a bundle once its entries were pruned.

Files are 0600, folders 0700. Entries hold nothing personal; bodies are never published.
"""

import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import Connection, select

from sovereign.audit import layout, pruning, stamps, tiles
from sovereign.audit.checkpoint import MAX, Checkpoint
from sovereign.audit.checkpoints import Checkpoints
from sovereign.audit.errors import Damaged, Unpublished
from sovereign.audit.tree import HASH, WIDTH
from sovereign.state import State
from sovereign.state.schema import audit_entries
from vault import files
from vault.cosignatures import Cosignatory
from vault.errors import Corrupt, Fault, NotSigned

EVERY: Final = 5.0
"""Seconds between two checkpoints while a service runs."""
KEY: Final = "log.vkey"


class Publication:
    """The published form of a site's log, in `folder`."""

    def __init__(self, state: State, checkpoints: Checkpoints, folder: Path) -> None:
        self._state, self._checkpoints, self.folder = state, checkpoints, folder

    def publish(self) -> Checkpoint:
        """Sign the log as it stands, bring the folder up to it, give the checkpoint; errors: Forked, Damaged, Unpublished."""
        try:
            with files.locked(files.folder(self.folder) / ".lock"):
                published = self.published()
                if published is not None:
                    self._checkpoints.continues(published)
                latest = self._checkpoints.sign()
                if published is None or published.note != latest.note:
                    self.write(published.size if published else 0, latest)
                return latest
        except OSError as error:
            raise Unpublished(reason=error.strerror or type(error).__name__) from None

    def published(self) -> Checkpoint | None:
        """The checkpoint that the folder holds, None when it holds none of this log."""
        try:
            note = files.read(self.folder / layout.CHECKPOINT, limit=MAX).decode()
            return Checkpoint.verify(note, self._checkpoints.verifier)
        except (FileNotFoundError, Corrupt, NotSigned, UnicodeDecodeError):
            return None

    def export(self, folder: Path) -> Checkpoint:
        """Copy what is published to a new folder: the latest checkpoint, and what it needs. Errors: those of `publish`."""
        there = self.folder / layout.WITNESSED
        seen = {path.name: files.read(path, limit=MAX) for path in there.glob("[0-9a-f]*")}
        checkpoint = self.publish()
        with files.new_folder(folder):
            Publication(self._state, self._checkpoints, folder).write(0, checkpoint)
            stamps.copy(self.folder, folder, checkpoint.size)
            for name, note in seen.items():
                files.write(folder / layout.WITNESSED / name, note)
        return checkpoint

    def add_cosignature(self, witness: Cosignatory, cosigned: Checkpoint) -> None:
        """Show what a witness cosigned last; errors: Unpublished."""
        try:
            with files.locked(files.folder(self.folder) / ".lock"):
                published, latest = self.published(), self._checkpoints.latest()
                if published is None or published.size < cosigned.size:
                    return  # a state put back, or a folder taken away: `publish` tells it
                if latest is not None and latest.size == published.size and latest.note != published.note:
                    files.write(self.folder / layout.CHECKPOINT, latest.note.encode())
                files.write(self.folder / layout.WITNESSED / witness.key_id.hex(), cosigned.note.encode())
        except OSError as error:
            raise Unpublished(reason=error.strerror or type(error).__name__) from None

    def write(self, old: int, latest: Checkpoint) -> None:
        """Write what a checkpoint covers and one of `old` entries did not, then the checkpoint."""
        made: list[tuple[int | str, int, int]] = []
        with self._state.read() as connection:
            first = pruning.pruned(connection).first
            for level, number, width in layout.new_tiles(old, latest.size):
                made.append((level, number, width))
                self._put(*made[-1], tiles.tile(connection, level, number)[: width * HASH])
                if level == 0 and number * WIDTH >= first:
                    made.append((layout.ENTRIES, number, width))
                    self._put(*made[-1], _bundle(connection, number, width))
        files.write(self.folder / KEY, f"{self._checkpoints.verifier.vkey}\n".encode())
        files.write(self.folder / layout.CHECKPOINT, latest.note.encode())
        self._sweep(made, first)

    def _put(self, level: int | str, number: int, width: int, data: bytes) -> None:
        files.write(self.folder / layout.tile_path(level, number, width), data)

    def _sweep(self, made: Iterable[tuple[int | str, int, int]], first: int) -> None:
        """Remove the partial forms of what is whole, then the bundles of what was pruned, newest first."""
        for level, number, width in made:
            if width == WIDTH:
                whole = self.folder / layout.tile_path(level, number)
                shutil.rmtree(whole.with_name(f"{whole.name}.p"), ignore_errors=True)
        for number in range(first // WIDTH - 1, -1, -1):
            path = self.folder / layout.tile_path(layout.ENTRIES, number)
            if not path.exists():
                break
            path.unlink()


def _bundle(connection: Connection, number: int, width: int) -> bytes:
    span = audit_entries.c.seq >= number * WIDTH, audit_entries.c.seq < number * WIDTH + width
    rows = connection.execute(select(audit_entries.c.entry).where(*span).order_by(audit_entries.c.seq)).scalars().all()
    if len(rows) != width:
        raise Damaged(seq=number * WIDTH, what="missing")
    return layout.bundle([row.encode() for row in rows])


class Publisher:
    """Publishes every few seconds in a thread of its own, and once when it is left; a context manager.

    publish: what to do; it does nothing when nothing was entered. trouble: told of a fault, once until the next success.
    """

    def __init__(self, publish: Callable[[], object], trouble: Callable[[Fault], None], every: float = EVERY) -> None:
        self._publish, self._trouble, self._every = publish, trouble, every
        self._stop, self._told = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="audit-publisher", daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._once()

    def _once(self) -> None:
        try:
            self._publish()
            self._told = False
        except Fault as fault:
            if not self._told:
                self._trouble(fault)
            self._told = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._once()
