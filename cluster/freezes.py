"""A node's desk for freezes: its owner's own, those that others ask of it, and those that it asks of others.

A freeze by another counts from when it is heard, on the policy clock, for what was asked and never longer than the
profile allows; once for each issuer and wallet in 30 days. Its letter is good for an hour, so a coordinator that
holds it back can choose no later moment, and its id counts once, so saying it again prolongs nothing. Nobody can end
it: there is no letter and no command that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cluster.approvals import CLOCK_SKEW_MS
from cluster.carried import check_cluster, open_carried
from cluster.codec import BadLetter, Letter
from cluster.effects import Notice
from cluster.freeze_letters import FREEZE_LIFE_MS, FreezeReceipt, FreezeSaid
from cluster.freeze_records import FreezeDelayed, FreezeHeard, FreezeIssued
from cluster.holds import ONCE_IN_MS, Hold
from cluster.journal import FrozenKept, ThawedKept
from cluster.judging import Judge
from cluster.messages import Kind
from cluster.owner_says import Freeze, Thaw
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn
from policy.clock import SLACK_MS
from policy.profile import DEFAULT_FREEZE_MS
from policy.wording import duration, remaining

REPEAT_MS = 15_000
"""How often a freeze is said again while some node has not said that it took it."""

_CARRIED = frozenset({Kind.FREEZE, Kind.FREEZE_RECEIPT})


@dataclass(slots=True)
class Issued:
    """A freeze of this node's own at every node, and the receipts so far, by node."""

    wallet_id: bytes
    freeze_id: bytes
    wanted_ms: int
    policy_ms: int
    receipts: dict[bytes, FreezeReceipt] = field(default_factory=dict)
    said_ms: int | None = None


