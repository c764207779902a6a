"""The addresses of `sovereign.toml`, and how an error names the field that is wrong."""

import re
from urllib.parse import urlsplit

from sovereign.errors import BadSettings
from sovereign.settings.host_keys import host_keys
from sovereign.settings.schema import Network

_SESSIONS = ("imaps", "imap", "ldaps", "ldap")
"""The schemes of what is spoken to by sessions: an address of a connection alone."""


def wrong(field: str, fr: str, en: str, *, line: int | None = None) -> BadSettings:
    """The error for a field: what was expected; `line` where in the file, from 1."""
    said = {"expected_fr": f"attendu : {fr}", "expected_en": f"expected {en}"}
    return BadSettings(field=field or "sovereign.toml", **said, **({} if line is None else {"line": line}))


def reachable(url: str, network: Network, at: str, *, folder: bool = False) -> None:
    """Refuse here what egress would refuse anyway, so that it is said at once; folder: whether `folder:` is an address too."""
    try:
        parts = urlsplit(url)
        lost = parts.scheme != "folder" and not parts.hostname
        held = parts.username is not None or parts.password is not None
    except ValueError:
        lost, held, parts = True, False, urlsplit("")
    if lost or parts.scheme not in (("https", "http", "folder", *_SESSIONS, "sftp") if folder else ("https", "http")):
        raise wrong(
            f"{at}.url",
            "une adresse « https://… », « http://… », « imaps://… », « imap://… », « ldaps://… », « ldap://… », "
            "« sftp://… » ou « folder:… »"
            if folder
            else "une adresse « https://… » ou « http://… »",
            "an `https://…`, `http://…`, `imaps://…`, `imap://…`, `ldaps://…`, `ldap://…`, `sftp://…` or `folder:…` address"
            if folder
            else "an `https://…` or `http://…` address",
        )
    if held:
        raise wrong(f"{at}.url", "une adresse sans identifiant ni mot de passe", "an address without login or password")
    if parts.scheme != "folder" and any(sign in url for sign in "?#"):
        raise wrong(
            f"{at}.url",
            "une adresse sans « ? » ni « # » : un jeton y serait en clair, et un paramètre se règle au connecteur",
            "an address without `?` or `#`: a token would stand there in clear, and parameters are the connector's settings",
        )
    if parts.scheme == "http" and not network.plaintext:
        raise wrong(f"{at}.url", "« https:// », ou network.plaintext = true", "`https://`, or network.plaintext = true")
    if network.proxy is not None and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+:\d{1,5}/?", network.proxy):
        raise wrong(f"{at}.network.proxy", "« http://hôte:port », sans identifiant", "`http://host:port`, without credentials")
    if network.proxy is not None and parts.scheme == "http":
        raise wrong(
            f"{at}.network.proxy",
            "une adresse https:// (le mandataire ne porte que CONNECT)",
            "an https:// url (the proxy only carries CONNECT)",
        )
    if network.proxy is not None and parts.scheme in _SESSIONS and not network.proxy.startswith("http://"):
        raise wrong(
            f"{at}.network.proxy",
            "un mandataire http:// pour une messagerie ou un annuaire",
            "an http:// proxy for a mail server or a directory",
        )
    _server_key(parts.scheme, network, at)
    if network.client_key is not None and network.client_certificate is None:
        raise wrong(
            f"{at}.network.client_certificate",
            "le certificat qui va avec client_key",
            "the certificate that goes with client_key",
        )


def _server_key(scheme: str, network: Network, at: str) -> None:
    """An SSH server is known by its key, and by nothing else; no other server has one."""
    if scheme != "sftp":
        if network.host_key is not None:
            fr, en = "rien : seule une adresse « sftp:// » en a une", "nothing: only an `sftp://` address has one"
            raise wrong(f"{at}.network.host_key", fr, en)
        return
    if network.proxy is not None:
        raise wrong(
            f"{at}.network.proxy", "rien : « sftp:// » ne passe pas par un mandataire", "nothing: `sftp://` takes no proxy"
        )
    try:
        host_keys(network.host_key or "")
    except ValueError:
        raise wrong(
            f"{at}.network.host_key",
            "la clé du serveur : son empreinte « SHA256:… » (« ssh-keygen -l »), ou la clé « ssh-ed25519 AAAA… », une par "
            "ligne ; demandez-la au fournisseur par un autre canal",
            "the server's key: its fingerprint `SHA256:…` (`ssh-keygen -l`), or the key `ssh-ed25519 AAAA…`, one a line; "
            "ask the vendor for it by another channel",
        ) from None
