"""Whether what one tier demands is surely at least what another does: of people, of time, and of the quorum."""

from __future__ import annotations

from policy.actions import Action, Ask, Wait
from policy.quorum import NO_DEMANDS, Conditions


def at_least_the_action(new: Action, old: Action) -> bool:
    """Whether whatever the new action lets pass the old one surely does, too, under the same grants.

    A grant answers for the owner where a tier asks; where a tier demands a grant, all that it asks stands beside it.
    """
    if new.refuse or new.freeze:
        return True
    if old.refuse or old.freeze or (old.grant and not new.grant):
        return False
    if old.wait is not None and (new.wait is None or not _longer(new.wait, old.wait)):
        return False
    if old.ask is None:
        return True
    mine = new.ask or NO_YES
    by_grant = new.grant and not old.grant
    return (by_grant or _of_owner(mine, old.ask)) and _of_people(mine, old.ask)


NO_YES = Ask(owner=False)
"""Asks nobody."""


def _of_owner(new: Ask, old: Ask) -> bool:
    return not old.owner or (
        new.owner and _no_later(new.within_ms, old.within_ms) and (new.match or not old.match)
    )


def _of_people(new: Ask, old: Ask) -> bool:
    """Whether the new demands on people are surely enough, and a no counts of whomever it counted."""
    if not old.people.groups and not old.distinct:
        return True
    roles = {role for role, _ in old.people.groups}
    # Only people of the roles named are counted, and only theirs is a no: everyone's where none is named.
    same_roles = roles == {role for role, _ in new.people.groups}
    return (
        new.people.within(old.people)
        and _no_later(new.within_ms, old.within_ms)
        and (bool(roles) or same_roles)
        and (
            (new.distinct >= old.distinct and same_roles)
            or any(role in roles and count >= old.distinct for role, count in new.people.groups)
        )
    )


def _longer(new: Wait, old: Wait) -> bool:
    return (
        new.delay_ms >= old.delay_ms
        and _no_later(new.expires_ms, old.expires_ms)
        and set(new.cancel) >= set(old.cancel)
    )


def _no_later(new: int | None, old: int | None) -> bool:
    """None is never."""
    return old is None or (new is not None and new <= old)


def at_least_the_quorum(new: Conditions | None, old: Conditions | None) -> bool:
    """Whether every quorum that the new demands let pass surely passes the old ones."""
    mine, theirs = new or NO_DEMANDS, old or NO_DEMANDS
    return (
        mine.need_nodes >= theirs.need_nodes
        and set(mine.roles) >= set(theirs.roles)
        and all(
            any(never <= larger for larger in mine.never_only) or not set(mine.roles) <= never
            for never in theirs.never_only
        )
        and all(
            any(role == other and digests <= named for other, digests in mine.policies)
            for role, named in theirs.policies
        )
    )
