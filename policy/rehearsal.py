"""A theft that is only thought: a plan of payments carried out against the real judge and real books."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from policy.answers import Member, facts_for, waited
from policy.bands import Quorum, satisfied
from policy.book import Book
from policy.circumstances import Circumstance
from policy.facts import Facts, WalletFacts
from policy.judge import judge
from policy.places import Place, clauses_of, layers
from policy.profile import Profile
from policy.verdict import Outcome
from policy.windows import Rolling, Velocity
from taproot import OutPoint

MAX_PAYMENTS = 400
MAX_STEPS = 1_000
"""Larger plans are not tried."""


@dataclass(frozen=True, slots=True)
class _Payment:
    """One payment of the plan; `number` makes its coin and its id."""

    number: int
    place: Place
    now: Circumstance
    signers: Quorum
    sats: int


class Rehearsal:
    """Honest nodes with fresh books, and a thief who has the others."""

    def __init__(self, members: Mapping[str, Member], wallet: WalletFacts, stolen: Quorum) -> None:
        self._members, self._wallet, self._stolen = members, wallet, stolen
        self._digests = {role: member.digest for role, member in members.items()}
        self._books = {role: Book() for role in members}
        self._planned: list[_Payment] = []

    def plan(self, place: Place, now: Circumstance, signers: Quorum, amounts: tuple[int, ...]) -> None:
        """Add payments, to be tried after those before."""
        for sats in amounts[: MAX_PAYMENTS + 1]:
            self._planned.append(_Payment(len(self._planned) + 1, place, now, signers, sats))

    def reaches(self, sats: int, length_ms: int) -> bool:
        """Whether all of it is signed within a window of this length; what is refused is tried again later."""
        if len(self._planned) > MAX_PAYMENTS or sum(payment.sats for payment in self._planned) != sats:
            return False
        # Payments that need no special hour go along with those that do.
        moments = dict.fromkeys(payment.now.now_ms for payment in self._planned)
        return any(self._from(moment, length_ms) for moment in moments)

    def _from(self, moment_ms: int, length_ms: int) -> bool:
        """Whether all of it is signed, beginning at this moment."""
        self._books = {role: Book() for role in self._members}
        step_ms = self._step_ms(length_ms)
        waiting = [replace(payment, now=replace(payment.now, now_ms=moment_ms)) for payment in self._planned]
        for number in range(min(MAX_STEPS, -(-length_ms // step_ms))):
            waiting = [payment for payment in waiting if not self._signed(payment, number * step_ms)]
            if not waiting:
                return True
        return False

    def _step_ms(self, length_ms: int) -> int:
        """The shortest rolling window that any node looks at: no sooner is there room again."""
        windows = [
            rule.window
            for member in self._members.values()
            for layer in layers(member.profile)
            for rule in (*(layer.velocity or ()), *_of_clauses(layer))
        ]
        return min([length_ms, *(window.length_ms for window in windows if isinstance(window, Rolling))])

    def _signed(self, payment: _Payment, later_ms: int) -> bool:
        booked = {}
        quorum = payment.signers | self._stolen
        for role in payment.signers:
            for facts in self._facts(role, payment, later_ms):
                said = judge(self._members[role].profile, facts)
                if said.outcome is Outcome.APPROVE and said.booking is not None:
                    break
            else:
                return False
            if not satisfied(said.conditions, quorum, self._digests, self._stolen):
                return False
            booked[role] = self._books[role].with_booking(said.booking)
        self._books |= booked
        return True

    def _facts(self, role: str, payment: _Payment, later_ms: int) -> tuple[Facts, ...]:
        """What a node knows of it: at once, and after each delay that its profile names."""
        member, now = self._members[role], replace(payment.now, now_ms=payment.now.now_ms + later_ms)
        plain = facts_for(member, payment.place, payment.sats, now, self._wallet, self._books[role])
        coin = plain.spend.inputs[0]
        # Where a rule names a coin it must be that one; else each payment has its own.
        outpoint = OutPoint(payment.number.to_bytes(32, "big"), 0)
        named = payment.now.coin != Circumstance(0).coin
        coin = coin if named else replace(coin, outpoint=outpoint)
        number = payment.number.to_bytes(32, "little")
        intent = None if plain.intent is None else replace(plain.intent, id=number, outpoint=coin.outpoint)
        # A thief may hold any number of clients, except where a rule names the one that asks.
        client = f"client-{payment.number}" if payment.now.client == "client" else payment.now.client
        plain = replace(plain, initiator=client)
        facts = replace(plain, spend=replace(plain.spend, inputs=(coin,)), spend_id=number, intent=intent)
        return (facts, *waited(member.profile, facts))


def _of_clauses(profile: Profile) -> Iterator[Velocity]:
    for clause in clauses_of(profile, below=False):
        if isinstance(clause.value, Velocity):
            yield clause.value
