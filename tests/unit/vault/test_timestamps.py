"""What a time-stamp token must be before it is believed; OpenSSL is the authority, and the other verifier."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.servers.stamping import OTHER_POLICY, POLICY, another, certify, openssl, reply, signed_by
from vault.errors import BadTimestamp, Corrupt
from vault.timestamps import LIMIT, Authority, Stamp, query

MESSAGE = b"ville/audit\n12\nroot\n"
NONCE = b"\xff" * 8


def check(folder: Path, answer: bytes, *, policy: str | None = None, nonce: bytes | None = NONCE, ca: str = "ca.pem") -> Stamp:
    return Authority.read((folder / ca).read_bytes(), policy).verify(answer, MESSAGE, nonce)


def refused(folder: Path, answer: bytes, **more: str | None) -> object:
    with pytest.raises(BadTimestamp) as fault:
        check(folder, answer, **more)  # type: ignore[arg-type]
    return fault.value.fields["reason"]


def test_a_token_of_openssl_is_believed_and_openssl_reads_our_requests(tmp_path: Path) -> None:
    certify(tmp_path)
    for policy in (None, OTHER_POLICY):
        asked = query(MESSAGE, NONCE, policy)
        answer = reply(tmp_path, asked)
        stamp = check(tmp_path, answer, policy=policy)
        assert abs(stamp.at - datetime.now(UTC)) < timedelta(minutes=1)
        assert stamp.policy == policy or POLICY
        (tmp_path / "answer.tsr").write_bytes(answer)
        (tmp_path / "asked.tsq").write_bytes(asked)
        openssl(tmp_path, "ts", "-verify", "-queryfile", "asked.tsq", "-in", "answer.tsr", "-CAfile", "ca.pem")
    assert stamp.serial > 0


def test_each_thing_that_a_token_must_say_is_looked_at(tmp_path: Path) -> None:
    certify(tmp_path)
    asked = query(MESSAGE, NONCE)
    good = reply(tmp_path, asked)
    assert refused(tmp_path, reply(tmp_path, asked, "strict.cnf")) == "status"
    assert refused(tmp_path, reply(tmp_path, query(b"else", NONCE))) == "imprint"
    assert refused(tmp_path, reply(tmp_path, another(tmp_path, sha256(MESSAGE).hexdigest()))) == "nonce"
    assert refused(tmp_path, good, policy=OTHER_POLICY) == "policy"
    assert refused(tmp_path, good + b"\0") == "form"
    assert refused(tmp_path, b"<html>no</html>") == "form"
    assert refused(tmp_path, b"") == "form"
    assert refused(tmp_path, b"\0" * (LIMIT + 1)) == "length"


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_an_authority_whose_certificate_was_not_good_at_that_time_is_refused(tmp_path: Path, days: tuple[int, int]) -> None:
    certify(tmp_path, days=days)
    assert refused(tmp_path, reply(tmp_path, query(MESSAGE, NONCE))) == "signature"


@pytest.mark.parametrize(("usage", "critical"), [("stamping", True), ("stamping", False), ("web", True)])
def test_only_a_certificate_that_is_critically_meant_for_it_may_sign(tmp_path: Path, usage: str, critical: bool) -> None:
    certify(tmp_path)
    certify(tmp_path / "other", usage=usage, critical=critical)
    answer = signed_by(tmp_path, tmp_path / "other", query(MESSAGE, NONCE))
    if (usage, critical) == ("stamping", True):
        check(tmp_path / "other", answer)
    else:
        assert refused(tmp_path / "other", answer) == "signature"


def test_an_authority_that_is_not_the_configured_one_is_refused(tmp_path: Path) -> None:
    certify(tmp_path / "ours")
    certify(tmp_path / "other")
    answer = reply(tmp_path / "other", query(MESSAGE, NONCE))
    assert refused(tmp_path / "ours", answer) == "signature"
    with pytest.raises(Corrupt):
        Authority.read((tmp_path / "other" / "tsa.pem").read_bytes())
    with pytest.raises(Corrupt):
        Authority.read(b"no certificate")


def test_no_alteration_of_what_was_signed_passes_and_none_breaks_the_reader(tmp_path: Path) -> None:
    certify(tmp_path)
    good, chance = reply(tmp_path, query(MESSAGE, NONCE)), Random(3161)  # noqa: S311 - chance, not secrecy
    told = check(tmp_path, good)
    for _ in range(600):
        altered = bytearray(good)
        altered[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        with suppress(BadTimestamp):
            assert check(tmp_path, bytes(altered)) == told, "what passes says the same"
