"""A recovery-only coordinator at work: it listens where the nodes dial, until the rescue is signed or time is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from cluster.client_views import NodeView
from cluster.driver import Driver, system_clock
from cluster.keys import Keys
from cluster.messages import NO_ID
from cluster.records import Record
from cluster.rescue_coordinator import RescueCoordinator
from cluster.roster import Roster, digest
from cluster.schemes import Wallet
from cluster.subjects import Subject
from cluster.transport import CoordinatorEndpoint, CoordinatorLinks

__all__ = ["RescueLine"]

AFTERWARDS_S = 4.0
"""How long it stays once the rescue is signed, so that whoever said yes hears of it."""


class _NoMemory:
    """What it would remember, it can ask for again."""

    def append(self, records: Sequence[Record]) -> None:
        del records


class RescueLine:
    """One rescue, and the nodes and people who dial in."""

    def __init__(self, roster_exact: bytes, roster: Roster, wallet: Wallet, keys: Keys, listen: str) -> None:
        """Begin to listen; ConfigError or PeerError when that cannot be."""
        self.machine = RescueCoordinator(
            roster=roster,
            roster_digest=digest(roster_exact),
            identity=keys.identity(),
            boot_id=os.urandom(16),
            wallet=wallet,
        )
        self._roster = roster
        dialling = (*roster.nodes, *roster.people)
        self._endpoint = CoordinatorEndpoint(
            listen, keys.transport().secret, {one.transport: one.name for one in dialling}
        )
        links = CoordinatorLinks(self._endpoint, {one.identity: one.transport for one in dialling})
        self._driver = Driver(self.machine, _NoMemory(), links)
        self.nodes: dict[bytes, NodeView] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._endpoint.close()

    @property
    def where(self) -> str:
        """Where it listens."""
        return self._endpoint.address

    def ask(self, psbt: bytes, life_ms: int) -> Subject:
        """Ask for the rescue; BadRequest when the PSBT makes no sense."""
        subject, step = self.machine.ask(psbt, system_clock(), os.urandom(32), life_ms=life_ms)
        self._driver.do(lambda now, entropy: step)
        return subject

    def wait(self, look: Callable[[], None], timeout_s: float) -> bool:
        """Gather until the rescue has ended, or the time is over; whether it has. `look` is called after each turn."""
        started = time.monotonic()

        def over() -> bool:
            self._see()
            look()
            return self.state != "open" or time.monotonic() - started > timeout_s

        if self._driver.run(until=over):
            raise KeyboardInterrupt
        if self.state == "final" and self.machine.people.busy:
            leaves_at = time.monotonic() + AFTERWARDS_S
            self._driver.run(until=lambda: time.monotonic() > leaves_at)
        return self.state != "open"

    @property
    def state(self) -> str:
        """How it stands: `open`, `final`, `refused`, `expired` or `closed`."""
        job = self.machine.job
        return "open" if job is None else job.state

    def _see(self) -> None:
        job = self.machine.signing.jobs.whole.get(self.machine.request_id)
        if self.machine.request_id == NO_ID or job is None:
            return
        for node in job.nodes:
            said = job.verdicts.get(node)
            reach = "misbehaved" if node in job.culprits else self.machine.reach(node, system_clock())
            self.nodes[node] = NodeView(reach, *(said if said is not None else (None, None)))
