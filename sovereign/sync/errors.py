"""What can stop a run, besides what egress, connectors and snapshots say in their own words.

SovereignError
└── SyncError
    ├── UnknownConnection   sovereign.toml has no such connection
    ├── UnknownStream       the vendor offers no such stream
    ├── UnknownRun          no run of that name is on record
    ├── StillWaiting        the vendor asked for a pause that is not over
    ├── ConnectorFailed     a defect of ours in a connector: says where, never what it was reading
    ├── DiskFull            no room left: the draft keeps everything up to its last checkpoint
    ├── WriteFailed         the disk refused for another reason
    ├── ReplayGap           the raw archive does not hold an answer that the connector asks for
    ├── ReplayLacks         the document store no longer holds a document that the run pulled
    └── BadCadence          a schedule that is not understood
"""

from sovereign.errors import SovereignError


class SyncError(SovereignError):
    """A fault of a run."""

    code = "sync"


class UnknownConnection(SyncError):
    """sovereign.toml has no such connection."""

    code = "sync.connection"
    kind = "usage"
    fr = "Aucune connexion ne s'appelle « {connection} »."
    en = "No connection is called `{connection}`."
    todo_fr = "Connexions du site : {known}. « sovereign connection add » en ajoute une."
    todo_en = "Connections of this site: {known}. `sovereign connection add` adds one."


class UnknownStream(SyncError):
    """The vendor offers no such stream."""

    code = "sync.stream"
    kind = "usage"
    fr = "La connexion {connection} n'offre pas le flux « {stream} »."
    en = "Connection {connection} offers no stream `{stream}`."
    todo_fr = "Flux offerts : {known}."
    todo_en = "Streams offered: {known}."


class UnknownRun(SyncError):
    """No run of that name is on record."""

    code = "sync.run"
    kind = "usage"
    fr = "Aucune exécution ne s'appelle {run}."
    en = "No run is called {run}."
    todo_fr = "« sovereign sync list » donne les exécutions connues."
    todo_en = "`sovereign sync list` gives the runs on record."


class StillWaiting(SyncError):
    """The vendor asked for a pause that is not over. Field `until`: an instant, UTC."""

    code = "sync.still_waiting"
    kind = "partial"
    fr = "Le fournisseur de « {connection} » demande d'attendre jusqu'au {until:%d/%m/%Y à %H:%M:%S} UTC."
    en = "The vendor of `{connection}` asks to wait until {until:%Y-%m-%d %H:%M:%S} UTC."
    todo_fr = "Relancez après cet instant (« sovereign serve » le fait seul), ou passez outre avec --now."
    todo_en = "Run it again after that (`sovereign serve` does so by itself), or go ahead with --now."


class ConnectorFailed(SyncError):
    """A defect in a connector."""

    code = "sync.connector_failed"
    fr = "Le connecteur {connector} a échoué ({error}, {where}) : c'est un défaut, pas une réponse du fournisseur."
    en = "Connector {connector} failed ({error}, {where}): this is a defect, not an answer of the vendor."
    todo_fr = "Signalez ce code et cet endroit ; ils ne contiennent aucune donnée."
    todo_en = "Report this code and place; they hold no data."


class Defect(SyncError):
    """A defect of ours."""

    code = "sync.defect"
    fr = "L'exécution {run} s'est arrêtée sur un défaut de Sovereign ({error}, {where})."
    en = "Run {run} stopped on a defect of Sovereign ({error}, {where})."
    todo_fr = "Signalez ce code et cet endroit ; ils ne contiennent aucune donnée. Les copies publiées sont intactes."
    todo_en = "Report this code and place; they hold no data. Published copies are intact."


class DiskFull(SyncError):
    """No room left on the disk."""

    code = "sync.disk_full"
    fr = "Plus de place sur le disque : l'exécution {run} s'est arrêtée."
    en = "No room left on the disk: run {run} stopped."
    todo_fr = "Libérez de la place puis relancez : elle reprendra où elle en était. Les copies publiées sont intactes."
    todo_en = "Make room, then run it again: it resumes where it was. Published copies are intact."


class WriteFailed(SyncError):
    """The disk refused to write, or to read back."""

    code = "sync.write_failed"
    fr = "Le disque a refusé une opération ({error}) : l'exécution {run} s'est arrêtée."
    en = "The disk refused an operation ({error}): run {run} stopped."
    todo_fr = "Voyez « sovereign doctor » ; les copies publiées sont intactes."
    todo_en = "See `sovereign doctor`; published copies are intact."


class ReplayGap(SyncError):
    """The raw archive lacks an answer."""

    code = "sync.replay_gap"
    kind = "unverified"
    fr = "L'archive brute de {run} ne contient pas la réponse à {method} {path}."
    en = "The raw archive of {run} does not hold the answer to {method} {path}."
    todo_fr = "Cette exécution ne peut pas être rejouée avec le connecteur actuel."
    todo_en = "This run cannot be replayed with the present connector."


class ReplayLacks(SyncError):
    """The document store no longer holds a document of the run."""

    code = "sync.replay_document"
    kind = "unverified"
    fr = "Le document {document} de cette exécution n'est plus dans ce site."
    en = "Document {document} of this run is no longer on this site."
    todo_fr = "Sa durée (documents_days) est passée, ou ses clés sont détruites : cette exécution ne peut pas être rejouée."
    todo_en = "Its time (documents_days) has passed, or its keys were destroyed: this run cannot be replayed."


class NothingToReplay(SyncError):
    """The run left no raw archive."""

    code = "sync.no_archive"
    fr = "L'exécution {run} n'a plus d'archive brute."
    en = "Run {run} has no raw archive any more."
    todo_fr = "Sa durée de conservation se règle par raw_days dans sovereign.toml."
    todo_en = "How long it is kept is set by raw_days in sovereign.toml."


class BadCadence(SyncError):
    """A schedule that is not understood."""

    code = "sync.cadence"
    kind = "usage"
    fr = "« {text} » n'est pas une cadence comprise."
    en = "`{text}` is not a cadence that is understood."
    todo_fr = (
        "Exemples : toutes les 15 minutes ; toutes les 2 heures entre 08:00 et 19:00 ; "
        "chaque jour à 03:30 ; chaque lundi à 06:00 ; chaque jour ouvré à 07:00."
    )
    todo_en = (
        "Examples: every 15 minutes; every 2 hours between 08:00 and 19:00; "
        "every day at 03:30; every monday at 06:00; every weekday at 07:00."
    )


class NoCadence(SyncError):
    """The connection has no schedule."""

    code = "sync.no_cadence"
    kind = "usage"
    fr = "La connexion « {connection} » n'a pas d'horaire."
    en = "Connection `{connection}` has no schedule."
    todo_fr = "Donnez-lui « every » ou « schedule » dans sovereign.toml. Connexions qui en ont un : {known}."
    todo_en = "Give it `every` or `schedule` in sovereign.toml. Connections that have one: {known}."


class ReplayOld(SyncError):
    """A later run made the current snapshot."""

    code = "sync.replay_old"
    kind = "usage"
    fr = "L'exécution {run} est plus ancienne que l'instantané {sequence} de {stream}, fait par {newer}."
    en = "Run {run} is older than snapshot {sequence} of {stream}, which {newer} made."
    todo_fr = "La rejouer remonterait le temps ; son propre instantané se lit avec --as-of."
    todo_en = "To replay it would turn back time; its own snapshot is read with --as-of."
