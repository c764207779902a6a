"""Labels of the closed lists that a report shows: states of a delivery, how someone is named, what is due. Pure."""

from typing import Final

from sovereign.audit import ACTS
from sovereign.reports.model import Code, Words

STATES: Final[dict[str, Words]] = {
    "received": Words("reçue", "received"),
    "denied": Words("refusée par la politique", "denied by policy"),
    "held": Words("retenue pour approbation", "held for approval"),
    "approved": Words("approuvée", "approved"),
    "refused": Words("refusée par un approbateur", "refused by an approver"),
    "expired": Words("échue", "expired"),
    "cancelled": Words("retirée", "cancelled"),
    "queued": Words("en file", "queued"),
    "in_flight": Words("en cours d'envoi", "in flight"),
    "delivered": Words("acceptée par le fournisseur", "accepted by the vendor"),
    "confirmed": Words("relue chez le fournisseur", "read back at the vendor"),
    "rejected": Words("rejetée par le fournisseur", "rejected by the vendor"),
    "to_retry": Words("à réessayer", "to retry"),
    "unknown": Words("issue inconnue", "outcome unknown"),
    "probing": Words("issue inconnue, sonde en cours", "outcome unknown, being probed"),
    "landed": Words("a bien eu lieu", "did happen"),
    "did_not_happen": Words("n'a pas eu lieu", "did not happen"),
    "inconclusive": Words("sans conclusion : à trancher", "inconclusive: to be settled"),
    "failed": Words("abandonnée", "failed"),
}
CLASSES: Final[dict[str, Words]] = {
    "internal": Words("interne", "internal"),
    "personal": Words("personnel", "personal"),
    "sensitive": Words("sensible", "sensitive"),
}
EFFECTS: Final[dict[str, Words]] = {
    "allow": Words("permis", "allowed"),
    "hold": Words("retenu", "held"),
    "deny": Words("refusé", "denied"),
}
DUE: Final[dict[str, Words]] = {
    "approval": Words("approbation attendue", "approval awaited"),
    "opening": Words("ouverture de flux demandée", "flow asked to be opened"),
    "delivery": Words("remise à trancher", "delivery to be settled"),
    "grant": Words("droit qui prend fin", "right that ends"),
    "client": Words("application dont l'accès prend fin", "application whose access ends"),
    "policy": Words("politique à revoir", "policy to be reviewed"),
    "vendor": Words("fournisseur en panne ou coupé", "vendor down or cut off"),
    "quarantine": Words("copie en quarantaine", "snapshot in quarantine"),
}


RUNS: Final[dict[str, Words]] = {
    "running": Words("en cours", "running"),
    "succeeded": Words("réussie", "succeeded"),
    "partial": Words("partielle", "partial"),
    "quarantined": Words("mise en quarantaine", "quarantined"),
    "waiting": Words("attend le fournisseur", "waiting for the vendor"),
    "cancelled": Words("arrêtée", "cancelled"),
    "failed": Words("échouée", "failed"),
    "interrupted": Words("interrompue net", "interrupted"),
}
VERDICTS: Final[dict[str, Words]] = {
    "complete": Words("complète", "complete"),
    "partial": Words("partielle", "partial"),
    "unverified": Words("non vérifiée", "unverified"),
}
DRIFTS: Final[dict[str, Words]] = {
    "added": Words("champ ajouté", "field added"),
    "widened": Words("type élargi", "type widened"),
    "text": Words("passé en texte", "turned to text"),
    "absent": Words("champ absent", "field absent"),
    "row_discarded": Words("lignes écartées", "rows discarded"),
    "value_discarded": Words("valeurs écartées", "values discarded"),
}
GUARDS: Final[dict[str, Words]] = {
    "empty": Words("plus rien chez le fournisseur", "nothing left at the vendor"),
    "fall": Words("chute du nombre d'enregistrements", "fall in the number of records"),
    "deletions": Words("trop de disparitions", "too many deletions"),
}
FINDINGS: Final[dict[str, Words]] = {
    "nir": Words("numéro de sécurité sociale (NIR)", "social security number (NIR)"),
    "iban": Words("compte bancaire (IBAN)", "bank account (IBAN)"),
    "siret": Words("établissement (SIRET)", "establishment (SIRET)"),
    "card": Words("carte de paiement", "payment card"),
    "secret": Words("secret ou clé d'accès", "secret or access key"),
    "email_volume": Words("adresses électroniques en nombre", "many e-mail addresses"),
    "phone_volume": Words("numéros de téléphone en nombre", "many phone numbers"),
}
CIRCUITS: Final[dict[str, Words]] = {
    "cut": Words("coupé par une personne", "cut off by a person"),
    "refused": Words("secret refusé : en déposer un nouveau", "secret refused: store a new one"),
    "open": Words("en panne", "down"),
    "half_open": Words("en panne, un essai est permis", "down, one try is let through"),
}


def coded(code: object, labels: dict[str, Words]) -> Code:
    """A code with its label; one that is not known is its own label."""
    text = str(code)
    return Code(text, labels.get(text, Words(text, text)))


def act(name: str) -> Code:
    """An act with the words of the audit log."""
    known = ACTS.get(name)
    return Code(name, Words(name, name) if known is None else Words(known.fr, known.en))
