"""The secure channel of one connection: TLS 1.2 or later, the vendor's certificate always verified.

Without `ca_bundle` the public authorities of certifi are trusted; with it, that bundle alone. The client certificate, when
there is one, is shown to whom asks for it during the handshake.
"""

import ssl

import certifi

from sovereign.egress.errors import TlsFailed
from sovereign.egress.policy import EgressPolicy

_REFUSED_BY_PEER = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")


def context(policy: EgressPolicy, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    """Make the TLS context of a connection; protocols: what ALPN offers. Errors: TlsFailed when a file cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if protocols:
        made.set_alpn_protocols(protocols)
    step = "ca_bundle"
    try:
        made.load_verify_locations(cafile=str(policy.ca_bundle or certifi.where()))
        step = "client_certificate"
        if policy.client_certificate is not None:
            # An absent password must not make OpenSSL ask for one on the terminal.
            made.load_cert_chain(policy.client_certificate, policy.client_key, policy.client_key_password or "")
    except (OSError, ValueError):
        raise TlsFailed(host=policy.own.host, connection=policy.connection, reason=step) from None
    return made


def reason(error: ssl.SSLError) -> str:
    """A short reason, from OpenSSL's own fixed words; nothing of the peer's certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == 62:  # X509_V_ERR_HOSTNAME_MISMATCH; its message holds names
            return "hostname mismatch"
        return str(error.verify_message)
    return (error.reason or "handshake").lower().replace("_", " ")


def refused_by_peer(error: ssl.SSLError) -> bool:
    """Whether the peer ended the handshake (RFC 8446 section 6.2), so that it handled no request even if one was on its way."""
    said = error.reason or ""
    return "ALERT" in said and any(word in said for word in _REFUSED_BY_PEER)
