"""The rules that every spend must keep, whatever a tier says and whoever says yes: baseline, fee, amount.

Each is a generator of findings: what is wrong, in words, and the line that says so. No finding means it passes.
A rule whose fact has no source here finds just that. Those that look at budgets are in
`policy.velocity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policy import wording
from policy.facts import Facts
from policy.profile import Profile
from policy.setting import (
    AMOUNT_KEEP,
    AMOUNT_OUTPUT,
    AMOUNT_SENT,
    AMOUNT_SHARE,
    AMOUNT_TOTAL,
    FEE_MAX,
    FEE_MAX_RATE,
    FEE_MAX_SHARE,
    FEE_MIN,
    FEE_MIN_RATE,
    MAX_INPUTS,
    MAX_LOCKTIME_HEIGHT,
    MAX_OUTPUTS,
    MAX_VERSION,
    MAX_VSIZE,
    MIN_OUTPUT,
    Setting,
)
from policy.wording import sats
from taproot import SIGHASH_ALL, SIGHASH_DEFAULT, SpendOutput
from taproot.spend import MAX_MONEY_SATS

LOCKTIME_THRESHOLD = 500_000_000
"""Below it a locktime is a block height, from it on a time in seconds (consensus)."""

LOCKTIME_LEAD_S = 2 * 3600
"""How far in the future a time lock may lie: blocks' own clocks may run two hours ahead."""

SEQUENCES = frozenset({0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF})
"""Replaceable, not replaceable but locktime counts, final. Others are relative locks or mean nothing."""

DUST_RATE_SATS_PER_VB = 3
"""Bitcoin Core's dust relay fee."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule objects to, and the line of the profile that says so (0: the built-in default)."""

    line: int
    text: str


Findings = Iterator[Finding]


# Baseline.


def wallet_known(_profile: Profile, facts: Facts) -> Findings:
    """The wallet is one this node holds a complete share of."""
    if not facts.wallet.known:
        yield Finding(0, "this node holds no complete share of the wallet")


def booking(_profile: Profile, facts: Facts) -> Findings:
    """What gets signed can be written into the budgets: there is a clock, and the spend has coins and an id."""
    if facts.clock is None:
        yield Finding(0, "this node has no clock to book it by")
    if len(facts.spend_id) != 32:
        yield Finding(0, "the spend has no id")


def network(profile: Profile, facts: Facts) -> Findings:
    """Spend, wallet and profile are of one network."""
    if facts.spend.network is not facts.wallet.network:
        yield Finding(
            0, f"the spend is for {facts.spend.network.value}, the wallet for {facts.wallet.network.value}"
        )
    if facts.wallet.network is not profile.network:
        yield Finding(
            profile.network_line,
            f"the wallet is on {facts.wallet.network.value}, this profile is for {profile.network.value}",
        )


def prevouts(_profile: Profile, facts: Facts) -> Findings:
    """Every input's coin is known with its amount and script, because a Taproot signature commits to all."""
    for index, coin in enumerate(facts.spend.inputs):
        if (
            not coin.script_pubkey
            or not 0 < coin.amount_sats <= MAX_MONEY_SATS
            or len(coin.outpoint.txid) != 32
        ):
            yield Finding(0, f"input {index}: the coin it spends is not fully known")


def coins_ours(_profile: Profile, facts: Facts) -> Findings:
    """Every input is a coin of this wallet."""
    for index, coin in enumerate(facts.spend.inputs):
        if coin.path is None:
            yield Finding(0, f"input {index} is not a coin of this wallet")


def coins_once(_profile: Profile, facts: Facts) -> Findings:
    """No coin is spent twice."""
    if len({coin.outpoint for coin in facts.spend.inputs}) != len(facts.spend.inputs):
        yield Finding(0, "the same coin stands there twice")


