"""Golden tests: the cases in a profile's own file, judged by the real judge on facts made from what they say.

Nothing of a wallet is needed: its coins and addresses are made up, the sizes are those of a Taproot wallet.
"""

from __future__ import annotations

from dataclasses import dataclass

from curve import tagged_hash
from policy.book import Book
from policy.bookings import Booking
from policy.cases import Case, CaseGrant, CasePayment, CaseSpent
from policy.clock import ClockReading
from policy.facts import ChainFacts, CoinFacts, Facts, OwnerSaid, PersonSaid, WalletFacts
from policy.grants import Grant
from policy.intents import Intent
from policy.judge import judge
from policy.profile import Profile
from policy.quorum import Seat
from policy.setting import FEE_MIN, FEE_MIN_RATE
from policy.verdict import Judgement, Outcome, Reason
from taproot import LeafFacts, OutPoint, Spend, SpendInput, SpendOutput, WalletPath, script_type

_RATE = 2_000
"""The fee rate of a case that says nothing of it, where the profile does not demand more: 2 sat/vB."""

_CHANGE_SATS = 10_000_000
_GAP_LIMIT = 20
_OURS = b"\x51\x20" + tagged_hash("assent/policy/case", b"ours")
_DATA = b"\x6a\x04case"
_SPEND_ID = tagged_hash("assent/policy/case", b"spend")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case: the outcome, the tags that led to it, and the judgement that they are from."""

    case: Case
    outcome: Outcome
    codes: tuple[str, ...]
    judgement: Judgement
    facts: Facts

    @property
    def missing(self) -> tuple[str, ...]:
        """The tags that were expected and not given."""
        return tuple(tag for tag in self.case.tags if tag not in self.given)

    @property
    def given(self) -> frozenset[str]:
        """The tags of all reasons that speak for the outcome."""
        return frozenset(self.codes)

    @property
    def passes(self) -> bool:
        """Whether it is all as expected."""
        return self.outcome is self.case.expect and not self.missing


def run_cases(profile: Profile) -> tuple[CaseResult, ...]:
    """Judge every case of the profile's file."""
    return tuple(run_case(profile, case) for case in profile.tests)


def run_case(profile: Profile, case: Case) -> CaseResult:
    """Judge one case; where it names the signers, they must satisfy what the approval demands of them too."""
    facts = facts_of(profile, case)
    judgement = judge(profile, facts)
    outcome, codes = judgement.outcome, judgement.codes
    if case.quorum and outcome is Outcome.APPROVE:
        seats = [Seat(seat.role, seat.policy_digest) for seat in case.quorum]
        faults = tuple(tag for tag, _ in judgement.conditions.faults(seats))
        if faults:
            outcome, codes = Outcome.REFUSE, tuple(dict.fromkeys(faults))
    return CaseResult(case, outcome, codes, judgement, facts)


def reasons_for(result: CaseResult) -> tuple[Reason, ...]:
    """The reasons that speak for the outcome."""
    return tuple(r for r in result.judgement.reasons if r.outcome is result.outcome)


# The facts.


def facts_of(profile: Profile, case: Case) -> Facts:
    """The facts that a case describes."""
    spend = spend_of(profile, case)
    wallet = case.wallet
    grants = tuple(_grant(case, place) for place in range(1, len(case.grants) + 1))
    owner = case.owner
    return Facts(
        spend=spend,
        spend_id=_SPEND_ID,
        wallet=WalletFacts(
            True, "case", profile.network, wallet.n, wallet.t, _GAP_LIMIT, (1, 1), wallet.roles, wallet.me
        ),
        initiator=case.client.name,
        initiator_person=case.client.person,
        initiator_roles=case.client.roles,
        clock=ClockReading(case.at_ms, in_doubt=case.in_doubt),
        book=_book(case, spend),
        chain=_chain(case, spend),
        owner_said=None if owner is None else OwnerSaid(owner.yes, case.at_ms - owner.ago_ms, owner.matched),
        people=tuple(
            PersonSaid(word.name, word.roles, word.yes, case.at_ms - word.ago_ms) for word in case.people
        ),
        waiting_since_ms=None if case.waited_ms is None else case.at_ms - case.waited_ms,
        frozen="the case says so" if case.frozen else "",
        grants=grants,
        intent=_intent(case, spend),
        listed_since_ms=dict.fromkeys(
            profile.listed_scripts, 0 if case.listed_ms is None else case.at_ms - case.listed_ms
        ),
    )


