"""Of each tag that a tier's action or demand on the quorum gives: what passes, and what is asked, waits or refused."""

from __future__ import annotations

from dataclasses import replace

from policy_cases_base import Case
from policy_house import HOUR_MS, NO, NOW_MS, PROFILE, ROLES, YES, facts, person, wallet

from policy import Outcome, OwnerSaid


def then(action: str) -> str:
    """The usual profile with another action."""
    return PROFILE.replace("then: approve", f"then: {action}")


def quorum(demands: str) -> str:
    """The usual profile with demands on the quorum."""
    return f"{PROFILE}    quorum: {demands}\n"


DIGEST = "ab" * 32
NODES = facts(wallet=wallet(roles=ROLES, me="home"))
ANN, BOB = person("ann", "treasurer"), person("bob", "treasurer", "security")
WAIT = then("{wait: {delay: 24h, expires: 48h, cancel: [security]}}")
WAITED = facts(waiting_since_ms=NOW_MS - 24 * HOUR_MS)

CASES: dict[str, Case] = {
    "policy-no-tier": Case(facts(), facts(), bad_text=PROFILE[: PROFILE.index("tiers:")]),
    "policy-unless": Case(
        facts(), facts(), text=f"{PROFILE}    unless: {{sent_above: 500_000sat}}\n",
        bad_text=f"{PROFILE}    unless: {{sent_above: 499_999sat}}\n",
    ),
    "policy-tier": Case(facts(), facts(), bad_text=then("refuse")),
    "policy-freeze": Case(facts(), facts(), bad_text=then("freeze")),
    "policy-ask": Case(facts(owner_said=YES), facts(), text=then("ask"), outcome=Outcome.ASK),
    "policy-ask-number": Case(
        facts(owner_said=OwnerSaid(True, NOW_MS, matched=True)), facts(owner_said=YES),
        text=then("{ask: {match: true}}"), outcome=Outcome.ASK,
    ),
    "policy-ask-people": Case(
        facts(people=(ANN, BOB)), facts(people=(ANN,)), text=then("{ask: {people: {treasurer: 2}}}"),
        outcome=Outcome.ASK,
    ),
    "policy-ask-distinct": Case(
        facts(people=(ANN, BOB)), facts(people=(BOB,)),
        text=then("{ask: {people: {treasurer: 1, security: 1}, distinct: 2}}"), outcome=Outcome.ASK,
    ),
    "policy-owner-no": Case(facts(), facts(owner_said=NO)),
    "policy-person-no": Case(
        facts(people=(ANN, BOB)), facts(people=(ANN, replace(BOB, yes=False))),
        text=then("{ask: {people: {treasurer: 1}}}"),
    ),
    "policy-wait": Case(
        WAITED, facts(waiting_since_ms=NOW_MS - 24 * HOUR_MS + 1), text=WAIT, outcome=Outcome.WAIT
    ),
    "policy-wait-expired": Case(WAITED, facts(waiting_since_ms=NOW_MS - 48 * HOUR_MS), text=WAIT),
    "policy-wait-cancelled": Case(WAITED, replace(WAITED, people=(replace(BOB, yes=False),)), text=WAIT),
    "policy-quorum-nodes": Case(NODES, NODES, text=quorum("{nodes: 3}"), bad_text=quorum("{nodes: 4}")),
    "policy-quorum-roles": Case(
        NODES, NODES, text=quorum("{roles: [home]}"), bad_text=quorum("{roles: [bunker]}")
    ),
    "policy-quorum-never": Case(
        NODES, NODES, text=quorum("{never_only: [phone, offline]}"),
        bad_text=quorum("{never_only: [phone, offline, home]}"),
    ),
    "policy-quorum-policy": Case(
        NODES, NODES, text=quorum(f"{{policies: {{phone: {DIGEST}}}}}"),
        bad_text=quorum(f"{{policies: {{home: {DIGEST}}}}}"),
    ),
}  # fmt: skip
