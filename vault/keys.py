"""The keys of a site: who may open what, and what nobody will ever open again.

    provider's master ─wraps→ key-encryption key (KEK) of a scope ─wraps→ data key ─seals→ a part, a segment, a secret

1. A scope is (connection, key class, period); its KEK is made on first need, and is on the disk, and sealed to the recovery kit
   where there is one, before the first data key leaves.
2. A data key is 32 random bytes, given once in clear and once wrapped (AES-256-GCM under the KEK, bound to the KEK's id and to
   the caller's context). Only the wrapped form is to be stored.
3. Rotation adds a generation: new data keys take it, older ones still unwrap until `retire`. `rotate_master` puts everything
   under a new master, then has the provider forget the former ones; interrupted anywhere, everything still opens, and doing it
   again ends it.
4. Destruction is final and reaches every copy of what the scope closed: the record loses its bytes and stays as a tombstone.
   Only a backup of `keys/` made before, with the master of that time, still opens it (rotate the master to close that too).
5. Another process's change is seen at the next call. All methods are thread safe.
6. A keyring is taken whole, as this site wrote it (`vault.whole`), or not at all: `Corrupt`, whoever wrote it and whenever.

Keys unwrapped once stay in memory while the site is open: Python cannot promise to wipe them.
"""

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import Literal, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault import checks, copies, files, kit, notes, whole
from vault.errors import Corrupt, Fault, Finding, NoKey, Shredded, WrongKey
from vault.hkdf import derive
from vault.keyring import FORMAT, Keyring, KeyringFile, Kit, Record
from vault.providers import Provider
from vault.scope import KeyRecord, Scope, Wrapped, scope_of, shown

__all__ = ["KeyRecord", "Keys", "Scope", "Wrapped"]

Clock = Callable[[], datetime]


Ids = list[str]
Records = list[KeyRecord]
Findings = list[Finding]
_Made = list[Record]


