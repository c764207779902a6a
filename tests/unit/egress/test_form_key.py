"""A key in the forms that are posted: it goes there alone, its request is sent once, and an echo of it goes no further."""

import pytest

from saas_connectors.auth import Key
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Sandbox, Trouble
from saas_connectors.sandbox.open311 import Open311
from saas_connectors.sandbox.vendor import SECRET
from sovereign.egress.errors import EgressError
from tests.servers.wayout import call, way

KEY = Key("api_key", SECRET, "form")
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
BODY = b"service_code=002&address_string=rue+Haute&description=une+longue+phrase"


def post(url: str, body: bytes = BODY) -> Request:
    return Request("POST", f"{url}/v2/requests.json", headers=FORM, body=body)


def test_a_form_is_sent_once_with_its_key_whatever_befalls_it() -> None:
    vendor = Open311()
    with Sandbox(vendor) as sandbox:
        vendor.troubles.plan(Trouble("lands_then_resets", method="POST"))
        with way(sandbox.url, KEY, attempts=3) as out, pytest.raises(EgressError):
            out.send(post(sandbox.url))
        (broken,) = call(sandbox.url, post(sandbox.url), auth=KEY)
        assert isinstance(broken, Response)
        assert broken.status == 200
    assert [one.method for one in vendor.calls] == ["POST", "POST"]
    assert len(vendor.held) == 402


def test_a_key_that_the_caller_wrote_is_replaced_and_what_is_no_form_goes_without() -> None:
    vendor = Open311()
    with Sandbox(vendor) as sandbox, way(sandbox.url, KEY) as out:
        assert out.send(post(sandbox.url, b"api%5Fkey=wrong&" + BODY)).status == 200
        out.send(Request("GET", f"{sandbox.url}/v2/services.json"))
        out.send(
            Request("POST", f"{sandbox.url}/v2/requests.json", headers=(("Content-Type", "application/json"),), body=b"{}")
        )
    assert [one.body.count(b"api_key=") for one in vendor.calls] == [1, 0, 0]
    assert all(SECRET not in str(one.query) for one in vendor.calls)


def test_an_echo_of_the_key_goes_no_further_and_an_echo_of_the_form_does() -> None:
    vendor = Open311(moods=["repeats"])
    with Sandbox(vendor) as sandbox:
        (shown,) = call(sandbox.url, post(sandbox.url), auth=KEY)
        assert isinstance(shown, Response)
        assert b"une longue phrase" in shown.body
        vendor.moods.add("echoes")
        (echoed,) = call(sandbox.url, post(sandbox.url), auth=KEY)
        assert isinstance(echoed, Response)
        assert (echoed.status, echoed.body) == (200, b"")
        other = Key("api_key", "another-secret-of-the-sandbox", "form")
        (refused,) = call(sandbox.url, post(sandbox.url), auth=other)
        assert isinstance(refused, Response)
        assert (refused.status, refused.body) == (403, b"")