def spend_of(profile: Profile, case: Case) -> Spend:
    """The transaction that a case describes: its payments, change unless all comes back, and a fee to fit."""
    paths = tuple(sorted(case.coins.paths)) if case.coins is not None else ()
    outpoints = tuple(sorted(case.coins.outpoints)) if case.coins is not None else ()
    count = len(paths) + len(outpoints) if case.coins is not None else case.inputs
    outputs = [_output(index, payment) for index, payment in enumerate(case.pays)]
    if case.data:
        outputs.append(SpendOutput(len(outputs), 0, _DATA, None, "nulldata", None))
    change = any(payment.script for payment in case.pays) if case.change is None else case.change
    size = 10.5 + 57.5 * count + sum(9 + len(output.script_pubkey) for output in outputs) + 43 * change
    vsize = int(size + 0.5)
    fee_sats = _fee(profile, case, vsize)
    if change:
        outputs.append(SpendOutput(len(outputs), _CHANGE_SATS, _OURS, "own", "p2tr", WalletPath(1, 0), True))
    total = sum(output.amount_sats for output in outputs) + fee_sats
    amounts = [total // count + (place < total % count) for place in range(count)]
    sequence = 0xFFFFFFFD if case.replaceable else 0xFFFFFFFE
    inputs = tuple(
        SpendInput(
            outpoints[place] if place < len(outpoints) else _coin(b"coin", place),
            amount,
            _OURS,
            sequence,
            0,
            paths[place - len(outpoints)] if place >= len(outpoints) and paths else WalletPath(0, 0),
        )
        for place, amount in enumerate(amounts)
    )
    return Spend(
        profile.network,
        2,
        case.locktime,
        inputs,
        tuple(outputs),
        fee_sats,
        vsize,
        b"",
        bytes(32),
        2,
        vsize,
        LeafFacts(case.leaf, 0, 0, 1, 1) if case.leaf else None,
    )


def _coin(label: bytes, place: int) -> OutPoint:
    return OutPoint(tagged_hash("assent/policy/case", label, place.to_bytes(4, "big")), 0)


def _output(index: int, payment: CasePayment) -> SpendOutput:
    if not payment.script:
        return SpendOutput(index, payment.amount_sats, _OURS, "own", "p2tr", WalletPath(0, 0), True)
    kind = script_type(payment.script)
    # The word stands for the address in reasons; a script of no kind has none.
    address = None if kind in {"nulldata", "nonstandard", "p2pk", "p2ms"} else payment.word
    return SpendOutput(index, payment.amount_sats, payment.script, address, kind, None)


def _fee(profile: Profile, case: Case, vsize: int) -> int:
    if case.fee_sats is not None:
        return case.fee_sats
    if case.rate is not None:
        return -(-case.rate * vsize // 1_000)
    rate, least = _RATE, 1
    layer: Profile | None = profile
    while layer is not None:
        rate, least = max(rate, layer.value(FEE_MIN_RATE) or 0), max(least, layer.value(FEE_MIN) or 0)
        layer = layer.base
    return max(least, -(-rate * vsize // 1_000))


# What was before.


def _book(case: Case, spend: Spend) -> Book:
    earlier = sorted(enumerate(case.spent), key=lambda entry: -entry[1].ago_ms)
    book = Book.of(_booking(case, spend, place, spent) for place, spent in earlier)
    if case.intent is not None and case.intent.spent:
        used = Booking(
            tagged_hash("assent/policy/case", b"used"), case.at_ms, 0, (_coin(b"used", 0),), intent=_INTENT_ID
        )
        book = book.with_booking(used)
    return book if case.recovered_ms is None else book.exhausted(case.at_ms - case.recovered_ms)


def _booking(case: Case, spend: Spend, place: int, spent: CaseSpent) -> Booking:
    outpoints = tuple(coin.outpoint for coin in spend.inputs) if spent.replaced else (_coin(b"spent", place),)
    pays = case.pays if spent.replaced else spent.pays
    payments = tuple((payment.script, payment.amount_sats) for payment in pays if payment.script)
    return Booking(
        tagged_hash("assent/policy/case", b"earlier", place.to_bytes(4, "big")),
        case.at_ms - spent.ago_ms,
        sum(amount for _, amount in payments) + spent.fee_sats,
        outpoints,
        spent.fee_sats,
        payments,
        spent.client or case.client.name,
        None if case.chain is None else max(0, case.chain.tip_height - spent.ago_ms // 600_000),
        b"" if spent.grant == 0 or spent.grant > len(case.grants) else _grant_id(spent.grant),
    )


def _chain(case: Case, spend: Spend) -> ChainFacts | None:
    chain = case.chain
    if chain is None:
        return None
    where = CoinFacts(chain.tip_height - chain.confirmations + 1, case.at_ms - chain.coin_age_ms)
    return ChainFacts(
        chain.tip_height,
        case.at_ms - chain.tip_age_ms,
        chain.balance_sats,
        {coin.outpoint: where for coin in spend.inputs},
    )


def _grant_id(place: int) -> bytes:
    return tagged_hash("assent/policy/case", b"grant", place.to_bytes(4, "big"))


def _grant(case: Case, place: int) -> Grant:
    grant: CaseGrant = case.grants[place - 1]
    return Grant(
        _grant_id(place),
        grant.script,
        grant.sum_sats,
        case.at_ms + grant.left_ms,
        grant.payments,
        grant.must_sign,
        case.at_ms,
    )


_INTENT_ID = tagged_hash("assent/policy/case", b"intent")


def _intent(case: Case, spend: Spend) -> Intent | None:
    made = case.intent
    if made is None:
        return None
    pays = case.pays if made.pays is None else made.pays
    return Intent(
        _INTENT_ID,
        made.device,
        spend.inputs[0].outpoint,
        tuple((payment.script, payment.amount_sats) for payment in pays if payment.script),
        spend.fee_sats if made.max_fee_sats is None else made.max_fee_sats,
        case.at_ms + (-1 if made.expired else 3_600_000),
        case.at_ms,
    )