class Keys:
    """The keyring of a site, opened through its provider."""

    def __init__(self, directory: Path, provider: Provider, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self.directory = directory
        self._file = KeyringFile(directory)
        self._provider = provider
        self._clock = clock
        self._entropy = entropy
        self._lock = RLock()
        self._secrets: dict[str, bytes] = {}
        self._stamp: object = None
        self._told: Callable[[Records], None] = lambda _made: None
        self._refresh()

    @classmethod
    def create(
        cls,
        directory: Path,
        provider: Provider,
        clock: Clock,
        *,
        name: str | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Make the keyring of a new site: its site key and its signing key, under `name` (drawn when left out).

        `AlreadyThere` when the folder has one.
        """
        signing = name or f"sovereign-{entropy(4).hex()}"
        site, signer = entropy(32), entropy(32)
        vkey = notes.Signer(signing, signer).verifier.vkey
        made: _Made = []
        kinds: tuple[tuple[Literal["site", "signer"], bytes], ...] = (("site", site), ("signer", signer))
        for kind, key in kinds:
            record = Record(entropy(16).hex(), kind, 1, clock(), "active")
            made.append(msgspec.structs.replace(record, wrapped=provider.wrap(key, record.context())))
        files.folder(directory)
        KeyringFile(directory).create(whole.bind(Keyring(FORMAT, signing, 1, tuple(made), kit=None, mac=b""), site))
        files.write(directory / "site.vkey", vkey.encode() + b"\n")
        return cls(directory, provider, clock, entropy)

    @classmethod
    def open(cls, directory: Path, provider: Provider, clock: Clock) -> Self:
        """Open the keyring in `directory`; no key but the site key is unwrapped before it is needed.

        Errors: `Corrupt` for a keyring that this site did not write so, `UnknownVersion`, and those of `Provider.unwrap`.
        """
        return cls(directory, provider, clock)

    def tell(self, told: Callable[[Records], None]) -> None:
        """Have `told` given the KEKs that this one makes, once they are on the disk; what it raises, the maker raises."""
        self._told = told

    # Data keys

    def new_data_key(self, scope: Scope, context: bytes) -> tuple[bytes, Wrapped]:
        """Give a new data key (32 bytes) of `scope`, and its wrapped form; makes the scope's KEK on first need."""
        record = self._active(scope)
        key = self._entropy(32)
        return key, self._wrap(record, key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """Give a data key back.

        Errors: `Shredded` when its KEK was destroyed, `NoKey` when this keyring never had it, `WrongKey` for another context,
        `Corrupt` for bytes that are not a wrapped key.
        """
        kek = self._secret(self._record(wrapped.kek))
        try:
            raw = b64decode(wrapped.key, validate=True)
        except (binascii.Error, ValueError):
            raise Corrupt(what=f"key {wrapped.kek}") from None
        if len(raw) != 60:
            raise Corrupt(what=f"key {wrapped.kek}")
        try:
            return AESGCM(kek).decrypt(raw[:12], raw[12:], _bound(wrapped.kek, context))
        except InvalidTag:
            raise WrongKey(what=f"key {wrapped.kek}") from None

    def rewrap(self, wrapped: Wrapped, context: bytes) -> Wrapped:
        """Wrap the same data key under the newest generation of its scope."""
        record = self._record(wrapped.kek)
        return self._wrap(self._active(scope_of(record)), self.unwrap(wrapped, context), context)

    def is_current(self, wrapped: Wrapped) -> bool:
        """Say whether `rewrap` has nothing to do: its KEK is the newest generation of its scope, or was destroyed."""
        return self._record(wrapped.kek).state != "retired"

    # The life of key-encryption keys

    def rotate(self, scope: Scope | None = None) -> int:
        """Make a new generation for the scope, or for every live one; give the count. `NoKey` for a scope that has none."""
        made: _Made = []

        def change(keyring: Keyring) -> Keyring:
            live = [r for r in _keks(keyring) if r.state == "active" and scope in (None, scope_of(r))]
            if scope is not None and not live:
                raise NoKey(what=str(scope))
            made.extend(self._make(keyring, scope_of(record)) for record in live)
            kept = keyring.replacing({r.id: msgspec.structs.replace(r, state="retired") for r in live})
            return msgspec.structs.replace(kept, records=(*kept.records, *made))

        self._edit(change)
        self._told([shown(record) for record in made])
        return len(made)

    def retire(self, in_use: Iterable[str]) -> Ids:
        """Destroy the former generations whose id is not `in_use` by any key file any more; give their ids."""
        keep = set(in_use)
        return self._destroy(lambda r: r.state == "retired" and r.id not in keep)

    def destroy(self, connection: str, key_class: str | None, period: str | None) -> Ids:
        """Shred: nobody ever opens again what these scopes closed. None means every class, or every period.

        Gives the ids destroyed now (none when they already were). `NoKey` when no key was ever made there.
        """

        def named(r: Record) -> bool:
            return r.connection == connection and key_class in (None, r.key_class) and period in (None, r.period)

        if not any(named(r) for r in _keks(self._refresh())):
            raise NoKey(what=f"{connection}/{key_class or '*'}/{period or '*'}")
        return self._destroy(lambda r: named(r) and r.state != "destroyed")

    def follow(self, directory: Path) -> Ids:
        """Destroy here what a later keyring of this site, the one in `directory`, says was shredded; gives their ids.

        Errors: Corrupt when that one is not this site's, whole.
        """
        later = KeyringFile(directory).read()
        whole.check(later, self._site(self._refresh()))
        doomed = copies.shredded(later, self._refresh())
        return self._destroy(lambda r: r.id in doomed) if doomed else []

    def shred_copy(self, directory: Path) -> Ids:
        """Destroy in a former keyring of this site, the copy in `directory`, what was shredded since; gives their ids.

        Errors: Corrupt when it is not this site's, whole; it is then as it was.
        """
        present, gone = self._refresh(), list[str]()
        site = self._site(present)

        def change(keyring: Keyring) -> Keyring:
            whole.check(keyring, site)
            doomed = copies.shredded(present, keyring)
            gone.extend(r.id for r in keyring.records if r.id in doomed)
            return _without(keyring, doomed, self._clock())

        KeyringFile(directory).edit(change, lambda edited: whole.bind(edited, site))
        return gone

    def rotate_master(self) -> int:
        """Put every key under a new generation of the provider's master, and the former ones out of use; give the count."""

        def change(keyring: Keyring) -> Keyring:
            self._provider.rotate()
            return keyring.replacing({r.id: self._rewrapped(r) for r in keyring.records if r.wrapped})

        keyring = self._edit(change, after=self._provider.retire)
        return sum(1 for r in keyring.records if r.wrapped)

    def list(self) -> Records:
        """Give what may be shown of every KEK, in the order they were made; opens none."""
        return [shown(record) for record in _keks(self._refresh())]

    # What hangs on the site key

    def derive(self, purpose: str) -> bytes:
        """Give the 32 bytes that this site, and it alone, has for `purpose` (pseudonyms, salts): always the same."""
        return derive(self._site(self._refresh()), b"sovereign-derive/1:" + purpose.encode())

    @property
    def signer(self) -> notes.Signer:
        """The site's signing key."""
        keyring = self._refresh()
        return notes.Signer(keyring.name, self._secret(keyring.only("signer")))

    @property
    def verifier(self) -> notes.Verifier:
        """The site's public key, drawn from the signing key and not from `site.vkey`, which anyone might have replaced."""
        return self.signer.verifier

    def now(self) -> datetime:
        """The present instant, by the clock it was opened with."""
        return self._clock()

    @property
    def revision(self) -> int:
        """How many times the keyring was written: it only ever grows, unless an older keyring was put back."""
        return self._refresh().revision

    @property
    def kit(self) -> Kit | None:
        """The public side of the recovery kit, where there is one."""
        return self._refresh().kit

    def cover(self, make: Callable[[bytes], Kit]) -> Kit:
        """Seal every key to the kit that `make(site key)` gives; it replaces a former kit. See `vault.recovery`."""

        def change(keyring: Keyring) -> Keyring:
            site = self._site(keyring)
            made = make(site)
            sealed = {
                r.id: msgspec.structs.replace(r, sealed=kit.seal(made, r, self._secret(r), site))
                for r in keyring.records
                if r.wrapped
            }
            return msgspec.structs.replace(keyring.replacing(sealed), kit=made)

        covered = self._edit(change).kit
        assert covered is not None  # noqa: S101 - just put there
        return covered

    def check(self) -> Findings:
        """Try everything that a bad day would need: each key unwraps, the kit covers all, no one else may read the files.

        What is sealed to the kit cannot be opened here: it is the very bytes that this site sealed, or the keyring is corrupt.
        """
        try:
            keyring = self._refresh()
        except Fault as fault:
            return [checks.told(fault, "keyring.json")]
        return checks.findings(keyring, self.directory, self._provider, lambda: self._site(keyring))

    # Inside

    def _refresh(self) -> Keyring:
        with self._lock:
            stamp = self._file.stamp()
            if stamp != self._stamp:
                keyring = self._file.read()
                whole.check(keyring, self._site(keyring))
                self._adopt(keyring, stamp)
            return self._keyring

    def _adopt(self, keyring: Keyring, stamp: object) -> None:
        self._keyring, self._stamp = keyring, stamp
        self._by_id = {r.id: r for r in keyring.records}
        self._by_scope = {scope_of(r): r for r in _keks(keyring) if r.state == "active"}
        live = {r.id for r in keyring.records if r.wrapped}
        self._secrets = {key_id: secret for key_id, secret in self._secrets.items() if key_id in live}

    def _edit(self, change: Callable[[Keyring], Keyring], after: Callable[[], None] = lambda: None) -> Keyring:
        def checked(keyring: Keyring) -> Keyring:
            whole.check(keyring, self._site(keyring))
            return change(keyring)

        with self._lock:
            keyring = self._file.edit(checked, lambda edited: whole.bind(edited, self._site(edited)), after)
            self._adopt(keyring, None)
            return keyring

    def _site(self, keyring: Keyring) -> bytes:
        record = keyring.only("site")
        if record.state != "active" or not record.wrapped:  # nothing ever destroys it
            raise Corrupt(what="keyring.json")
        return self._secret(record)

    def _record(self, key_id: str) -> Record:
        with self._lock:
            self._refresh()
            record = self._by_id.get(key_id)
        if record is None or record.kind != "kek":
            raise NoKey(what=key_id)
        return record

    def _secret(self, record: Record) -> bytes:
        if record.state == "destroyed" or not record.wrapped:
            raise Shredded(what=str(scope_of(record)), destroyed=f"{record.destroyed:%Y-%m-%d}" if record.destroyed else "?")
        secret = self._secrets.get(record.id)
        if secret is None:
            secret = self._provider.unwrap(record.wrapped, record.context())
            with self._lock:
                self._secrets[record.id] = secret
        return secret

    def _wrap(self, record: Record, key: bytes, context: bytes) -> Wrapped:
        nonce = self._entropy(12)
        sealed = AESGCM(self._secret(record)).encrypt(nonce, key, _bound(record.id, context))
        return Wrapped(record.id, b64encode(nonce + sealed).decode())

    def _active(self, scope: Scope) -> Record:
        made: _Made = []
        with self._lock:
            self._refresh()
            if scope not in self._by_scope:
                self._edit(lambda keyring: self._with_scope(keyring, scope, made))
            record = self._by_scope[scope]
        if made:
            self._told([shown(each) for each in made])
        return record

    def _with_scope(self, keyring: Keyring, scope: Scope, made: _Made) -> Keyring:
        if any(scope_of(r) == scope and r.state == "active" for r in _keks(keyring)):
            return keyring
        made.append(self._make(keyring, scope))
        return msgspec.structs.replace(keyring, records=(*keyring.records, *made))

    def _make(self, keyring: Keyring, scope: Scope) -> Record:
        generation = 1 + max((r.generation for r in _keks(keyring) if scope_of(r) == scope), default=0)
        key = self._entropy(32)
        record = Record(
            self._entropy(16).hex(), "kek", generation, self._clock(), "active", scope.connection, scope.key_class, scope.period
        )
        sealed = b""
        if keyring.kit is not None:
            site = self._site(keyring)
            kit.check(keyring.kit, site)
            sealed = kit.seal(keyring.kit, record, key, site)
        return msgspec.structs.replace(record, wrapped=self._provider.wrap(key, record.context()), sealed=sealed)

    def _rewrapped(self, record: Record) -> Record:
        key = self._provider.unwrap(record.wrapped, record.context())
        return msgspec.structs.replace(record, wrapped=self._provider.wrap(key, record.context()))

    def _destroy(self, doomed: Callable[[Record], bool]) -> Ids:
        gone: Ids = []

        def change(keyring: Keyring) -> Keyring:
            dead = {r.id for r in _keks(keyring) if doomed(r)}
            gone.extend(r.id for r in keyring.records if r.id in dead)
            return _without(keyring, dead, self._clock())

        self._edit(change)
        return gone


def _keks(keyring: Keyring) -> Iterator[Record]:
    return (record for record in keyring.records if record.kind == "kek")


def _without(keyring: Keyring, dead: set[str], now: datetime) -> Keyring:
    """The keyring with tombstones in the place of these keys."""
    gone = {
        r.id: msgspec.structs.replace(r, state="destroyed", wrapped=b"", sealed=b"", destroyed=now)
        for r in _keks(keyring)
        if r.id in dead
    }
    return keyring.replacing(gone)


def _bound(kek: str, context: bytes) -> bytes:
    return b"sovereign-data-key/1:" + kek.encode() + b":" + context
