"""What the first tier that fits demands: a grant, the owner's yes, other people's, a delay, and of the quorum."""

from __future__ import annotations

from dataclasses import dataclass

from policy import tags
from policy.actions import Ask, Wait
from policy.facts import Facts
from policy.granting import Covered, covering
from policy.profile import Profile, Tier
from policy.quorum import NO_DEMANDS, Conditions
from policy.verdict import Outcome, Reason
from policy.when_people import approvers, missing, unknown
from policy.wording import duration, remaining, shown


@dataclass(frozen=True, slots=True)
class Decided:
    """What one tier leads to: its reasons, its demands, and what must be remembered with a signature."""

    reasons: tuple[Reason, ...]
    conditions: Conditions = NO_DEMANDS
    grant: bytes = b""
    asks_owner: bool = False
    asks_people: tuple[str, ...] = ()
    number: bool = False
    wait_until_ms: int | None = None
    freezes: bool = False


def decide(tier: Tier, profile: Profile, facts: Facts) -> Decided:
    """What a tier that fits, and whose limits are kept, says of this spend."""
    action, demands = tier.then, tier.quorum or NO_DEMANDS
    if action.refuse or action.freeze:
        tag, word = (tags.FREEZE, "freezes the wallet") if action.freeze else (tags.TIER, "refuses")
        reason = Reason(tag, tier.line, f"tier `{tier.name}` {word}", Outcome.REFUSE)
        return Decided((reason,), demands, freezes=action.freeze)
    wanted = action.grant or (action.ask is not None and action.ask.owner)
    covered = covering(profile, facts) if wanted else Covered()
    if action.grant and covered.grant is None:
        return Decided(
            tuple(
                Reason(tag, tier.line, f"tier `{tier.name}`: {text}", Outcome.REFUSE)
                for tag, text in covered.why
            ),
            demands,
        )
    reasons: list[Reason] = []
    if covered.grant is not None:
        demands = demands.with_these(covered.conditions)
        text = f"tier `{tier.name}`: {covered.text}"
        reasons.append(Reason(tags.GRANT, tier.line, text, Outcome.APPROVE))
    # A grant is the owner's yes given beforehand: it answers for nobody else, and not where the tier asks for both.
    answered = covered.grant is not None and not action.grant
    asked = [] if action.ask is None else _asked(tier, action.ask, facts, answered=answered)
    waited, until_ms = ([], None) if action.wait is None else _waited(tier, action.wait, facts)
    reasons += [*asked, *waited]
    if not reasons:
        reasons.append(Reason(tags.TIER, tier.line, f"tier `{tier.name}` approves", Outcome.APPROVE))
    open_ = [reason for reason in asked if reason.outcome is Outcome.ASK]
    owner = any(reason.tag in {tags.ASK, tags.ASK_NUMBER} for reason in open_)
    return Decided(
        tuple(reasons),
        demands,
        b"" if covered.grant is None else covered.grant.id,
        asks_owner=owner,
        asks_people=tuple(
            reason.text for reason in open_ if reason.tag in {tags.ASK_PEOPLE, tags.ASK_DISTINCT}
        ),
        number=action.ask is not None and action.ask.match and owner,
        wait_until_ms=until_ms,
    )


_IN_DOUBT = "how old a yes is cannot be told before the clock is confirmed"


def _in_doubt(facts: Facts) -> bool:
    return facts.clock is None or facts.clock.in_doubt


def _asked(tier: Tier, ask: Ask, facts: Facts, *, answered: bool) -> list[Reason]:
    """The yes of all who must give it, a reason each; of the owner none where a grant answered already."""
    found = []
    if ask.owner and not answered:
        found.append(_owner(tier, ask, facts))
    return found if not ask.people.groups and not ask.distinct else found + _people(tier, ask, facts)


