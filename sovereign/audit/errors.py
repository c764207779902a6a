"""Faults of the audit log.

AuditError
├── BadEntry     what was to be entered is not an entry: unknown act, value that JSON cannot carry, too long
├── Damaged      an entry, a body, a tile, a checkpoint or their order is not what was written
├── BadProof     a proof does not prove what it is held against
├── Forked       a checkpoint was signed over another past than the one that is here: nothing more is signed
├── NotEntered   there is no entry of that number, or it was pruned
├── NotDue       nothing is old enough to be pruned
├── Awaited      what is old enough to be pruned was not confirmed by the receiver of events
├── NotStamped   a time-stamping authority did not answer with a token, or it could not be kept
├── BadStamp     a token kept beside the log proves nothing of it, or is gone
├── Unpublished  what was entered is safe in state.db, but the folder `audit/` could not be written
├── Unwitnessed  no witness asked for cosigned what is here
└── WitnessError
    ├── Unreachable   a witness does not answer, or not as a witness does
    ├── Declined      a witness refuses to look at this log: it does not know it, or not its key
    └── Contradicted  a witness saw another past of this log, or more of it, than what is here
"""

from sovereign.errors import SovereignError


class AuditError(SovereignError):
    """A fault of the audit log."""

    code = "audit"


class BadEntry(AuditError):
    """What was to be entered is not an entry."""

    code = "audit.bad_entry"
    fr = "Entrée d'audit refusée ({act}) : {why_fr}."
    en = "Audit entry refused ({act}): {why_en}."
    todo_fr = "C'est un défaut de Sovereign : signalez-le."
    todo_en = "This is a defect of Sovereign: report it."


class Damaged(AuditError):
    """Something of the log is not what was written. `seq`: the entry, or the tree's size, where it is seen first."""

    code = "audit.damaged"
    kind = "unverified"
    fr = "Le journal d'audit est altéré à l'entrée {seq} ({what})."
    en = "The audit log is altered at entry {seq} ({what})."
    todo_fr = "Comparez avec une sauvegarde de state.db ou du dossier audit, et cherchez qui y a écrit."
    todo_en = "Compare with a backup of state.db or of the audit folder, and find out who wrote to it."


class BadProof(AuditError):
    """A proof does not prove what it is held against."""

    code = "audit.bad_proof"
    kind = "unverified"
    fr = "Cette preuve ne prouve pas ce qu'elle prétend ({what})."
    en = "This proof does not prove what it claims ({what})."
    todo_fr = "Ne vous y fiez pas ; demandez-en une autre au site, et comparez les clés."
    todo_en = "Do not rely on it; ask the site for another one, and compare the keys."


class Forked(AuditError):
    """A checkpoint was signed over another past than the one that is here."""

    code = "audit.forked"
    kind = "unverified"
    fr = "Le journal d'audit n'a plus le passé qui fut signé à {size} entrées : rien de plus n'est signé."
    en = "The audit log no longer has the past that was signed at {size} entries: nothing more is signed."
    todo_fr = (
        "Remettez le state.db le plus récent ; s'il est perdu, mettez le dossier audit à l'abri, hors du site, et cherchez."
    )
    todo_en = "Restore the newest state.db; if it is lost, put the audit folder in safety, out of the site, and investigate."


class NotEntered(AuditError):
    """There is no entry of that number, or it was pruned."""

    code = "audit.not_entered"
    kind = "usage"
    fr = "Le journal n'a pas d'entrée {seq} : il va de {first} à {last}."
    en = "The log has no entry {seq}: it goes from {first} to {last}."
    todo_fr = "« sovereign audit show » les montre."
    todo_en = "`sovereign audit show` shows them."


class NotDue(AuditError):
    """Nothing is old enough to be pruned."""

    code = "audit.not_due"
    kind = "usage"
    fr = "Aucun lot entier de 256 entrées n'est antérieur au {before}."
    en = "No whole bundle of 256 entries is older than {before}."
    todo_fr = "Rien n'a été changé."
    todo_en = "Nothing was changed."


class Unpublished(AuditError):
    """What was entered is safe in state.db, but the folder `audit/` could not be written."""

    code = "audit.unpublished"
    kind = "partial"
    fr = "Le dossier audit n'a pas pu être mis à jour ({reason}) ; le journal lui-même est intact dans state.db."
    en = "The audit folder could not be brought up to date ({reason}); the log itself is intact in state.db."
    todo_fr = "Faites de la place ou rendez le dossier inscriptible : la commande suivante le mettra à jour."
    todo_en = "Make room or make the folder writable: the next command brings it up to date."


