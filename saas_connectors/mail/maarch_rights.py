"""What a check of the connection finds out about the rights to write, without writing anything.

1. Maarch looks at the route, then at the privilege or at the group's indexing, and last at the body: an empty one is refused
   (400) once the rights were found good. Each route of the open operations is sent one.
2. Only what says that a right is missing is told; whatever else is answered to an empty body says nothing.
"""

from collections.abc import Sequence
from typing import Final

from saas_connectors.answer import accept
from saas_connectors.connector import Exchange, Fetch
from saas_connectors.errors import Rejected
from saas_connectors.mail import maarch_refusals as refusals
from saas_connectors.mail.maarch_calls import Calls
from saas_connectors.mail.maarch_looks import JSON
from saas_connectors.request import Request

_NEEDED: Final = {
    "create_letter": (refusals.CREATE, refusals.FIND),
    "update_letter": (refusals.UPDATE, refusals.LETTER),
    "change_status": (refusals.STATUS,),
    "close_letter": (refusals.STATUS,),
    "delete_letter": (refusals.STATUS,),
    "set_external_ids": (refusals.EXTERNAL, refusals.LETTER),
    "add_note": (refusals.NOTE, refusals.NOTES),
    "add_attachment": (refusals.ATTACH, refusals.ATTACHED),
}
_MISSING: Final = (refusals.WriteDenied, refusals.WriteForbidden, refusals.IndexingClosed, refusals.WriterHeld)


def tried(calls: Calls, writes: Sequence[str], letter: int | None) -> Exchange[list[tuple[str, str]]]:
    """Try the routes of the operations `writes`; gives what is missing, in French and in English.

    letter: one that the account sees; without one, the routes of one letter are not tried. Errors: Unauthorized for a
    credential that is refused.
    """
    remarks = []
    for route in dict.fromkeys(route for name in writes for route in _NEEDED[name]):
        if "{" in route and letter is None:
            continue
        request = _request(calls, route, letter)
        (response,) = yield Fetch((request,))
        if response.status == 401:
            accept(request, response)
        try:
            refusals.denied(request, response, route)
        except _MISSING as fault:
            remarks.append(_remark(fault, [name for name in writes if route in _NEEDED[name]]))
        except Rejected:
            continue
    return remarks


def _request(calls: Calls, route: str, letter: int | None) -> Request:
    method, _, path = route.partition("/")
    path = path.replace("{resId}", str(letter))
    return calls.get(path) if method == "GET" else Request(method, f"{calls.root}/{path}", (), JSON, b"{}", reads=True)


def _remark(fault: Rejected, names: Sequence[str]) -> tuple[str, str]:
    french, english = fault.diagnostics("fr"), fault.diagnostics("en")
    listed = ", ".join(names)
    return (
        f"Ne peut pas être écrit ({listed}). {french.what} {french.todo}",
        f"Cannot be written ({listed}). {english.what} {english.todo}",
    )
