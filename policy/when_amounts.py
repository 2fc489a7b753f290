"""Conditions about how much a spend moves and what it costs."""

from __future__ import annotations

from policy import velocity
from policy.condition import LIMITS, WHEN, Condition, Said, at_least, flag, measured, ordered, typed
from policy.facts import Facts
from policy.profile import Profile
from policy.reading_values import Context
from policy.tree import Node
from policy.units import RATE, SATS, SHARE
from policy.values import Value
from policy.windows import Velocity, read_velocity
from policy.wording import sats

_SPEND, _WALLET = "the transaction", "the transaction and this node's own derivation of the wallet's scripts"
_BOOK = "this node's record of what it signed, and its policy clock"
_CHAIN = "the chain (this program has no source of it yet)"
NO_CHAIN = "this node has no source for the chain"
"""Why what only the chain knows cannot be decided."""


def _sent(_profile: Profile, facts: Facts) -> int:
    return facts.spend.sent_sats


def _total(_profile: Profile, facts: Facts) -> int:
    return facts.leaving_sats


def _each(_profile: Profile, facts: Facts) -> int:
    return max((output.amount_sats for output in facts.spend.outputs_to_others), default=0)


def _fee(_profile: Profile, facts: Facts) -> int:
    return facts.spend.fee_sats


def _rate(_profile: Profile, facts: Facts) -> int | str:
    """Rounded up, so that no limit is passed by a fraction."""
    size = facts.spend.signed_vsize
    return -(-facts.spend.fee_sats * 1000 // size) if size > 0 else "the size is not known"


def _fee_share(_profile: Profile, facts: Facts) -> int | str:
    base_sats = facts.spend.sent_sats if facts.spend.outputs_to_others else facts.spend.change_sats
    return -(-facts.spend.fee_sats * 10_000 // base_sats) if base_sats > 0 else "nothing is paid"


def _balance_share(_profile: Profile, facts: Facts) -> int | str:
    if facts.chain is None:
        return NO_CHAIN
    balance_sats = facts.chain.balance_sats
    return -(-facts.leaving_sats * 10_000 // balance_sats) if balance_sats > 0 else "the balance is zero"


def _leaves(_profile: Profile, facts: Facts) -> int | str:
    return NO_CHAIN if facts.chain is None else max(0, facts.chain.balance_sats - facts.leaving_sats)


def _bump(_profile: Profile, facts: Facts) -> Said:
    """A higher fee for a spend that this node signed before: all of its coins again, and the same payments.

    All of its coins: were one enough, a chain of replacements could shed the first coin, and pay twice.
    """
    if facts.book is None:
        return Said(None, "this node has no record of earlier spends")
    mine = facts.booking(0)
    for earlier in facts.book.conflicting(mine.outpoints):
        if (
            earlier.spend_id != mine.spend_id
            and set(earlier.outpoints) <= set(mine.outpoints)
            and sorted(earlier.payments) == sorted(mine.payments)
            and earlier.fee_sats < mine.fee_sats
        ):
            return Said(True, f"it raises the fee of an earlier spend from {sats(earlier.fee_sats)}")
    return Said(
        False, "it is no replacement, with its coins, payments and more fee, of a spend that this node signed"
    )


def _velocity(rule: Velocity, profile: Profile, facts: Facts) -> Said:
    if facts.clock is None or facts.book is None:
        return Said(None, "this node has no clock or no record of earlier spends")
    text = velocity.kept(rule, profile, facts)
    start_ms = rule.window.start_ms(facts.clock.now_ms, in_doubt=facts.clock.in_doubt)
    if text is not None and (facts.clock.in_doubt or facts.book.is_exhausted(start_ms)):
        return Said(None, text)  # there may be room; the rules of `limits:` refuse all the same
    return Said(text is None, text or "there is room in the window")


def _read_velocity(node: Node, context: Context) -> Value:
    return read_velocity(node, context.readers.zone, context.zone)


AMOUNTS = (
    *measured(
        "sent", SATS, _sent, "others receive", "others receive", _WALLET,
        tags=("policy-tier-sent", "policy-sent-above"),
    ),
    *measured(
        "total", SATS, _total, "with the fee there leaves", "what leaves, fee included, is", _WALLET,
        tags=("policy-tier-total", "policy-total-above"),
    ),
    *measured(
        "each", SATS, _each, "the largest output to others is", "the largest output to others carries", _WALLET,
        tags=("policy-output-amount", "policy-output-above"),
    ),
    *measured(
        "balance_share", SHARE, _balance_share, "of the balance there leaves",
        "the share of the balance that leaves is", _CHAIN, tags=("policy-balance-share", "policy-balance-share-above"),
    ),
    at_least(
        "keeps", SATS, _leaves, "in the wallet there stays", "what stays in the wallet is", _CHAIN,
        tag="policy-balance-after",
    ),
    *measured(
        "fee", SATS, _fee, "the fee is", "the fee is", _SPEND, tags=("policy-tier-fee", "policy-fee-above")
    ),
    *measured(
        "fee_rate", RATE, _rate, "the fee rate is", "the fee rate is", _SPEND,
        tags=("policy-tier-fee-rate", "policy-fee-rate-above"),
    ),
    *measured(
        "fee_share", SHARE, _fee_share, "the fee, as a share of what is sent, is",
        "the fee, as a share of what is sent (of what comes back, when nothing is), is", _SPEND,
        tags=("policy-tier-fee-share", "policy-fee-share-above"),
    ),
    flag(
        "bump", "policy-bump",
        "it replaces a spend that this node signed: all of its coins, the same payments to others, a higher fee",
        _BOOK, _bump,
    ),
    Condition(
        "velocity", "policy-tier-velocity", "with this spend, the window stays within this node's part of the limit",
        "{window: 24h, sum: 0.1btc}", _BOOK, _read_velocity, typed(Velocity, _velocity),
        ordered(Velocity, Velocity.implies), frozenset({WHEN, LIMITS}),
    ),
)  # fmt: skip
"""In the order of the reference page."""
