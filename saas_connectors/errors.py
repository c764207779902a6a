"""What a vendor, or the settings of a connector, can do wrong.

    ConnectorError
    ├── SettingsError       a setting is missing or wrong: names the field and what was expected
    ├── BadPayload          what a caller wants written does not fit: names the place and what was expected, never the value
    ├── UnknownOperation    the connection declares no such operation
    ├── VendorError         the vendor answered something that is not what its interface promises
    │   ├── Unauthorized    the credential is refused (401), or the right is missing (403)
    │   │   └── TokenDenied     who gives tokens refuses what it was shown
    │   ├── NotFound        404 or 410
    │   ├── Malformed       not JSON, not XML, HTML instead of data, a path that is not there
    │   └── Rejected        any other status of the 4xx or 5xx family
    │       └── Moved       what a write was held against changed meanwhile: nothing was done, it is asked again
    ├── SchemaError         records that the stream's contract refuses
    └── ResumeLost          the source changed since the resume point: the read starts again from nothing

None of them ever holds a vendor's body: a 404 page has been seen to echo the password.
"""

from vault.errors import Diagnostics, Fault


class ConnectorError(Fault):
    """A fault of a connector or of the vendor behind it."""

    code = "connector"


class SettingsError(ConnectorError):
    """A setting of a connection is missing or wrong."""

    code = "connector.settings"
    kind = "usage"
    fr = "Réglage « {field} » : {expected_fr}."
    en = "Setting `{field}`: {expected_en}."
    todo_fr = "Corrigez-le dans sovereign.toml, ou par --set dans la commande."
    todo_en = "Correct it in sovereign.toml, or by --set in the command."


class BadPayload(ConnectorError):
    """What a caller wants written does not fit the operation. Field `pointer`: where (RFC 6901), "" for the whole."""

    code = "connector.payload"
    kind = "usage"
    fr = "Contenu refusé à « {pointer} » : attendu {expected_fr}."
    en = "Payload refused at `{pointer}`: expected {expected_en}."
    todo_fr = "Corrigez le contenu ; le schéma de l'opération dit ce qu'elle accepte."
    todo_en = "Correct the payload; the operation's schema says what it accepts."


class UnknownOperation(ConnectorError):
    """The connection declares no such operation."""

    code = "connector.operation"
    kind = "usage"
    fr = "La connexion {connection} ne déclare pas l'opération « {operation} » ; déclarées : {known}."
    en = "Connection {connection} declares no operation `{operation}`; declared: {known}."
    todo_fr = "Demandez-en une de la liste, ou déclarez celle-ci dans sovereign.toml."
    todo_en = "Ask for one of the list, or declare this one in sovereign.toml."


class VendorError(ConnectorError):
    """The vendor answered something that is not what its interface promises."""

    code = "vendor"
    fr = "Le fournisseur a répondu {status} à {method} {path}."
    en = "The vendor answered {status} to {method} {path}."


class Unauthorized(VendorError):
    """The credential is refused, or the right is missing."""

    code = "vendor.unauthorized"
    fr = "Le fournisseur refuse l'accès ({status}) à {method} {path}."
    en = "The vendor refuses access ({status}) to {method} {path}."
    todo_fr = "Vérifiez le secret de la connexion et les droits de son compte chez le fournisseur."
    todo_en = "Check the connection's secret and the rights of its account at the vendor."


class TokenDenied(Unauthorized):
    """Who gives tokens refuses what it was shown: the account, its password or the client's secret."""

    code = "vendor.token_denied"
    fr = "Le fournisseur refuse de donner un jeton ({status}) à {method} {path}."
    en = "The vendor refuses to give a token ({status}) to {method} {path}."


class NotFound(VendorError):
    """Nothing at that address."""

    code = "vendor.not_found"
    fr = "Le fournisseur ne connaît pas {path} ({status})."
    en = "The vendor does not know {path} ({status})."
    todo_fr = "Vérifiez l'adresse de la connexion et le chemin du flux."
    todo_en = "Check the connection's address and the stream's path."


