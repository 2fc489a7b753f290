"""Of each tag of the baseline, fees, amounts, velocity and deny rules: what passes it, and what it refuses.

Every module `tests/policy_cases_*.py` gives CASES by tag; `test_policy_tags.py` gathers them and demands all tags.
"""

from __future__ import annotations

from dataclasses import dataclass

from policy_house import (
    HOUR_MS,
    NOW_MS,
    OURS,
    PROFILE,
    STRANGER,
    book,
    booked,
    chain,
    change,
    coin,
    facts,
    output,
    spend,
    wallet,
)

from policy import Facts, Outcome
from taproot import LeafFacts, Network, SpendOutput, WalletPath

OP_RETURN = b"\x6a\x04text"


@dataclass(frozen=True)
class Case:
    """A profile with facts it approves and facts it does not, for one reason only."""

    good: Facts
    bad: Facts
    text: str = PROFILE
    bad_text: str | None = None
    outcome: Outcome = Outcome.REFUSE


def limits(line: str) -> str:
    return PROFILE.replace("  amount:", f"  {line}\n  amount:")


def baseline(line: str) -> str:
    return PROFILE.replace("limits:", f"baseline: {{{line}}}\nlimits:")


def amount(line: str) -> str:
    return PROFILE.replace("{sent: unlimited}", line)


def velocity(line: str) -> str:
    return PROFILE.replace("velocity: unlimited", f"velocity: [{line}]")


def head(line: str) -> str:
    return PROFILE.replace("limits:", f"{line}\nlimits:")


def deny(line: str, name: str = "never") -> str:
    return PROFILE + f"deny:\n  - name: {name}\n    {line}\n"


def data(sats: int) -> tuple[SpendOutput, ...]:
    nulldata = output(2, sats, OP_RETURN, address=None, script_type="nulldata")
    return (output(), change(amount=499_000 - sats), nulldata)


def many(count: int) -> tuple[SpendOutput, ...]:
    return (*(output(i, 2_000) for i in range(count)), change(count, 999_000 - count * 2_000))


def paying(sats: int, fee: int = 1_000) -> Facts:
    """The usual spend with another amount or fee."""
    return facts(spend(fee_sats=fee, outputs=(output(0, sats), change(amount=1_000_000 - sats - fee))))


LEAF = LeafFacts("inheritance", 0, 500_000, 1, 1)
BY_LEAF = facts(spend(leaf=LEAF))
TWO_COINS = facts(spend(inputs=(coin(0), coin(1)), outputs=(output(), change(amount=1_499_000))))
TO_DATA = PROFILE.replace("[friends, own]", f"[friends, own, 'script:{OP_RETURN.hex()}']")
LATELY = booked(fee_sats=600, payments=((STRANGER, 599_400),))
PAST, OLD = book(LATELY), book(booked(ago_ms=24 * HOUR_MS, fee_sats=600))

