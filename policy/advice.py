"""What would change a verdict: for every tag, what its owner, the client or time would have to do.

Advice is for the owner's eyes alone, as reasons are. It never says that a rule should be loosened, only which rule it
is; and it promises nothing: whatever it names is judged again, with all other rules.
"""

from __future__ import annotations

from collections.abc import Callable

from policy import setting as s
from policy import tags
from policy.bookings import WALLET, Scope
from policy.budgets import MEASURES, Budget, stand
from policy.conditions import CONDITIONS
from policy.facts import Facts
from policy.grounds import Look, layer_of
from policy.profile import Clause, Profile
from policy.prose_words import CONDITION_WORDS, counted, listed, people_words
from policy.rules import dust_limit
from policy.setting import Setting
from policy.verdict import Reason
from policy.when_people import approvers, missing
from policy.windows import Per, Velocity
from policy.wording import remaining, sats

Advise = Callable[[Look], str]


def advice(reason: Reason, profile: Profile, facts: Facts) -> str:
    """What would change this reason; "" where nothing stands in the way."""
    try:
        return ADVICE[reason.tag](Look(reason, layer_of(reason, profile) or profile, facts))
    except Exception as fault:
        return f"it cannot be said ({type(fault).__name__})"


def _say(text: str) -> Advise:
    return lambda look: text


# Settings.


def _set(setting: Setting[int], other: str = "") -> Advise:
    return lambda look: f"{other}, or {look.setting(setting)}" if other else look.setting(setting)


def _less(setting: Setting[int], what: str, amount: Callable[[Facts], int]) -> Advise:
    """At most the limit: so much less than now."""

    def advise(look: Look) -> str:
        limit = look.profile.value(setting) or 0
        return f"{what} at most {sats(limit)} ({sats(amount(look.facts) - limit)} less), or {look.setting(setting)}"

    return advise


def _chain(setting: Setting[int], other: str) -> Advise:
    def advise(look: Look) -> str:
        if look.facts.chain is None:
            return f"give this node a source for the chain, or take {setting.key} out"
        return f"{other}, or {look.setting(setting)}"

    return advise


def _dust(look: Look) -> str:
    least = max((dust_limit(output) for output in look.facts.spend.outputs), default=0)
    least = max(least, look.profile.value(s.MIN_OUTPUT) or 0)
    hint = f", or {look.setting(s.MIN_OUTPUT)}" if look.profile.line(s.MIN_OUTPUT) else ""
    return f"pay at least {sats(least)} to each output{hint}"


# Limits over time.


def _velocity(look: Look) -> str:
    """How much still fits, when there is room again, and which line says so."""
    rule = next((r for r in look.profile.velocity or () if r.line == look.reason.line), None)
    if rule is None or look.facts.clock is None or look.facts.book is None:
        return look.blind or "a node with a record of what it signed"
    key = look.reason.tag.removeprefix("policy-velocity-")
    return _room(look, rule, key)


def _room(look: Look, rule: Velocity, key: str) -> str:
    assert look.facts.clock is not None
    assert look.facts.book is not None
    measure = next(measure for measure in MEASURES if measure.key == key)
    budget = stand(
        look.profile, "", rule, measure, _scope(rule, look.facts), "", look.facts.wallet, look.facts.clock,
        look.facts.book,
    )  # fmt: skip
    raised = f"or raise `{key}` of that window (line {rule.line})"
    if look.facts.clock.in_doubt:
        return f"{look.blind}, {raised}"
    return f"{_fits(budget)}{_when(budget)}, {raised}"


def _scope(rule: Velocity, facts: Facts) -> Scope:
    if rule.per is Per.INITIATOR:
        return Scope.initiator(facts.initiator)
    if rule.per is Per.RECIPIENT and facts.spend.outputs_to_others:
        return Scope.recipient(facts.spend.outputs_to_others[0].script_pubkey)
    return WALLET


def _fits(budget: Budget) -> str:
    if budget.full:
        return "nothing more fits now"
    match budget.measure.key:
        case "sum":
            return f"at most {sats(budget.left)} now, fee included"
        case "fees":
            return f"at most {sats(budget.left)} of fee now"
        case "count":
            return f"{counted(budget.left, 'more spend')} now"
        case _:
            return f"{counted(budget.left, 'more recipient')} now"


def _when(budget: Budget) -> str:
    if not budget.used and not budget.exhausted:
        return ""
    if budget.more_ms is None:
        return " (nothing ever comes back)"
    return f"; room again in {remaining(max(1, budget.more_ms))}"


# Tiers, and the people and times that they ask for.


def _condition(look: Look) -> str:
    """What the spend, or the tier's condition, would have to be."""
    clause, tier = look.clause, look.tier
    if clause is None or tier is None:
        return "another spend, or another condition there"
    words = CONDITION_WORDS[clause.key](clause.value, look.profile.zone)
    condition = CONDITIONS[clause.key]
    if "chain" in condition.source and look.facts.chain is None:
        return f"give this node a source for the chain, or take `{clause.key}` out (line {clause.line})"
    if "clock" in condition.source and look.blind:
        return look.blind
    verb = "is allowed" if clause in tier.limits else "fits"
    return f"tier `{tier.name}` {verb} if {words}{_nearer(clause, look.facts)} (line {clause.line})"


