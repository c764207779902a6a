"""One large body keeps nobody waiting: it is read once, looked into and written out beside the loop."""

import asyncio
import io
import json
import time
from pathlib import Path

import pytest

from sovereign.gateway import intent as intents
from sovereign.settings import GatewaySettings
from tests.servers.door import door
from tests.servers.ledger import Ledger, serving

BODY = json.dumps({"ref": "large", "rows": [{"n": n, "amount": n * 1.25, "said": f"ligne {n} " * 4} for n in range(60_000)]})
HEADERS = {"Content-Type": "application/json"}
SHARE = 0.5
"""Of the time that the large one takes, the most that anyone else waits: on the loop it would be nearly all of it."""


@pytest.mark.parametrize("path", ["operations/add", "http/lines"])
def test_others_are_answered_while_a_body_of_five_megabytes_is_looked_into_and_sent(tmp_path: Path, path: str) -> None:
    assert len(BODY) > 5_000_000
    waits: list[float] = []

    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, settings=GatewaySettings(listen="127.0.0.1:0", max_body=2**24)) as at:
            started = time.monotonic()
            large = asyncio.create_task(
                at.ask(
                    "POST", f"/v1/connections/ledger/{path}", data=io.BytesIO(BODY.encode()),
                    headers={**HEADERS, "Idempotency-Key": "large", "Prefer": "wait=30"},
                )
            )  # fmt: skip
            number = 0
            while not large.done():
                began, number = time.monotonic(), number + 1
                told = await at.ask(
                    "POST", "/v1/connections/ledger/operations/set", data=b'{"ref":"s%d"}' % number,
                    headers={**HEADERS, "Idempotency-Key": f"s{number}"},
                )  # fmt: skip
                assert told.status == 200
                waits.append(time.monotonic() - began)
            assert (await large).status in (200, 201), (await large).body
            assert max(waits) < SHARE * (time.monotonic() - started), sorted(waits)[-5:]

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(run(url))
    assert ledger.landed("large") == 1
    assert len(waits) > 2, "others were answered meanwhile"


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
