"""Peers' clocks: what lets a node's budgets go by its wall clock again after a restart or a jump.

Whoever sets one machine's clock gains nothing, because the policy's time believes a jump only when enough other
nodes say the same time (DESIGN 7). Their letters come through the coordinator, which may drop or delay them: each
names the boot id and the attempt that it answers, and counts only until the next question: one that was kept back
for days would agree with a clock that was set back by as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.answering import Answering
from cluster.approvals import CLOCK_SKEW_MS
from cluster.carried import check_peer, open_carried
from cluster.codec import Letter
from cluster.judging import Judge
from cluster.messages import ClockAsk, ClockSaid, Kind
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn
from policy import peers_agree

ASK_EVERY_MS = 20_000
"""How often a node in doubt asks."""

ANSWER_EVERY_MS = 5_000
"""How often one life of an asker is answered at most."""

FRESH_MS = 60_000
"""How long an answer counts."""

_CARRIED = frozenset({Kind.CLOCK_ASK, Kind.CLOCK_SAID})


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a peer's clock said, and when that came on this node's monotonic clock."""

    clock_ms: int
    monotonic_ms: int


class ClockDesk:
    """Asks the other nodes for the time while this one's clock is in doubt, and answers them."""

    def __init__(
        self, roster: Roster, me: bytes, boot_id: bytes, judge: Judge, wallets: Mapping[bytes, Wallet]
    ) -> None:
        self._roster = roster
        self._me = me
        self._boot_id = boot_id
        self._judge = judge
        self._wallets = wallets
        self._heard: dict[bytes, _Heard] = {}
        self._answering = Answering(ANSWER_EVERY_MS)
        self._asked_ms: int | None = None
        self._attempts = 0

    def receive(self, letter: Letter, coordinators: Iterable[bytes], turn: Turn) -> None:
        """What the coordinator carries: another node's question, or its answer to this one."""
        inner = open_carried(letter.body, _CARRIED, "about a clock")
        check_peer(inner, self._me, self._roster, "clock-stranger")
        if isinstance(inner.body, ClockAsk):
            expired = inner.header.expires_at_ms + CLOCK_SKEW_MS < turn.now.wall_ms
            if not expired and self._answering.due(inner, inner.body.attempt, turn.now.monotonic_ms):
                self._answer(inner, inner.body.attempt, coordinators, turn)
        elif isinstance(inner.body, ClockSaid):
            self._hear(inner.header.sender, inner.body, turn)

    def _answer(self, asked: Letter, attempt: int, coordinators: Iterable[bytes], turn: Turn) -> None:
        said = ClockSaid(asked.header.sender, asked.header.boot_id, attempt, turn.now.wall_ms)
        for coordinator in coordinators:
            turn.tell(Kind.CLOCK_SAID, coordinator, said)

    def _hear(self, peer: bytes, said: ClockSaid, turn: Turn) -> None:
        """An answer to another node, to an earlier life of this one, or to an older question, says nothing here."""
        asked = (self._me, self._boot_id, self._attempts)
        if (said.asker, said.asker_boot_id, said.attempt) == asked:
            self._heard[peer] = _Heard(said.clock_ms, turn.now.monotonic_ms)

    def tick(self, coordinators: Iterable[bytes], turn: Turn) -> bool:
        """Ask again where the clock is in doubt; whether enough peers agree with the wall clock now."""
        if not self._judge.clock_in_doubt:
            self._heard.clear()
            self._asked_ms = None
            return False
        if self._agreed(turn):
            return True
        due = self._asked_ms is None or turn.now.monotonic_ms - self._asked_ms >= ASK_EVERY_MS
        if due and self._complete():
            self._asked_ms = turn.now.monotonic_ms
            self._attempts += 1
            for coordinator in coordinators:
                turn.tell(Kind.CLOCK_ASK, coordinator, ClockAsk(self._attempts))
        return False

    def due(self) -> int | None:
        """When to come again, on the monotonic clock."""
        return None if self._asked_ms is None else self._asked_ms + ASK_EVERY_MS

    def _complete(self) -> list[Wallet]:
        return [wallet for wallet in self._wallets.values() if wallet.complete]

    def _agreed(self, turn: Turn) -> bool:
        """Whether for each wallet min(t, n-1) of its other members say this node's time; never without a wallet."""
        wallets = self._complete()
        now = turn.now
        clocks = {
            peer: heard.clock_ms + now.monotonic_ms - heard.monotonic_ms
            for peer, heard in self._heard.items()
            if now.monotonic_ms - heard.monotonic_ms <= FRESH_MS
        }
        return bool(wallets) and all(
            peers_agree(
                now.wall_ms,
                [clocks[m.identity] for m in wallet.charter.members if m.identity in clocks],
                n=wallet.charter.n,
                t=wallet.charter.t,
            )
            for wallet in wallets
        )
