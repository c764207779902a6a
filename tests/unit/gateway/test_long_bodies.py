"""A long body before the gateway: looked into by its beginning, replaced in the whole or not at all, lost with its key."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sovereign.clock import now
from sovereign.gateway import dlp
from sovereign.gateway.errors import PayloadGone
from sovereign.gateway.gateway import Gateway
from sovereign.gateway.intent import WriteIntent, new_id
from sovereign.gateway.sealing import Sealing
from sovereign.gateway.spool import Spool
from tests.servers.gate import gate
from tests.servers.ledger import Ledger, serving
from tests.servers.masters import Mortal
from tests.servers.policies import policy, rule
from vault.keys import Keys

NIR = "185057800608491"
SEEN = 4096
MASKED = rule("open", "permit", expires="2099-01-01", more='@pseudonymise("nir")')


def drill(folder: Path, work: Callable[[Gateway], Awaitable[None]]) -> Ledger:
    """A gateway that looks into 4 KiB of a body and has numbers of people replaced."""
    limits, ledger = dlp.Limits(bytes=SEEN), Ledger()

    async def run(url: str) -> None:
        def changed(parts: object) -> dict[str, object]:
            return {
                "policy": policy(MASKED), "scanned": SEEN, "spool": Spool(folder / "spool", parts.state),  # type: ignore[attr-defined]
                "scan": lambda body, kind: dlp.scan(body, kind, limits),
                "pseudonymise": lambda body, kind, places: dlp.pseudonymise(body, kind, places, bytes(32), limits),
            }  # fmt: skip

        async with gate(folder, url, changed=changed) as gateway:
            await work(gateway)

    with serving(ledger) as url:
        asyncio.run(run(url))
    return ledger


async def long(gateway: Gateway, body: bytes) -> WriteIntent:
    """A write of the pass-through whose body lies in a file."""
    assert gateway.spool is not None
    name = new_id(now(), os.urandom)
    async with gateway.spool.arriving(name, len(body)) as file:
        file.write(body)
        spooled = file.finish()
    return WriteIntent(
        name,
        "app",
        "ledger",
        "http",
        "http",
        b"",
        "application/json",
        "/lines",
        now(),
        method="POST",
        path="/lines",
        upload=spooled,
    )


def test_the_digest_of_a_write_is_the_same_wherever_its_body_lies(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        body = os.urandom(10_000)
        held = await long(gateway, body)
        assert replace(held, upload=None, body=body).digest == held.digest
        assert replace(held, upload=None, body=body[:-1]).digest != held.digest

    drill(tmp_path, work)


def test_values_are_replaced_in_the_whole_of_a_body_or_it_is_denied(tmp_path: Path) -> None:
    short, more = f'{{"ref":"a","nir":"{NIR}"}}'.encode(), b" " * 6000

    async def work(gateway: Gateway) -> None:
        assert gateway.spool is not None
        taken = await long(gateway, short)
        assert (await gateway.submit(taken, wait=60)).state == "delivered"
        refused = await long(gateway, short + more)
        told = await gateway.submit(refused, wait=60)
        assert (told.state, told.decision and told.decision.en) == (
            "denied", "Policy wants values replaced in a body that is too long to be written anew.",
        )  # fmt: skip
        assert told.decision is not None
        assert "truncated" in {each.kind for each in told.decision.findings}
        assert list(gateway.spool.folder.iterdir()) == [], "neither is kept in clear of its own file"

    ledger = drill(tmp_path, work)
    assert len(ledger.bodies) == 1
    assert NIR.encode() not in ledger.bodies[0]
    assert ledger.bodies[0].startswith(b'{"ref":"a","nir":"')


def test_destroying_the_key_of_its_scope_takes_the_key_of_a_file(tmp_path: Path) -> None:
    keys = Keys.create(tmp_path / "keys", Mortal(), now)
    sealing = Sealing(keys, "year")

    async def work(gateway: Gateway) -> None:
        held = await long(gateway, b"x" * 5000)
        sealed = sealing.seal(held)
        assert held.upload is not None
        assert held.upload.key not in sealed.sealed
        assert sealing.open(held.id, "ledger", sealed.wrapped, sealed.sealed).upload == held.upload
        keys.destroy("ledger", "intent", None)
        with pytest.raises(PayloadGone):
            sealing.open(held.id, "ledger", sealed.wrapped, sealed.sealed)

    drill(tmp_path / "gate", work)