def sums(_profile: Profile, facts: Facts) -> Findings:
    """Inputs are outputs plus fee, and no amount is impossible."""
    spend = facts.spend
    out_sats = sum(output.amount_sats for output in spend.outputs)
    if (
        any(not 0 <= output.amount_sats <= MAX_MONEY_SATS for output in spend.outputs)
        or out_sats > MAX_MONEY_SATS
    ):
        yield Finding(0, "an output's amount is impossible")
    if spend.fee_sats < 0 or spend.input_sats - out_sats != spend.fee_sats:
        yield Finding(0, "inputs, outputs and fee do not add up")


def sighash(_profile: Profile, facts: Facts) -> Findings:
    """Each signature covers the whole transaction: SIGHASH_DEFAULT or SIGHASH_ALL."""
    for index, coin in enumerate(facts.spend.inputs):
        if coin.sighash_type not in {SIGHASH_DEFAULT, SIGHASH_ALL}:
            yield Finding(
                0, f"input {index}: sighash type {coin.sighash_type:#04x} leaves parts open to change"
            )


def annex(_profile: Profile, facts: Facts) -> Findings:
    """No input carries an annex, whose meaning is not defined yet."""
    if facts.spend.has_annex:
        yield Finding(0, "an input carries an annex")


def version(profile: Profile, facts: Facts) -> Findings:
    """The transaction version is one that nodes relay."""
    limit = profile.value(MAX_VERSION) or 0
    if not 1 <= facts.spend.version <= limit:
        yield Finding(profile.line(MAX_VERSION), f"version {facts.spend.version} is not within 1 to {limit}")


def locktime(profile: Profile, facts: Facts) -> Findings:
    """The spend is not locked until a far future, where it would outlive the budgets it was judged by."""
    locked = facts.spend.locktime
    if not 0 <= locked <= 0xFFFFFFFF:
        yield Finding(0, "the locktime is no 32-bit number")
    elif locked < LOCKTIME_THRESHOLD:
        limit = profile.value(MAX_LOCKTIME_HEIGHT) or 0
        if locked > limit:
            yield Finding(
                profile.line(MAX_LOCKTIME_HEIGHT), f"locked until block {locked:_}, the most is {limit:_}"
            )
    elif facts.clock is None:
        yield Finding(0, "locked until a time, and this node has no clock to judge it by")
    elif locked > facts.clock.now_ms // 1000 + LOCKTIME_LEAD_S:
        ahead_ms = locked * 1000 - facts.clock.now_ms
        yield Finding(0, f"locked for {wording.remaining(ahead_ms)} more")


def sequence(_profile: Profile, facts: Facts) -> Findings:
    """Inputs are final or replaceable; none carries a relative lock but that of its recovery leaf."""
    used = facts.spend.leaf
    for index, coin in enumerate(facts.spend.inputs):
        if used is not None and used.older and coin.sequence == used.older:
            continue
        if coin.sequence not in SEQUENCES:
            yield Finding(
                0, f"input {index}: sequence {coin.sequence:#010x} is a relative lock or means nothing"
            )


def dust_limit(output: SpendOutput) -> int:
    """Bitcoin Core's smallest relayed amount for an output of this script (GetDustThreshold), in sats."""
    if output.script_type == "nulldata":
        return 0
    script = output.script_pubkey
    size = 8 + (1 if len(script) < 253 else 3) + len(script)
    is_witness = (
        4 <= len(script) <= 42
        and (script[0] == 0 or 0x51 <= script[0] <= 0x60)
        and script[1] == len(script) - 2
    )
    return (size + (67 if is_witness else 148)) * DUST_RATE_SATS_PER_VB


def dust(profile: Profile, facts: Facts) -> Findings:
    """No output is too small to be worth spending."""
    least = profile.value(MIN_OUTPUT) or 0
    for output in facts.spend.outputs:
        if output.script_type == "nulldata":
            continue
        if output.amount_sats < (limit := max(dust_limit(output), least)):
            line = profile.line(MIN_OUTPUT) if limit == least else 0
            yield Finding(line, f"output {output.index} of {sats(output.amount_sats)} is below {sats(limit)}")


