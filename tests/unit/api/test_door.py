"""What an application is promised by the HTTP door, over a real gateway and a real vendor."""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from sovereign.access.clients import Limits
from sovereign.audit import Receipt
from sovereign.settings import GatewaySettings
from tests.servers.door import Door, Told, door
from tests.servers.ledger import Ledger, serving

ADD = "/v1/connections/ledger/operations/add"
JSON = {"Content-Type": "application/json"}


def drill(tmp_path: Path, work: Callable[[Door], Awaitable[None]], ledger: Ledger | None = None, **asked: object) -> Ledger:
    async def run(url: str) -> None:
        async with door(tmp_path / "g", url, **asked) as opened:  # type: ignore[arg-type]  # options of the fixture
            await work(opened)

    held = ledger or Ledger()
    with serving(held) as url:
        asyncio.run(run(url))
    return held


def key(value: str) -> dict[str, str]:
    return {**JSON, "Idempotency-Key": value}


def test_a_write_is_delivered_and_its_delivery_can_be_read(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers=key("k1"))
        assert (told.status, told.json()["state"]) == (200, "confirmed")
        shown = await at.ask("GET", told.json()["delivery"])
        assert [event["state"] for event in shown.json()["events"]][-1] == "confirmed"
        assert (await at.ask("GET", told.json()["delivery"], client="stranger")).status == 404

    assert drill(tmp_path, work).landed("a") == 1


def test_a_write_needs_a_key_and_a_key_serves_one_request(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        missing = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers=JSON)
        assert (missing.status, missing.json()["code"]) == (400, "api.key")
        first = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers=key("k"))
        again = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers=key("k"))
        assert (again.status, again.json()["intent"]) == (first.status, first.json()["intent"])
        assert (await at.ask("POST", ADD, data=b'{"ref":"b"}', headers=key("k"))).status == 422

    assert drill(tmp_path, work).landed("a") == 1


def test_a_key_whose_first_request_is_still_being_taken_answers_409_and_delivers_once(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        def ask() -> asyncio.Task[Told]:
            return asyncio.create_task(at.ask("POST", ADD, data=b'{"ref":"a"}', headers=key("k")))

        with at.house.state.begin():  # nothing can be kept meanwhile: the first of the two waits
            done, (first,) = await asyncio.wait({ask(), ask()}, return_when=asyncio.FIRST_COMPLETED)
        (second,) = [each.result() for each in done]
        assert (second.status, second.json()["code"]) == (409, "gateway.key_busy")
        assert (await first).status == 200
        assert (await ask()).json()["intent"] == (await first).json()["intent"]

    assert drill(tmp_path, work).landed("a") == 1


@pytest.mark.parametrize(
    ("prefer", "seconds", "status"),
    [("wait=0", 30, 202), ("respond-async, wait=9", 30, 202), ("wait=9", 0.05, 202), ("wait=9", 30, 200), ("", 30, 200)],
)
def test_the_vendors_answer_is_awaited_as_long_as_asked_and_no_longer_than_set(
    tmp_path: Path, prefer: str, seconds: float, status: int
) -> None:
    """seconds: that the settings let it wait. The vendor answers once the first answer is there, or at once."""
    told = threading.Event()

    def mood(_: int) -> str:
        if status == 202:
            told.wait(60)
        return "ok"

    async def work(at: Door) -> None:
        headers = {**key("k"), **({"Prefer": prefer} if prefer else {})}
        first = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers=headers)
        told.set()
        assert (first.status, first.json()["state"]) == (status, "in_flight" if status == 202 else "confirmed")

    drill(tmp_path, work, Ledger(mood), settings=GatewaySettings(listen="127.0.0.1:0", wait_seconds=seconds))
    assert told.is_set()


def test_a_dry_run_tells_the_decision_and_writes_nothing(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers={**key("k"), "Sovereign-Dry-Run": "1"})
        assert (told.status, told.json()["dry_run"], told.json()["decision"]["effect"]) == (200, True, "allow")
        odd = await at.ask("POST", ADD, data=b'{"ref":"a"}', headers={**key("k"), "Sovereign-Dry-Run": "yes"})
        assert odd.status == 400

    assert drill(tmp_path, work).landed("a") == 0


