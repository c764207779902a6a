"""What `doctor` says of a way out: what guards it, and what its guards cannot see."""

from collections.abc import Iterable

from sovereign.egress.counters import Remark
from sovereign.egress.origin import declared
from sovereign.egress.policy import EgressPolicy


def remarks(policy: EgressPolicy, origins: Iterable[str]) -> tuple[Remark, ...]:
    """Describe the way out of a connection. origins: what it may reach, as text."""
    reached = ", ".join(origins)
    said = [Remark("egress.origins", f"Origines permises : {reached}.", f"Allowed origins: {reached}.")]
    if policy.proxy is not None:
        proxy = declared(policy.proxy)
        fr = f"Passe par le mandataire {proxy} : la garde ne voit pas l'adresse qui est derrière un mandataire"
        en = f"Goes through the proxy {proxy}: the dial guard cannot see the address behind a proxy"
        fr, en = (
            f"{fr} ; lui seul, et les noms de la liste, sont permis.",
            f"{en}; it alone, and the listed names, are allowed.",
        )
        said.append(Remark("egress.proxy", fr, en))
    if policy.private:
        said.append(
            Remark(
                "egress.private",
                "Peut joindre des adresses privées (RFC 1918, ULA).",
                "May reach private addresses (RFC 1918, ULA).",
            )
        )
    if policy.loopback:
        said.append(Remark("egress.loopback", "Peut joindre cette machine.", "May reach this machine."))
    if policy.plaintext:
        said.append(
            Remark("egress.plaintext", "Le trafic en clair (http:) est permis.", "Traffic in clear (http:) is allowed.")
        )
    if policy.ca_bundle is not None:
        said.append(
            Remark("egress.ca", "Ne croit que l'autorité de « ca_bundle ».", "Trusts the authority of `ca_bundle` alone.")
        )
    if policy.client_certificate is not None:
        said.append(Remark("egress.client", "Présente un certificat client.", "Shows a client certificate."))
    return tuple(said)
