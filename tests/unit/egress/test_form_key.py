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
    vendor = Open311()
    with Sandbox(vendor) as sandbox:
        said = call(sandbox.url, post(sandbox.url), auth=KEY)
        (shown,) = said
        assert isinstance(shown, Response)
        vendor.troubles.plan(Trouble("status", 403, method="POST"))
        refused = call(sandbox.url, post(sandbox.url, b"api_key=x"), auth=KEY)
        assert all(not isinstance(one, Response) or SECRET.encode() not in one.body for one in refused)
        vendor.troubles.plan(Trouble("echo", method="POST"))
        (echoed,) = call(sandbox.url, post(sandbox.url), auth=KEY)
        assert not isinstance(echoed, Response) or SECRET.encode() not in echoed.body
