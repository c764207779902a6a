"""The policies of a site, put together: the set in force, whose signatures count, the questions that were kept.

The process that decides opens `policies`, which puts sets in force. The command line reads the files and the record beside it,
and puts nothing in force by looking.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select

from sovereign.gateway.policy import CedarPolicy, Files, Policies, read_folder, signing
from sovereign.gateway.policy.errors import BadSigner
from sovereign.gateway.policy.force import PROPOSED
from sovereign.gateway.policy.opening import write_starting
from sovereign.gateway.policy.replay import Replayed, replay
from sovereign.gateway.policy.shadow import Difference, told
from sovereign.gateway.questions import Questions
from sovereign.state.outbound import approvers, policy_sets
from vault import files as disk
from vault.errors import Finding
from vault.notes import Signer, Verifier

if TYPE_CHECKING:
    from sovereign.site import Site

SOON: Final = timedelta(days=30)
"""How long before its day a policy is told to be due."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The set in force as the state keeps it: its digest, and whether it came in force signed."""

    digest: str
    signed: bool


def folder(site: "Site") -> Path:
    """Where the policies are."""
    return site.root / "policies"


def policies(site: "Site") -> Policies:
    """Open the Policy port of a site; whoever opens it closes it. It decides, and puts sets in force."""
    return Policies(
        folder(site),
        site.state,
        site.audit,
        site.clock,
        site=site.keys.verifier.name,
        actor=site.actor,
        signed=site.settings.gateway.signed_policies,
        signers=lambda: signers(site),
    )


def signers(site: "Site") -> tuple[Verifier, ...]:
    """The keys, enrolled and not revoked, of people who may sign policies."""
    with site.state.read() as reader:
        rows = reader.execute(select(approvers.c.person, approvers.c.vkey).where(approvers.c.revoked_at.is_(None))).all()
    return tuple(Verifier.parse(row.vkey) for row in rows if site.outbound.rights.may(row.person, "policy.sign"))


def in_force(site: "Site") -> Kept | None:
    """The set in force, as it was last put."""
    with site.state.read() as reader:
        row = reader.execute(select(policy_sets).where(policy_sets.c.state == "in_force")).first()
    return None if row is None else Kept(row.digest, bool(row.signatures))


def sign(site: "Site", signer: Signer) -> str:
    """Sign the policies that stand in the folder; gives the digest of the set. Errors: BadPolicy, BadSigner."""
    if signer.verifier not in signers(site):
        raise BadSigner(name=signer.name)
    made, now = CedarPolicy(read_folder(folder(site))), in_force(site)
    after = "" if now is None else now.digest
    signing.sign(folder(site), made.files, site.keys.verifier.name, after, signer)
    facts = {"after": after or None, "key": signer.verifier.key_id.hex()}
    site.audit.append("policy.signed", {"set": made.digest}, facts, {"signer": signer.name})
    return made.digest


def propose(site: "Site", source: Path) -> str:
    """Have a set tried beside the one in force; gives its digest. Errors: NoPolicies, BadPolicy."""
    made = CedarPolicy(read_folder(source))
    place = folder(site) / PROPOSED
    _clear(place)
    for name, text in made.files.texts.items():
        disk.write(place / name, text.encode())
    site.audit.append("policy.proposed", {"set": made.digest}, {"policies": len(made.rules)})
    return made.digest


def withdraw(site: "Site") -> None:
    """End the trial of a proposed set."""
    place = folder(site) / PROPOSED
    if _clear(place):
        site.audit.append("policy.withdrawn", {}, {})


def proposed(site: "Site") -> tuple[Files, tuple[Difference, ...]]:
    """The set that is tried, and what it would have decided otherwise so far. Errors: NoPolicies when none is."""
    tried = read_folder(folder(site) / PROPOSED)
    return tried, told(site.audit, tried.digest)


def replayed(site: "Site", source: Path, days: int) -> Replayed:
    """Put the questions of the last days to a set of files. Errors: NoPolicies, BadPolicy."""
    made = CedarPolicy(read_folder(source))
    found = replay(site.state, Questions(site.keys), made, site.clock() - timedelta(days=days))
    facts = {"days": days, "asked": found.asked, "changed": sum(each.count for each, _ in found.changes)}
    site.audit.append("policy.replayed", {"set": made.digest}, facts)
    return found


def findings(site: "Site") -> Iterator[Finding]:
    """What is wrong with the policies, or soon will be. Errors: NoPolicies, BadPolicy."""
    made = CedarPolicy(read_folder(folder(site)))
    present = site.clock().astimezone(ZoneInfo(site.settings.site.zone))
    for rule in made.rules:
        if rule.expired(present + SOON):
            fr, en = f"à revoir avant le {rule.expires} ({rule.owner})", f"to be reviewed before {rule.expires} ({rule.owner})"
            yield Finding("warning", "policy.due", rule.id, fr, en)


def start(site: "Site") -> tuple[str, ...]:
    """Put the starting files that are missing back; gives their names."""
    return write_starting(folder(site), site.clock().astimezone(ZoneInfo(site.settings.site.zone)).date())


def _clear(place: Path) -> bool:
    held = list(place.glob("*.cedar")) if place.is_dir() else []
    for path in held:
        disk.remove(path)
    return bool(held)
