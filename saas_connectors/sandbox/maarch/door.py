"""Who may enter: Basic, or a token of thirty minutes for those who are not web-service users; the routes a user may call.

Too many wrong passwords lock an account for a while, its right password included.
"""

import base64
import binascii
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from saas_connectors.sandbox.wire import Call, Reply

SESSION: Final = timedelta(minutes=30)
REFRESH: Final = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Account:
    """A user: `mode` is `rest` for a web-service user; `clause` what it may see (None: root, everything; empty: in no group).

    `authorized_api`: the routes it may call, as `POST/res/list`; none listed means all. `privileges`: among `admin_users`,
    `admin_contacts`, `update_status_mail`, `update_resources`, `view_history`. `can_index`: whether its group may create
    letters, `services` for which (None: all). `held`: what a person's account is answered instead of anything, if anything.
    """

    login: str
    password: str
    number: int = 1
    mode: str = "rest"
    clause: str | None = "1=1"
    authorized_api: tuple[str, ...] = ()
    privileges: frozenset[str] = frozenset({"admin_users", "admin_contacts", "update_status_mail"})
    can_index: bool = True
    services: frozenset[int] | None = None
    held: str = ""


class Door:
    """Tokens and failures."""

    def __init__(self, accounts: dict[str, Account], clock: Callable[[], datetime], attempts: int, lock: timedelta) -> None:
        self.accounts, self._clock, self._attempts, self._lock_time = accounts, clock, attempts, lock
        self.life, self.opened = SESSION, 0
        self.refreshed = 0
        self._key = hashlib.sha256(b"sandbox of maarch").digest()
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._until: dict[str, datetime] = {}
        self._refresh: dict[str, str] = {}
        self._number = self._floor = 0

    def known(self, call: Call) -> Account | None:
        """Give the account of a call, None when its credential is not good."""
        scheme, _, shown = call.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            try:
                login, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return self._checked(login, password)[0]
        return self._bearer(shown) if scheme == "Bearer" else None

    def locked(self, login: str) -> bool:
        """Whether an account is locked out."""
        with self._lock:
            until = self._until.get(login)
            if until is not None and until <= self._clock():
                del self._until[login]
                self._failures.pop(login, None)
                until = None
            return until is not None

    def authenticate(self, call: Call) -> Reply:
        """Answer `POST /authenticate`: tokens in the headers, refused to web-service users."""
        try:
            asked = orjson.loads(call.body)
            login, password = str(asked["login"]).lower(), str(asked["password"])
        except (ValueError, TypeError, KeyError):
            return Reply(400, b'{"errors":"Bad Request"}')
        account = self.accounts.get(login)
        if account is None or account.mode == "rest":
            return Reply(403, b'{"errors":"Authentication Failed"}')
        found, why = self._checked(login, password)
        if found is None:
            body = {"errors": why} | ({"date": self._until[login].isoformat(" ")} if login in self._until else {})
            return Reply(401, orjson.dumps(body))
        refresh = self._written(login, REFRESH)
        with self._lock:
            self.opened += 1
            self._refresh[refresh] = login
        headers = {"Token": self._written(login, self.life), "Refresh-Token": refresh}
        return Reply(204, b"", headers)

    def refresh(self, call: Call) -> Reply:
        """Answer `GET /authenticate/token`."""
        token = call.query.get("refreshToken", "")
        if not token:
            return Reply(400, b'{"errors":"Refresh Token is empty"}')
        login = self._refresh.get(token)
        if login is None or self._bearer(token) is None:
            return Reply(401, b'{"errors":"Authentication Failed"}')
        self.refreshed += 1
        return Reply(200, orjson.dumps({"token": self._written(login, self.life)}))

    def revoke(self, *, refresh: bool = False) -> None:
        """Refuse from now on the tokens given so far; those that renew them as well when `refresh`."""
        with self._lock:
            self._floor = self._number
            if refresh:
                self._refresh.clear()

    def _checked(self, login: str, password: str) -> tuple[Account | None, str]:
        account = self.accounts.get(login)
        if account is None:
            return None, "Authentication Failed"
        if self.locked(login):
            return None, "Account Locked"
        if hmac.compare_digest(account.password.encode(), password.encode()):
            with self._lock:
                self._failures.pop(login, None)
            return account, ""
        with self._lock:
            self._failures[login] = self._failures.get(login, 0) + 1
            if self._failures[login] >= self._attempts:
                self._until[login] = self._clock() + self._lock_time
                return None, "Account Locked"
        return None, "Authentication Failed"

    def _written(self, login: str, life: timedelta) -> str:
        with self._lock:
            self._number += 1
            number = self._number
        exp = int((self._clock() + life).timestamp())
        held = orjson.dumps({"exp": exp, "n": number, "user": {"login": login, "id": self.accounts[login].number}})
        signed = _b64(b'{"typ":"JWT","alg":"HS256"}') + b"." + _b64(held)
        return (signed + b"." + _b64(hmac.digest(self._key, signed, "sha256"))).decode()

    def _bearer(self, token: str) -> Account | None:
        signed, _, signature = token.encode().rpartition(b".")
        if not hmac.compare_digest(_b64(hmac.digest(self._key, signed, "sha256")), signature):
            return None
        held = orjson.loads(base64.urlsafe_b64decode(signed.partition(b".")[2] + b"=="))
        if held["exp"] <= self._clock().timestamp() or (held["n"] <= self._floor and token not in self._refresh):
            return None
        return self.accounts.get(held["user"]["login"])


def _b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
