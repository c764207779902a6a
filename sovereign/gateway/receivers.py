"""What telling others needs: who is told and by which keys, and what they are to be told. Sent by `callbacks`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from sovereign.egress.policy import EgressPolicy


class Told(Protocol):
    """One thing to tell."""

    @property
    def name(self) -> str:
        """Its `webhook-id`: the same however often it is sent."""
        ...

    @property
    def receiver(self) -> str:
        """Whom it is for."""
        ...

    @property
    def url(self) -> str:
        """Where it goes."""
        ...

    @property
    def attempts(self) -> int:
        """Sendings so far."""
        ...

    @property
    def media(self) -> str:
        """The type of its body."""
        ...

    def body(self) -> bytes:
        """What is sent."""
        ...


class Receiver(Protocol):
    """Who is told."""

    def way(self, url: str) -> EgressPolicy:
        """What a message to one of its addresses is allowed on the network."""
        ...


R = TypeVar("R", bound=Receiver)
M = TypeVar("M", bound=Told)
R_co = TypeVar("R_co", bound=Receiver, covariant=True)
R_contra = TypeVar("R_contra", bound=Receiver, contravariant=True)


class Receivers(Protocol[R_co]):
    """Those who are told, and the keys that sign for each."""

    def all(self) -> Mapping[str, R_co]:
        """By name."""
        ...

    def keys(self, name: str, /) -> tuple[bytes, ...]:
        """The keys that sign at this instant. Errors: NoSecret."""
        ...


class Outbox(Protocol[R_contra, M]):
    """What is to be told, durable."""

    def gather(self, known: Mapping[str, R_contra], /) -> bool:
        """Find what is new to tell; gives whether there may be more."""
        ...

    def due(self, receiver: str, most: int, in_hand: Collection[str], /) -> list[M]:
        """What may be sent to a receiver now, the oldest first. in_hand: names of messages that are being sent."""
        ...

    def stands(self, message: M, receiver: R_contra | None, /) -> Literal["tell", "later", "moved", "gone", "over"]:
        """Whether it is still to be told; `moved`: a later one says it better; `gone`: its receiver or address is."""
        ...

    def put_off(self, message: M, next_at: datetime | None = None, why: str | None = None, attempts: int = 0, /) -> None:
        """Look again later: at an instant, after so many more attempts; soon when it is not said."""
        ...

    def end(self, message: M, outcome: str, why: str | None, attempts: int = 0, status: int | None = None, /) -> None:
        """End it. outcome: `told`, `given_up` or `dropped`."""
        ...
