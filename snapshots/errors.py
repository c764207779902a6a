"""What can go wrong with the city's own copy.

    SnapshotError
    ├── BadName             a connection, a stream or a run whose name cannot be a folder
    ├── NoSnapshot          the dataset has none, or none at that date or sequence
    ├── NoQuarantine        that run put nothing of the dataset aside
    ├── Damaged             a file that is missing, cut, altered or swapped: names it, and what is wrong
    ├── Forked              two manifests claim the same place in a dataset's history
    ├── ContractBroken      records that the stream's contract refuses
    ├── NoDraft             no unfinished run of that name
    ├── DraftBusy           another process holds the draft
    ├── AlreadyExported     an export never replaces a folder
    ├── NotExported         the place of an export refused what was written: no room, most often
    ├── NotCompared         two snapshots that could not be compared with the memory and the room there were
    └── NotCommitted        a commit that does not stand on what was measured
        ├── NeedsFull       an incremental run that nothing can be compared with
        └── Unbalanced      parts that do not add up to what was measured

Fields hold file names, sequence numbers and counts; a personal column is named by its place, never by its name.
"""

from vault.errors import Corrupt, Fault


class SnapshotError(Fault):
    """A fault of the snapshots."""

    code = "snapshot"


class BadName(SnapshotError):
    """A name that cannot be a folder."""

    code = "snapshot.name"
    kind = "usage"
    fr = "« {name} » ne peut pas nommer {what_fr}."
    en = "`{name}` cannot name {what_en}."
    todo_fr = "Une lettre minuscule d'abord, puis lettres, chiffres et « _ », 63 au plus ; ni un nom de SQL (temp, system…)."
    todo_en = "A lower-case letter first, then letters, digits and `_`, 63 at most; no name of SQL (temp, system…)."


class NoSnapshot(SnapshotError):
    """There is no such snapshot."""

    code = "snapshot.none"
    fr = "{dataset} n'a pas d'instantané {wanted}."
    en = "{dataset} has no snapshot {wanted}."
    todo_fr = "« snapshot list » montre ceux qui existent."
    todo_en = "`snapshot list` shows those that exist."


class NoQuarantine(SnapshotError):
    """That run put nothing of the dataset aside."""

    code = "quarantine.none"
    fr = "{dataset} n'a rien en quarantaine de l'exécution {run}."
    en = "{dataset} has nothing in quarantine of run {run}."
    todo_fr = "« snapshot quarantine list » montre ce qui s'y trouve."
    todo_en = "`snapshot quarantine list` shows what is there."


class Damaged(SnapshotError, Corrupt):
    """A file that is missing, cut, altered or swapped."""

    code = "snapshot.damaged"
    kind = "unverified"
    fr = "{file} : {reason_fr}."
    en = "{file}: {reason_en}."
    todo_fr = "« snapshot verify » dit ce qui est atteint ; restaurez ce fichier depuis une sauvegarde."
    todo_en = "`snapshot verify` says what is affected; restore this file from a backup."


class Forked(SnapshotError):
    """Two manifests claim the same place."""

    code = "snapshot.forked"
    kind = "unverified"
    fr = "{dataset} : plusieurs manifestes portent le numéro {sequence}."
    en = "{dataset}: several manifests carry sequence {sequence}."
    todo_fr = "« snapshot verify » les nomme ; le journal d'audit dit lequel a été publié."
    todo_en = "`snapshot verify` names them; the audit log says which one was published."


class ContractBroken(SnapshotError):
    """Records that the contract refuses."""

    code = "snapshot.contract"
    fr = "Le flux {stream} ne respecte plus son contrat « {contract} » : {reason_fr}."
    en = "Stream {stream} no longer keeps its contract `{contract}`: {reason_en}."
    todo_fr = "Rien n'a été publié. Relisez le schéma du fournisseur, puis changez le contrat ou les types déclarés."
    todo_en = "Nothing was published. Review the vendor's schema, then change the contract or the declared types."


class NoDraft(SnapshotError):
    """No unfinished run of that name."""

    code = "snapshot.no_draft"
    fr = "Aucun brouillon pour l'exécution {run}."
    en = "There is no draft for run {run}."


class DraftBusy(SnapshotError):
    """Another process holds the draft."""

    code = "snapshot.draft_busy"
    kind = "locked"
    fr = "Le brouillon de l'exécution {run} est tenu par un autre processus."
    en = "The draft of run {run} is held by another process."
    todo_fr = "Attendez la fin de cette exécution."
    todo_en = "Wait until that run is over."


class AlreadyExported(SnapshotError):
    """An export never replaces a folder."""

    code = "snapshot.already_exported"
    kind = "usage"
    fr = "Le dossier {folder} existe déjà."
    en = "The folder {folder} already exists."
    todo_fr = "Choisissez un autre nom : un export ne remplace rien."
    todo_en = "Choose another name: an export replaces nothing."


class NotExported(SnapshotError):
    """The place of an export refused what was written."""

    code = "snapshot.not_exported"
    fr = "L'export {folder} n'a pas pu être écrit ({reason}) ; rien n'en reste."
    en = "Export {folder} could not be written ({reason}); nothing of it is left."
    todo_fr = "Vérifiez la place et les droits à cet endroit, puis recommencez."
    todo_en = "Check the room and the rights there, then do it again."


class NotCompared(SnapshotError):
    """Two snapshots that could not be compared with the memory and the room there were."""

    code = "snapshot.not_compared"
    fr = "La comparaison de {dataset} n'a pas abouti : la mémoire ou la place sur le disque a manqué."
    en = "The comparison of {dataset} did not come to its end: memory or room on disk ran out."
    todo_fr = "Les instantanés sont intacts. Libérez de la mémoire et de la place sur le disque du site, puis recommencez."
    todo_en = "The snapshots are untouched. Free memory, and room on the disk of the site, then do it again."


class NotCommitted(SnapshotError):
    """A commit that does not stand on what was measured."""

    code = "snapshot.not_committed"
    fr = "Le flux {stream} n'a pas été publié : {reason_fr}."
    en = "Stream {stream} was not published: {reason_en}."


class NeedsFull(NotCommitted):
    """An incremental run that nothing can be compared with."""

    code = "snapshot.needs_full"
    todo_fr = "Relancez une relecture complète (« sync --full »)."
    todo_en = "Read the stream in full again (`sync --full`)."


class Unbalanced(NotCommitted):
    """Parts that do not add up to what was measured."""

    code = "snapshot.unbalanced"
    todo_fr = "Rien n'a changé. C'est un défaut du produit : signalez-le avec le numéro de l'exécution."
    todo_en = "Nothing changed. This is a defect of the product: report it with the number of the run."