def test_a_refusal_of_policy_is_a_problem_in_the_callers_language(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        french = {**key("k"), "Accept-Language": "fr-FR,fr;q=0.9"}
        told = await at.ask("POST", ADD, client="stranger", data=b'{"ref":"a"}', headers=french)
        assert (told.status, told.headers["Content-Type"]) == (403, "application/problem+json")
        assert (told.json()["code"], told.json()["detail"]) == ("policy.denied", "par le nom")

    assert drill(tmp_path, work).landed("a") == 0


def test_each_step_of_a_write_is_proven_to_its_application_alone_with_the_public_key_alone(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        log = at.council.parts.audit.checkpoints.verifier
        made = (await at.ask("POST", ADD, data=b'{"ref":"a"}', headers=key("k"))).json()
        steps = (await at.ask("GET", made["delivery"])).json()["events"]
        assert len(steps) >= 4
        for step in steps:
            told = await at.ask("GET", f"{made['delivery']}/proofs/{step['entry']}")
            assert (told.status, told.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
            receipt = Receipt.decode(told.body.decode())
            receipt.verify(log)
            entered = json.loads(receipt.entry)
            assert (receipt.index, entered["subject"]["intent"]) == (step["entry"], made["intent"])
            assert entered["facts"]["state"] == step["state"]
        last = steps[-1]["entry"]
        for other in (str(last + 1), f"0{last}", "-1", "x", "9" * 5000):
            assert (await at.ask("GET", f"{made['delivery']}/proofs/{other}")).status == 404
        assert (await at.ask("GET", f"{made['delivery']}/proofs/{last}", client="intern")).status == 404

    drill(tmp_path, work)


def test_what_is_held_or_not_awaited_answers_202_with_its_place(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        held = await at.ask("POST", ADD, client="intern", data=b'{"ref":"a"}', headers=key("k"))
        assert (held.status, held.json()["state"]) == (202, "held")
        assert held.headers["Location"] == f"/v1/deliveries/{held.json()['intent']}"
        gone = await at.ask("POST", f"{held.headers['Location']}/cancel", client="intern")
        assert (gone.status, gone.json()["state"]) == (200, "cancelled")
        later = await at.ask("POST", ADD, data=b'{"ref":"b"}', headers={**key("k2"), "Prefer": "respond-async"})
        assert later.status == 202

    drill(tmp_path, work)


def test_nobody_enters_without_a_credential_nor_where_theirs_does_not_lead(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = await at.ask("GET", "/v1/connections", client=None)
        assert told.status == 401
        assert told.headers["WWW-Authenticate"].startswith("Bearer")
        wrong = {"Authorization": "Bearer svn_000000000000_" + "a" * 43}
        assert (await at.ask("GET", "/v1/connections", client=None, headers=wrong)).status == 401
        elsewhere = await at.ask("POST", ADD, client="other", data=b"{}", headers=key("k"))
        absent = await at.ask("POST", ADD.replace("ledger", "nowhere"), data=b"{}", headers=key("k"))
        assert [elsewhere.status, absent.status] == [403, 403]
        assert elsewhere.json()["detail"] == absent.json()["detail"]
        at.house.clients.revoke("app")
        await asyncio.sleep(1.1)
        assert (await at.ask("GET", "/v1/connections")).status == 401

    drill(tmp_path, work)


def test_a_client_certificate_is_a_credential(tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "g").mkdir()
    served, mine = authority.issue_cert("127.0.0.1"), authority.issue_cert("app.example")
    served.private_key_and_cert_chain_pem.write_to_path(tmp_path / "g" / "s.pem")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "c.pem")
    authority.cert_pem.write_to_path(tmp_path / "g" / "ca.pem")
    settings = GatewaySettings(listen="127.0.0.1:0", certificate="s.pem", key="s.pem", client_ca="ca.pem")

    async def work(at: Door) -> None:
        plain = ssl.create_default_context(cafile=str(tmp_path / "g" / "ca.pem"))
        shown = ssl.create_default_context(cafile=str(tmp_path / "g" / "ca.pem"))
        shown.load_cert_chain(tmp_path / "c.pem")
        assert (await at.ask("GET", "/v1/connections", client=None, tls=plain)).status == 401
        assert (await at.ask("GET", "/v1/connections", client=None, tls=shown)).status == 401
        der = ssl.PEM_cert_to_DER_cert(mine.cert_chain_pems[0].bytes().decode())
        at.house.clients.bind("app", der)
        await asyncio.sleep(1.1)
        assert (await at.ask("GET", "/v1/connections", client=None, tls=plain)).status == 401
        assert (await at.ask("GET", "/v1/connections", client=None, tls=shown)).status == 200

    drill(tmp_path, work, settings=settings)


def test_a_flooding_client_is_told_to_wait_and_another_is_served(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = [await at.ask("GET", "/v1/connections") for _ in range(6)]
        refused = [each for each in told if each.status == 429]
        assert refused
        assert int(refused[0].headers["Retry-After"]) >= 1
        assert (await at.ask("GET", "/v1/connections", client="intern")).status == 200

    drill(tmp_path, work, limits=Limits(rate=0.5, concurrency=4, max_bytes=1000))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"ref":"' + b"a" * 2000 + b'"}', 413),
        (b"[" * 65, 422),
        (b'{"ref":', 422),
        (b'"a"', 422),
        (b'{"ref":"[' + b"{" * 70 + b'"}', 200),
    ],
)
def test_a_body_beyond_the_caps_is_refused(tmp_path: Path, body: bytes, status: int) -> None:
    async def work(at: Door) -> None:
        assert (await at.ask("POST", ADD, data=body, headers=key("k"))).status == status

    drill(tmp_path, work, limits=Limits(max_bytes=1000))


def test_the_description_lists_the_operations_that_this_application_may_call(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        mine = (await at.ask("GET", "/v1/openapi.json")).json()
        assert mine["openapi"].startswith("3.1")
        assert ADD in mine["paths"]
        assert ADD not in (await at.ask("GET", "/v1/openapi.json", client="other")).json()["paths"]
        text = (await at.ask("GET", "/metrics", client=None)).body.decode()
        assert 'route="openapi.json",status="200"} 2' in text

    drill(tmp_path, work)
