"""`sovereign subscriber`: who is told what happens here, what each was told, and what is to be sent again."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column
from sovereign.cli.secret import read_secret
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.events.outbox import Outbox
    from sovereign.events.subscribing import Subscribers

command = Noun(
    "subscriber",
    fr="Qui est prévenu de ce qui se passe ici ([subscribers.NOM]), et de quoi.",
    en="Who is told what happens here ([subscribers.NAME]), and of what.",
)
SUBSCRIBERS: Final = (
    Column("subscriber", "abonné", "subscriber"),
    Column("url", "adresse", "address"),
    Column("types", "types", "types"),
    Column("secret", "secret", "secret"),
    Column("waiting", "en attente", "waiting"),
    Column("told", "dits", "told"),
    Column("given_up", "abandonnés", "given up"),
    Column("lost", "perdus", "lost"),
    Column("oldest", "attend depuis", "waits since", "time"),
)
MESSAGES: Final = (
    Column("sequence", "numéro", "number"),
    Column("event", "événement", "event"),
    Column("kind", "type", "type"),
    Column("outcome", "état", "state"),
    Column("attempts", "essais", "attempts"),
    Column("at", "fait", "made", "time"),
    Column("next_at", "prochain essai", "next attempt", "time"),
    Column("why", "pourquoi", "why"),
)
_OUTCOMES: Final = {
    "waiting": ("… attend son tour", "… waiting"), "told": ("✓ pris", "✓ taken"),
    "given_up": ("✗ jamais pris", "✗ never taken"), "dropped": ("· abandonné", "· dropped"),
}  # fmt: skip
_NAME: Final = argument("subscriber", fr="L'abonné.", en="The subscriber.")


def _opened(door: Door, name: str | None = None) -> "tuple[Subscribers, Outbox]":
    """The subscribers of a site and what they are told; errors: UnknownSubscriber."""
    from sovereign import eventing

    site = door.site()
    known = eventing.subscribers(site)
    if name is not None:
        known.get(name)
    return known, eventing.outbox(site, known)


@command.verb(
    "list",
    fr="Liste les abonnés, et où en est chacun ; aucun n'est appelé.",
    en="List the subscribers, and where each stands; none is called.",
)
def list_(door: Door) -> None:
    """One row a subscriber."""
    known, _ = _opened(door)
    ready = known.ready() if known.declared else frozenset()
    rows = []
    for name, each in sorted(known.declared.items()):
        standing = known.standing(name)
        rows.append(
            {
                "subscriber": name, "url": each.url, "types": ", ".join((*each.types, *each.changes)),
                "secret": say("oui", "yes") if name in ready else say("manque", "missing"),
                "waiting": standing.counts.get("waiting", 0), "told": standing.counts.get("told", 0),
                "given_up": standing.counts.get("given_up", 0), "lost": standing.lost, "oldest": standing.oldest,
            }
        )  # fmt: skip
    door.out.table(
        "subscriber", SUBSCRIBERS, rows, empty=("Aucun abonné : voyez docs/events.md.", "No subscriber: see docs/events.md.")
    )


@command.verb(
    "secret",
    fr="Fait le secret qui signe pour un abonné, ou le renouvelle : l'ancien signe encore un jour.",
    en="Make the secret that signs for a subscriber, or renew it: the former one signs for a day more.",
)
@_NAME
@option(
    "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True), default=None,
    fr="Fichier d'un secret « whsec_… » que l'abonné a choisi, « - » pour l'entrée standard.",
    en="A file with a secret `whsec_…` that the subscriber chose, `-` for standard input.",
)  # fmt: skip
def secret(door: Door, subscriber: str, file: Path | None) -> None:
    """The secret that is made goes to standard output and nowhere else."""
    known, _ = _opened(door, subscriber)
    text, until = known.secret(subscriber, None if file is None else read_secret(subscriber, file))
    shown = {} if file is not None else {"secret": text}
    if until is not None:
        door.out.remark(
            say(f"L'ancien secret signe aussi jusqu'au {until:%Y-%m-%d %H:%M} UTC.",
                f"The former secret signs too until {until:%Y-%m-%d %H:%M} UTC."),
            say(f"L'ancien secret signe aussi jusqu'au {until:%Y-%m-%d %H:%M} UTC.",
                f"The former secret signs too until {until:%Y-%m-%d %H:%M} UTC."),
        )  # fmt: skip
    if file is None:
        door.out.remark(
            "Ce secret n'est montré qu'une fois : remettez-le à l'abonné.",
            "This secret is shown only once: hand it to the subscriber.",
        )
    door.out.record("subscriber.secret", subscriber=subscriber, until=until, **shown)


@command.verb(
    "show",
    fr="Montre ce qu'un abonné a reçu, recevra, n'a jamais pris ; un événement entier si on le nomme.",
    en="Show what a subscriber was told, will be told, never took; an event whole when it is named.",
)
@_NAME
@argument("event", required=False, fr="L'événement.", en="The event.")
@option(
    "--state", "outcome", type=click.Choice(tuple(_OUTCOMES)), default=None,
    fr="Dans un état seulement ; given_up : jamais pris.", en="In one state only; given_up: never taken.",
)  # fmt: skip
@option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, fr="Combien, au plus.", en="How many, at most.")
def show(door: Door, subscriber: str, event: str | None, outcome: str | None, limit: int) -> None:
    """Newest first, without their content; the content of one is an entry of the log."""
    _, box = _opened(door, subscriber)
    if event is not None:
        body = box.content(subscriber, event)
        if door.out.json:
            door.out.record("subscriber.event", subscriber=subscriber, event=event, body=body.decode())
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(body + b"\n")
        return
    rows = [
        {
            "sequence": each.sequence, "event": each.name, "kind": each.type,
            "outcome": each.outcome if door.out.json else say(*_OUTCOMES[each.outcome]),
            "attempts": each.attempts, "at": each.at, "next_at": each.next_at,
            "why": each.why if door.out.json else _why(each.why),
        }
        for each in box.list(subscriber, () if outcome is None else (outcome,), limit)
    ]  # fmt: skip
    door.out.table("subscriber.message", MESSAGES, rows, empty=("Aucun événement.", "No event."))


def _why(code: str | None) -> str | None:
    """Why a message was not taken, in words, with its code when they do not say it all."""
    if code is None:
        return None
    kind, _, of = code.partition(".")
    if kind in ("status", "http") and of.isdigit():
        return say(f"l'abonné a répondu {of}", f"the subscriber answered {of}")
    if kind == "egress":
        return say(f"l'abonné n'a pas été joint ({code})", f"the subscriber was not reached ({code})")
    return code


@command.verb(
    "replay",
    fr="Renvoie des événements sous les mêmes noms : ceux qu'on nomme, sinon tous ceux qui n'ont jamais été pris.",
    en="Send events again under the same names: those named, else all that were never taken.",
)
@_NAME
@argument("events", nargs=-1, fr="Les événements.", en="The events.")
def replay(door: Door, subscriber: str, events: tuple[str, ...]) -> None:
    """What waits already is not sent twice."""
    _, box = _opened(door, subscriber)
    count = box.replay(subscriber, frozenset(events))
    door.out.done(
        "subscriber.replayed", f"À renvoyer à {subscriber} : {count}", f"To be sent again to {subscriber}: {count}",
        subscriber=subscriber, events=count,
    )  # fmt: skip


@command.verb(
    "drop",
    fr="Ne dit plus un événement qui attend : ceux qui le suivent partent.",
    en="Tell a waiting event no more: those after it leave.",
)
@_NAME
@argument("event", fr="L'événement.", en="The event.")
def drop(door: Door, subscriber: str, event: str) -> None:
    """It stays listed, and may be sent again."""
    _, box = _opened(door, subscriber)
    box.drop(subscriber, event)
    door.out.done("subscriber.dropped", f"Ne sera pas dit : {event}", f"Will not be told: {event}", event=event)


@command.verb(
    "test",
    fr="Met un événement d'essai en file pour un abonné ; le service l'envoie.",
    en="Queue a trial event for a subscriber; the service sends it.",
)
@_NAME
def test(door: Door, subscriber: str) -> None:
    """Of type sovereign.subscriber.tested."""
    known, box = _opened(door, subscriber)
    known.settle()
    event = box.gathering.test(known.all()[subscriber])
    door.out.done(
        "subscriber.tested", f"En file : {event}", f"Queued: {event}", subscriber=subscriber,
        event=event,
    )  # fmt: skip