class Malformed(VendorError):
    """The answer is not what the interface promises."""

    code = "vendor.malformed"
    fr = "La réponse à {method} {path} n'est pas lisible : {expected_fr}."
    en = "The answer to {method} {path} cannot be read: {expected_en}."
    todo_fr = "Son contenu n'est ni montré ni conservé ; vérifiez l'adresse, puis demandez au fournisseur."
    todo_en = "Its content is neither shown nor kept; check the address, then ask the vendor."


class Rejected(VendorError):
    """A refusal of the 4xx or 5xx family; of a write, any refusal.

    `definitive`: what was asked was not done, and would not be if it were asked again. `reason`: a stable word for why. A kind
    of its own, made by a connector that knows what a refusal means, says it with `reason` and `status` alone.
    """

    code = "vendor.rejected"
    todo_fr = "Au-delà de 500, réessayez plus tard, puis demandez au fournisseur ; sinon, vérifiez les réglages du flux."
    todo_en = "From 500 on, try again later, then ask the vendor; below, check the stream's settings."

    def __init__(self, *, method: str, path: str, status: int, definitive: bool = False, reason: str = "status") -> None:
        self.status, self.definitive, self.reason = status, definitive, reason
        super().__init__(method=method, path=path, status=status, definitive=definitive, reason=reason)


def refuses(error: Exception) -> bool:
    """Whether a fault says that the vendor refused the credential itself.

    It is a 401 that no connector knows as anything else, or any refusal of who was to give a token (RFC 6749 section 5.2); a
    403 is about a right.
    """
    if isinstance(error, TokenDenied):
        return True
    known = isinstance(error, Rejected) and type(error) is not Rejected
    return isinstance(error, VendorError) and not known and error.fields.get("status") == 401


class Moved(Rejected):
    """What a write was held against changed between its look and itself: the vendor did nothing. It is asked again, anew."""

    code = "vendor.moved"
    fr = "Ce que l'écriture devait changer a changé entre-temps chez le fournisseur ({status}) : rien n'a été fait."
    en = "What the write was to change has changed at the vendor meanwhile ({status}): nothing was done."
    todo_fr = "Rien à faire : elle est redemandée après un nouveau regard."
    todo_en = "Nothing to do: it is asked again after another look."

    def __init__(self, *, method: str, path: str, status: int) -> None:
        super().__init__(method=method, path=path, status=status, reason="moved")


def refusal(why: str, status: int | None, language: str) -> Diagnostics | None:
    """Say again what a connector made of a refusal, by its code and its reason (`CODE.REASON`); None when none is known."""
    waiting = list(Rejected.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.code != Rejected.code and why.startswith(f"{kind.code}."):
            what, todo = (kind.fr, kind.todo_fr) if language == "fr" else (kind.en, kind.todo_en)
            fields = {"reason": why.removeprefix(f"{kind.code}."), "status": status}
            return Diagnostics(kind.code, what.format(**fields), todo.format(**fields))
    return None


class SchemaError(ConnectorError):
    """Records that the stream's contract refuses."""

    code = "connector.schema"
    fr = "Le flux {stream} ne respecte plus son contrat : {expected_fr}."
    en = "Stream {stream} no longer keeps its contract: {expected_en}."
    todo_fr = "Relisez la dérive (snapshot show), puis changez le contrat ou les types déclarés."
    todo_en = "Review the drift (snapshot show), then change the contract or the declared types."


class ResumeLost(ConnectorError):
    """What was read before a resume point is no longer what the vendor holds: start the read again, from nothing."""

    code = "connector.resume_lost"
    fr = "La source a changé depuis le point de reprise du flux {stream}."
    en = "The source changed since the resume point of stream {stream}."
    todo_fr = "La lecture reprend de zéro ; la dernière copie bonne reste servie."
    todo_en = "The read starts again from nothing; the last good copy is still served."