class FreezeDesk:
    """Freezes at one node."""

    def __init__(self, roster: Roster, me: bytes, judge: Judge, wallets: Mapping[bytes, Wallet]) -> None:
        self._roster = roster
        self._me = me
        self._judge = judge
        self._wallets = wallets
        self.issued: dict[bytes, Issued] = {}

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; what others froze is the judge's to know."""
        if isinstance(entry, FreezeIssued):
            issued = Issued(wallet_id, entry.freeze_id, entry.wanted_ms, entry.policy_ms)
            self.issued[wallet_id] = issued

    # What the owner says.

    def say(self, said: Freeze | Thaw, turn: Turn) -> None:
        """Freeze or thaw here, and perhaps everywhere; ValueError when there is nothing to change."""
        wallet_id = said.wallet_id
        if wallet_id not in self._wallets:
            raise ValueError("no such wallet exists here")
        own = self._judge.holds.own(wallet_id)
        everywhere_ms = said.everywhere_ms if isinstance(said, Freeze) else 0
        if isinstance(said, Thaw) and not own:
            by_others = self._judge.frozen(wallet_id)
            text = f"{by_others}, and nobody can end that" if by_others else "the wallet is not frozen"
            raise ValueError(text)
        if isinstance(said, Freeze) and own and not everywhere_ms:
            raise ValueError("the wallet is frozen already")
        if everywhere_ms:
            self._issue(wallet_id, everywhere_ms, turn)
        if isinstance(said, Freeze) is bool(own):
            return
        freezes, now_ms = isinstance(said, Freeze), turn.now.wall_ms
        entry = FrozenKept(now_ms, "its owner froze it") if freezes else ThawedKept(now_ms)
        self._judge.restore(entry, wallet_id)
        turn.note(entry, wallet_id)

    def _issue(self, wallet_id: bytes, wanted_ms: int, turn: Turn) -> None:
        policy_ms, last = self._judge.budget_time(turn.now), self.issued.get(wallet_id)
        if last is not None and policy_ms < last.policy_ms + ONCE_IN_MS:
            left = remaining(last.policy_ms + ONCE_IN_MS - policy_ms)
            raise ValueError(f"this node froze it everywhere already, and may again in {left}")
        entry = FreezeIssued(turn.now.wall_ms, turn.random(), wanted_ms, policy_ms)
        turn.note(entry, wallet_id)
        self.restore(entry, wallet_id)

    # What the coordinator carries.

    def receive(self, letter: Letter, coordinators: Iterable[bytes], turn: Turn) -> bool:
        """Another's freeze, or a receipt for one of this node's; whether a wallet is frozen now that was not."""
        inner = open_carried(letter.body, _CARRIED, "about a freeze")
        check_cluster(inner, self._roster)
        if isinstance(inner.body, FreezeReceipt):
            self._receipt(inner, inner.body)
            return False
        assert isinstance(inner.body, FreezeSaid)
        return self._hear(inner, inner.body, coordinators, turn)

    def _hear(self, inner: Letter, said: FreezeSaid, coordinators: Iterable[bytes], turn: Turn) -> bool:
        header, issuer = inner.header, inner.header.sender
        if issuer == self._me or self._roster.role_of(issuer) not in {"node", "person"}:
            raise BadLetter("freeze-stranger", "it is not from another node or a person of the roster")
        if header.expires_at_ms > turn.now.wall_ms + FREEZE_LIFE_MS + CLOCK_SKEW_MS:
            raise BadLetter("freeze-life", "a freeze that could be held back for more than an hour")
        code, hold, is_new = self._taken(inner, said, turn)
        left_ms = 0 if hold is None else hold.left_ms(self._judge.budget_time(turn.now))
        receipt = FreezeReceipt(said.freeze_id, issuer, code, left_ms)
        for coordinator in coordinators:
            turn.tell(Kind.FREEZE_RECEIPT, coordinator, receipt, wallet_id=header.wallet_id)
        return is_new

    def _taken(self, inner: Letter, said: FreezeSaid, turn: Turn) -> tuple[str, Hold | None, bool]:
        """What the receipt says, the issuer's newest freeze here, and whether it is this one, and new."""
        header, policy_ms = inner.header, self._judge.budget_time(turn.now)
        if header.wallet_id not in self._wallets:
            return "freeze-wallet", None, False
        holds = self._judge.holds
        known = holds.find(header.wallet_id, header.sender, said.freeze_id)
        if known is not None:
            return "frozen", known, False
        last = holds.last_by(header.wallet_id, header.sender)
        if last is not None and policy_ms < last.heard_ms + ONCE_IN_MS:
            return "freeze-spent", last, False
        if header.expires_at_ms < turn.now.wall_ms:
            return "freeze-expired", last, False
        profile = self._judge.profiles.profile_for(header.wallet_id)
        most_ms = DEFAULT_FREEZE_MS if profile is None else profile.others_freeze_ms
        until_ms = policy_ms + min(said.wanted_ms, most_ms)
        self._keep(inner, said, until_ms, turn)
        return "frozen", holds.find(header.wallet_id, header.sender, said.freeze_id), True

    def _keep(self, inner: Letter, said: FreezeSaid, until_ms: int, turn: Turn) -> None:
        wallet_id, issuer = inner.header.wallet_id, inner.header.sender
        policy_ms = self._judge.budget_time(turn.now)
        sure = not self._judge.clock_in_doubt
        entry = FreezeHeard(turn.now.wall_ms, inner.signed, said.freeze_id, issuer, policy_ms, until_ms, sure)
        turn.note(entry, wallet_id)
        self._judge.restore(entry, wallet_id)
        text = f"{self._roster.name_of(issuer)} froze the wallet for {duration(until_ms - policy_ms)}"
        turn.notify(Notice(said.freeze_id, self._wallets[wallet_id].charter.name, text))

    def _receipt(self, inner: Letter, receipt: FreezeReceipt) -> None:
        """A node's word on a freeze of this node's; one for another, or an earlier one, says nothing here."""
        issued = self.issued.get(inner.header.wallet_id)
        if self._roster.node(inner.header.sender) is None:
            raise BadLetter("freeze-stranger", "a receipt that is from no node of the roster")
        if issued is not None and (receipt.issuer, receipt.freeze_id) == (self._me, issued.freeze_id):
            issued.receipts[inner.header.sender] = receipt

    # What time brings.

    def tick(self, coordinators: Iterable[bytes], turn: Turn) -> None:
        """Say again what some node has not taken, as long as it would still hold."""
        for issued in self.issued.values():
            if not self._open(issued, turn):
                continue
            if issued.said_ms is not None and turn.now.monotonic_ms - issued.said_ms < REPEAT_MS:
                continue
            issued.said_ms = turn.now.monotonic_ms
            said = FreezeSaid(issued.freeze_id, issued.wanted_ms)
            for coordinator in coordinators:
                turn.tell(Kind.FREEZE, coordinator, said, wallet_id=issued.wallet_id, life_ms=FREEZE_LIFE_MS)

    def due(self, turn: Turn) -> int | None:
        """When to come again, on the monotonic clock."""
        wakes = [
            issued.said_ms + REPEAT_MS
            for issued in self.issued.values()
            if issued.said_ms is not None and self._open(issued, turn)
        ]
        return min(wakes, default=None)

    def _open(self, issued: Issued, turn: Turn) -> bool:
        is_over = self._judge.budget_time(turn.now) >= issued.policy_ms + issued.wanted_ms
        return not is_over and bool(self.missing(issued))

    def missing(self, issued: Issued) -> tuple[bytes, ...]:
        """The other nodes of the wallet (identity keys) that have not said yet what became of it."""
        members = self._wallets[issued.wallet_id].charter.members
        return tuple(
            m.identity for m in members if m.identity != self._me and m.identity not in issued.receipts
        )

    # What a clock that is set must not shorten.

    def clock_set(self, gained_ms: int, turn: Turn) -> None:
        """The owner's word moved the policy's time forwards: every freeze moves with it, and the slack of it too."""
        self._delay(
            self._judge.holds.lasting(self._judge.budget_time(turn.now) - max(0, gained_ms)), gained_ms, turn
        )

    def clock_vouched(self, gained_ms: int, turn: Turn) -> None:
        """Peers moved it forwards: that time has passed, but not since a freeze that was heard before that."""
        found = self._judge.holds.lasting(self._judge.budget_time(turn.now) - max(0, gained_ms))
        self._delay([(wallet_id, hold) for wallet_id, hold in found if not hold.sure], gained_ms, turn)

    def _delay(self, found: Iterable[tuple[bytes, Hold]], gained_ms: int, turn: Turn) -> None:
        by_ms = max(0, gained_ms) + SLACK_MS
        for wallet_id, hold in found:
            entry = FreezeDelayed(
                turn.now.wall_ms, hold.freeze_id, hold.issuer, hold.heard_ms + by_ms, hold.until_ms + by_ms
            )
            turn.note(entry, wallet_id)
            self._judge.restore(entry, wallet_id)
