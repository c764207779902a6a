"""Faults of backups and restores.

BackupError
├── NoTarget            no target is named, or none of that name
├── NoKeysApart         nobody said where copies of the keys go
├── KeysWithin          keys and data would lie together
├── NotRecoverable      no recovery kit, or keys that do not check
├── Emptied             a place that held backups and holds none: a disk that is not mounted
├── TargetFailed        a target that refused, is full or out of reach
├── NoBackup            no backup of that name
├── Forged              a record that this site did not sign, or that is cut
├── Altered             an object of a backup that is missing, cut, altered or another's
├── NoKeys              no copy of the keys for this backup
├── Foreign             a folder that is not empty, or is the restore of another backup
├── Lost                a file went away while it was being copied
├── NoPolicy            a pruning that nobody told what to keep
├── Unreadable          a listed backup that cannot be read: pruning would not know what it needs
├── ForeignBackup       a listed backup of another site
├── NoneSound           no sound backup: none goes
└── Unproved            what was restored is not what was saved
"""

from sovereign.errors import SovereignError


class BackupError(SovereignError):
    """A fault of a backup."""

    code = "backup"


class NoTarget(BackupError):
    """No target of that name."""

    code = "backup.no_target"
    kind = "usage"
    fr = "Aucune destination de sauvegarde « {name} »."
    en = "No backup target `{name}`."
    todo_fr = "Donnez un dossier (« ./nas » s'il n'existe pas encore), ou une destination de [backup.targets] : {known}."
    todo_en = "Give a folder (`./nas` when it does not exist yet), or a target of [backup.targets]: {known}."


class NoKeysApart(BackupError):
    """Nobody said where the keys go."""

    code = "backup.no_keys"
    kind = "usage"
    fr = "Il faut dire où vont les clés, à part des données."
    en = "Where the keys go, apart from the data, must be said."
    todo_fr = "Ajoutez --keys-to DOSSIER, ou « keys = … » dans [backup]."
    todo_en = "Add --keys-to DIR, or `keys = …` in [backup]."


class KeysWithin(BackupError):
    """Keys and data would lie together."""

    code = "backup.keys_within"
    kind = "usage"
    fr = "Les clés iraient avec les données ou avec le site : qui volerait l'un aurait l'autre."
    en = "The keys would lie with the data or with the site: whoever stole one would have the other."
    todo_fr = "Donnez aux clés un dossier hors de la destination et hors du site, sur un autre support."
    todo_en = "Give the keys a folder outside of the target and of the site, on another medium."


class NotRecoverable(BackupError):
    """A backup that would be of no use on a bad day."""

    code = "backup.not_recoverable"
    kind = "sealed"
    fr = "Sauvegarde refusée : le jour où la clé maîtresse sera perdue, rien ne la rouvrirait ({subject} : {code})."
    en = "Backup refused: on the day the master key is lost, nothing would reopen it ({subject}: {code})."
    todo_fr = "« sovereign keys export-recovery » fait la trousse de secours, « sovereign keys check » dit ce qui manque."
    todo_en = "`sovereign keys export-recovery` makes the recovery kit, `sovereign keys check` says what is missing."


class Emptied(BackupError):
    """Backups were made here, and none is here any more."""

    code = "backup.emptied"
    fr = "Des sauvegardes ont été faites dans {place}, et il n'y en a plus aucune : rien n'y est écrit."
    en = "Backups were made in {place}, and none is there any more: nothing is written there."
    todo_fr = "Le disque est-il monté ? S'il a été vidé ou remplacé, « sovereign backup create --anew » y recommence."
    todo_en = "Is the disk mounted? If it was emptied or replaced, `sovereign backup create --anew` begins there again."


class TargetFailed(BackupError):
    """A target that refused, is full or out of reach."""

    code = "backup.target"
    fr = "La destination {target} a refusé : {reason}."
    en = "Target {target} refused: {reason}."
    todo_fr = "Vérifiez qu'elle répond, ses droits et sa place ; la prochaine sauvegarde reprendra où celle-ci s'est arrêtée."
    todo_en = "Check that it answers, its rights and its room; the next backup goes on from where this one stopped."


class NoBackup(BackupError):
    """No backup of that name."""

    code = "backup.none"
    kind = "usage"
    fr = "Aucune sauvegarde {id} dans {target}."
    en = "No backup {id} in {target}."
    todo_fr = "« sovereign backup list » les nomme."
    todo_en = "`sovereign backup list` names them."


class Forged(BackupError):
    """A record that is not what the site signed."""

    code = "backup.forged"
    kind = "unverified"
    fr = "La fiche de la sauvegarde {id} est coupée, altérée, ou signée par un autre."
    en = "The record of backup {id} is cut, altered, or signed by another."
    todo_fr = "Ne vous y fiez pas : prenez une autre sauvegarde, et cherchez qui a écrit dans la destination."
    todo_en = "Do not rely on it: take another backup, and find out who wrote to the target."


