"""What flows need of the house: the gateway's front door, the copies, the events. Composed by `sovereign.flowing`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from saas_connectors.connector import Class, Json, Operation
from sovereign.flows.flow import FlowFile
from sovereign.flows.occasion import Occasion
from vault.errors import Fault


@dataclass(frozen=True, slots=True)
class Write:
    """A write that a flow asks for. intent: its name, given beforehand; key: its idempotency key."""

    intent: str
    client: str
    connection: str
    operation: str
    payload: Json = field(repr=False)
    key: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a write stands at the gateway: its state, why, and the instants at which it reached each state.

    changed: whether it changed something at the vendor, as its answer or the look before it told; None when nothing told.
    """

    state: str
    why: str | None
    steps: tuple[tuple[str, datetime], ...] = ()
    changed: bool | None = None


class Front(Protocol):
    """The gateway's front door, as flows knock at it."""

    def ask(self, writes: Sequence[Write], /) -> Sequence[Fault | None]:
        """Submit writes; gives for each the fault that kept it from being taken, None when it is durable."""
        ...

    def decide(self, writes: Sequence[Write], /) -> Sequence[tuple[str, tuple[str, str]] | Fault]:
        """What policy would decide, nothing being kept but that it was asked: the effect and its sentences."""
        ...

    def known(self, intents: Sequence[str], /) -> Mapping[str, Outcome]:
        """Where writes stand; those that the gateway never took are not there."""
        ...

    def take_back(self, intent: str, by: str, /) -> None:
        """Take back a write that has not left; errors: those of the gateway when it is too late."""
        ...


class Copies(Protocol):
    """The local copies."""

    def head(self, dataset: str, /) -> int:
        """The sequence of the snapshot that is served, 0 when there is none."""
        ...

    def rows(self, file: FlowFile, sql: str, occasion: Occasion, /) -> Iterator[Mapping[str, Json]]:
        """The rows of a question over the changes, or the event, of an occasion; errors: those of a question."""
        ...


class Events(Protocol):
    """The events that came in."""

    def class_of(self, type_: str, /) -> Class:
        """The highest class that events of a type have, by what their sources declare."""
        ...

    def class_at(self, name: str, /) -> Class:
        """The class of one event."""
        ...

    def after(self, type_: str, position: int, limit: int, /) -> Sequence[tuple[int, str, Mapping[str, Json]]]:
        """Events of a type after a position, oldest first: position, name, data."""
        ...

    def one(self, name: str, /) -> Mapping[str, Json] | None:
        """The data of one event, None when there is none of that name."""
        ...

    def last(self, type_: str, /) -> int:
        """The position of the latest event of a type, 0 when there is none."""
        ...


class Operations(Protocol):
    """What may be written."""

    def __call__(self, connection: str, /) -> Mapping[str, Operation]:
        """The operations of a connection, by name; errors: UnknownConnection, SettingsError."""
        ...
