"""What can go wrong, said the same way in the whole house.

Every error of ours derives from `Fault`, which lives here because the vault is the floor on which everything stands.

    Fault
    ├── VaultError
    │   ├── WrongKey            a key, a passphrase or a context that does not open what it is asked to open
    │   ├── Sealed              the key is not within reach: locked provider, shredded scope, no passphrase given
    │   ├── Corrupt             bytes that were cut, altered or swapped
    │   ├── UnknownVersion      a format written by a later Sovereign
    │   └── ProviderError       a key provider that refused or is not installed
    └── (each package draws its own tree in its own `errors.py`)

A fault carries its facts as fields, a sentence in French and one in English, and what to do next in both. It never carries a
secret or a personal value: whoever raises it answers for its fields.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Kind = Literal["failed", "usage", "partial", "unauthenticated", "denied", "held", "no_site", "locked", "sealed", "unverified"]


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What a person reads about a fault: its stable code, what happened, what to do next."""

    code: str
    what: str
    todo: str


class Fault(Exception):
    """Something Sovereign could not do.

    Class attributes: `code` never changes once published; `kind` chooses the exit code of the command line; `fr`, `en`,
    `todo_fr` and `todo_en` are `str.format` templates over the fields.
    """

    code: ClassVar[str] = "fault"
    kind: ClassVar[Kind] = "failed"
    fr: ClassVar[str] = "Une opération a échoué."
    en: ClassVar[str] = "An operation failed."
    todo_fr: ClassVar[str] = ""
    todo_en: ClassVar[str] = ""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__(fields)

    def diagnostics(self, language: str = "en") -> Diagnostics:
        """Say what happened and what to do, in `language` (`fr` or `en`)."""
        what, todo = (self.fr, self.todo_fr) if language == "fr" else (self.en, self.todo_en)
        return Diagnostics(self.code, what.format(**self.fields), todo.format(**self.fields))

    def __str__(self) -> str:
        said = self.diagnostics("en")
        return f"{said.what} {said.todo}".strip()


class VaultError(Fault):
    """A fault of the vault."""

    code = "vault"