class Altered(BackupError):
    """An object that is missing, cut, altered or another's."""

    code = "backup.altered"
    kind = "unverified"
    fr = "Objet {object} ({file}) : {reason_fr}."
    en = "Object {object} ({file}): {reason_en}."
    todo_fr = (
        "Prenez une autre sauvegarde, ou une autre copie de la destination : rien n'a été mis en service. Tant que le site "
        "est là, « sovereign backup create --read-all » remet ce qu'il a encore."
    )
    todo_en = (
        "Take another backup, or another copy of the target: nothing was put in service. While the site is there, `sovereign "
        "backup create --read-all` puts again what it still has."
    )


class NoKeys(BackupError):
    """No copy of the keys for this backup."""

    code = "backup.keys_missing"
    kind = "sealed"
    fr = "{keys} n'a pas les clés de la sauvegarde {id}."
    en = "{keys} does not hold the keys of backup {id}."
    todo_fr = "Donnez le dossier des clés de cette sauvegarde, ou une copie de keys/ qui n'est pas plus ancienne qu'elle."
    todo_en = "Give the keys folder of this backup, or a copy of keys/ that is not older than it."


class Foreign(BackupError):
    """A folder that a restore must not touch."""

    code = "restore.not_empty"
    kind = "usage"
    fr = "{path} n'est pas vide, et n'est pas la restauration inachevée de la sauvegarde {id}."
    en = "{path} is not empty, and is not the unfinished restore of backup {id}."
    todo_fr = "Choisissez un dossier absent ou vide."
    todo_en = "Choose a folder that is absent or empty."


class Lost(BackupError):
    """A file went away while it was being copied."""

    code = "backup.lost"
    fr = "Le fichier {file} a disparu ou changé pendant la sauvegarde."
    en = "File {file} went away or changed during the backup."
    todo_fr = "Recommencez : ce qui est déjà copié ne l'est pas deux fois."
    todo_en = "Do it again: what is copied already is not copied twice."


class Unproved(BackupError):
    """What was restored is not what was saved."""

    code = "restore.unproved"
    kind = "unverified"
    fr = "La restauration n'est pas prouvée : {subject}, {reason_fr}."
    en = "The restore is not proved: {subject}, {reason_en}."
    todo_fr = "Le dossier n'a pas été mis en service. Prenez une autre sauvegarde."
    todo_en = "The folder was not put in service. Take another backup."


class NoPolicy(BackupError):
    """Nobody said what to keep."""

    code = "backup.no_policy"
    kind = "usage"
    fr = "Il faut dire ce qui est gardé : rien n'est enlevé sans règle."
    en = "What is kept must be said: nothing is removed without a rule."
    todo_fr = "Ajoutez --keep-last, --keep-daily, --keep-weekly ou --keep-monthly, ou « keep = … » dans [backup]."
    todo_en = "Add --keep-last, --keep-daily, --keep-weekly or --keep-monthly, or `keep = …` in [backup]."


class Unreadable(BackupError):
    """A listed backup that cannot be read."""

    code = "backup.unreadable"
    kind = "unverified"
    fr = "Rien n'a été enlevé : la sauvegarde {id} de {target} ne se lit pas ({code}), ce qu'il lui faut n'est pas connu."
    en = "Nothing was removed: backup {id} of {target} cannot be read ({code}), what it needs is not known."
    todo_fr = (
        "Cherchez pourquoi (« sovereign backup verify --backup {id} ») ; une sauvegarde neuve remet des objets qui manquent. "
        "--drop-unreadable l'abandonne."
    )
    todo_en = (
        "Find out why (`sovereign backup verify --backup {id}`); a new backup puts missing objects back. "
        "--drop-unreadable gives it up."
    )


class ForeignBackup(BackupError):
    """A listed backup of another site."""

    code = "backup.foreign"
    kind = "denied"
    fr = "Rien n'a été enlevé : la sauvegarde {id} de {target} se dit d'un autre site."
    en = "Nothing was removed: backup {id} of {target} says it is of another site."
    todo_fr = "Donnez à chaque site sa destination, ou son préfixe : leurs objets ne se distinguent pas."
    todo_en = "Give each site a target, or a prefix, of its own: their objects cannot be told apart."


class NoneSound(BackupError):
    """No sound backup."""

    code = "backup.none_sound"
    kind = "unverified"
    fr = "Rien n'a été enlevé : {target} n'a aucune sauvegarde entière."
    en = "Nothing was removed: {target} holds no sound backup."
    todo_fr = "Faites-en une d'abord : « sovereign backup create »."
    todo_en = "Make one first: `sovereign backup create`."
