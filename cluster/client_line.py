"""A client's or a person's line to the coordinator, while one command waits: dial, say, listen, say again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

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

__all__ = ["CONNECT_S", "ClientLine", "PersonLine"]

CONNECT_S = 15.0
"""How long to dial before the coordinator counts as unreachable."""


class _NoMemory:
    """A client's machine remembers nothing; its command writes down what matters."""

    def append(self, records: Sequence[Record]) -> None:
        assert not records


class _Line:
    """One machine and its one connection."""

    def __init__(self, machine: Machine, memory: Memory, keys: Keys, entry: CoordinatorEntry) -> None:
        self.where = f"coordinator {entry.name} at {entry.endpoint}"
        self._endpoint = NodeEndpoint(entry.endpoint, entry.transport, keys.transport().secret)
        self._driver = Driver(machine, memory, NodeLinks({entry.identity: self._endpoint}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._endpoint.close()

    def say(self, step: Step) -> None:
        """Say what a step says, now or when the line stands."""
        self._driver.do(lambda now, entropy: step)

    def wait(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Listen and repeat until a condition holds, or the time is over; whether it holds.

        Raises:
            PeerError: the coordinator cannot be reached at all.
            AuthenticationError: it does not let this device in.
            KeyboardInterrupt: the person, or the system, wants to stop.
        """
        started = time.monotonic()
        connected = False

        def enough() -> bool:
            nonlocal connected
            connected = connected or self._endpoint.connected()
            if self._endpoint.state is LinkState.REFUSED:
                raise AuthenticationError(f"{self.where} does not know this device; is the roster the same?")
            waited_s = time.monotonic() - started
            if not connected and waited_s > CONNECT_S:
                raise PeerError(f"{self.where} cannot be reached; does it run, and is the address right?")
            return until() or waited_s > timeout_s

        if self._driver.run(until=enough):
            raise KeyboardInterrupt
        if not connected:
            raise PeerError(f"{self.where} cannot be reached; does it run, and is the address right?")
        return until()


class ClientLine(_Line):
    """The client machine and its one connection."""

    def __init__(self, party: Party, keys: Keys, coordinator: str = "") -> None:
        """Start to dial the coordinator of this name, or the roster's first; PeerError for an unknown name."""
        entry = _coordinator(party, coordinator)
        self.client = Client(
            roster=party.need_roster(),
            roster_digest=party.roster_digest,
            identity=keys.identity(),
            boot_id=os.urandom(16),
            coordinator=entry.identity,
        )
        super().__init__(self.client, _NoMemory(), keys, entry)


class PersonLine(_Line):
    """A person's machine and its one connection; what it says is on the disk before it leaves."""

    def __init__(self, party: Party, keys: Keys, coordinator: str = "") -> None:
        """As a client's; StateError when a record makes no sense."""
        entry = _coordinator(party, coordinator)
        try:
            self.person = Person(
                roster=party.need_roster(),
                roster_digest=party.roster_digest,
                identity=keys.identity(),
                boot_id=os.urandom(16),
                coordinator=entry.identity,
                records=party.records,
                read_texts=profile_of_texts,
            )
        except ValueError as error:
            raise StateError(f"{party.place.database}: {error}") from None
        super().__init__(self.person, party.store, keys, entry)


def _coordinator(party: Party, name: str) -> CoordinatorEntry:
    found = [entry for entry in party.need_roster().coordinators if name in {"", entry.name}]
    if not found:
        raise PeerError(f"no coordinator {name} in the roster")
    return found[0]


now = system_clock
