"""What a command's exit code says: never 0 unless everything asked was done."""

from typing import Final

from vault.errors import Kind

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
PARTIAL: Final = 3
UNVERIFIED: Final = 20
CANCELLED: Final = 130

OF_KIND: Final[dict[Kind, int]] = {
    "failed": FAILED,
    "usage": USAGE,
    "partial": PARTIAL,
    "unauthenticated": 4,
    "denied": 5,
    "held": 6,
    "no_site": 10,
    "locked": 11,
    "sealed": 12,
    "unverified": UNVERIFIED,
}

OF_RUN: Final[dict[str, int]] = {
    "running": PARTIAL,
    "succeeded": DONE,
    "partial": PARTIAL,
    "quarantined": PARTIAL,
    "waiting": PARTIAL,
    "interrupted": PARTIAL,
    "cancelled": CANCELLED,
    "failed": FAILED,
}

MEANINGS: Final[dict[int, tuple[str, str]]] = {
    0: ("fait, en entier", "done, all of it"),
    1: ("échec", "failed"),
    2: ("commande, option ou réglage incorrect", "wrong command, option or setting"),
    3: (
        "fait en partie : une tâche reste à reprendre, une copie est en quarantaine, ou le fournisseur fait attendre",
        "partly done: something is left to take up again, a copy is in quarantine, or the vendor makes us wait",
    ),
    4: ("non connecté", "not signed in"),
    5: ("refusé par une règle", "denied by policy"),
    6: ("en attente d'une approbation", "waiting for an approval"),
    10: ("pas de site ici", "no site here"),
    11: ("déjà utilisé par un autre processus", "locked: another process is using it"),
    12: ("clé fausse, ou scellé : la clé n'est pas à portée", "wrong key, or sealed: the key is out of reach"),
    20: ("la vérification a échoué", "verification failed"),
    130: ("interrompu (Ctrl-C) ; l'arrêt était propre", "cancelled (Ctrl-C); the stop was clean"),
}
