"""The one table of everything a reason can cite: each tag, what it checks, its settings and where its fact comes from.

The judge runs the rules of this table, `docs/policy.md` is made from it, and the tests demand of each tag a spend
that it lets pass and one that is refused citing exactly it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policy import rules, velocity
from policy import setting as s
from policy.conditions import DENY_CONDITIONS, TIER_CONDITIONS, TIER_LIMITS
from policy.facts import Facts
from policy.profile import Profile
from policy.setting import Setting

Check = Callable[[Profile, Facts], Iterable[rules.Finding]]


@dataclass(frozen=True, slots=True)
class Tag:
    """One registered tag.

    `check` is the rule itself; None where the judge's own order of deny rules, tiers and the owner decides.
    `keys` are the parts of the profile that steer it, `source` is where its fact comes from.
    """

    name: str
    group: str
    checks: str
    source: str
    settings: tuple[Setting[int], ...] = ()
    keys: tuple[str, ...] = ()
    check: Check | None = None


def _rule(
    name: str, group: str, check: Check, source: str, *settings: Setting[int], keys: tuple[str, ...] = ()
) -> Tag:
    checks = (check.__doc__ or "").strip()
    return Tag(f"policy-{name}", group, checks, source, settings, keys, check)


_SPEND, _WALLET = "the transaction", "the transaction and this node's own derivation of the wallet's scripts"
_BOOK = "this node's record of what it signed, and its policy clock"

BASELINE = (
    _rule("wallet-known", "baseline", rules.wallet_known, "this node's records"),
    _rule("booking", "baseline", rules.booking, _BOOK),
    _rule("network", "baseline", rules.network, "the transaction, this node's records", keys=("network",)),
    _rule("prevouts", "baseline", rules.prevouts, _SPEND),
    _rule("coins-ours", "baseline", rules.coins_ours, _WALLET),
    _rule("coins-once", "baseline", rules.coins_once, _SPEND),
    _rule("sums", "baseline", rules.sums, _SPEND),
    _rule("sighash", "baseline", rules.sighash, _SPEND),
    _rule("annex", "baseline", rules.annex, _SPEND),
    _rule("version", "baseline", rules.version, _SPEND, s.MAX_VERSION),
    _rule("locktime", "baseline", rules.locktime, "the transaction, the policy clock", s.MAX_LOCKTIME_HEIGHT),
    _rule("sequence", "baseline", rules.sequence, _SPEND),
    _rule("dust", "baseline", rules.dust, _SPEND, s.MIN_OUTPUT),
    _rule("burn", "baseline", rules.burn, _SPEND),
    _rule("inputs", "baseline", rules.inputs, _SPEND, s.MAX_INPUTS),
    _rule("outputs", "baseline", rules.outputs, _SPEND, s.MAX_OUTPUTS),
    _rule("size", "baseline", rules.size, _SPEND, s.MAX_VSIZE),
    _rule("change", "baseline", rules.change, _WALLET),
    _rule("change-gap", "baseline", rules.change_gap, _WALLET),
)
FEE = (
    _rule("fee-max", "fee", rules.fee_max, _SPEND, s.FEE_MAX),
    _rule("fee-min", "fee", rules.fee_min, _SPEND, s.FEE_MIN),
    _rule("fee-rate-max", "fee", rules.fee_rate_max, _SPEND, s.FEE_MAX_RATE),
    _rule("fee-rate-min", "fee", rules.fee_rate_min, _SPEND, s.FEE_MIN_RATE),
    _rule("fee-share", "fee", rules.fee_share, _SPEND, s.FEE_MAX_SHARE),
)
AMOUNT = (
    _rule("amount-sent", "amount", rules.amount_sent, _WALLET, s.AMOUNT_SENT),
    _rule("amount-total", "amount", rules.amount_total, _WALLET, s.AMOUNT_TOTAL),
)
VELOCITY = (
    _rule(
        "velocity-sum", "velocity", velocity.velocity_sum, _BOOK, keys=("limits.velocity[].sum", "evil_nodes")
    ),
    _rule(
        "velocity-count",
        "velocity",
        velocity.velocity_count,
        _BOOK,
        keys=("limits.velocity[].count", "evil_nodes"),
    ),
)
RULES: tuple[Tag, ...] = (*BASELINE, *FEE, *AMOUNT, *VELOCITY)
"""The rules that run on every spend, in the order in which reasons are given."""

DENY = Tag(
    "policy-deny",
    "deny",
    "No deny rule holds. Their order means nothing, and nothing overrides them.",
    _WALLET,
    keys=tuple(f"deny[].when.{condition.key}" for condition in DENY_CONDITIONS),
)
NO_TIER = Tag(
    "policy-no-tier",
    "tiers",
    "There are tiers at all; a profile without them refuses everything.",
    "the profile",
    keys=("tiers",),
)
TIER = Tag(
    "policy-tier",
    "tiers",
    "The first tier that fits says approve; one that says refuse does.",
    "the profile",
    keys=("tiers[].then",),
)
ASK = Tag(
    "policy-ask",
    "owner",
    "Where the first tier that fits says ask, the owner has said yes to this very spend.",
    "the owner's answer to this spend id",
    keys=("tiers[].then",),
)
OWNER_NO = Tag(
    "policy-owner-no",
    "owner",
    "The owner has not said no to this very spend; a no stands even where nobody would have been asked.",
    "the owner's answer to this spend id",
)


def _condition_tags() -> tuple[Tag, ...]:
    return tuple(
        Tag(
            condition.tag,
            "tiers",
            f"{text}: {condition.meaning}.",
            _WALLET,
            keys=(f"tiers[].{place}.{condition.key}",),
        )
        for place, text, conditions in (
            ("when", "Some tier fits", TIER_CONDITIONS),
            ("limits", "The tier that fits also has its limit kept", TIER_LIMITS),
        )
        for condition in conditions
    )


TAGS: tuple[Tag, ...] = (
    *RULES,
    DENY,
    NO_TIER,
    *_condition_tags(),
    TIER,
    ASK,
    OWNER_NO,
)
"""Every tag there is."""
