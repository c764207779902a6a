"""What an application is promised of its numbers: the vendor gets them digit for digit, or the write is refused at the door."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.servers.door import Door, door
from tests.servers.ledger import Ledger, serving

OPERATIONS = "/v1/connections/ledger/operations"
HEADERS = {"Content-Type": "application/json", "Idempotency-Key": "k"}


def write(root: Path, operation: str, data: bytes) -> tuple[Ledger, int, str]:
    """Ask for one write; gives the vendor, the status and the code of a refusal."""

    async def ask(at: Door) -> tuple[int, str]:
        told = await at.ask("POST", f"{OPERATIONS}/{operation}", data=data, headers=HEADERS)
        return told.status, str(told.json().get("code", ""))

    async def run(url: str) -> tuple[int, str]:
        async with door(root, url) as at:
            return await ask(at)

    ledger = Ledger()
    with serving(ledger) as url:
        status, code = asyncio.run(run(url))
    return ledger, status, code


@pytest.mark.parametrize("number", ["0.10", "12345678901234567890123", "1e-7", "-0.0", "18446744073709551616", "1e400"])
def test_a_number_reaches_the_vendor_digit_for_digit(tmp_path: Path, number: str) -> None:
    ledger, status, _ = write(
        tmp_path / "g", "add", b'{"ref":"a","amount":%s,"lines":[{"amount":%s}]}' % ((number.encode(),) * 2)
    )
    assert status == 200
    (sent,) = ledger.bodies
    held = json.loads(sent, parse_float=Decimal)
    expected = json.loads(number, parse_float=Decimal)
    assert [repr(held["amount"]), repr(held["lines"][0]["amount"])] == [repr(expected)] * 2


@pytest.mark.parametrize("data", [b'{"ref":"a","n":NaN}', b'{"ref":' + b"[" * 65 + b"]" * 65 + b"}", b'"a"', b'{"ref":"\xff"}'])
def test_what_is_not_plain_json_of_few_levels_is_refused_and_never_leaves(tmp_path: Path, data: bytes) -> None:
    ledger, status, code = write(tmp_path / "g", "add", data)
    assert (status, code, ledger.bodies) == (422, "api.json", [])
