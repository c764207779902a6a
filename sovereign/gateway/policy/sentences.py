"""What the evaluator itself says, when no policy has a sentence for it. Ids begin with `policy.`; no policy may take them."""

from dataclasses import dataclass
from typing import Final

from sovereign.gateway.decision import Decision, Question


@dataclass(frozen=True, slots=True)
class Said:
    """A rule of the evaluator: its id and its sentence in both languages."""

    id: str
    fr: str
    en: str


DEFAULT: Final = Said(
    "policy.default",
    "Aucune politique n'ouvre ce flux ({client} vers {connection}, {operation}) : ce qui n'est pas permis est refusé.",
    "No policy opens this flow ({client} to {connection}, {operation}): what is not permitted is denied.",
)
EXPIRED: Final = Said(
    "policy.expired",
    "La politique qui ouvrait ce flux ({client} vers {connection}, {operation}) est échue.",
    "The policy that opened this flow ({client} to {connection}, {operation}) has expired.",
)
ERROR: Final = Said(
    "policy.error",
    "La politique n'a pas pu être évaluée jusqu'au bout : dans le doute, c'est refusé.",
    "The policy could not be evaluated to the end: in doubt, it is denied.",
)
NONE: Final = Said(
    "policy.none",
    "Aucun ensemble de politiques n'est en vigueur : tout est refusé.",
    "No policy set is in force: everything is denied.",
)
ALL: Final = (DEFAULT, EXPIRED, ERROR, NONE)


def denied(
    said: Said, question: Question, digest: str, *, beside: tuple[str, ...] = (), errors: tuple[str, ...] = ()
) -> Decision:
    """The denial that a rule of the evaluator makes. beside: ids of the policies it is about."""
    facts = {"client": question.client, "connection": question.connection, "operation": question.operation}
    return Decision(
        "deny", (said.id, *beside), said.fr.format(**facts), said.en.format(**facts), digest,
        findings=question.findings, errors=errors,
    )  # fmt: skip


class DenyAll:
    """The policy when no set is in force."""

    digest = ""

    def decide(self, question: Question) -> Decision:
        """Deny."""
        return denied(NONE, question, self.digest)
