"""A session of Maarch: opened once, renewed before its end and on a 401, never by repeating a wrong password."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from saas_connectors.errors import Rejected, SettingsError
from saas_connectors.mail.maarch_tokens import MaarchTokens, TokenRefused
from saas_connectors.registry import auth
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.unit.connectors_maarch.pulling import Town

ASKED = Request("GET", "http://maarch.example/site/rest/statuses")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def caller(server: Maarch, clock: Clock, password: str = SECRET, login: str = "courrier") -> Callable[[], Response]:
    flows = MaarchTokens(login, password, clock)

    def call() -> Response:
        flow = flows.flow(ASKED)
        response = server.respond(_plain(next(flow)))
        try:
            while True:
                response = server.respond(_plain(flow.send(response)))
        except StopIteration:
            return response

    return call


def _plain(request: Request) -> Request:
    """The sandbox stands at the root; the address says where the interface is."""
    assert request.url.startswith("http://maarch.example/site/rest/")
    return Request(request.method, request.url.replace("/site/", "/"), request.params, request.headers, request.body)


def test_one_session_serves_many_requests(clock: Clock) -> None:
    server = Maarch(1, clock=clock)
    call = caller(server, clock)
    assert {call().status for _ in range(5)} == {200}
    assert (server.door.opened, server.door.refreshed) == (1, 0)


def test_a_session_is_renewed_before_its_end(clock: Clock) -> None:
    server = Maarch(1, clock=clock)
    call = caller(server, clock)
    call()
    clock.now += timedelta(minutes=29, seconds=30)
    assert call().status == 200
    assert (server.door.opened, server.door.refreshed) == (1, 1)
    assert [each for each in server.calls if each.path.endswith("/statuses")][-1].headers["authorization"].startswith("Bearer ")


def test_a_token_that_is_refused_is_renewed_and_the_request_sent_again(clock: Clock) -> None:
    server = Maarch(1, clock=clock)
    call = caller(server, clock)
    call()
    server.door.revoke()
    assert call().status == 200
    assert (server.door.opened, server.door.refreshed) == (1, 1)


def test_the_password_is_shown_again_when_the_session_cannot_be_renewed(clock: Clock) -> None:
    server = Maarch(1, clock=clock)
    call = caller(server, clock)
    call()
    server.door.revoke(refresh=True)
    assert call().status == 200
    assert server.door.opened == 2


def test_a_wrong_password_is_shown_once_in_ten_minutes(clock: Clock) -> None:
    server = Maarch(1, clock=clock, attempts=3)
    call = caller(server, clock, "wrong")
    for _ in range(20):
        with pytest.raises(TokenRefused) as refused:
            call()
        assert "wrong" not in str(refused.value)
    assert len(server.calls) == 1
    assert caller(server, clock)().status == 200  # the account is not locked
    clock.now += timedelta(minutes=11)
    with pytest.raises(TokenRefused):
        call()
    assert len([each for each in server.calls if each.path.endswith("/authenticate")]) == 3


def test_a_web_service_user_is_told_to_use_basic(clock: Clock) -> None:
    with pytest.raises(TokenRefused) as refused:
        caller(Maarch(1, clock=clock), clock, login=USER)()
    assert 'kind = "basic"' in refused.value.diagnostics("fr").todo


def test_a_server_that_is_down_does_not_count_as_a_wrong_password(clock: Clock) -> None:
    server = Maarch(1, clock=clock)
    server.troubles.plan(Trouble("status", 503, path="/rest/authenticate"))
    call = caller(server, clock)
    with pytest.raises(Rejected):
        call()
    assert call().status == 200


@pytest.mark.parametrize("at", [3, 8, 15])
def test_a_session_that_ends_in_the_middle_of_a_pull_costs_nothing(at: int) -> None:
    here = Town(Maarch(12), {"streams": ["resources", "documents"]}, login="courrier")
    import tests.unit.connectors_maarch.pulling as pulling

    whole = pulling.sender

    def tokens(server: Maarch, login: str) -> Callable[[Request], Response]:
        return whole(server, login, "maarch")

    here.server.troubles.plan(Trouble("expired", path="/rest/re", at=at))
    pulling.sender = tokens
    try:
        first = here.pull()
    finally:
        pulling.sender = whole
    assert [row["res_id"] for row in first.rows("resources")] == list(range(101, 113))
    assert {row["state"] for row in first.rows("documents")} == {"filed"}
    assert here.server.door.refreshed == 1


def test_a_token_is_in_no_representation_and_settings_are_checked(clock: Clock) -> None:
    flows = auth({"kind": "maarch", "secret": "x"}, lambda _: b"courrier:" + SECRET.encode(), clock)
    assert SECRET not in repr(flows)
    with pytest.raises(SettingsError):
        auth({"kind": "maarch", "secret": "x"}, lambda _: b"no colon", clock)
