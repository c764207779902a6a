"""What `sovereign audit` says of time-stamp tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

from sovereign.cli.door import Door
from sovereign.cli.marks import number
from sovereign.errors import SovereignError

if TYPE_CHECKING:
    from sovereign.audit.folder import Checked


class NoAuthority(SovereignError):
    """The settings name no time-stamping authority."""

    code = "audit.no_authority"
    kind = "usage"
    fr = "Aucune autorité d'horodatage n'est réglée."
    en = "No time-stamping authority is configured."
    todo_fr = "Ajoutez [audit.timestamps] à sovereign.toml : docs/settings.md."
    todo_en = "Add [audit.timestamps] to sovereign.toml: docs/settings.md."


def stamp(door: Door) -> None:
    """Have the log stamped now, and say when it was. Errors: NoAuthority, and those of `Stamper.stamp`."""
    from sovereign import timestamping

    stamper = timestamping.stamper(door.site())
    if stamper is None:
        raise NoAuthority
    made = stamper.stamp()
    at = f"{made.stamp.at:%Y-%m-%d %H:%M:%S}"
    door.out.done(
        "stamp",
        f"{number(made.size)} entrées horodatées : {at} UTC",
        f"{number(made.size)} entries stamped: {at} UTC",
        size=made.size, at=made.stamp.at, policy=made.stamp.policy, serial=f"{made.stamp.serial:x}",
    )  # fmt: skip


def tell(door: Door, folder: Path, found: "Checked") -> None:
    """Say the latest time that an authority answers for, or that its tokens were not looked at."""
    from sovereign.audit import stamps

    if found.stamps:
        last, count = found.stamps[-1], len(found.stamps)
        at = f"{last.stamp.at:%Y-%m-%d %H:%M:%S}"
        door.out.done(
            "stamp",
            f"{number(count)} jetons d'horodatage valables ; le dernier : {number(last.size)} entrées, {at} UTC",
            f"{number(count)} time-stamp tokens good; the last: {number(last.size)} entries, {at} UTC",
            size=last.size, at=last.stamp.at, tokens=count, policy=last.stamp.policy,
        )  # fmt: skip
    elif found.stamps is None and (held := len(stamps.held(folder))):
        door.out.remark(
            f"{number(held)} jetons d'horodatage non vérifiés : il faut les certificats de l'autorité "
            "([audit.timestamps], ou --authority)",
            f"{number(held)} time-stamp tokens not checked: the authority's certificates are needed "
            "([audit.timestamps], or --authority)",
        )