class NotStamped(AuditError):
    """A time-stamping authority did not answer with a token, or it could not be kept. Field `reason`: a status or a cause."""

    code = "audit.not_stamped"
    fr = "Le journal n'a pas été horodaté ({reason})."
    en = "The audit log was not stamped ({reason})."
    todo_fr = "Rien n'a été gardé ; vérifiez [audit.timestamps], puis « sovereign audit stamp »."
    todo_en = "Nothing was kept; check [audit.timestamps], then `sovereign audit stamp`."


class BadStamp(AuditError):
    """A token kept beside the log proves nothing of it, or is gone. Field `size`: how many entries it was to cover."""

    code = "audit.bad_stamp"
    kind = "unverified"
    fr = "Le jeton d'horodatage des {size} premières entrées ne vaut rien : {why_fr}."
    en = "The time-stamp token over the first {size} entries is worth nothing: {why_en}."
    todo_fr = "Comparez avec une sauvegarde du dossier audit/timestamps, et donnez les certificats de l'autorité d'alors."
    todo_en = "Compare with a backup of the folder audit/timestamps, and give the certificates of the authority of that day."


class Unwitnessed(AuditError):
    """No witness asked for cosigned what is here. Fields: `witness`, names; `wanted`, how many of them."""

    code = "audit.unwitnessed"
    kind = "unverified"
    fr = "Il manque la cosignature de {wanted} témoin(s) parmi : {witness}."
    en = "The cosignature of {wanted} witness(es) is missing, among: {witness}."
    todo_fr = "Ne vous y fiez pas : demandez au témoin ce qu'il a vu, et au site une copie plus récente."
    todo_en = "Do not rely on it: ask the witness what it saw, and the site for a newer copy."


class WitnessError(AuditError):
    """What came of asking a witness. Fields: `witness`, its name in the settings."""

    code = "audit.witness"


class Unreachable(WitnessError):
    """A witness does not answer, or not as a witness does. Field `reason`: a short fixed word, or an HTTP status."""

    code = "audit.witness_unreachable"
    fr = "Le témoin {witness} ne répond pas ({reason}) : ce qui est inscrit attend sa cosignature."
    en = "Witness {witness} does not answer ({reason}): what is entered waits for its cosignature."
    todo_fr = "Vérifiez son adresse, le réseau, et que « sovereign witness serve » y tourne."
    todo_en = "Check its address, the network, and that `sovereign witness serve` runs there."


class Declined(WitnessError):
    """A witness refuses to look at this log. Field `reason`: an HTTP status."""

    code = "audit.witness_declined"
    fr = "Le témoin {witness} ne suit pas ce journal, ou pas sous cette clé (HTTP {reason})."
    en = "Witness {witness} does not follow this log, or not under this key (HTTP {reason})."
    todo_fr = "Sur sa machine : sovereign witness trust DOSSIER '{key}'"
    todo_en = "On its machine: sovereign witness trust FOLDER '{key}'"


HOW: dict[str, tuple[str, str]] = {
    "fork": ("il a vu une autre fin à cette taille", "it saw another end at this size"),
    "rewritten": ("il a vu un autre passé", "it saw another past"),
    "shorter": ("il en a vu davantage qu'il n'y en a ici", "it saw more of it than there is here"),
}
"""How a witness contradicts a log: in French, in English."""


class Contradicted(WitnessError):
    """A witness saw another past of this log, or more of it. Fields: `how`, of `HOW`; `size`, what it saw, in entries."""

    code = "audit.contradicted"
    kind = "unverified"
    fr = "Le témoin {witness} contredit ce journal ({size} entrées) : {how_fr}."
    en = "Witness {witness} contradicts this log ({size} entries): {how_en}."
    todo_fr = (
        "Le journal a été réécrit, ou un state.db plus ancien remis : arrêtez, gardez tout, comparez avec les sauvegardes et "
        "avec le dossier « refused » du témoin."
    )
    todo_en = (
        "The log was rewritten, or an older state.db put back: stop, keep everything, compare with the backups and with the "
        "witness's `refused` folder."
    )

    def __init__(self, *, witness: str, how: str, size: int) -> None:
        how_fr, how_en = HOW[how]
        super().__init__(witness=witness, how=how, size=size, how_fr=how_fr, how_en=how_en)


class Awaited(AuditError):
    """What is old enough to be pruned is still awaited by the receiver of events, or by subscribers. Field `seq`: its first."""

    code = "audit.awaited"
    kind = "partial"
    fr = "Rien n'est élagué : à partir de l'entrée {seq}, le récepteur d'[audit.export] ou les abonnés attendent encore."
    en = "Nothing is pruned: from entry {seq} on, the receiver of [audit.export] or subscribers are still waiting."
    todo_fr = "Rétablissez le récepteur, ou retirez [audit.export] s'il ne sert plus ; pour les abonnés : « sovereign serve »."
    todo_en = "Restore the receiver, or take [audit.export] out if it is not wanted; for subscribers, run `sovereign serve`."
