"""The acts that the book knows, each with the words a person reads. An act that is not here is not entered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """An act: `noun.verb`, its label in French and in English, and whether it sets the head of a dataset."""

    fr: str
    en: str
    head: bool = False


ACTS: dict[str, Act] = {
    "site.created": Act("site créé", "site created"),
    "site.checked": Act("site examiné (doctor)", "site examined (doctor)"),
    "settings.changed": Act("réglages modifiés", "settings changed"),
    "connection.added": Act("connexion ajoutée", "connection added"),
    "connection.removed": Act("connexion retirée", "connection removed"),
    "connection.checked": Act("connexion vérifiée", "connection checked"),
    "connection.discovered": Act("flux découverts", "streams discovered"),
    "secret.stored": Act("secret déposé", "secret stored"),
    "secret.removed": Act("secret retiré", "secret removed"),
    "sync.started": Act("synchronisation commencée", "sync started"),
    "sync.resumed": Act("synchronisation reprise", "sync resumed"),
    "sync.committed": Act("copie publiée", "snapshot committed", head=True),
    "sync.unchanged": Act("rien de nouveau", "nothing new"),
    "sync.quarantined": Act("copie mise en quarantaine", "snapshot quarantined"),
    "sync.waiting": Act("en attente du fournisseur", "waiting for the vendor"),
    "sync.cancelled": Act("synchronisation arrêtée", "sync cancelled"),
    "sync.failed": Act("synchronisation en échec", "sync failed"),
    "sync.interrupted": Act("synchronisation interrompue", "sync interrupted"),
    "sync.finished": Act("synchronisation terminée", "sync finished"),
    "sync.replayed": Act("copie rejouée depuis l'archive", "snapshot replayed from the archive"),
    "sync.discarded": Act("brouillon abandonné", "draft discarded"),
    "snapshot.recovered": Act("copie retrouvée après un arrêt brutal", "snapshot recovered after a crash", head=True),
    "snapshot.missed": Act("dernière copie introuvable", "last snapshot missing"),
    "snapshot.swept": Act("restes de copies enlevés", "leftovers of snapshots removed"),
    "snapshot.amended": Act("copie amendée", "snapshot amended", head=True),
    "snapshot.verified": Act("copies vérifiées", "snapshots verified"),
    "snapshot.compared": Act("copies comparées", "snapshots compared"),
    "snapshot.exported": Act("copie exportée", "snapshot exported"),
    "quarantine.released": Act("garde-fous levés pour une exécution", "guards lifted for one run"),
    "quarantine.discarded": Act("quarantaine abandonnée", "quarantine discarded"),
    "raw.expired": Act("archive brute échue", "raw archive expired"),
    "query.ran": Act("question posée", "query ran"),
    "query.refused": Act("question refusée", "query refused"),
    "keys.created": Act("clés créées", "keys created"),
    "keys.rotated": Act("clés renouvelées", "keys rotated"),
    "keys.retired": Act("clés retirées", "keys retired"),
    "keys.condemned": Act("destruction de clés décidée", "destruction of keys decided"),
    "keys.destroyed": Act("clés détruites", "keys destroyed"),
    "keys.checked": Act("clés vérifiées", "keys checked"),
    "passphrase.changed": Act("phrase secrète changée", "passphrase changed"),
    "recovery.exported": Act("kit de secours remis", "recovery kit exported"),
    "recovery.restored": Act("clés restaurées du kit de secours", "keys restored from the recovery kit"),
    "access.person_put": Act("personne inscrite ou changée de groupes", "person added or given other groups"),
    "access.person_removed": Act("personne partie", "person gone"),
    "access.granted": Act("droit donné", "right granted"),
    "access.revoked": Act("droit retiré", "right taken back"),
    "client.added": Act("application inscrite", "application added"),
    "client.rotated": Act("jeton d'application renouvelé", "application's token renewed"),
    "client.bound": Act("certificat rattaché à une application", "certificate bound to an application"),
    "client.revoked": Act("application ou justificatif exclus", "application or credential shut out"),
    "job.due": Act("tâche échue", "job due"),
    "job.missed": Act("tâche manquée", "job missed"),
    "serve.started": Act("service démarré", "service started"),
    "serve.stopped": Act("service arrêté", "service stopped"),
    "egress.refused": Act("sortie refusée", "way out refused"),
    "audit.verified": Act("journal vérifié", "audit log verified"),
    "audit.pruned": Act("entrées anciennes élaguées", "old entries pruned"),
    "audit.exported": Act("journal remis", "audit log exported"),
    "audit.erased": Act("corps d'une entrée effacé", "body of an entry erased"),
}

HEADS = tuple(act for act, known in ACTS.items() if known.head)
"""The acts whose facts hold `manifest` (hex) and `sequence`: the head of a dataset from then on."""

SPARED = HEADS + tuple(act for act in ACTS if act.partition(".")[0] in ("keys", "recovery"))
"""The acts whose entries pruning spares: rollbacks of snapshots and of keys are seen by them."""