_AMOUNTS: dict[str, Callable[[Facts], int]] = {
    "sent_up_to": lambda facts: facts.spend.sent_sats,
    "total_up_to": lambda facts: facts.leaving_sats,
    "fee_up_to": lambda facts: facts.spend.fee_sats,
}


def _nearer(clause: Clause, facts: Facts) -> str:
    """How much less it would have to be."""
    measure = _AMOUNTS.get(clause.key)
    if measure is None or not isinstance(clause.value, int):
        return ""
    return f": {sats(measure(facts) - clause.value)} less than it is"


def _deny(look: Look) -> str:
    rule = next((rule for rule in look.profile.deny if rule.line == look.reason.line), None)
    name = "that rule" if rule is None else f"rule `{rule.name}`"
    spared = ""
    if rule is not None and rule.unless:
        words = listed([CONDITION_WORDS[c.key](c.value, look.profile.zone) for c in rule.unless])
        spared = f"it is spared if {words}; else "
    return f"{spared}nothing overrides {name}: only another spend, or a policy without it (line {look.reason.line})"


def _people(look: Look) -> str:
    tier = look.tier
    if tier is None or tier.then.ask is None:
        return "a yes of those people"
    ask = tier.then.ask
    lacking = missing(ask.people, approvers(look.facts, ask.within_ms))
    whoever = (
        f" (a yes of {look.facts.initiator_person} does not count: they ask)"
        if look.facts.initiator_person
        else ""
    )
    asked = people_words(ask.people) if ask.people.groups else "those people"
    stands = f"; so far {listed(lacking)}" if lacking else ""
    return f"a yes of {asked}{stands}{whoever}"


def _distinct(look: Look) -> str:
    tier = look.tier
    if tier is None or tier.then.ask is None:
        return "a yes of more people"
    more = max(1, tier.then.ask.distinct - len(approvers(look.facts, tier.then.ask.within_ms)))
    return f"a yes of {more} more {'person' if more == 1 else 'people'}, none of them whoever asks"


def _wait(look: Look) -> str:
    tier, clock = look.tier, look.facts.clock
    if tier is None or tier.then.wait is None or clock is None:
        return "wait"
    since_ms = look.facts.waiting_since_ms
    left_ms = tier.then.wait.delay_ms - (0 if since_ms is None else clock.now_ms - since_ms)
    if left_ms <= 0:
        return look.blind or "ask again"
    return f"wait {remaining(left_ms)}; all checks run again then"


def _nodes(look: Look) -> str:
    wallet = look.facts.wallet
    return (
        f"more nodes to sign together (the wallet has {wallet.n}), or fewer demanded by the tier's `quorum`"
    )


def _roles(look: Look) -> str:
    asked = {role for tier in look.profile.tiers if tier.quorum is not None for role in tier.quorum.roles}
    lost = sorted(asked - set(look.facts.wallet.roles))
    return f"add role {listed(lost)} to the quorum" if lost else "add a node of that role to the quorum"


def _chosen(look: Look) -> str:
    word = "freezes" if look.reason.tag == tags.FREEZE else "decides"
    tier = look.tier
    name = "that tier" if tier is None else f"tier `{tier.name}`"
    return f"{name} {word} so (line {look.reason.line}): another spend, or another `then` there"


def _unless(look: Look) -> str:
    tier = look.tier
    if tier is None:
        return "another spend"
    words = listed([CONDITION_WORDS[c.key](c.value, look.profile.zone) for c in tier.unless])
    return f"tier `{tier.name}` fits once this does not hold: {words} (line {look.reason.line})"


