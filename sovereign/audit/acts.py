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
    "approver.enrolled": Act("clé d'approbateur inscrite", "approver's key enrolled"),
    "approver.revoked": Act("clé d'approbateur exclue", "approver's key shut out"),
    "approval.given": Act("vote d'un approbateur", "an approver's voice"),
    "job.due": Act("tâche échue", "job due"),
    "job.missed": Act("tâche manquée", "job missed"),
    "serve.started": Act("service démarré", "service started"),
    "serve.stopped": Act("service arrêté", "service stopped"),
    "egress.refused": Act("sortie refusée", "way out refused"),
    "intent.received": Act("demande d'écriture reçue", "write intent received"),
    "intent.decided": Act("demande d'écriture jugée", "write intent decided"),
    "intent.tried": Act("demande d'écriture jugée à blanc", "write intent decided as a dry run"),
    "read.passed": Act("lecture transmise au fournisseur", "read passed to the vendor"),
    "read.denied": Act("lecture refusée", "read denied"),
    "read.mirrored": Act("lecture servie par la copie locale", "read served from the local copy"),
    "delivery.denied": Act("remise refusée par la politique", "delivery denied by policy"),
    "delivery.approved": Act("remise approuvée", "delivery approved"),
    "delivery.refused": Act("remise refusée par un approbateur", "delivery refused by an approver"),
    "delivery.expired": Act("remise échue", "delivery expired"),
    "delivery.cancelled": Act("remise retirée", "delivery cancelled"),
    "delivery.queued": Act("remise en file", "delivery queued"),
    "delivery.in_flight": Act("remise en cours d'envoi", "delivery in flight"),
    "delivery.delivered": Act("remise acceptée par le fournisseur", "delivery accepted by the vendor"),
    "delivery.confirmed": Act("remise confirmée par relecture", "delivery confirmed by reading back"),
    "delivery.rejected": Act("remise rejetée par le fournisseur", "delivery rejected by the vendor"),
    "delivery.to_retry": Act("remise à réessayer", "delivery to retry"),
    "delivery.unknown": Act("issue de la remise inconnue", "outcome of the delivery unknown"),
    "delivery.probing": Act("sonde chez le fournisseur", "probe at the vendor"),
    "delivery.landed": Act("remise qui a bien eu lieu", "delivery that did happen"),
    "delivery.did_not_happen": Act("remise qui n'a pas eu lieu", "delivery that did not happen"),
    "delivery.inconclusive": Act("remise sans conclusion", "delivery without a conclusion"),
    "delivery.failed": Act("remise abandonnée", "delivery failed"),
    "circuit.opened": Act("fournisseur en panne : envois suspendus", "vendor down: sends suspended"),
    "circuit.closed": Act("fournisseur de retour", "vendor back"),
    "vendor.cut": Act("fournisseur coupé par un opérateur", "vendor cut off by an operator"),
    "vendor.restored": Act("fournisseur rouvert par un opérateur", "vendor opened again by an operator"),
    "firewall.exported": Act("règles de pare-feu remises", "firewall rules exported"),
    "audit.verified": Act("journal vérifié", "audit log verified"),
    "audit.pruned": Act("entrées anciennes élaguées", "old entries pruned"),
    "audit.exported": Act("journal remis", "audit log exported"),
    "audit.erased": Act("corps d'une entrée effacé", "body of an entry erased"),
}

HEADS = tuple(act for act, known in ACTS.items() if known.head)
"""The acts whose facts hold `manifest` (hex) and `sequence`: the head of a dataset from then on."""

SPARED = HEADS + tuple(act for act in ACTS if act.partition(".")[0] in ("keys", "recovery"))
"""The acts whose entries pruning spares: rollbacks of snapshots and of keys are seen by them."""