def burn(_profile: Profile, facts: Facts) -> Findings:
    """No amount goes to a script that nobody can ever spend."""
    for output in facts.spend.outputs:
        if output.script_type == "nulldata" and output.amount_sats > 0:
            yield Finding(0, f"output {output.index} would destroy {sats(output.amount_sats)}")


def inputs(profile: Profile, facts: Facts) -> Findings:
    """There are inputs, and not too many."""
    limit = profile.value(MAX_INPUTS) or 0
    if not 1 <= len(facts.spend.inputs) <= limit:
        yield Finding(
            profile.line(MAX_INPUTS), f"{len(facts.spend.inputs):_} inputs; it may be 1 to {limit:_}"
        )


def outputs(profile: Profile, facts: Facts) -> Findings:
    """There are outputs, and not too many."""
    limit = profile.value(MAX_OUTPUTS) or 0
    if not 1 <= len(facts.spend.outputs) <= limit:
        yield Finding(
            profile.line(MAX_OUTPUTS), f"{len(facts.spend.outputs):_} outputs; it may be 1 to {limit:_}"
        )


def size(profile: Profile, facts: Facts) -> Findings:
    """The signed transaction is of a size that nodes relay."""
    limit = profile.value(MAX_VSIZE) or 0
    if not 0 < facts.spend.most_vsize <= limit:
        yield Finding(
            profile.line(MAX_VSIZE), f"{facts.spend.most_vsize:_}vB once signed; the most is {limit:_}vB"
        )


def change(_profile: Profile, facts: Facts) -> Findings:
    """What is called change is this wallet's: the node derives the script itself."""
    for output in facts.spend.outputs:
        if output.claims_wallet and output.path is None:
            yield Finding(0, f"output {output.index} is called this wallet's own, and is not")


def change_gap(_profile: Profile, facts: Facts) -> Findings:
    """Change goes where every watching wallet will find it: within the gap beyond the last used address."""
    wallet = facts.wallet
    for output in facts.spend.change_outputs:
        path = output.path
        assert path is not None  # change_outputs are those with a path
        if (
            path.branch not in {0, 1}
            or not 0 <= path.index < wallet.next_index[path.branch] + wallet.gap_limit
        ):
            yield Finding(0, f"output {output.index} goes to our address {path}, too far beyond those in use")


def frozen(_profile: Profile, facts: Facts) -> Findings:
    """The wallet is not frozen at this node."""
    if facts.frozen:
        yield Finding(0, f"the wallet is frozen at this node: {facts.frozen}")


def receive_only(profile: Profile, _facts: Facts) -> Findings:
    """The profile lets the wallet spend at all."""
    if profile.receive_only.value:
        yield Finding(profile.receive_only.line, "this profile is for receiving only")


def leaf(profile: Profile, facts: Facts) -> Findings:
    """A recovery leaf is used only if the profile names it in `leaves`."""
    allowed, used = profile.allowed_leaves, facts.spend.leaf
    if used is not None and allowed is not None and used.name not in allowed:
        yield Finding(
            profile.leaves.line, f"it is spent by the recovery leaf {used.name}, not named in `leaves`"
        )


def coin_frozen(profile: Profile, facts: Facts) -> Findings:
    """No coin is used that the profile calls frozen."""
    for coin in facts.spend.inputs:
        if profile.frozen_coins.holds(coin):
            yield Finding(0, f"the coin {coin.outpoint} is frozen")


# Fee.


def _above(profile: Profile, setting: Setting[int], value: int, what: str) -> Findings:
    limit = profile.value(setting)
    if limit is not None and value > limit:
        yield Finding(profile.line(setting), f"{what} {sats(value)}; the most is {sats(limit)}")


def fee_max(profile: Profile, facts: Facts) -> Findings:
    """The fee is not above a fixed amount."""
    yield from _above(profile, FEE_MAX, facts.spend.fee_sats, "the fee is")


