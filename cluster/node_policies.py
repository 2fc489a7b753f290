"""A node's desk for policies: its own profiles and their changes, and what it hears of the other nodes'."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.carried import open_carried
from cluster.change_rules import hopeless, rule_of
from cluster.changes import Changes
from cluster.changes_heard import HeardChanges
from cluster.codec import Letter
from cluster.effects import Question
from cluster.judging import Judge
from cluster.messages import Kind, WalletState
from cluster.plans import Plan
from cluster.profiles import Profiles, Texts
from cluster.record_body import Body
from cluster.records import NO_WALLET
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn

_CARRIED = frozenset({Kind.POLICY_CHANGE, Kind.POLICY_CONSENT, Kind.POLICY_ENDED})


class PolicyDesk:
    """What is in force here, what waits to be, and what the others are about to change."""

    def __init__(self, roster: Roster, me: bytes, judge: Judge, wallets: Mapping[bytes, Wallet]) -> None:
        self._roster = roster
        self._judge = judge
        self._wallets = wallets
        self._coordinators = tuple(entry.identity for entry in roster.coordinators)
        self.own = Changes(roster, me, judge)
        self.heard = HeardChanges(roster, me, judge, wallets)

    @property
    def profiles(self) -> Profiles:
        """The profiles in force."""
        return self._judge.profiles

    def state_of(self, plan: Plan) -> WalletState:
        """What a greeting says of a wallet: how far it is made, and the policy in force for it."""
        wallet_id = plan.charter.wallet_id
        digest, version = self._judge.digest_for(wallet_id), self.profiles.version_for(wallet_id)
        return WalletState(wallet_id, plan.stage, digest, version)

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; they come in the order in which they were written."""
        self.own.restore(entry, wallet_id)
        self.heard.restore(entry, wallet_id)

    def propose(self, texts: Texts, wallet_id: bytes, turn: Turn) -> bool:
        """The owner's profile: in force now (True), or a pending change; ValueError when it can be neither."""
        if wallet_id != NO_WALLET and wallet_id not in self._wallets:
            raise ValueError("no such wallet exists here")
        missing = hopeless(rule_of(self.profiles.read(texts)), self._roster)
        if missing:
            raise ValueError(
                f"under its `change:` nothing could ever be loosened again: the roster lacks {missing}; "
                "name roles of the roster"
            )
        return self.own.propose(texts, wallet_id, self._coordinators, turn)

    def knows(self, subject: bytes) -> bool:
        """Whether this is the id of a change."""
        return self.own.find(subject) is not None or subject in self.own.ended or subject in self.heard.heard

    def answer(self, change_id: bytes, yes: bool, turn: Turn) -> None:
        """The owner's yes or no to a change; a no to one's own takes it back. ValueError when it is too late."""
        if change_id in self.heard.heard:
            self.heard.answer(change_id, yes, self._coordinators, turn)
        elif change_id in self.own.ended:
            raise ValueError(
                f"the change is {self.own.ended[change_id].code}: there is nothing left to answer"
            )
        elif yes:
            raise ValueError("it is this node's own change: proposing it was its owner's yes")
        else:
            self.own.cancel(change_id, self._coordinators, turn)

    def receive(self, letter: Letter, turn: Turn) -> None:
        """What the coordinator carries: a letter of another node or a person about a change."""
        inner = open_carried(letter.body, _CARRIED, "about a policy")
        if inner.header.kind is Kind.POLICY_CHANGE:
            self.heard.hear_change(inner, self._coordinators, turn)
        elif inner.header.kind is Kind.POLICY_CONSENT:
            self.own.hear(inner, self._coordinators, turn)
        else:
            self.heard.hear_ended(inner, turn)

    def greeted(self, letter: Letter, turn: Turn) -> None:
        """The coordinator says that it is there."""
        self.own.greeted(letter.header.sender, letter.header.boot_id, turn)

    def tick(self, turn: Turn) -> bool:
        """What time brings; whether the policy changed."""
        return self.own.tick(self._coordinators, turn)

    def due(self, turn: Turn) -> int | None:
        """When to come again, on the monotonic clock."""
        return self.own.due(turn)

    def questions(self, wall_ms: int) -> tuple[Question, ...]:
        """Every change that waits for this node's owner."""
        return self.heard.questions(wall_ms)
