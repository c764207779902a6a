"""What is wrong with a policy set.

GatewayError
└── PolicyError
    ├── BadPolicy       a policy that cannot be read, or breaks our rules
    ├── NoPolicies      a folder without policies
    ├── UnsignedSet     a set that no accepted signer signed, where one is asked
    ├── BadSigner       a key that may not sign policies
    └── UnknownQuestion no decision of that intent is kept
"""

from sovereign.gateway.errors import GatewayError


class PolicyError(GatewayError):
    """A fault of a policy set."""

    code = "policy"


class BadPolicy(PolicyError):
    """A policy that cannot be read, or breaks our rules."""

    code = "policy.bad"
    kind = "usage"
    fr = "{file}, ligne {line} : {why_fr}."
    en = "{file}, line {line}: {why_en}."
    todo_fr = "Corrigez, puis « sovereign policy check ». L'ensemble précédent reste en vigueur."
    todo_en = "Correct it, then `sovereign policy check`. The former set stays in force."


class NoPolicies(PolicyError):
    """A folder without policies."""

    code = "policy.no_files"
    kind = "usage"
    fr = "{folder} ne contient aucun fichier .cedar."
    en = "{folder} holds no .cedar file."
    todo_fr = "« sovereign policy defaults » y remet l'ensemble de départ ; sans politique, tout est refusé."
    todo_en = "`sovereign policy defaults` puts the starting set back; without a policy, everything is denied."


class UnsignedSet(PolicyError):
    """A set that no accepted signer signed."""

    code = "policy.unsigned"
    kind = "unverified"
    fr = "L'ensemble de politiques {digest} n'est pas signé : {why_fr}."
    en = "Policy set {digest} is not signed: {why_en}."
    todo_fr = "Qui en a le droit le relit, puis « sovereign policy sign ». L'ensemble précédent reste en vigueur."
    todo_en = "Whoever may reviews it, then `sovereign policy sign`. The former set stays in force."


class UnknownQuestion(PolicyError):
    """No decision of that intent is kept."""

    code = "policy.question"
    kind = "usage"
    fr = "Aucune décision n'est gardée pour {intent}."
    en = "No decision is kept for {intent}."
    todo_fr = (
        "« sovereign delivery list » donne les demandes connues ; ou posez la question par --client, --connection, --operation."
    )
    todo_en = "`sovereign delivery list` gives the intents on record; or ask by --client, --connection, --operation."


class BadSigner(PolicyError):
    """A key that may not sign policies."""

    code = "policy.signer"
    kind = "denied"
    fr = "La clé de {name} ne peut pas signer de politiques."
    en = "The key of {name} may not sign policies."
    todo_fr = "Il faut une clé inscrite (approval enrol) d'une personne qui a le rôle rssi (access grant)."
    todo_en = "It takes an enrolled key (approval enrol) of someone who has the role rssi (access grant)."
