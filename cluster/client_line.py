"""A client's line to the coordinator, for as long as one command waits: dial, say, listen, say again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from cluster.client import Client
from cluster.driver import Driver, system_clock
from cluster.effects import Step
from cluster.errors import AuthenticationError, PeerError
from cluster.keys import Keys
from cluster.party import Party
from cluster.records import Record
from cluster.transport import NodeEndpoint, NodeLinks
from cluster.transport.dialer import LinkState

__all__ = ["CONNECT_S", "ClientLine"]

CONNECT_S = 15.0
"""How long to dial before the coordinator counts as unreachable."""


class _NoMemory:
    """A client's machine remembers nothing; its command writes down what matters."""

    def append(self, records: Sequence[Record]) -> None:
        assert not records


class ClientLine:
    """The client machine and its one connection."""

    def __init__(self, party: Party, keys: Keys, coordinator: str = "") -> None:
        """Start to dial the coordinator of this name, or the roster's first; PeerError for an unknown name."""
        roster = party.need_roster()
        found = [entry for entry in roster.coordinators if coordinator in {"", entry.name}]
        if not found:
            raise PeerError(f"no coordinator {coordinator} in the roster")
        entry = found[0]
        self.where = f"coordinator {entry.name} at {entry.endpoint}"
        self.client = Client(
            roster=roster,
            roster_digest=party.roster_digest,
            identity=keys.identity(),
            boot_id=os.urandom(16),
            coordinator=entry.identity,
        )
        self._endpoint = NodeEndpoint(entry.endpoint, entry.transport, keys.transport().secret)
        self._driver = Driver(self.client, _NoMemory(), NodeLinks({entry.identity: self._endpoint}))

    def __enter__(self) -> ClientLine:
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
            AuthenticationError: it does not let this client in.
            KeyboardInterrupt: the person, or the system, wants to stop.
        """
        started = time.monotonic()
        connected = False

        def enough() -> bool:
            nonlocal connected
            connected = connected or self._endpoint.connected()
            if self._endpoint.state is LinkState.REFUSED:
                raise AuthenticationError(f"{self.where} does not know this client; is the roster the same?")
            waited_s = time.monotonic() - started
            if not connected and waited_s > CONNECT_S:
                raise PeerError(f"{self.where} cannot be reached; does it run, and is the address right?")
            return until() or waited_s > timeout_s

        if self._driver.run(until=enough):
            raise KeyboardInterrupt
        if not connected:
            raise PeerError(f"{self.where} cannot be reached; does it run, and is the address right?")
        return until()


now = system_clock
