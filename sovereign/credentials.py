"""The credentials of a site's connections, as far as it is kept whether vendors refused them.

1. A mark says which credential a connection shows and under which settings, by a keyed digest: a refusal is of a mark, and is
   over when the mark is another.
2. The gateway and the runs each keep their own refusals: the gateway shows the credential once, then once an hour; runs twice,
   then twice an hour, for a 401 may be of one stream alone, or a passing fault.
3. Storing a secret, or a check by a person that the vendor accepts, has it shown again at once.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sovereign.gateway.breaker import Breaker, stopping
from sovereign.state import refusals
from sovereign.state.refusals import CODE, LOOK, Refusal
from vault.errors import Fault, Finding

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sovereign.parts import Parts


_ENOUGH: Final = 2
"""Refusals after which runs stop: one alone has been seen to be a vendor's passing fault."""


def mark(site: "Parts", name: str) -> str | None:
    """Say which credential a connection shows, without showing it; None when it shows none."""
    connection = site.settings.connections.get(name)
    if connection is None or not connection.auth:
        return None
    secret = connection.auth.get("secret", connection.secret)
    try:
        shown = site.secrets.get(name, secret) if isinstance(secret, str) else b""
    except Fault:  # none, or one that its destroyed key no longer opens
        shown = b""
    known = [connection.url, connection.auth, connection.secret, msgspec.to_builtins(connection.network)]
    said = json.dumps(known, sort_keys=True, default=str).encode()
    key = site.keys.derive("credential/mark")
    return hmac.new(key, b"%d:%s%s" % (len(said), said, shown), hashlib.sha256).hexdigest()


def reopen(site: "Parts", name: str, act: str = "credential.changed") -> None:
    """Have the credential of a connection shown again: it, or a person's word, changed."""
    with site.state.begin() as transaction:
        Breaker(site.state, site.audit).reopen(transaction, name, site.clock(), act)
        if refusals.forget(transaction, name, "pull"):
            site.audit.append(act, {"connection": name}, {"way": "pull"}, within=transaction)


@dataclass(frozen=True, slots=True)
class Pulled:
    """The refusals of one connection's runs (`egress.sparing.Ledger`). asked: a person asks for it now, whatever stands."""

    site: "Parts"
    connection: str
    mark: str
    asked: bool = False

    def admit(self) -> Literal["all", "one", "none"]:
        """Whether the credential may be shown now; a try that is due puts the next one off first."""
        now = self.site.clock()
        with self.site.state.read() as reader:
            held = refusals.refusal(reader, self.connection, "pull")
        if held is None:
            return "all"
        if held.mark != self.mark:
            self._over("credential.changed")
            return "all"
        due = self.asked or held.until <= now or held.times < _ENOUGH
        if due or held.until > now + LOOK:  # or the clock was set back: it waits its hour by the new one
            with self.site.state.begin() as transaction:
                refusals.keep(transaction, replace(held, since=min(held.since, now), until=now + LOOK))
        return "one" if due else "none"

    def refuse(self, why: str, times: int) -> None:
        """Keep that it was refused; told when that is new."""
        now = self.site.clock()
        with self.site.state.begin() as transaction:
            held = refusals.refusal(transaction, self.connection, "pull")
            new = held is None or held.mark != self.mark
            since, before = (now, 0) if held is None or new else (min(held.since, now), held.times)
            kept = Refusal(self.connection, "pull", self.mark, since, now + LOOK, before + times, why)
            refusals.keep(transaction, kept)
            if new:
                facts = {"why": why, "way": "pull", "seconds": round(LOOK.total_seconds())}
                self.site.audit.append("credential.refused", {"connection": self.connection}, facts, within=transaction)

    def accept(self) -> None:
        """Keep that it was accepted; what a person asked opens the gateway's side too."""
        if self.asked:
            reopen(self.site, self.connection, "credential.accepted")
            return
        with self.site.state.read() as reader:
            held = refusals.refusal(reader, self.connection, "pull")
        if held is not None:
            self._over("credential.accepted")

    def _over(self, act: str) -> None:
        with self.site.state.begin() as transaction:
            if refusals.forget(transaction, self.connection, "pull"):
                self.site.audit.append(act, {"connection": self.connection}, {"way": "pull"}, within=transaction)


def _standing(site: "Parts", reader: "Connection") -> list[Refusal]:
    """The refusals of the connections that the site still has."""
    return [each for each in refusals.standing(reader) if each.connection in site.settings.connections]


def findings(site: "Parts") -> Iterator[Finding]:
    """Tell the connections whose credential a vendor refuses, and what to do."""
    with site.state.read() as reader:
        held = _standing(site, reader)
        waiting = {each.connection: sum(stopping(reader, each.connection).values()) for each in held}
    for name in dict.fromkeys(each.connection for each in held):
        mine = [each for each in held if each.connection == name]
        since, count = min(each.since for each in mine), waiting[name]
        yield Finding(
            "error", CODE, name,
            f"le fournisseur refuse le secret depuis le {since:%d/%m/%Y à %H:%M} UTC, {count} écriture(s) attendent : "
            f"« sovereign secret set {name} », ou « sovereign connection check {name} » si le compte était bloqué",
            f"the vendor has refused the secret since {since:%Y-%m-%d %H:%M} UTC, {count} write(s) wait: "
            f"`sovereign secret set {name}`, or `sovereign connection check {name}` if the account was locked",
        )  # fmt: skip


def refused(site: "Parts") -> frozenset[str]:
    """The connections whose credential is refused, by whichever way."""
    with site.state.read() as reader:
        return frozenset(each.connection for each in _standing(site, reader))


def gauges(site: "Parts") -> str:
    """Which credentials are refused, as text that Prometheus reads."""
    with site.state.read() as reader:
        held = _standing(site, reader)
    lines = ["# TYPE sovereign_credential_refused gauge"]
    lines += [f'sovereign_credential_refused{{connection="{each.connection}",way="{each.way}"}} 1' for each in held]
    return "\n".join(lines) + "\n"
