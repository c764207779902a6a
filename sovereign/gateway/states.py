"""The states of a delivery and every edge between them, each with the reason it exists. Pure: a table and its reading.

1. Nothing leaves before `in_flight` is durable. Found in flight by anyone who did not put it there, a delivery is `unknown`: it
   is never sent on that ground.
2. Only what provably did not reach the vendor, or what may be sent twice, is tried again.
3. `approved`: people want it to leave, and policy decides once more before it takes its turn, whoever wanted it.
4. `unknown` ends by evidence (a probe) or by a person who decides with what is known in front of them; never by itself.

docs/gateway.md shows this table and is checked against it.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

State = Literal[
    "received", "denied", "held", "approved", "refused", "expired", "cancelled", "queued", "in_flight", "delivered",
    "confirmed", "rejected", "to_retry", "unknown", "probing", "landed", "did_not_happen", "inconclusive", "failed",
]  # fmt: skip
STATES: Final[tuple[str, ...]] = get_args(State)


@dataclass(frozen=True, slots=True)
class Edge:
    """A step that a delivery may take, and when it does."""

    was: State
    becomes: State
    fr: str
    en: str


EDGES: Final = (
    Edge("received", "denied", "la politique refuse", "policy denies"),
    Edge("received", "held", "la politique veut une approbation", "policy wants an approval"),
    Edge("received", "queued", "la politique permet", "policy allows"),
    Edge("held", "approved", "le quorum a signé", "the quorum has signed"),
    Edge("held", "refused", "un approbateur a refusé", "an approver has refused"),
    Edge("held", "expired", "personne n'a tranché à temps", "nobody decided in time"),
    Edge("held", "cancelled", "le demandeur a retiré sa demande", "whoever asked took it back"),
    Edge("approved", "queued", "elle prend son tour", "it takes its turn"),
    Edge("approved", "denied", "jugée à nouveau, elle ne tient plus", "decided again, it no longer stands"),
    Edge("queued", "in_flight", "son tour est venu, le fournisseur est ouvert", "its turn has come, the vendor is open"),
    Edge("queued", "expired", "elle n'a plus de sens à cet instant", "the instant until which it made sense is past"),
    Edge("queued", "failed", "ce qui en est gardé ne peut plus partir", "what is kept of it can no longer leave"),
    Edge("queued", "unknown", "close, mais un essai a pu arriver", "closed, yet an attempt may have arrived"),
    Edge("queued", "cancelled", "un opérateur ou le demandeur l'a retirée", "an operator or whoever asked took it back"),
    Edge("in_flight", "delivered", "le fournisseur a accepté", "the vendor accepted"),
    Edge("in_flight", "rejected", "le fournisseur a refusé pour de bon", "the vendor refused for good"),
    Edge("in_flight", "to_retry", "rien n'est parti, attente, ou deux fois font une", "nothing left, a wait, or twice is once"),
    Edge("in_flight", "unknown", "la requête est partie, la réponse manque", "the request left, the answer is missing"),
    Edge("to_retry", "queued", "l'instant du nouvel essai est venu", "the instant to try again has come"),
    Edge("to_retry", "failed", "réessayer ne servirait à rien", "trying again would be no use"),
    Edge("to_retry", "expired", "trop tard pour réessayer", "too late to try again"),
    Edge("to_retry", "unknown", "close, mais un essai a pu arriver", "closed, yet an attempt may have arrived"),
    Edge("to_retry", "cancelled", "un opérateur ou le demandeur l'a retirée", "an operator or whoever asked took it back"),
    Edge("delivered", "confirmed", "relue chez le fournisseur, elle y est", "read back at the vendor, it is there"),
    Edge("delivered", "unknown", "relue chez le fournisseur, elle n'y est pas", "read back at the vendor, it is not there"),
    Edge("unknown", "probing", "une sonde regarde chez le fournisseur", "a probe looks at the vendor"),
    Edge("unknown", "queued", "l'envoyer deux fois est l'envoyer une fois", "sending it twice is sending it once"),
    Edge("unknown", "inconclusive", "rien ne permet de regarder", "there is no way to look"),
    Edge("probing", "landed", "elle a eu lieu", "it happened"),
    Edge("probing", "did_not_happen", "elle n'a pas eu lieu", "it did not happen"),
    Edge("probing", "inconclusive", "la sonde ne conclut pas", "the probe cannot tell"),
    Edge("probing", "unknown", "la sonde n'a pas pu regarder, elle reviendra", "the probe could not look, it will come back"),
    Edge("did_not_happen", "queued", "elle peut partir à nouveau", "it may leave again"),
    Edge("did_not_happen", "approved", "un opérateur la renvoie", "an operator sends it again"),
    Edge("did_not_happen", "failed", "un opérateur la clôt", "an operator closes it"),
    Edge("inconclusive", "landed", "un opérateur sait qu'elle a eu lieu", "an operator knows that it happened"),
    Edge("inconclusive", "did_not_happen", "un opérateur sait qu'elle n'a pas eu lieu", "an operator knows that it did not"),
    Edge("inconclusive", "probing", "un opérateur demande de regarder encore", "an operator asks to look again"),
    Edge("rejected", "approved", "un opérateur la renvoie", "an operator sends it again"),
    Edge("failed", "approved", "un opérateur la renvoie", "an operator sends it again"),
)  # fmt: skip

_ALLOWED: Final[dict[tuple[str, str], Edge]] = {(edge.was, edge.becomes): edge for edge in EDGES}
FINAL: Final[frozenset[str]] = frozenset(
    {"denied", "refused", "expired", "cancelled", "confirmed", "landed", "rejected", "failed"}
)
"""Nothing more happens by itself."""
BLOCKING: Final[frozenset[str]] = frozenset(
    {"approved", "queued", "in_flight", "to_retry", "unknown", "probing", "inconclusive", "did_not_happen"}
)
"""While the first of a lane is in one of these, the next of that lane waits: its outcome decides what the entity is."""


def edge(was: str, becomes: str) -> Edge | None:
    """The edge between two states, None when there is none."""
    return _ALLOWED.get((was, becomes))


def after(state: str) -> tuple[str, ...]:
    """Where a state may lead."""
    return tuple(edge.becomes for edge in EDGES if edge.was == state)
