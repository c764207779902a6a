"""The question that `sovereign policy explain` asks: one on record, or one written on the command line."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from sovereign.language import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sovereign.gateway.decision import Finding, Question
    from sovereign.site import Site


def here(site: "Site") -> datetime:
    """Now, where the site is."""
    return site.clock().astimezone(ZoneInfo(site.settings.site.zone))


def question_of(site: "Site", intent: str | None, asked: dict[str, object]) -> "Question":
    """Give the question of an intent on record, or the one that the options of `policy explain` put together."""
    from sovereign.gateway.decision import Question
    from sovereign.gateway.policy.replay import question_of as recorded
    from sovereign.gateway.questions import Questions

    at = here(site)
    if intent is not None:
        return recorded(site.state, Questions(site.keys), intent)
    if not asked["client"] or not asked["connection"]:
        raise click.UsageError(
            say("donnez une demande, ou --client et --connection", "give an intent, or --client and --connection")
        )
    found, suspected = (_findings(asked[name], sure=name == "found") for name in ("found", "suspected"))
    named = {name: str(asked[name]) for name in ("client", "connection", "operation", "method")}
    door = "http" if named["operation"] == "http" else "operation"
    client, connection, operation, method = named["client"], named["connection"], named["operation"], named["method"]
    question = Question(client, connection, "", door, operation, method, "", at)
    groups, classes = (frozenset(map(str, _each(asked[name]))) for name in ("groups", "classes"))
    volumes = {name: int(str(asked[name])) for name in ("records", "hour", "day")}
    return replace(
        question, reads=bool(asked["reads"]), groups=groups, classes=classes, findings=(*found, *suspected),
        records=volumes["records"], hour=volumes["hour"], day=volumes["day"],
    )  # fmt: skip


def _each(value: object) -> "Iterable[object]":
    return value if isinstance(value, tuple) else ()


def _findings(value: object, *, sure: bool) -> "tuple[Finding, ...]":
    from sovereign.gateway.decision import Finding

    made = []
    for text in map(str, _each(value)):
        kind, equals, count = text.partition("=")
        if equals and not (count.isdecimal() and count.isascii() and len(count) <= 9):
            raise click.BadParameter(say(f"« {text} » : attendu nir ou nir=3", f"`{text}`: expected nir or nir=3"))
        made.append(Finding(kind, "", int(count) if equals else 1, sure))
    return tuple(made)
