"""The one table of everything a reason can cite: each tag, what it checks, its settings and where its fact comes from.

The judge runs the rules of this table, `docs/policy.md` is made from it, and the tests demand of each tag a spend
that it lets pass and one that is refused citing exactly it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policy import intending, rules, tags, velocity
from policy import setting as s
from policy.condition import LIMITS
from policy.conditions import CONDITIONS
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
_CHAIN = "the chain (this program has no source of it yet)"
_INTENT = "a letter signed by a client device of the roster, and this node's record of what it signed"

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
    _rule("frozen", "baseline", rules.frozen, "this node's records"),
    _rule("receive-only", "baseline", rules.receive_only, "the profile", keys=("receive_only",)),
    _rule("leaf", "baseline", rules.leaf, _WALLET, keys=("leaves",)),
    _rule("coin-frozen", "baseline", rules.coin_frozen, _SPEND, keys=("coins.frozen",)),
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
    _rule("amount-output", "amount", rules.amount_output, _WALLET, s.AMOUNT_OUTPUT),
    _rule("amount-share", "amount", rules.amount_share, _CHAIN, s.AMOUNT_SHARE),
    _rule("amount-keep", "amount", rules.amount_keep, _CHAIN, s.AMOUNT_KEEP),
)


def _window(name: str, check: Check, key: str) -> Tag:
    return _rule(name, "velocity", check, _BOOK, keys=(f"limits.velocity[].{key}", "evil_nodes"))


VELOCITY = (
    _window("velocity-sum", velocity.velocity_sum, "sum"),
    _window("velocity-count", velocity.velocity_count, "count"),
    _window("velocity-fees", velocity.velocity_fees, "fees"),
    _window("velocity-recipients", velocity.velocity_recipients, "recipients"),
    _rule("blocks-between", "velocity", velocity.blocks_between, _CHAIN, s.MIN_BLOCKS),
)
INTENTS = tuple(
    _rule(name, "intents", check, _INTENT, keys=("intents",)) for name, check in intending.CHECKS.items()
)
RULES: tuple[Tag, ...] = (*BASELINE, *FEE, *AMOUNT, *VELOCITY, *INTENTS)
"""The rules that run on every spend, in the order in which reasons are given."""

_SAID = "the owner's answer to this spend id"
_PEOPLE = "the signed letters of the roster's people about this very spend"
_GRANTS = "the grants that this node's owner signed, and this node's record of what it signed"
_QUORUM = "the signed verdicts of the quorum"
_DEMANDS = ("tiers[].quorum",)

DECISIONS = (
    Tag(
        tags.DENY, "deny", "No deny rule holds. Their order means nothing, and nothing overrides them.",
        "whatever its conditions need", keys=("deny[].when", "deny[].unless"),
    ),
    Tag(
        tags.NO_TIER, "tiers", "There are tiers at all; a profile without them refuses everything.", "the profile",
        keys=("tiers",),
    ),
    Tag(
        tags.UNLESS, "tiers", "Some tier that fits is not excused by its `unless`.", "whatever its conditions need",
        keys=("tiers[].unless",),
    ),
    Tag(
        tags.TIER, "tiers", "The first tier that fits says approve; one that says refuse does.", "the profile",
        keys=("tiers[].then",),
    ),
    Tag(
        tags.FREEZE, "tiers", "The first tier that fits does not freeze the wallet, which refuses as well.",
        "the profile", keys=("tiers[].then",),
    ),
    Tag(
        tags.ASK, "people", "Where the first tier that fits asks the owner, the owner has said yes to this very "
        "spend, and lately enough.", _SAID, keys=("tiers[].then.ask.owner", "tiers[].then.ask.within"),
    ),
    Tag(
        tags.ASK_NUMBER, "people", "Where the tier demands it, the owner's yes came with the number that the "
        "asking device shows.", _SAID, keys=("tiers[].then.ask.match",),
    ),
    Tag(
        tags.ASK_PEOPLE, "people", "Where the tier asks people by role, so many of each have said yes; whoever "
        "asks never counts.", _PEOPLE, keys=("tiers[].then.ask.people", "tiers[].then.ask.within"),
    ),
    Tag(
        tags.ASK_DISTINCT, "people", "Where the tier asks for so many different people, so many have said yes.",
        _PEOPLE, keys=("tiers[].then.ask.distinct",),
    ),
    Tag(
        tags.OWNER_NO, "people", "The owner has not said no to this very spend; a no stands even where nobody "
        "would have been asked.", _SAID,
    ),
    Tag(
        tags.PERSON_NO, "people", "Nobody whom the tier asks has said no to this very spend.", _PEOPLE,
        keys=("tiers[].then.ask.people",),
    ),
    Tag(
        tags.WAIT, "wait", "Where the first tier that fits lets a spend wait, the delay is over.",
        "this node's record of when it first let it wait, and its policy clock", keys=("tiers[].then.wait.delay",),
    ),
    Tag(
        tags.WAIT_EXPIRED, "wait", "A spend that waited was signed before its time was over.",
        "this node's record of when it first let it wait, and its policy clock",
        keys=("tiers[].then.wait.expires",),
    ),
    Tag(
        tags.WAIT_CANCELLED, "wait", "Nobody who may cancel a wait has said no.", _PEOPLE,
        keys=("tiers[].then.wait.cancel",),
    ),
    Tag(
        tags.GRANT, "grants", "Where the tier approves only under a grant, there is one for whom it pays.", _GRANTS,
        keys=("tiers[].then.grant",),
    ),
    Tag(tags.GRANT_SUM, "grants", "What is left of the grant is enough.", _GRANTS, keys=("tiers[].then.grant",)),
    Tag(
        tags.GRANT_COUNT, "grants", "The grant is good for one more payment.", _GRANTS,
        keys=("tiers[].then.grant",),
    ),
    Tag(tags.GRANT_EXPIRED, "grants", "The grant has not run out.", _GRANTS, keys=("tiers[].then.grant",)),
    Tag(
        tags.QUORUM_NODES, "quorum", "As many nodes sign together as the tier demands.", _QUORUM,
        keys=("tiers[].quorum.nodes",),
    ),
    Tag(
        tags.QUORUM_ROLES, "quorum", "Every role that the tier demands is among the signers.", _QUORUM,
        keys=("tiers[].quorum.roles",),
    ),
    Tag(
        tags.QUORUM_NEVER, "quorum", "The signers are not only of roles that must not sign alone together.",
        _QUORUM, keys=("tiers[].quorum.never_only",),
    ),
    Tag(
        tags.QUORUM_POLICY, "quorum", "Each signer named assented under one of the policies named for it.",
        _QUORUM, keys=("tiers[].quorum.policies",),
    ),
)  # fmt: skip


def _condition_tags() -> tuple[Tag, ...]:
    return tuple(
        Tag(
            condition.tag,
            "conditions",
            f"Some tier fits{' and has its limit kept' if LIMITS in condition.places else ''}: {condition.meaning}.",
            condition.source,
            keys=tuple(
                f"tiers[].{place}.{condition.key}" for place in sorted(condition.places, reverse=True)
            ),
        )
        for condition in CONDITIONS.values()
    )


TAGS: tuple[Tag, ...] = (*RULES, *DECISIONS, *_condition_tags())
"""Every tag there is."""
