"""One large body keeps nobody waiting: it is read once, looked into and written out beside the loop."""

import asyncio
import io
import json
import time
from pathlib import Path

import pytest

from sovereign.gateway import intent as intents
from sovereign.settings import GatewaySettings
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving

BODY = json.dumps({"ref": "large", "rows": [{"n": n, "amount": n * 1.25, "said": f"ligne {n} " * 4} for n in range(60_000)]})
HEADERS = {"Content-Type": "application/json"}
SHARE = 0.5
"""Of the time that the large one takes, the most that anyone else waits: on the loop it would be nearly all of it."""
TRIES = 3
"""The machine may keep someone waiting for reasons of its own; the loop would each time."""


@pytest.mark.parametrize("path", ["operations/add", "http/lines"])
def test_others_are_answered_while_a_body_of_five_megabytes_is_looked_into_and_sent(tmp_path: Path, path: str) -> None:
    assert len(BODY) > 5_000_000
    shares: list[float] = []

    async def once(at: Door, large: bytes, name: str) -> float:
        """The longest wait of anyone else, as a share of the time that the large one takes."""
        waits: list[float] = []
        started = time.monotonic()
        asked = asyncio.create_task(
            at.ask(
                "POST", f"/v1/connections/ledger/{path}", data=io.BytesIO(large),
                headers={**HEADERS, "Idempotency-Key": name, "Prefer": "wait=30"},
            )
        )  # fmt: skip
        while not asked.done():
            began, ref = time.monotonic(), f"{name}-{len(waits)}"
            told = await at.ask(
                "POST", "/v1/connections/ledger/operations/set", data=b'{"ref":"%s"}' % ref.encode(),
                headers={**HEADERS, "Idempotency-Key": ref},
            )  # fmt: skip
            assert told.status == 200
            waits.append(time.monotonic() - began)
        assert (await asked).status in (200, 201), (await asked).body
        assert len(waits) > 2, "others were answered meanwhile"
        return max(waits) / (time.monotonic() - started)

    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, settings=GatewaySettings(listen="127.0.0.1:0", max_body=2**24)) as at:
            while len(shares) < TRIES and min(shares, default=1) >= SHARE:
                name = f"large-{len(shares)}"
                shares.append(await once(at, BODY.replace('"large"', f'"{name}"', 1).encode(), name))

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(run(url))
    assert min(shares) < SHARE, shares
    assert [ledger.landed(f"large-{number}") for number in range(len(shares))] == [1] * len(shares)


def test_a_body_is_decoded_once_on_its_way_to_the_vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[bytes] = []
    monkeypatch.setattr(intents, "decode", again.append)

    async def run(url: str) -> None:
        async with door(tmp_path / "g", url) as at:
            told = await at.ask(
                "POST",
                "/v1/connections/ledger/operations/note",
                data=b'{"ref":"a"}',
                headers={**HEADERS, "Idempotency-Key": "k"},
            )
            assert told.status == 200

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(run(url))
    assert (ledger.landed("a"), again) == (1, [])
