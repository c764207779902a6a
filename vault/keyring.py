"""The keyring on disk: every key of a site, each wrapped by the provider's master, in one file replaced whole.

    keys/keyring.json   {"format": "sovereign-keyring/1", "name", "revision", "records": […], "kit": … or null, "mac"}
    keys/keyring.lock   held by whoever writes

1. A record is bound to its own identity (kind, id, scope, generation): wrapped bytes moved to another record do not open.
2. A destroyed record loses its wrapped and its sealed bytes and stays as a tombstone: in one write, or not at all.
3. A writer reads the file again under the lock, so two processes never lose each other's keys; each write adds 1 to `revision`.
4. No keyring is written without its MAC (`vault.whole`), which who opens the site key gives.

This module knows the bytes and the file; it never sees a key in clear. Docs: docs/formats/keyring.md.
"""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from vault import files
from vault.errors import Corrupt, UnknownVersion

FORMAT = "sovereign-keyring/1"
LIMIT = 64 * 1024 * 1024
State = Literal["active", "retired", "destroyed"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key: what it is for, and its bytes wrapped by the provider and sealed to the recovery kit."""

    id: str
    kind: Literal["kek", "site", "signer"]
    generation: int
    created: datetime
    state: State
    connection: str = ""
    key_class: str = ""
    period: str = ""
    wrapped: bytes = b""
    sealed: bytes = b""
    destroyed: datetime | None = None

    def context(self) -> bytes:
        """What the wrapped and the sealed bytes are bound to."""
        identity = [self.kind, self.id, self.connection, self.key_class, self.period, self.generation]
        return b"sovereign-key/1:" + msgspec.json.encode(identity)


class Kit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public side of a recovery kit (docs/formats/recovery.md)."""

    id: str
    created: datetime
    threshold: int
    shares: int
    public: bytes
    proof: bytes
    mac: bytes


class Keyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All records of a site and its recovery kit; `revision` counts the writes, `mac` covers all the rest."""

    format: str
    name: str
    revision: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    records: tuple[Record, ...]
    kit: Kit | None
    mac: bytes

    def only(self, kind: Literal["site", "signer"]) -> Record:
        """The one record of that kind."""
        for record in self.records:
            if record.kind == kind:
                return record
        raise Corrupt(what="keyring.json")

    def replacing(self, changed: dict[str, Record]) -> "Keyring":
        """The same keyring with these records in the place of their former selves."""
        return msgspec.structs.replace(self, records=tuple(changed.get(r.id, r) for r in self.records))


class _Version(msgspec.Struct):
    format: str


class KeyringFile:
    """The file at keys/keyring.json: read, told when another process changed it, edited under a lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "keyring.json"

    def create(self, keyring: Keyring) -> None:
        """Write the first keyring; `AlreadyThere` when there is one."""
        files.write(self.path, encode(keyring), new=True)

    def read(self) -> Keyring:
        """Read the whole file: `Corrupt` or `UnknownVersion` when it is not a keyring of this format."""
        try:
            return decode(files.read(self.path, limit=LIMIT))
        except FileNotFoundError:
            raise Corrupt(what="keyring.json") from None

    def stamp(self) -> tuple[int, int, int]:
        """Something that changes whenever the file is replaced."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - on the path of every unwrap: half the time of Path.stat
        except FileNotFoundError:
            raise Corrupt(what="keyring.json") from None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def edit(
        self, change: Callable[[Keyring], Keyring], bind: Callable[[Keyring], Keyring], after: Callable[[], None] = lambda: None
    ) -> Keyring:
        """Replace the keyring by `change(the present one)`, durably, one writer at a time; return it.

        `bind` gives the next revision its MAC; `after` is called once it is durable, before the next writer.
        """
        with files.locked(self.directory / "keyring.lock"):
            before = self.read()
            edited = change(before)
            if edited != before:
                edited = bind(msgspec.structs.replace(edited, revision=before.revision + 1))
                files.write(self.path, encode(edited))
            after()
            return edited


def encode(keyring: Keyring) -> bytes:
    """Give the bytes of a keyring."""
    return msgspec.json.format(msgspec.json.encode(keyring), indent=1) + b"\n"


def decode(data: bytes) -> Keyring:
    """Read the bytes of a keyring."""
    try:
        found = msgspec.json.decode(data, type=_Version).format
        if found != FORMAT:
            raise UnknownVersion(what="keyring.json", found=found[:60])
        return msgspec.json.decode(data, type=Keyring)
    except msgspec.DecodeError:
        raise Corrupt(what="keyring.json") from None