def fee_min(profile: Profile, facts: Facts) -> Findings:
    """The fee is not below a fixed amount."""
    limit = profile.value(FEE_MIN)
    if limit is not None and facts.spend.fee_sats < limit:
        yield Finding(
            profile.line(FEE_MIN), f"the fee is {sats(facts.spend.fee_sats)}; the least is {sats(limit)}"
        )


def fee_rate_max(profile: Profile, facts: Facts) -> Findings:
    """The fee rate is not above the limit."""
    limit, spend = profile.value(FEE_MAX_RATE), facts.spend
    if limit is not None and spend.fee_sats * 1000 > limit * spend.signed_vsize:
        yield Finding(
            profile.line(FEE_MAX_RATE),
            f"the fee is {wording.fee_words(spend)}; the most is {wording.rate(limit)}",
        )


def fee_rate_min(profile: Profile, facts: Facts) -> Findings:
    """The fee rate is not so low that the spend would hang unconfirmed."""
    limit, spend = profile.value(FEE_MIN_RATE), facts.spend
    if limit is not None and spend.fee_sats * 1000 < limit * spend.most_vsize:
        yield Finding(
            profile.line(FEE_MIN_RATE),
            f"the fee is {wording.fee_words(spend)}; the least is {wording.rate(limit)}",
        )


def fee_share(profile: Profile, facts: Facts) -> Findings:
    """The fee is in proportion to what it is paid for."""
    limit, spend = profile.value(FEE_MAX_SHARE), facts.spend
    if limit is None:
        return
    sent = bool(spend.outputs_to_others)
    base_sats = spend.sent_sats if sent else spend.change_sats
    if spend.fee_sats * 10_000 > limit * base_sats:
        what = "is sent" if sent else "comes back"
        yield Finding(
            profile.line(FEE_MAX_SHARE),
            f"the fee is {sats(spend.fee_sats)} where {sats(base_sats)} {what}; the most is {wording.share(limit)}",
        )


# Amount.


def amount_sent(profile: Profile, facts: Facts) -> Findings:
    """Others do not receive more than the limit of one spend."""
    yield from _above(profile, AMOUNT_SENT, facts.spend.sent_sats, "others receive")


def amount_total(profile: Profile, facts: Facts) -> Findings:
    """No more leaves the wallet, fee included, than the limit of one spend."""
    yield from _above(profile, AMOUNT_TOTAL, facts.leaving_sats, "with the fee there leaves")


def amount_output(profile: Profile, facts: Facts) -> Findings:
    """No single output to others carries more than the limit."""
    for output in facts.spend.outputs_to_others:
        yield from _above(profile, AMOUNT_OUTPUT, output.amount_sats, f"output {output.index} carries")


def _balance_sats(profile: Profile, facts: Facts, setting: Setting[int]) -> int | Finding:
    if facts.chain is None:
        return Finding(
            profile.line(setting), "the balance is not known: this node has no source for the chain"
        )
    return facts.chain.balance_sats


def amount_share(profile: Profile, facts: Facts) -> Findings:
    """What leaves is not more than a share of the wallet's balance."""
    limit = profile.value(AMOUNT_SHARE)
    if limit is None:
        return
    balance = _balance_sats(profile, facts, AMOUNT_SHARE)
    if isinstance(balance, Finding):
        yield balance
    elif facts.leaving_sats * 10_000 > limit * balance:
        yield Finding(
            profile.line(AMOUNT_SHARE),
            f"there leaves {sats(facts.leaving_sats)} of {sats(balance)}; the most is {wording.share(limit)}",
        )


def amount_keep(profile: Profile, facts: Facts) -> Findings:
    """Enough stays in the wallet."""
    limit = profile.value(AMOUNT_KEEP)
    if limit is None:
        return
    balance = _balance_sats(profile, facts, AMOUNT_KEEP)
    if isinstance(balance, Finding):
        yield balance
    elif balance - facts.leaving_sats < limit:
        stays = max(0, balance - facts.leaving_sats)
        yield Finding(profile.line(AMOUNT_KEEP), f"there stays {sats(stays)}; the least is {sats(limit)}")
