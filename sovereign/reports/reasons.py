"""The reasons that steps and refusals carry as codes, in words. Pure.

A reason is exact (`retry.due`), or a prefix and what it is about (`status.503`, `probe.egress.timeout`).
"""

from typing import Final

from sovereign.reports.model import Code, Words

_EXACT: Final[dict[str, Words]] = {
    "turn": Words("c'était son tour", "its turn came"),
    "too_late": Words("le délai est passé", "its time was over"),
    "cancelled": Words("retirée par une personne", "taken back by a person"),
    "retry.due": Words("l'heure du nouvel essai", "time to try again"),
    "retry.safe": Words("rien n'avait eu lieu : nouvel essai", "nothing had happened: tried again"),
    "process.gone": Words("la passerelle s'est arrêtée pendant l'envoi", "the gateway stopped while it was sent"),
    "restored": Words(
        "le site a été restauré d'une sauvegarde : elle a pu partir depuis",
        "the site was restored from a backup: it may have left since",
    ),
    "client.gone": Words("l'application n'a plus accès", "the application has no access any more"),
    "intent.altered": Words("l'écriture en attente a été modifiée", "the waiting write was altered"),
    "read_back.confirmed": Words("relue chez le fournisseur", "read back at the vendor"),
    "read_back.differs": Words("relue autre qu'écrite", "read back other than written"),
    "read_back.absent": Words("introuvable à la relecture", "not found when read back"),
    "probe.due": Words("l'heure d'une sonde", "time for a probe"),
    "probe.landed": Words("la sonde l'a trouvée chez le fournisseur", "the probe found it at the vendor"),
    "probe.did_not_happen": Words("la sonde a établi qu'elle n'y est pas", "the probe established that it is not there"),
    "probe.inconclusive": Words("la sonde ne permet pas de conclure", "the probe could not tell"),
    "operator.landed": Words("une personne a établi qu'elle a eu lieu", "a person established that it happened"),
    "operator.did_not_happen": Words(
        "une personne a établi qu'elle n'a pas eu lieu", "a person established that it did not happen"
    ),
    "operator.probe": Words("une personne a demandé une sonde", "a person asked for a probe"),
    "operator.close": Words("une personne l'a abandonnée", "a person gave it up"),
    "operator.replay": Words("une personne l'a renvoyée", "a person sent it again"),
    "policy.allow": Words("la politique la permet", "policy allows it"),
    "policy.hold": Words("la politique la retient", "policy holds it"),
    "policy.deny": Words("la politique la refuse", "policy denies it"),
    "policy.denied": Words("la politique la refuse", "policy denies it"),
    "policy.pseudonymise": Words(
        "la politique demande désormais de remplacer des valeurs", "policy now asks for values to be replaced"
    ),
    "policy.default": Words("aucune politique ne la permet", "no policy allows it"),
    "policy.none": Words("aucun jeu de politiques en vigueur", "no policy set in force"),
    "policy.error": Words("une politique n'a pas pu être évaluée", "a policy could not be evaluated"),
    "policy.expired": Words("la politique est échue", "the policy has expired"),
    "approval.approved": Words("approuvée", "approved"),
    "approval.refused": Words("refusée par un approbateur", "refused by an approver"),
    "approval.expired": Words("pas approuvée à temps", "not approved in time"),
    "approval.wanted": Words("approbation à redemander", "approval to be asked again"),
    "approval.void": Words("approbation caduque", "approval void"),
    "credential.refused": Words(
        "le fournisseur refuse le secret de la connexion", "the vendor refuses the connection's secret"
    ),
    "egress.credential_refused": Words(
        "le secret venait d'être refusé : rien n'est parti", "the secret had just been refused: nothing was sent"
    ),
    "gateway.cut": Words("le fournisseur est coupé", "the vendor is cut off"),
    "gateway.down": Words("le fournisseur ne répond plus", "the vendor does not answer"),
    "gateway.payload_gone": Words("son contenu a été effacé", "its content was erased"),
}
_ABOUT: Final[tuple[tuple[str, Words], ...]] = (
    ("status.", Words("réponse {of} du fournisseur", "the vendor answered {of}")),
    ("probe.", Words("sonde : {of}", "probe: {of}")),
    ("read_back.", Words("relecture : {of}", "read back: {of}")),
    ("egress.", Words("le réseau ou le garde de sortie ({of})", "the network, or the guard of the way out ({of})")),
    ("vendor.", Words("le fournisseur ({of})", "the vendor ({of})")),
    ("defect.", Words("défaut de la passerelle ({of})", "a defect of the gateway ({of})")),
)


def reason(code: str) -> Code:
    """A reason with its words; one that is not known is its own."""
    if code in _EXACT:
        return Code(code, _EXACT[code])
    for prefix, words in _ABOUT:
        if code.startswith(prefix) and (of := code.removeprefix(prefix)):
            inner = reason(of).label if prefix in ("probe.", "read_back.") else Words(of, of)
            return Code(code, Words(words.fr.format(of=inner.fr), words.en.format(of=inner.en)))
    return Code(code, Words(code, code))
