"""Six bugs, one for each rule of the audit, put into the real code while a seed runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from simulator.simulated import Disk, Simulated
from world import TestIdentity

from cluster.journal import ClosedKept, CosigningKept, FinalKept, RequestKept, SignedKept
from cluster.judge import PolicyJudge
from cluster.messages import Decision
from cluster.node_orders import Orders
from cluster.node_verdicts import Verdicts
from cluster.storage import Store
from cluster.turn import Turn
from cluster.vault import Vault

NODE = "node1"
"""Whose program has the bug, where it is a node's."""

_ME = TestIdentity(NODE).public
_COORDINATOR = TestIdentity("coord").public


@dataclass(frozen=True)
class Plant:
    """A bug: the rule that finds it, and the party that has it ("": every node)."""

    rule: str
    party: str
    planted: Callable[[], AbstractContextManager[Any]]


def _not_noting(who: bytes, *kinds: type) -> AbstractContextManager[Any]:
    """A machine that never writes these down."""
    honest = Turn.note

    def note(self: Turn, body: Any, *args: Any, **named: Any) -> None:
        if not (self._mouth.public == who and isinstance(body, kinds)):
            honest(self, body, *args, **named)

    return patch.object(Turn, "note", note)


def forgets_requests() -> AbstractContextManager[Any]:
    """A coordinator that acknowledges requests, and has them in memory only."""
    return _not_noting(_COORDINATOR, RequestKept, FinalKept, ClosedKept, CosigningKept)


def keeps_no_psigs() -> AbstractContextManager[Any]:
    """A node that sends partial signatures without writing them down."""
    return _not_noting(_ME, SignedKept)


@contextmanager
def uses_nonces_twice() -> Iterator[None]:
    """Nodes whose vault gives every nonce of a request as often as it is asked for."""
    nonces, sign, signs = Vault.nonces, Vault.sign, Orders._sign
    made: dict[tuple[int, bytes], tuple[Any, ...]] = {}

    def giving(self: Vault, wallet: Any, route: str, request_id: bytes, *rest: Any) -> tuple[bytes, ...]:
        count, tasks, _ = rest
        self._batches = 0
        made[id(self), request_id] = (wallet, route, request_id, count, tasks, request_id)
        return nonces(self, *made[id(self), request_id])

    def again(self: Vault, wallet: Any, request_id: bytes, *rest: Any) -> tuple[bytes, ...]:
        psigs = sign(self, wallet, request_id, *rest)
        self._batches = 0
        nonces(self, *made[id(self), request_id])
        return psigs

    def keeping(self: Orders, ticket: Any, *rest: Any) -> None:
        batches = dict(ticket.batches)
        signs(self, ticket, *rest)
        ticket.batches = batches

    with (
        patch.object(Vault, "nonces", giving),
        patch.object(Vault, "sign", again),
        patch.object(Orders, "_sign", keeping),
    ):
        yield


def counts_nothing() -> AbstractContextManager[Any]:
    """A node whose judge never enters what was signed in its book."""
    honest = PolicyJudge.book

    def book(self: PolicyJudge, *args: Any) -> None:
        if self._me != _ME:
            honest(self, *args)

    return patch.object(PolicyJudge, "book", book)


def forks_its_chain() -> AbstractContextManager[Any]:
    """A node that starts from an older copy of its database."""
    honest = Simulated._reopen

    def reopen(self: Simulated, name: str) -> None:
        disk = self.seats[name].disk
        if name == NODE and isinstance(disk, Disk) and len(disk) > len(self.made.disks[name]) + 12:
            disk.store.close()
            for file in self.place.glob(f"{name}.sqlite3*"):
                file.unlink()
            store = Store.create(self.database(name))
            store.append(disk[: len(self.made.disks[name]) + 6])
            store.close()
        honest(self, name)

    return patch.object(Simulated, "_reopen", reopen)


def signs_unapproved() -> AbstractContextManager[Any]:
    """A node that takes a question to its owner for a yes."""
    honest = Verdicts.judge_again

    def judge_again(self: Verdicts, ticket: Any, turn: Turn) -> None:
        honest(self, ticket, turn)
        if self._me == _ME and ticket.judgement.decision in {Decision.ASK, Decision.WAIT}:
            ticket.judgement = replace(ticket.judgement, decision=Decision.APPROVE, codes=())

    return patch.object(Verdicts, "judge_again", judge_again)


PLANTS = (
    Plant("N1", "coord", forgets_requests),
    Plant("N2", NODE, keeps_no_psigs),
    Plant("N3", "", uses_nonces_twice),
    Plant("N4", NODE, counts_nothing),
    Plant("N5", NODE, forks_its_chain),
    Plant("N6", NODE, signs_unapproved),
)
"""One for each rule."""
