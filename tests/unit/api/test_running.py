"""The door beside the jobs of a process: it opens, serves, stops cleanly, and says when it cannot."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import requests

from sovereign.api.app import House
from sovereign.api.running import Running
from sovereign.errors import BadSettings
from sovereign.settings import GatewaySettings
from tests.servers.door import LOCAL, rooms
from tests.servers.ledger import Ledger, serving


def test_the_door_opens_serves_and_closes_on_a_thread_of_its_own(tmp_path: Path) -> None:
    with serving(Ledger()) as url:

        @asynccontextmanager
        async def opened() -> AsyncIterator[House]:
            async with rooms(tmp_path / "g", url) as (house, _):
                yield house

        stop = threading.Event()
        with Running(opened, LOCAL, tmp_path, stop) as running:
            assert requests.get(f"{running.address}/health", timeout=60).status_code == 200
            address = running.address
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{address}/health", timeout=60)
        assert not stop.is_set()


def test_an_address_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with serving(Ledger()) as url:

        @asynccontextmanager
        async def opened() -> AsyncIterator[House]:
            async with rooms(tmp_path / "g", url) as (house, _):
                yield house

        with Running(opened, LOCAL, tmp_path, threading.Event()) as running:
            taken = GatewaySettings(listen=running.address.removeprefix("http://"))
            with pytest.raises(BadSettings, match=r"gateway\.listen"), Running(opened, taken, tmp_path, threading.Event()):
                pytest.fail("two doors on one address")


def test_rooms_that_do_not_open_are_told_to_whoever_starts_them(tmp_path: Path) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[House]:
        raise BadSettings(field="connections.x", expected_fr="a", expected_en="b")
        yield

    stop = threading.Event()
    with pytest.raises(BadSettings), Running(opened, LOCAL, tmp_path, stop):
        pytest.fail("nothing to serve")
    assert stop.is_set()
