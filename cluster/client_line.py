"""A client's or a person's lines to the coordinators, while one command waits: dial, say, listen, say again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from cluster.client import Client
from cluster.driver import Driver, Machine, Memory, system_clock
from cluster.effects import Step
from cluster.errors import AuthenticationError, PeerError, StateError
from cluster.keys import Keys
from cluster.party import Party
from cluster.people import Person
from cluster.records import Record
from cluster.roster import CoordinatorEntry
from cluster.settings import profile_of_texts
from cluster.transport import NodeEndpoint, NodeLinks
from cluster.transport.dialer import LinkState

__all__ = ["CONNECT_S", "ClientLine", "Coordinating", "PersonLine"]

CONNECT_S = 15.0
"""How long to dial before the coordinator counts as unreachable."""

FAR_S = 3.0
"""How long a further coordinator is waited for: one that is near and hides something must not be quicker."""


@dataclass(frozen=True, slots=True)
class Coordinating:
    """A coordinator as a device sees it: its name, its address, and the state of the line to it."""

    name: str
    endpoint: str
    state: str


class _NoMemory:
    """A client's machine remembers nothing; its command writes down what matters."""

    def append(self, records: Sequence[Record]) -> None:
        assert not records


class Dialling(Machine, Protocol):
    """A machine that speaks to one of several coordinators at a time."""

    @property
    def coordinator(self) -> bytes:
        """The coordinator (identity key) to which it speaks now."""


class _Line:
    """One machine and its connections, one to each coordinator."""

    def __init__(
        self, machine: Dialling, memory: Memory, keys: Keys, entries: Sequence[CoordinatorEntry]
    ) -> None:
        self._machine = machine
        self._entries = {entry.identity: entry for entry in entries}
        secret = keys.transport().secret
        self._endpoints = {
            entry.identity: NodeEndpoint(entry.endpoint, entry.transport, secret) for entry in entries
        }
        self._driver = Driver(machine, memory, NodeLinks(self._endpoints))

    @property
    def where(self) -> str:
        """Who is spoken to now, in words."""
        entry = self._entries[self._machine.coordinator]
        return f"coordinator {entry.name} at {entry.endpoint}"

    def coordinators(self) -> tuple[Coordinating, ...]:
        """Each coordinator of the roster, and how the line to it stands."""
        return tuple(
            Coordinating(entry.name, entry.endpoint, self._endpoints[identity].state.value)
            for identity, entry in self._entries.items()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints.values():
            endpoint.close()

    def say(self, step: Step) -> None:
        """Say what a step says, now or when the line stands."""
        self._driver.do(lambda now, entropy: step)

    def wait(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Listen and repeat until a condition holds, or the time is over; whether it holds.

        Raises:
            PeerError: no coordinator can be reached at all.
            AuthenticationError: none lets this device in.
            KeyboardInterrupt: the person, or the system, wants to stop.
        """
        started = time.monotonic()
        connected = False
        unreachable = "cannot be reached; does it run, and is the address right?"

        def enough() -> bool:
            nonlocal connected
            endpoints = self._endpoints.values()
            connected = connected or any(endpoint.connected() for endpoint in endpoints)
            if all(endpoint.state is LinkState.REFUSED for endpoint in endpoints):
                raise AuthenticationError(f"{self.where} does not know this device; is the roster the same?")
            waited_s = time.monotonic() - started
            if not connected and waited_s > CONNECT_S:
                raise PeerError(f"{self.where} {unreachable}")
            return until() or waited_s > timeout_s

        if self._driver.run(until=enough):
            raise KeyboardInterrupt
        if not connected:
            raise PeerError(f"{self.where} {unreachable}")
        return until()


class ClientLine(_Line):
    """The client machine and its connections."""

    def __init__(self, party: Party, keys: Keys, coordinator: str = "") -> None:
        """Start to dial all coordinators, the one of this name first; PeerError for an unknown name."""
        entries = _coordinators(party, coordinator)
        self.client = Client(
            roster=party.need_roster(),
            roster_digest=party.roster_digest,
            identity=keys.identity(),
            boot_id=os.urandom(16),
            coordinators=[entry.identity for entry in entries],
        )
        super().__init__(self.client, _NoMemory(), keys, entries)


class PersonLine(_Line):
    """A person's machine and its connections; what it says is on the disk before it leaves."""

    def __init__(self, party: Party, keys: Keys, gatherer: CoordinatorEntry | None = None) -> None:
        """As a client's, or to whoever gathers a rescue alone; StateError when a record makes no sense."""
        entries = _coordinators(party, "") if gatherer is None else [gatherer]
        try:
            self.person = Person(
                roster=party.need_roster(),
                roster_digest=party.roster_digest,
                identity=keys.identity(),
                boot_id=os.urandom(16),
                coordinators=[entry.identity for entry in entries],
                records=party.records,
                read_texts=profile_of_texts,
            )
        except ValueError as error:
            raise StateError(f"{party.place.database}: {error}") from None
        super().__init__(self.person, party.store, keys, entries)

    def rounds(self) -> Iterator[None]:
        """Look at one coordinator after the other, as far as they can be reached: one may hide what others show."""
        first = self.person.coordinator
        yield
        for identity, endpoint in self._endpoints.items():
            if identity != first and self._reached(endpoint):
                self.say(self.person.speak_to(identity, now(), os.urandom(32)))
                yield

    def _reached(self, endpoint: NodeEndpoint) -> bool:
        """Whether a line stands, once there was time for it."""
        self.wait(lambda: endpoint.connected() or endpoint.state is LinkState.REFUSED, FAR_S)
        return endpoint.connected()


def _coordinators(party: Party, name: str) -> list[CoordinatorEntry]:
    """All coordinators of the roster, in its order, but the one of this name first."""
    entries = party.need_roster().coordinators
    if name and name not in {entry.name for entry in entries}:
        raise PeerError(f"no coordinator {name} in the roster")
    return sorted(entries, key=lambda entry: entry.name != name)


now = system_clock
