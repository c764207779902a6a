"""RFC 3161: ask a time-stamping authority when some bytes existed, and believe its answer only once all of it was checked.

1. A token is believed when the authority granted it, its imprint is SHA-256 of the bytes, its nonce the one that was asked, its
   policy the one that was asked if any; when it is signed, with SHA-2, by a certificate that leads to a root that the operator
   gave, was good at that time, and is critically meant for time-stamping (RFC 3161 section 2.3).
2. A token goes on being good after its authority's certificate expired: certificates are held against the time of the token.
3. Nothing here opens a connection or reads a clock. Whether a certificate was revoked is not asked.

The answer's bytes are decoded, and the signature checked, by `rfc3161-client`; requests are encoded here, because it cannot
name a policy.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Self

from cryptography import x509
from cryptography.hazmat import asn1
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from vault.errors import BadTimestamp, Corrupt

LIMIT: Final = 64 * 1024
"""The longest answer that is read, in bytes; those of public authorities weigh 2 to 10 KiB."""
QUERY: Final = "application/timestamp-query"
REPLY: Final = "application/timestamp-reply"
NONCE: Final = 8
"""Bytes of randomness that a request asks to find again in its answer."""
_SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_SHA2: Final = frozenset(x509.ObjectIdentifier(f"2.16.840.1.101.3.4.2.{each}") for each in (1, 2, 3))


@asn1.sequence
class _Algorithm:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Imprint:
    algorithm: _Algorithm
    hashed: bytes


@asn1.sequence
class _Query:
    """`TimeStampReq` of RFC 3161 section 2.4.1, without extensions."""

    version: int
    imprint: _Imprint
    policy: x509.ObjectIdentifier | None
    nonce: int | None
    certificates: Annotated[bool, asn1.Default(False)]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a token says: the bytes existed at this instant (UTC), under this policy, as number `serial` of its authority."""

    at: datetime
    policy: str
    serial: int


def query(message: bytes, nonce: bytes, policy: str | None = None) -> bytes:
    """Write the request for a token over bytes; nonce: `NONCE` random bytes; policy: an object identifier, dotted."""
    wanted = None if policy is None else x509.ObjectIdentifier(policy)
    imprint = _Imprint(algorithm=_Algorithm(algorithm=_SHA256, parameters=None), hashed=hashlib.sha256(message).digest())
    return asn1.encode_der(_Query(version=1, imprint=imprint, policy=wanted, nonce=_number(nonce), certificates=True))


@dataclass(frozen=True, slots=True)
class Authority:
    """Whose tokens are believed: those that lead to these roots, through these intermediate certificates if needed."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    policy: str | None = None

    @classmethod
    def read(cls, pem: bytes, policy: str | None = None) -> Self:
        """Read its certificates: those that signed themselves are roots, one at least. Errors: Corrupt."""
        try:
            found = x509.load_pem_x509_certificates(pem)
        except ValueError:
            raise Corrupt(what="certificates of the time-stamping authority") from None
        roots = tuple(each for each in found if each.issuer == each.subject)
        if not roots:
            raise Corrupt(what="certificates of the time-stamping authority (no root)")
        return cls(roots, tuple(each for each in found if each not in roots), policy)

    def verify(self, answer: bytes, message: bytes, nonce: bytes | None = None) -> Stamp:
        """Raise `BadTimestamp` unless the answer holds a good token over these bytes; nonce: what was asked, if still known."""
        response = _decode(answer)
        if response.status != 0:
            raise _bad("status")
        info, signed = response.tst_info, response.signed_data
        if info.message_imprint.hash_algorithm != _SHA256 or info.message_imprint.message != hashlib.sha256(message).digest():
            raise _bad("imprint")
        if not signed.digest_algorithms <= _SHA2:
            raise _bad("digest")
        if nonce is not None and info.nonce != _number(nonce):
            raise _bad("nonce")
        if self.policy is not None and info.policy.dotted_string != self.policy:
            raise _bad("policy")
        try:
            VerifierBuilder(roots=list(self.roots), intermediates=list(self.intermediates)).build().verify_message(
                response, message
            )
        except (VerificationError, ValueError):
            raise _bad("signature") from None
        return Stamp(info.gen_time.astimezone(UTC), info.policy.dotted_string, info.serial_number)


def _decode(answer: bytes) -> TimeStampResponse:
    """Read an answer; what it holds is looked at here once, so that later reads cannot fail."""
    if len(answer) > LIMIT:
        raise _bad("length")
    try:
        response = decode_timestamp_response(answer)
        if response.status == 0:
            info, signed = response.tst_info, response.signed_data
            _ = (info.gen_time, info.nonce, info.policy, info.serial_number, info.message_imprint.message)
            _ = (info.message_imprint.hash_algorithm, signed.digest_algorithms, len(signed.signer_infos))
    except ValueError:
        raise _bad("form") from None
    return response


def _number(nonce: bytes) -> int:
    return int.from_bytes(nonce, "big")


_SAID: Final = {
    "status": ("l'autorité refuse de le donner", "the authority refuses to give it"),
    "imprint": ("il horodate autre chose", "it stamps something else"),
    "digest": ("il est signé avec un condensat trop faible", "it is signed with a weak digest"),
    "nonce": ("il répond à une autre demande", "it answers another request"),
    "policy": ("il suit une autre politique que celle demandée", "it follows another policy than the one that was asked"),
    "signature": (
        "il n'est pas signé par un certificat d'horodatage valable alors et qui mène à l'autorité configurée",
        "it is not signed by a time-stamping certificate that was good then and leads to the configured authority",
    ),
    "length": (f"la réponse dépasse {LIMIT} octets", f"the answer passes {LIMIT} bytes"),
    "form": ("la réponse n'est pas une réponse d'horodatage", "the answer is no time-stamp response"),
}


def _bad(reason: str) -> BadTimestamp:
    fr, en = _SAID[reason]
    return BadTimestamp(reason=reason, why_fr=fr, why_en=en)
