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
    "delivery": Words("remise à trancher", "delivery to be settled"),
    "grant": Words("droit qui prend fin", "right that ends"),
    "client": Words("application dont l'accès prend fin", "application whose access ends"),
    "policy": Words("politique à revoir", "policy to be reviewed"),
    "vendor": Words("fournisseur en panne ou coupé", "vendor down or cut off"),
    "quarantine": Words("copie en quarantaine", "snapshot in quarantine"),
}


def coded(code: object, labels: dict[str, Words]) -> Code:
    """A code with its label; one that is not known is its own label."""
    text = str(code)
    return Code(text, labels.get(text, Words(text, text)))


def act(name: str) -> Code:
    """An act with the words of the audit log."""
    known = ACTS.get(name)
    return Code(name, Words(name, name) if known is None else Words(known.fr, known.en))
