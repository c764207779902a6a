"""A JSON body says each name once, or is refused before anything is decided: nobody sees another thing than the vendor."""

import asyncio
from pathlib import Path

import pytest

from sovereign.api.errors import BadRequest
from sovereign.api.members import once
from sovereign.gateway.beside import LARGE
from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving

JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"ref":"a","ref":"b"}', JSON),
        (b'{"ref":"a","r\\u0065f":"b"}', "Application/JSON; charset=utf-8"),
        (b'{"lines":[{"n":1,"m":{"x":1,"x":1}}]}', "application/merge-patch+json"),
        (b'{"a":%s,"b":{"x":1,"x":2}}' % (b"9" * 5000), JSON),
        ('{"é":1,"é":2}'.encode("latin-1"), JSON),
        ('{"a":1,"a":2}'.encode("utf-16"), JSON),
        (b'{"a":1}\n{"a":1,"a":2}\n', "application/x-ndjson"),
        (b'{"a":1,"a":2} more', JSON),
        (b'{"a":"%s","b":1,"b":2}' % (b"a" * LARGE), JSON),
    ],
)
def test_a_name_said_twice_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(BadRequest):
        asyncio.run(once(body, kind))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'[{"a":1},{"a":{"a":[{"a":null}]}}]', JSON),
        (b'{"a":1,"A":2," a":3,"":4}', JSON),
        (b'{"a":"\\"b\\":1,\\"b\\":2"}', JSON),
        (b'{"a":1,"a":2}', "text/plain"),
        (b'{"a":', JSON),
        (b"", JSON),
        (b"[" * 100_000, JSON),
    ],
)
def test_what_says_each_name_once_or_is_no_json_is_left_to_others(body: bytes, kind: str) -> None:
    asyncio.run(once(body, kind))


@pytest.mark.parametrize("path", ["operations/add", "http/lines"])
def test_neither_door_lets_a_repeated_name_reach_policy_or_the_vendor(tmp_path: Path, path: str) -> None:
    async def work(at: Door) -> None:
        told = await at.ask(
            "POST", f"/v1/connections/ledger/{path}", data=b'{"ref":"a","ref":"b"}',
            headers={"Content-Type": JSON, "Idempotency-Key": "k"},
        )  # fmt: skip
        assert (told.status, told.json()["code"]) == (400, "api.request")
        assert "twice" in told.json()["detail"]
        assert not at.house.gateway.deliveries.audit.entries(act="intent.received")

    async def run(url: str) -> None:
        async with door(tmp_path / "g", url) as at:
            await work(at)

    ledger = Ledger()
    with serving(ledger) as url:
        asyncio.run(run(url))
    assert ledger.asked == 0