_PSBT = "ask anew with a PSBT in which this is right"
_SAID = "nothing takes that no back but who said it; ask anew once they agree"
ADVICE: dict[str, Advise] = {
    "policy-wallet-known": _say("finish the wallet's key generation at this node"),
    "policy-booking": _say("a node that has a clock, and a spend that has coins"),
    "policy-network": lambda look: (
        f"a policy for {look.facts.wallet.network.value}, and a spend of that network"
    ),
    "policy-prevouts": _say("ask anew with a PSBT that holds the amount and script of every coin"),
    "policy-coins-ours": _say("ask anew with this wallet's own coins alone"),
    "policy-coins-once": _say(_PSBT),
    "policy-sums": _say(_PSBT),
    "policy-sighash": _say("ask anew with SIGHASH_DEFAULT or SIGHASH_ALL on every input"),
    "policy-annex": _say("ask anew without the annex"),
    "policy-version": _set(s.MAX_VERSION, "ask anew with transaction version 2"),
    "policy-locktime": _set(s.MAX_LOCKTIME_HEIGHT, "ask anew with an earlier locktime, or wait for it"),
    "policy-sequence": _say("ask anew with sequences that are final or say replaceable (0xfffffffd)"),
    "policy-dust": _dust,
    "policy-burn": _say("ask anew with no amount on that output"),
    "policy-inputs": _set(s.MAX_INPUTS, "use fewer coins"),
    "policy-outputs": _set(s.MAX_OUTPUTS, "pay in several transactions"),
    "policy-size": _set(s.MAX_VSIZE, "use fewer coins and outputs"),
    "policy-change": _say("ask anew with change on an address of this wallet"),
    "policy-change-gap": _say("ask anew with change on the next unused address"),
    "policy-frozen": _say(
        "the owner thaws the wallet (`assent thaw`), or what others froze runs out; a rescue goes through"
    ),
    "policy-receive-only": lambda look: f"a policy that is not receive-only (line {look.reason.line})",
    "policy-leaf": _say("name that leaf in `leaves`, if this node is meant to sign by it"),
    "policy-coin-frozen": _say("use other coins, or take this one out of `coins.frozen`"),
    "policy-fee-max": _less(s.FEE_MAX, "a fee of", lambda facts: facts.spend.fee_sats),
    "policy-fee-min": lambda look: (
        f"a fee of at least {sats(look.profile.value(s.FEE_MIN) or 0)}, or {look.setting(s.FEE_MIN)}"
    ),
    "policy-fee-rate-max": _set(s.FEE_MAX_RATE, "a lower fee"),
    "policy-fee-rate-min": _set(s.FEE_MIN_RATE, "a higher fee"),
    "policy-fee-share": _set(s.FEE_MAX_SHARE, "a lower fee, or a larger payment"),
    "policy-amount-sent": _less(s.AMOUNT_SENT, "send", lambda facts: facts.spend.sent_sats),
    "policy-amount-total": _less(s.AMOUNT_TOTAL, "let there leave", lambda facts: facts.leaving_sats),
    "policy-amount-output": _set(s.AMOUNT_OUTPUT, "a smaller payment to each"),
    "policy-amount-share": _chain(s.AMOUNT_SHARE, "a smaller payment"),
    "policy-amount-keep": _chain(s.AMOUNT_KEEP, "a smaller payment"),
    "policy-velocity-sum": _velocity,
    "policy-velocity-count": _velocity,
    "policy-velocity-fees": _velocity,
    "policy-velocity-recipients": _velocity,
    "policy-blocks-between": _chain(s.MIN_BLOCKS, "wait for more blocks"),
    "policy-intent": _say(
        "sign an intent on the client device first (`assent intent`), and send it with the request"
    ),
    "policy-intent-device": _say("sign the intent on a device that the policy names"),
    "policy-intent-match": _say("ask for exactly what was intended, or sign a new intent"),
    "policy-intent-fee": _say("a lower fee, or a new intent with a higher one"),
    "policy-intent-coin": _say("use the coin that the intent names, or sign a new intent"),
    "policy-intent-expired": lambda look: look.blind or "sign a new intent",
    "policy-intent-spent": _say("sign a new intent: each is good for one spend"),
    tags.DENY: _deny,
    tags.NO_TIER: _say("a policy with a tier for it"),
    tags.UNLESS: _unless,
    tags.TIER: _chosen,
    tags.FREEZE: _chosen,
    tags.ASK: _say("a yes of the owner (`assent approve`)"),
    tags.ASK_NUMBER: _say(
        "a yes of the owner with the number that the asking device shows (`assent approve --number`)"
    ),
    tags.ASK_PEOPLE: _people,
    tags.ASK_DISTINCT: _distinct,
    tags.OWNER_NO: _say("the owner takes the no back (`assent approve`), while the request is open"),
    tags.PERSON_NO: _say(_SAID),
    tags.WAIT: _wait,
    tags.WAIT_EXPIRED: _say(
        "ask anew with another spend of the same payments, which waits from the beginning"
    ),
    tags.WAIT_CANCELLED: _say(_SAID),
    tags.GRANT: _say("a grant of the owner's for exactly whom it pays (`assent grant`)"),
    tags.GRANT_SUM: _say(
        "pay no more than is left of the grant, or a new grant of the owner's (`assent grant`)"
    ),
    tags.GRANT_COUNT: _say("a new grant of the owner's (`assent grant`): this one has no payment left here"),
    tags.GRANT_EXPIRED: lambda look: look.blind or "a new grant of the owner's (`assent grant`)",
    tags.QUORUM_NODES: _nodes,
    tags.QUORUM_ROLES: _roles,
    tags.QUORUM_NEVER: _say("add a node of another role to the quorum"),
    tags.QUORUM_POLICY: _say(
        "that node puts one of the named policies in force, or the tier names its new one"
    ),
    **{condition.tag: _condition for condition in CONDITIONS.values()},
}
"""What would change a reason, by its tag."""
