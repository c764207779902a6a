"""`systemd-cred:NAME`: the masters in a credential that systemd decrypts for the service alone (systemd.exec, Credentials).

The credential is one line of base64 (32 bytes) a generation, newest first. systemd gives it read-only, so making and rotating
are the administrator's acts, and the faults below say how:

    head -c 32 /dev/urandom | base64 | systemd-creds encrypt --name=NAME - /etc/credstore.encrypted/NAME
    (unit) LoadCredentialEncrypted=NAME

To rotate, put a new line before the others and restart; once `keys rotate --master` has succeeded, leave the new line alone.
"""

import os
from base64 import b64decode
from binascii import Error as NotBase64
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from vault import files
from vault.errors import BadName, Corrupt, ProviderError
from vault.providers import Passphrase
from vault.providers.local import LocalProvider, Masters, checked

_LIMIT = 64 * 1024


class _CredentialStore:
    def __init__(self, uri: str, name: str) -> None:
        if name in (".", "..") or "/" in name or "\0" in name:
            raise BadName(
                given=name, expected_fr="un nom de credential systemd", expected_en="the name of a systemd credential"
            )
        self._uri, self._name = uri, name

    def load(self) -> Masters:
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise self._fault("systemd n'a donné aucun credential à ce processus", "systemd gave this process no credential")
        try:
            lines = files.read(Path(folder) / self._name, limit=_LIMIT).split()
        except FileNotFoundError:
            command = f"systemd-creds encrypt --name={self._name}"
            raise self._fault(f"ce credential n'existe pas ({command})", f"no such credential ({command})") from None
        try:
            return checked(tuple(b64decode(line, validate=True) for line in lines), self._uri)
        except (ValueError, NotBase64):
            raise Corrupt(what=self._uri) from None

    def save(self, masters: Masters) -> None:
        """Find that the administrator has put `masters` there: this process cannot."""
        if self.load() != masters:
            raise self._fault("ce credential n'est changé que par systemd-creds", "only systemd-creds changes this credential")

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # This process writes nothing.

    def _fault(self, reason_fr: str, reason_en: str) -> ProviderError:
        return ProviderError(uri=self._uri, reason_fr=reason_fr, reason_en=reason_en)


class _CredentialProvider(LocalProvider):
    def rotate(self) -> None:
        """Take up the new line that the administrator has put first."""
        self._masters = self._store.load()
        if len(self._masters) < 2:
            raise ProviderError(
                uri=self.uri,
                reason_fr="mettez d'abord une nouvelle ligne en tête du credential par systemd-creds",
                reason_en="first put a new line at the head of the credential with systemd-creds",
            )

    def retire(self) -> None:
        """Leave the former lines: the administrator removes them."""


def create(uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> LocalProvider:
    """Adopt the credential that systemd made: there must be one."""
    return open(uri, place, passphrase=passphrase, directory=directory)


def open(uri: str, place: str, *, passphrase: Passphrase, directory: Path) -> LocalProvider:  # noqa: A001, ARG001 - as the port says
    """Open the credential."""
    store = _CredentialStore(uri, place)
    return _CredentialProvider(uri, store, store.load())
