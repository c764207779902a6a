"""What `doctor` says of the witnesses of the audit log: how each stands, and how much waits to be seen. It asks none."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sovereign.audit.errors import HOW
from vault.errors import Finding

if TYPE_CHECKING:
    from sovereign.audit.standing import Standing
    from sovereign.parts import Parts

LATE: Final = 60.0
"""Seconds for which an entry may wait for its witnesses without a word."""


def findings(site: "Parts") -> Iterator[Finding]:
    """Tell each witness, and what they have not seen; errors: Damaged, BadSettings when the way to one cannot be opened."""
    witnesses = site.witnesses
    for each in witnesses.standings():
        yield _of(each, site.settings.audit.witnesses[each.name].url)
    window = witnesses.window()
    left, minutes = window.entries - window.witnessed, int(window.seconds // 60)
    if witnesses.wanted and left and window.seconds > LATE:
        yield Finding(
            "warning", "doctor.unwitnessed", "audit",
            f"{left} entrées sans témoins depuis {minutes} min : « sovereign serve » tourne-t-il ? Sinon, « audit verify »",
            f"{left} entries without their witnesses for {minutes} min: is `sovereign serve` running? Else, `audit verify`",
        )  # fmt: skip
    for name, remarks in witnesses.check().items():
        said = " ".join(each.fr for each in remarks), " ".join(each.en for each in remarks)
        yield Finding("info", "doctor.witness_way", name, *said)


def _of(each: "Standing", url: str) -> Finding:
    fr_at, en_at = (f"{url} : a vu {each.size} entrées", f"{url}: saw {each.size} entries")
    since = "" if each.since is None else f"{each.since:%Y-%m-%d %H:%M} UTC"
    code = f"doctor.witness_{each.state}"
    match each.state:
        case "cosigning":
            fr, en = f"{fr_at}, cosigne depuis le {since}", f"{en_at}, cosigning since {since}"
            return Finding("info", code, each.name, fr, en)
        case "asked":
            fr, en = f"{url} : n'a encore rien vu", f"{url}: has seen nothing yet"
            return Finding("info", code, each.name, fr, en)
        case "unreachable":
            fr = f"{fr_at}, injoignable depuis le {since} ({each.reason}) : vérifiez son adresse, le réseau, et qu'il tourne"
            en = f"{en_at}, out of reach since {since} ({each.reason}): check its address, the network, and that it runs"
            return Finding("warning", code, each.name, fr, en)
        case "declined":
            fr = f"{fr_at}, ne suit pas ce journal depuis le {since} (HTTP {each.reason}) : chez lui, « witness trust »"
            en = f"{en_at}, does not follow this log since {since} (HTTP {each.reason}): there, `witness trust`"
            return Finding("error", code, each.name, fr, en)
        case _:
            what_fr, what_en = HOW.get(each.reason.partition(" ")[0], ("", ""))
            fr = f"contredit ce journal depuis le {since} : {what_fr} ; « sovereign audit verify », et gardez tout"
            en = f"contradicts this log since {since}: {what_en}; `sovereign audit verify`, and keep everything"
            return Finding("error", code, each.name, fr, en)
