"""What can go wrong, said the same way in the whole house.

Every error of ours derives from `Fault`, which lives here because the vault is the floor on which everything stands.

    Fault
    ├── VaultError
    │   ├── WrongKey            a key or a context that does not open what it is asked to open
    │   │   └── WrongPassphrase     … because the passphrase is not the one
    │   ├── NotSigned           a note without a good signature of an accepted key
    │   ├── BadTimestamp        a time-stamp token that proves nothing of what it is held against
    │   ├── Sealed              the key is not within reach: locked provider, no passphrase given
    │   ├── Shredded            the key was destroyed: what it closed is gone for good
    │   ├── Corrupt             bytes that were cut, altered or swapped
    │   ├── UnknownVersion      a format written by a later Sovereign
    │   ├── ProviderError       a key provider that refused or is not installed
    │   ├── NoKey               no key of that id or scope in this keyring
    │   ├── NoSecret            no secret of that name
    │   ├── AlreadyThere        keys that would be overwritten
    │   ├── NotSpooled          bytes on their way could not be put aside
    │   ├── BadName             a name or a number that is not allowed
    │   │   └── PassphraseUnknown   a master key provider that no passphrase opens
    │   └── RecoveryError
    │       ├── NoKit               this keyring has no recovery kit
    │       ├── BadShare            a share that was mistyped
    │       ├── TooFewShares        fewer shares than the threshold
    │       └── ForeignShares       shares of another kit
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


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check saw: it is told, never raised. `subject` is a path or an id."""

    severity: Literal["error", "warning", "info"]
    code: str
    subject: str
    fr: str
    en: str


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


class WrongKey(VaultError):
    """A key or a context that does not open `what`."""

    code = "vault.wrong_key"
    kind = "sealed"
    fr = "{what} : cette clé, ou ce contexte, ne l'ouvre pas."
    en = "{what}: this key, or this context, does not open it."
    todo_fr = "Vérifiez que le site, son dossier keys/ et son fournisseur de clé maîtresse vont ensemble."
    todo_en = "Check that the site, its keys/ folder and its master key provider belong together."


class WrongPassphrase(WrongKey):
    """The passphrase does not open the file at `what`."""

    code = "vault.wrong_passphrase"
    fr = "{what} : la phrase secrète n'est pas la bonne."
    en = "{what}: the passphrase is not the right one."
    todo_fr = "Essayez à nouveau ; si elle est perdue, restaurez avec les parts de secours (keys restore-recovery)."
    todo_en = "Try again; if it is lost, restore with the recovery shares (keys restore-recovery)."


class NotSigned(VaultError):
    """A note without a good signature of an accepted key."""

    code = "vault.not_signed"
    kind = "unverified"
    fr = "{what} : aucune signature d'une clé acceptée ({accepted})."
    en = "{what}: no signature by an accepted key ({accepted})."
    todo_fr = "Ne vous y fiez pas : cherchez qui l'a écrit, et comparez avec la clé publique du site."
    todo_en = "Do not rely on it: find out who wrote it, and compare with the site's public key."


class BadTimestamp(VaultError):
    """A time-stamp token that proves nothing of what it is held against. Field `reason`: a code."""

    code = "vault.bad_timestamp"
    kind = "unverified"
    fr = "Jeton d'horodatage refusé : {why_fr} [{reason}]."
    en = "Time-stamp token refused: {why_en} [{reason}]."
    todo_fr = "Ne vous y fiez pas : vérifiez l'adresse, les certificats et la politique de l'autorité ([audit.timestamps])."
    todo_en = "Do not rely on it: check the address, the certificates and the policy of the authority ([audit.timestamps])."


class Sealed(VaultError):
    """The key is not within reach."""

    code = "vault.sealed"
    kind = "sealed"
    fr = "{what} : la clé n'est pas accessible."
    en = "{what}: the key is not within reach."
    todo_fr = "Déverrouillez le trousseau, ou donnez la phrase secrète."
    todo_en = "Unlock the keyring, or give the passphrase."


class Shredded(VaultError):
    """The key was destroyed: what it closed is gone for good."""

    code = "vault.shredded"
    kind = "sealed"
    fr = "{what} : la clé a été détruite le {destroyed} ; ces données sont effacées pour toujours."
    en = "{what}: the key was destroyed on {destroyed}; this data is erased for good."
    todo_fr = "C'est l'effet voulu d'une destruction de clé ; aucune sauvegarde des instantanés ne les rendra."
    todo_en = "This is what destroying a key is for; no backup of the snapshots brings it back."


class Corrupt(VaultError):
    """Bytes that were cut, altered or swapped."""

    code = "vault.corrupt"
    kind = "unverified"
    fr = "{what} : des octets ont été coupés, altérés ou échangés."
    en = "{what}: bytes were cut, altered or swapped."
    todo_fr = "Reprenez ce fichier dans une sauvegarde, puis cherchez la cause (disque, copie, malveillance)."
    todo_en = "Take this file from a backup, then look for the cause (disk, copy, malice)."


class UnknownVersion(VaultError):
    """A format written by a later Sovereign."""

    code = "vault.unknown_version"
    kind = "unverified"
    fr = "{what} : format « {found} » inconnu de cette version."
    en = "{what}: format `{found}` is unknown to this version."
    todo_fr = "Installez la version de Sovereign qui l'a écrit, ou une plus récente ; rien n'a été changé."
    todo_en = "Install the version of Sovereign that wrote it, or a later one; nothing was changed."


