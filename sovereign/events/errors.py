"""Faults of events.

SovereignError
└── EventError
    ├── UnknownSource   no source of that name, for an operator
    ├── UnknownSubscriber, UnknownMessage   no subscriber, or no message of its, of that name
    ├── NotSigned       401: no signature of the source, or none that holds; it does not say which
    ├── Stale           401: signed too long ago, or in the future
    └── BadEvent        422: signed, and not what an event of this source is
"""

from typing import ClassVar

from sovereign.errors import SovereignError


class EventError(SovereignError):
    """A fault of events."""

    code = "event"
    status: ClassVar[int] = 422


class UnknownSource(EventError):
    """No source of that name."""

    code = "event.source"
    kind = "usage"
    fr = "Aucune source d'événements ne s'appelle {source} dans ce site."
    en = "No source of events is called {source} on this site."
    todo_fr = "Sources connues : {known}. Une source est une table [events.NOM] de sovereign.toml."
    todo_en = "Sources known: {known}. A source is a table [events.NAME] of sovereign.toml."


class NotSigned(EventError):
    """No signature of the source, or none that holds; a source that does not exist is answered the same."""

    code = "event.signature"
    kind = "unauthenticated"
    status = 401
    fr = "Aucune signature de cette source ne tient."
    en = "No signature of this source holds."
    todo_fr = "Vérifiez le secret partagé et la façon de signer (« sovereign event sources »). Rien n'a été gardé."
    todo_en = "Check the shared secret and the way of signing (`sovereign event sources`). Nothing was kept."


class Stale(EventError):
    """Signed too long ago, or in the future."""

    code = "event.stale"
    kind = "unauthenticated"
    status = 401
    fr = "L'événement est signé à plus de {window} secondes de l'heure d'ici."
    en = "The event is signed more than {window} seconds away from the time here."
    todo_fr = "Vérifiez les horloges, et renvoyez-le. Rien n'a été gardé."
    todo_en = "Check the clocks, and send it again. Nothing was kept."


class BadEvent(EventError):
    """Signed, and not what an event of this source is."""

    code = "event.bad"
    kind = "usage"
    fr = "L'événement ne convient pas, champ « {field} » : {expected_fr}."
    en = "The event does not fit, field `{field}`: {expected_en}."
    todo_fr = "Corrigez la source ou sa déclaration. Rien n'a été gardé."
    todo_en = "Correct the source or its declaration. Nothing was kept."


class UnknownSubscriber(EventError):
    """No subscriber of that name."""

    code = "event.subscriber"
    kind = "usage"
    fr = "Aucun abonné ne s'appelle {subscriber} dans ce site."
    en = "No subscriber is called {subscriber} on this site."
    todo_fr = "Abonnés connus : {known}. Un abonné est une table [subscribers.NOM] de sovereign.toml."
    todo_en = "Subscribers known: {known}. A subscriber is a table [subscribers.NAME] of sovereign.toml."


class UnknownMessage(EventError):
    """No message of that id that may be sent again."""

    code = "event.message"
    kind = "usage"
    fr = "Aucun événement de ce nom n'est à renvoyer à {subscriber}."
    en = "No event of that name may be sent again to {subscriber}."
    todo_fr = "« sovereign subscriber show {subscriber} » les liste ; ce qui attend déjà n'est pas à renvoyer."
    todo_en = "`sovereign subscriber show {subscriber}` lists them; what waits already is not to be sent again."