def _people(tier: Tier, ask: Ask, facts: Facts) -> list[Reason]:
    """The people's part: those of the roles named, or everyone of the roster where only a number is named."""
    found = []
    roles = {role for role, _ in ask.people.groups}
    no = next(
        (said for said in facts.people if not said.yes and (not roles or roles & set(said.roles))), None
    )
    if no is not None:
        found.append(
            Reason(tags.PERSON_NO, tier.line, f"{shown(no.name)} said no to this spend", Outcome.REFUSE)
        )
    counted = tuple(said for said in approvers(facts, ask.within_ms) if not roles or roles & set(said.roles))
    why = unknown(facts) or (_IN_DOUBT if ask.within_ms is not None and _in_doubt(facts) else "")
    lacking = missing(ask.people, counted)
    if lacking:
        found.append(
            Reason(
                tags.ASK_PEOPLE,
                tier.line,
                f"tier `{tier.name}` asks people: {'; '.join(lacking)}{why and f' ({why})'}",
                Outcome.ASK,
            )
        )
    if len(counted) < ask.distinct:
        text = f"tier `{tier.name}` asks {ask.distinct} different people; {len(counted)} said yes{why and f' ({why})'}"
        found.append(Reason(tags.ASK_DISTINCT, tier.line, text, Outcome.ASK))
    if not found:
        found.append(
            Reason(
                tags.ASK_PEOPLE,
                tier.line,
                f"tier `{tier.name}` asks people, and they said yes",
                Outcome.APPROVE,
            )
        )
    return found


def _owner(tier: Tier, ask: Ask, facts: Facts) -> Reason:
    said = facts.owner_said
    if said is None or not said.yes:
        return Reason(tags.ASK, tier.line, f"tier `{tier.name}` asks the owner", Outcome.ASK)
    if ask.within_ms is not None and _in_doubt(facts):
        text = f"tier `{tier.name}` asks the owner again: {_IN_DOUBT}"
        return Reason(tags.ASK, tier.line, text, Outcome.ASK)
    if ask.within_ms is not None and (facts.clock is None or facts.clock.now_ms > said.at_ms + ask.within_ms):
        text = f"tier `{tier.name}` asks the owner again: the yes is older than {duration(ask.within_ms)}"
        return Reason(tags.ASK, tier.line, text, Outcome.ASK)
    if ask.match and not said.matched:
        text = f"tier `{tier.name}` asks the owner for the number that the asking device shows"
        return Reason(tags.ASK_NUMBER, tier.line, text, Outcome.ASK)
    return Reason(tags.ASK, tier.line, f"tier `{tier.name}` asks, and the owner said yes", Outcome.APPROVE)


def _waited(tier: Tier, wait: Wait, facts: Facts) -> tuple[list[Reason], int | None]:
    """How far the delay is, and when to look again."""
    no = next((said for said in facts.people if not said.yes and set(said.roles) & set(wait.cancel)), None)
    if no is not None:
        return [
            Reason(tags.WAIT_CANCELLED, tier.line, f"{shown(no.name)} cancelled it", Outcome.REFUSE)
        ], None
    if facts.clock is None:
        return [Reason(tags.WAIT, tier.line, "this node has no clock to wait by", Outcome.REFUSE)], None
    now_ms = facts.clock.now_ms
    since_ms = now_ms if facts.waiting_since_ms is None else facts.waiting_since_ms
    until_ms = since_ms + wait.delay_ms
    if wait.expires_ms is not None and now_ms >= since_ms + wait.expires_ms:
        text = f"tier `{tier.name}` gave it {duration(wait.expires_ms)}, and they are over"
        return [Reason(tags.WAIT_EXPIRED, tier.line, text, Outcome.REFUSE)], None
    if wait.expires_ms is not None and now_ms >= until_ms and facts.clock.in_doubt:
        # The policy clock may lie behind. A refusal would end the request, and the owner may yet confirm the time.
        text = f"tier `{tier.name}` let it wait; whether its time is over cannot be told before the clock is confirmed"
        return [Reason(tags.WAIT, tier.line, text, Outcome.WAIT)], None
    if now_ms < until_ms:
        text = (
            f"tier `{tier.name}` lets it wait {duration(wait.delay_ms)}: {remaining(until_ms - now_ms)} more"
        )
        return [Reason(tags.WAIT, tier.line, text, Outcome.WAIT)], until_ms
    return [
        Reason(
            tags.WAIT, tier.line, f"tier `{tier.name}` let it wait, and the delay is over", Outcome.APPROVE
        )
    ], None