class ProviderError(VaultError):
    """A key provider that refused or is not installed."""

    code = "vault.provider"
    kind = "sealed"
    fr = "Fournisseur de clé maîtresse {uri} : {reason_fr}."
    en = "Master key provider {uri}: {reason_en}."
    todo_fr = (
        "Vérifiez [keys] provider dans sovereign.toml ; si la clé maîtresse est perdue, "
        "« sovereign keys restore-recovery » en fait une nouvelle avec les parts de la trousse de secours."
    )
    todo_en = (
        "Check [keys] provider in sovereign.toml; if the master key is lost, "
        "`sovereign keys restore-recovery` makes a new one with the shares of the recovery kit."
    )


class NoKey(VaultError):
    """No key of that id or scope in this keyring."""

    code = "vault.no_key"
    kind = "sealed"
    fr = "Le trousseau n'a pas de clé {what}."
    en = "The keyring has no key {what}."
    todo_fr = "Vérifiez le nom (keys list), ou que keys/ est bien celui de ce site et non une sauvegarde plus ancienne."
    todo_en = "Check the name (keys list), or that keys/ is the one of this site and not an older backup."


class NoSecret(VaultError):
    """No secret of that name."""

    code = "vault.no_secret"
    fr = "La connexion {connection} n'a pas de secret « {name} »."
    en = "Connection {connection} has no secret `{name}`."
    todo_fr = "« sovereign secret set {connection} --name {name} » le scelle ; ou corrigez le nom dans sovereign.toml."
    todo_en = "`sovereign secret set {connection} --name {name}` seals it; or correct the name in sovereign.toml."


class NotSpooled(VaultError):
    """Bytes that were on their way could not be written aside: the disk refused them."""

    code = "vault.spool"
    fr = "Le disque n'a pas pris ce qui arrivait ({error})."
    en = "The disk did not take what was arriving ({error})."
    todo_fr = "Vérifiez la place et les droits du dossier du site, puis relancez."
    todo_en = "Check the room and the rights of the site's folder, then run again."


class AlreadyThere(VaultError):
    """Keys that would be overwritten."""

    code = "vault.already_there"
    kind = "usage"
    fr = "{what} existe déjà ; des clés ne sont jamais écrasées."
    en = "{what} already exists; keys are never overwritten."
    todo_fr = "Choisissez un autre dossier ou un autre nom."
    todo_en = "Choose another folder or another name."


class BadName(VaultError):
    """A name or a number that is not allowed."""

    code = "vault.bad_name"
    kind = "usage"
    fr = "« {given} » n'est pas admis : {expected_fr}."
    en = "`{given}` is not allowed: {expected_en}."
    todo_fr = "Corrigez ; rien n'a été changé."
    todo_en = "Correct it; nothing was changed."


class PassphraseUnknown(BadName):
    """A master key provider that no passphrase opens."""

    code = "vault.passphrase_unknown"
    fr = "La clé maîtresse {uri} ne s'ouvre pas par une phrase secrète : il n'y a rien à changer."
    en = "The master key {uri} is not opened by a passphrase: there is nothing to change."
    todo_fr = "Seul « file: » en a une ; « keys rotate --master » change la clé maîtresse elle-même."
    todo_en = "Only `file:` has one; `keys rotate --master` changes the master key itself."


class RecoveryError(VaultError):
    """A fault of the recovery kit."""

    code = "vault.recovery"


class NoKit(RecoveryError):
    """The keyring has no recovery kit."""

    code = "vault.recovery.no_kit"
    fr = "Ce trousseau n'a pas de kit de secours."
    en = "This keyring has no recovery kit."
    todo_fr = "Prenez une sauvegarde de keys/ postérieure à « keys export-recovery »."
    todo_en = "Take a backup of keys/ made after `keys export-recovery`."


class BadShare(RecoveryError):
    """A share that was mistyped: numbered from 1, in the order given."""

    code = "vault.recovery.bad_share"
    kind = "usage"
    fr = "La part n° {number} n'est pas une part de secours valable (mot inconnu, manquant ou mal recopié)."
    en = "Share no. {number} is not a valid recovery share (a word unknown, missing or miscopied)."
    todo_fr = "Relisez-la mot à mot ; les autres parts ne sont pas en cause."
    todo_en = "Read it again word by word; the other shares are not at fault."


class TooFewShares(RecoveryError):
    """Fewer different shares than the threshold."""

    code = "vault.recovery.too_few"
    kind = "usage"
    fr = "{given} part(s) différente(s) donnée(s), il en faut {needed}."
    en = "{given} different share(s) given, {needed} needed."
    todo_fr = "Réunissez d'autres porteurs de parts du même kit."
    todo_en = "Gather more holders of shares of the same kit."


class ForeignShares(RecoveryError):
    """Shares of another kit, by their numbers in the order given."""

    code = "vault.recovery.foreign"
    kind = "usage"
    fr = "Part(s) n° {numbers} : pas du kit de ce trousseau, dont les parts commencent par « {kit} » (fait le {created})."
    en = "Share(s) no. {numbers}: not of this keyring's kit, whose shares begin with `{kit}` (made on {created})."
    todo_fr = "Un kit remplacé par un plus récent ne sert plus ; cherchez les parts de ce kit-ci."
    todo_en = "A kit replaced by a newer one no longer serves; look for the shares of this one."
