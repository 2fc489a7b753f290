"""Does a spend match one signed intent that nothing else has used? Only where the profile demands it.

A profile without `intents:` finds nothing here. Otherwise each rule asks one thing of the intent that came with the
request; that none came is one rule's to say, and the others then are silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from policy.facts import Facts
from policy.intents import Intent
from policy.profile import IntentRule, Profile
from policy.rules import Finding, Findings
from policy.wording import sats, shown


def _demanded(profile: Profile, facts: Facts) -> tuple[IntentRule, Intent] | None:
    """The rule and the intent it is about; None where there is nothing to compare."""
    if profile.intents is None or facts.intent is None:
        return None
    return profile.intents, facts.intent


def intent(profile: Profile, facts: Facts) -> Findings:
    """Where the profile demands it, the spend comes with a signed intent."""
    if profile.intents is not None and facts.intent is None:
        yield Finding(profile.intents.line, "no signed intent came with it, and this profile demands one")


def intent_device(profile: Profile, facts: Facts) -> Findings:
    """The intent is signed by a client of the roster, and by one that the profile names where it names any."""
    found = _demanded(profile, facts)
    if found is None:
        return
    rule, made = found
    if not made.device:
        yield Finding(rule.line, "the intent is signed by nobody of the roster's clients")
    elif rule.devices and made.device not in rule.devices:
        named = ", ".join(sorted(rule.devices))
        yield Finding(rule.line, f"the intent is signed by {shown(made.device)}; those named are {named}")


def intent_match(profile: Profile, facts: Facts) -> Findings:
    """The spend pays others exactly what the intent says: each script and amount, no more and no fewer."""
    found = _demanded(profile, facts)
    if found is None:
        return
    rule, made = found
    pays = Counter((output.script_pubkey, output.amount_sats) for output in facts.spend.outputs_to_others)
    if pays != Counter(made.payments):
        meant = sats(sum(amount for _, amount in made.payments))
        yield Finding(
            rule.line,
            f"it pays others {sats(facts.spend.sent_sats)} in {pays.total()} outputs, which is not exactly what was "
            f"intended: {meant} in {len(made.payments)}",
        )


def intent_fee(profile: Profile, facts: Facts) -> Findings:
    """The fee is not above the most that the intent allows."""
    found = _demanded(profile, facts)
    if found is not None and facts.spend.fee_sats > found[1].max_fee_sats:
        most = sats(found[1].max_fee_sats)
        yield Finding(
            found[0].line, f"the fee is {sats(facts.spend.fee_sats)}; the most that was intended is {most}"
        )


def intent_coin(profile: Profile, facts: Facts) -> Findings:
    """The spend uses the coin that the intent names, so that no two spends of one intent can both confirm."""
    found = _demanded(profile, facts)
    if found is not None and found[1].outpoint not in {coin.outpoint for coin in facts.spend.inputs}:
        yield Finding(found[0].line, f"it does not use the coin that was intended, {found[1].outpoint}")


def intent_expired(profile: Profile, facts: Facts) -> Findings:
    """The intent has not expired, by a clock that is not in doubt."""
    found = _demanded(profile, facts)
    if found is None:
        return
    rule, made = found
    # A policy clock that is not in doubt never lies behind the wall clock, so both say the same.
    if facts.clock is None or facts.clock.in_doubt:
        yield Finding(
            rule.line, "whether the intent has expired cannot be told while this node's clock is in doubt"
        )
    elif facts.clock.now_ms >= made.expires_at_ms:
        yield Finding(rule.line, "the intent has expired")


def intent_spent(profile: Profile, facts: Facts) -> Findings:
    """No other spend was signed under this intent."""
    found = _demanded(profile, facts)
    if found is None:
        return
    rule, made = found
    if facts.book is None or facts.book.is_exhausted(made.made_at_ms):
        yield Finding(rule.line, "this node cannot know whether the intent was used before its recovery")
        return
    spent_by = facts.book.intent_spent_by(made.id)
    if spent_by is not None and spent_by != facts.spend_id:
        yield Finding(rule.line, f"another spend was signed under this intent: {spent_by.hex()[:16]}")


CHECKS: dict[str, Callable[[Profile, Facts], Findings]] = {
    "intent": intent,
    "intent-device": intent_device,
    "intent-match": intent_match,
    "intent-fee": intent_fee,
    "intent-coin": intent_coin,
    "intent-expired": intent_expired,
    "intent-spent": intent_spent,
}
"""Every check of an intent, by its tag without `policy-`."""
