"""Who holds the master: one file a scheme, chosen by the URI in `[keys] provider`.

    os-keyring:SERVICE[/NAME]   the keyring of the operating system (Secret Service, KWallet, macOS, Windows)
    file:PATH                   a file sealed by a passphrase through scrypt
    systemd-cred:NAME           a credential that systemd gives to the service ($CREDENTIALS_DIRECTORY/NAME)

A provider wraps and unwraps the keys of the keyring; the master itself never passes through this port, so that a hardware
module or a remote service can stand behind it. Every provider passes tests/conformance/providers.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from vault.errors import BadName, PassphraseUnknown

SCHEMES = {
    "os-keyring": "vault.providers.os_keyring",
    "file": "vault.providers.file",
    "systemd-cred": "vault.providers.systemd_cred",
}

Passphrase = Callable[[], str] | None
"""Asks for the passphrase; None when nobody can be asked."""


class Provider(Protocol):
    """Holds the master: wraps keys and gives them back, in a context to which they are bound."""

    @property
    def uri(self) -> str:
        """The URI it was opened by."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap `key` (32 bytes) under the newest generation of the master."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Give the key back, whichever kept generation wrapped it.

        Errors: `WrongKey` for another master or context, `Corrupt` for bytes that are not a wrapped key, `Sealed` when the
        master is locked, `ProviderError` when it is not there.
        """
        ...

    def rotate(self) -> None:
        """Make a new generation of the master; the former ones still unwrap."""
        ...

    def retire(self) -> None:
        """Forget every generation but the newest: what they wrapped opens no more."""
        ...


class _Scheme(Protocol):
    def create(self, uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> Provider: ...

    def open(self, uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> Provider: ...


def create_provider(uri: str, *, passphrase: Passphrase = None, directory: Path) -> Provider:
    """Make a master where `uri` says; `AlreadyThere` when there is one. Relative paths are under `directory`."""
    scheme, place = _scheme(uri)
    return scheme.create(uri, place, passphrase=passphrase, directory=directory)


def open_provider(uri: str, *, passphrase: Passphrase = None, directory: Path) -> Provider:
    """Open the master that is where `uri` says.

    Errors: `BadName` for another scheme, `ProviderError` when there is none, `Sealed` when no one gives its passphrase,
    `WrongPassphrase`.
    """
    scheme, place = _scheme(uri)
    return scheme.open(uri, place, passphrase=passphrase, directory=directory)


def change_passphrase(uri: str, *, passphrase: Passphrase, new: Passphrase, directory: Path) -> None:
    """Change the passphrase of a `file:` provider; `PassphraseUnknown` for a scheme that has none.

    When the former passphrase may be known to others, rotate the master afterwards: it makes their copies of the file useless
    for the keyring of today.
    """
    scheme, _, place = uri.partition(":")
    if scheme != "file":
        raise PassphraseUnknown(uri=uri)
    from vault.providers import file

    file.change_passphrase(place, passphrase=passphrase, new=new, directory=directory)


def _scheme(uri: str) -> tuple[_Scheme, str]:
    name, colon, place = uri.partition(":")
    if name not in SCHEMES or not colon or not place:
        known = ", ".join(f"{scheme}:…" for scheme in SCHEMES)
        raise BadName(given=uri, expected_fr=f"attendu {known}", expected_en=f"expected {known}")
    return cast("_Scheme", import_module(SCHEMES[name])), place
