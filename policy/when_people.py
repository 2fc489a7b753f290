"""Conditions about people: who asks, and who has said yes."""

from __future__ import annotations

from policy.condition import LIMITS, WHEN, Condition, Said, ordered, typed
from policy.facts import Facts, PersonSaid
from policy.profile import Profile
from policy.reading_values import read_people, read_whos
from policy.values import People, Words

_CLIENT = "the signature of the client's request, and the roster"
_LETTERS = "the signed letters of the roster's people about this very spend"


def approvers(facts: Facts, within_ms: int | None = None) -> tuple[PersonSaid, ...]:
    """Everyone whose yes counts now: never the initiator's own, each person once, and nobody who said no too.

    While the clock is in doubt nobody can tell how old a yes is.
    """
    if unknown(facts) or facts.clock is None or (within_ms is not None and facts.clock.in_doubt):
        return ()
    since_ms = None if within_ms is None else facts.clock.now_ms - within_ms
    out = {facts.initiator, facts.initiator_person, *(said.name for said in facts.people if not said.yes)}
    found: dict[str, PersonSaid] = {}
    for said in facts.people:
        too_old = since_ms is not None and said.at_ms < since_ms
        if said.yes and not too_old and said.name not in out:
            found[said.name] = said
    return tuple(found.values())


def unknown(facts: Facts) -> str:
    """Why it cannot be known whose yes counts; empty where it can."""
    if facts.clock is None:
        return "this node has no clock"
    return "" if facts.initiator else "it is not known who asks, and their own yes must not count"


def missing(people: People, approved: tuple[PersonSaid, ...]) -> list[str]:
    """Which roles still lack a yes, in words."""
    counts = [(role, sum(role in said.roles for said in approved), need) for role, need in people.groups]
    return [f"{have} of {need} of role {role}" for role, have, need in counts if have < need]


def _asked_by(wanted: Words, _profile: Profile, facts: Facts) -> Said:
    if not facts.initiator:
        return Said(None, "it is not known who asks")
    return Said(facts.initiator in wanted.words, f"{facts.initiator} asks; those named are {wanted}")


def _asked_by_role(wanted: Words, _profile: Profile, facts: Facts) -> Said:
    if not facts.initiator_person:
        return Said(None, "it is not known whose client asks")
    hit = sorted(wanted.words & set(facts.initiator_roles))
    return Said(
        bool(hit),
        f"whoever asks has role {hit[0]}" if hit else f"whoever asks has none of the roles {wanted}",
    )


def _approved_by(wanted: People, _profile: Profile, facts: Facts) -> Said:
    why = unknown(facts)
    if why:
        return Said(None, why)
    lacking = missing(wanted, approvers(facts))
    return Said(not lacking, f"approved by {'; '.join(lacking)}" if lacking else f"approved by {wanted}")


PEOPLE = (
    Condition(
        "asked_by", "policy-initiator", "the client that asks is one of these", "[desk]", _CLIENT, read_whos,
        typed(Words, _asked_by), ordered(Words, lambda a, b: a.words <= b.words),
    ),
    Condition(
        "asked_by_role", "policy-initiator-role", "the person whose client asks has one of these roles",
        "[treasurer]", _CLIENT, read_whos, typed(Words, _asked_by_role),
        ordered(Words, lambda a, b: a.words <= b.words),
    ),
    Condition(
        "approved_by", "policy-approved-by",
        "so many people of each role have said yes to this spend; whoever asks never counts",
        "{treasurer: 2}", _LETTERS, read_people, typed(People, _approved_by), ordered(People, People.within),
        frozenset({WHEN, LIMITS}),
    ),
)  # fmt: skip
"""In the order of the reference page."""
