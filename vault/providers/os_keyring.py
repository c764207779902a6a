"""`os-keyring:SERVICE[/NAME]`: the masters in the keyring of the operating system.

The keyring must encrypt: a backend that keeps nothing or keeps in clear is refused. What was saved is read back before it is
relied on. NAME is `master` when left out; two sites of one account need two names.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError, KeyringLocked

from vault.errors import AlreadyThere, ProviderError, Sealed
from vault.providers import Passphrase
from vault.providers.local import LocalProvider, Masters, decode, encode

_REFUSED = ("keyring.backends.fail", "keyring.backends.null", "keyrings.alt")


class _KeyringStore:
    def __init__(self, uri: str, place: str) -> None:
        self._uri = uri
        self._service, _, name = place.partition("/")
        self._name = name or "master"
        self._backend = self._encrypted(keyring.get_keyring())

    def exists(self) -> bool:
        return self._get() is not None

    def load(self) -> Masters:
        kept = self._get()
        if kept is None:
            reason_fr, reason_en = "le trousseau du système n'a pas cette entrée", "the system's keyring has no such entry"
            raise ProviderError(uri=self._uri, reason_fr=reason_fr, reason_en=reason_en)
        return decode(kept.encode(), self._uri)

    def save(self, masters: Masters) -> None:
        try:
            self._backend.set_password(self._service, self._name, encode(masters).decode())
        except KeyringLocked:
            raise Sealed(what=self._uri) from None
        except KeyringError:
            raise self._refused() from None
        if self.load() != masters:
            raise self._refused()

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # The site's own lock is enough: nothing but its rotation writes here.

    def _get(self) -> str | None:
        try:
            return self._backend.get_password(self._service, self._name)
        except KeyringLocked:
            raise Sealed(what=self._uri) from None
        except KeyringError:
            raise self._refused() from None

    def _encrypted(self, backend: KeyringBackend) -> KeyringBackend:
        chain = getattr(backend, "backends", None) or [backend]
        if any(type(each).__module__.startswith(_REFUSED) for each in chain):
            raise ProviderError(
                uri=self._uri,
                reason_fr="pas de trousseau chiffré sur cette machine",
                reason_en="no encrypted keyring on this machine",
            )
        return backend

    def _refused(self) -> ProviderError:
        reason_fr, reason_en = "le trousseau du système a refusé", "the system's keyring refused"
        return ProviderError(uri=self._uri, reason_fr=reason_fr, reason_en=reason_en)


def create(uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> LocalProvider:  # noqa: ARG001 - as the port says
    """Make a master in a new entry of the keyring."""
    store, masters = _KeyringStore(uri, place), (os.urandom(32),)
    if store.exists():
        raise AlreadyThere(what=uri)
    store.save(masters)
    return LocalProvider(uri, store, masters)


def open(uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> LocalProvider:  # noqa: A001, ARG001 - as the port says
    """Open the entry of the keyring."""
    store = _KeyringStore(uri, place)
    return LocalProvider(uri, store, store.load())
