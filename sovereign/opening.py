"""A request to open a flow, answered for a site: the reviewed policy is put in its folder, then the request is accepted.

The file is what `sovereign policy open --add` writes: checked with the whole set first, and never in place of a live one.
"""

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sovereign import governing
from sovereign.gateway.openings import Opening, Wanted
from sovereign.gateway.policy import CedarPolicy, Files, read_folder
from sovereign.gateway.policy.opening import Flow
from vault import files
from vault.errors import AlreadyThere

if TYPE_CHECKING:
    from sovereign.site import Site


def flow(wanted: Wanted, until: date, *, owner: str | None = None, hold: str | None = None) -> Flow:
    """The flow that a request asks for, owned by whoever answers for the client unless told."""
    return Flow(wanted.client, wanted.connection, wanted.operation, owner or wanted.owner, until, wanted.reads, hold)


def put(site: "Site", asked: Flow, *, new: bool = True) -> str:
    """Put a policy that opens one flow in the site's folder; gives its text. Errors: BadPolicy, NoPolicies, AlreadyThere."""
    folder, text = governing.folder(site), asked.text()
    CedarPolicy(Files({**read_folder(folder).texts, asked.file: text}))
    files.write(folder / asked.file, text.encode(), new=new)
    return text


def accept(site: "Site", name: str, asked: Flow) -> Opening:
    """Open the flow that was asked for, and say so. Errors: UnknownOpening, BadOpening, BadPolicy, AlreadyThere.

    What an accept that was broken off has already put there, the very same text, stands; a policy whose day is past is renewed.
    """
    openings, place = site.outbound.openings, governing.folder(site) / asked.file
    if openings.get(name).state != "open":
        return openings.accepted(name, asked.file, by=site.actor)  # which says that it is decided
    present = None
    with suppress(FileNotFoundError):
        present = place.read_text()
    if present is None:
        put(site, asked)
    elif present != asked.text():
        if not asked.rule(present).expired(site.clock().astimezone(ZoneInfo(site.settings.site.zone))):
            raise AlreadyThere(what=asked.file)
        put(site, asked, new=False)
    return openings.accepted(name, asked.file, by=site.actor)