CASES: dict[str, Case] = {
    "policy-wallet-known": Case(facts(), facts(wallet=wallet(known=False))),
    "policy-booking": Case(facts(), facts(clock=None)),
    "policy-network": Case(
        facts(), facts(spend(network=Network.SIGNET), wallet=wallet(network=Network.SIGNET))
    ),
    "policy-prevouts": Case(facts(), facts(spend(inputs=(coin(script_pubkey=b""),)))),
    "policy-coins-ours": Case(facts(), facts(spend(inputs=(coin(path=None),)))),
    "policy-coins-once": Case(
        TWO_COINS, facts(spend(inputs=(coin(0), coin(0)), outputs=(output(), change(amount=1_499_000))))
    ),
    "policy-sums": Case(facts(), facts(spend(fee_sats=999))),
    "policy-sighash": Case(
        facts(spend(inputs=(coin(sighash_type=1),))), facts(spend(inputs=(coin(sighash_type=0x81),)))
    ),
    "policy-annex": Case(facts(), facts(spend(has_annex=True))),
    "policy-version": Case(
        facts(spend(version=2)), facts(spend(version=3)), text=baseline("max_version: 2")
    ),
    "policy-locktime": Case(
        facts(spend(locktime=NOW_MS // 1000 + 7200)), facts(spend(locktime=NOW_MS // 1000 + 7201))
    ),
    "policy-sequence": Case(
        facts(spend(inputs=(coin(sequence=0xFFFFFFFF),))), facts(spend(inputs=(coin(sequence=144),)))
    ),
    "policy-dust": Case(
        facts(spend(outputs=(output(), change(amount=498_670), output(2, 330)))),
        facts(spend(outputs=(output(), change(amount=498_671), output(2, 329)))),
    ),
    "policy-burn": Case(facts(spend(outputs=data(0))), facts(spend(outputs=data(1))), text=TO_DATA),
    "policy-inputs": Case(facts(), TWO_COINS, text=baseline("max_inputs: 1")),
    "policy-outputs": Case(
        facts(spend(outputs=many(9))), facts(spend(outputs=many(10))), text=baseline("max_outputs: 10")
    ),
    "policy-size": Case(
        facts(spend(signed_vsize=1000)), facts(spend(signed_vsize=1001)), text=baseline("max_vsize: 1000vB")
        .replace("limits:", "limits:\n  fee: {min_rate: 0.5sat/vB}"),
    ),
    "policy-change": Case(
        facts(), facts(spend(outputs=(output(claims_wallet=True), change())))
    ),
    "policy-change-gap": Case(
        facts(spend(outputs=(output(), output(1, 499_000, OURS, path=WalletPath(1, 20))))),
        facts(spend(outputs=(output(), output(1, 499_000, OURS, path=WalletPath(1, 21))))),
    ),
    "policy-frozen": Case(facts(), facts(frozen="by hand")),
    "policy-receive-only": Case(
        facts(), facts(), text=head("receive_only: false"), bad_text=head("receive_only: true")
    ),
    "policy-leaf": Case(
        BY_LEAF, BY_LEAF, bad_text=PROFILE.replace("[inheritance, other]", "[another]")
    ),
    "policy-coin-frozen": Case(
        facts(), TWO_COINS, text=head("coins: {frozen: ['" + "01" * 32 + ":0']}")
    ),
    "policy-fee-max": Case(facts(), paying(500_000, 1_001), text=limits("fee: {max: 1_000sat}")),
    "policy-fee-min": Case(facts(), paying(500_000, 999), text=limits("fee: {min: 1_000sat}")),
    "policy-fee-rate-max": Case(
        facts(spend(signed_vsize=500)), facts(spend(signed_vsize=499)), text=limits("fee: {max_rate: 2sat/vB}")
    ),
    "policy-fee-rate-min": Case(
        facts(spend(signed_vsize=500)), facts(spend(signed_vsize=501)), text=limits("fee: {min_rate: 2sat/vB}")
    ),
    "policy-fee-share": Case(facts(), paying(499_999), text=limits("fee: {max_share: 0.2%}")),
    "policy-amount-sent": Case(facts(), paying(500_001), text=amount("{sent: 500_000sat}")),
    "policy-amount-total": Case(
        facts(), paying(500_000, 1_001), text=amount("{sent: unlimited, total: 501_000sat}")
    ),
    "policy-amount-output": Case(
        facts(spend(outputs=(output(0, 300_000), output(2, 300_000, STRANGER), change(amount=399_000)))),
        facts(spend(outputs=(output(0, 300_001), output(2, 299_999, STRANGER), change(amount=399_000)))),
        text=amount("{sent: unlimited, output: 300_000sat}").replace("own]", "own, STRANGER]"),
    ),
    "policy-amount-share": Case(
        facts(chain=chain(5_010_000)), facts(chain=chain(5_009_999)),
        text=amount("{sent: unlimited, share: 10%}"),
    ),
    "policy-amount-keep": Case(
        facts(chain=chain(5_501_000)), facts(chain=chain(5_500_999)),
        text=amount("{sent: unlimited, keep: 5_000_000sat}"),
    ),
    "policy-velocity-sum": Case(
        facts(book=OLD), facts(book=PAST), text=velocity("{window: 24h, sum: 2_000_000sat}")
    ),
    "policy-velocity-count": Case(facts(book=OLD), facts(book=PAST), text=velocity("{window: 24h, count: 2}")),
    "policy-velocity-fees": Case(
        facts(book=OLD), facts(book=PAST), text=velocity("{window: 24h, fees: 3_000sat}")
    ),
    "policy-velocity-recipients": Case(
        facts(book=OLD), facts(book=PAST), text=velocity("{window: 24h, recipients: 2}")
    ),
    "policy-blocks-between": Case(
        facts(chain=chain(), book=book(booked(height=994))), facts(chain=chain(), book=book(booked(height=995))),
        text=limits("pace: {min_blocks: 6}"),
    ),
    "policy-deny": Case(
        facts(), facts(spend(outputs=(output(), change(amount=498_000), output(2, 1_000, STRANGER)))),
        text=deny("when: {pays_any: STRANGER}").replace("own]", "own, STRANGER]"),
    ),
}  # fmt: skip
