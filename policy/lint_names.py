"""Names: lists and coins that nothing uses, roles and people that nobody has, quorums that cannot be."""

from __future__ import annotations

from collections.abc import Iterator

from policy.lint_rules import rules_in
from policy.places import clauses_of
from policy.profile import Profile
from policy.remarks import Known, Names, Remark
from policy.values import CoinSet, Destinations, People, Words


def names(profile: Profile, known: Known) -> Iterator[Remark]:
    """The remarks on names."""
    yield from _unused_lists(profile)
    yield from _unused_coins(profile)
    yield from _quorums(profile, known)
    if known.names is not None:
        yield from _clients(profile, known.names)
        yield from _people(profile, known.names)
        yield from _change(profile, known.names)


def _unused_lists(profile: Profile) -> Iterator[Remark]:
    clauses = list(clauses_of(profile))
    if any(clause.key == "listed_for" for clause in clauses):
        return  # looks at all of them
    named = [clause.value for clause in clauses if isinstance(clause.value, Destinations)]
    used = {word for places in named for word in places.words}
    inside = frozenset[bytes]().union(*(places.scripts for places in named))
    for name, places in profile.lists.items():
        if name not in used and not (places.scripts and places.scripts <= inside):
            yield Remark.warning(0, f"lists.{name}", "is used by no rule", "name it in a rule, or remove it")


def _unused_coins(profile: Profile) -> Iterator[Remark]:
    named = [clause.value for clause in clauses_of(profile) if isinstance(clause.value, CoinSet)]
    used = {word for coins in named for word in coins.words}
    for name, coins in profile.coins.items():
        inside = any(coins.within(other) for other in (*named, profile.frozen_coins))
        if name != "frozen" and name not in used and not inside:
            yield Remark.warning(0, f"coins.{name}", "is used by no rule", "name it in a rule, or remove it")


def _quorums(profile: Profile, known: Known) -> Iterator[Remark]:
    roles = frozenset(known.wallet.roles) if known.wallet is not None else frozenset[str]()
    for number, tier in enumerate(profile.tiers):
        demands, path = tier.quorum, f"tiers[{number}].quorum"
        if demands is None:
            continue
        if known.wallet is not None and demands.need_nodes > known.wallet.n:
            yield Remark.error(
                tier.line, f"{path}.nodes",
                f"`{tier.name}` can never approve: it needs {demands.need_nodes} nodes of {known.wallet.n}",
                f"write {known.wallet.n} at most",
            )  # fmt: skip
        elif known.wallet is not None and 0 < demands.need_nodes <= known.wallet.t:
            yield Remark.note(
                tier.line, f"{path}.nodes", f"decides nothing: {known.wallet.t} nodes sign in any case",
                f"write more than {known.wallet.t}, or leave it out",
            )  # fmt: skip
        strangers = sorted(set(demands.roles) - roles) if roles else []
        if strangers:
            yield Remark.error(
                tier.line, f"{path}.roles", f"`{tier.name}` can never approve: no node has the role {strangers[0]}",
                f"write roles of this wallet: {', '.join(sorted(roles))}",
            )  # fmt: skip
        for never in demands.never_only:
            if roles and roles <= never:
                yield Remark.error(
                    tier.line, f"{path}.never_only", f"`{tier.name}` can never approve: these are all roles there are",
                    "leave one out",
                )  # fmt: skip
            elif roles and not never & roles:
                yield Remark.warning(
                    tier.line, f"{path}.never_only", "decides nothing: no node has one of these roles",
                    f"write roles of this wallet: {', '.join(sorted(roles))}",
                )  # fmt: skip


def _clients(profile: Profile, roster: Names) -> Iterator[Remark]:
    for rule in rules_in(profile):
        for path, clause in rule.places():
            known = {"asked_by": roster.clients, "asked_by_role": frozenset(roster.people)}.get(clause.key)
            if known is None or not isinstance(clause.value, Words):
                continue
            for name in sorted(clause.value.words - known):
                yield Remark.warning(
                    clause.line,
                    path,
                    f"the roster does not know `{name}`",
                    _choose(known, "clients or roles"),
                )
    if profile.intents is not None:
        for name in sorted(profile.intents.devices - roster.clients):
            yield Remark.warning(
                profile.intents.line, "intents.from", f"the roster has no client `{name}`",
                _choose(roster.clients, "clients"),
            )  # fmt: skip


def _people(profile: Profile, roster: Names) -> Iterator[Remark]:
    for number, tier in enumerate(profile.tiers):
        ask, wait = tier.then.ask, tier.then.wait
        if ask is not None:
            yield from _enough(ask.people, tier.line, f"tiers[{number}].then.ask.people", roster)
        for role in () if wait is None else wait.cancel:
            if role not in roster.people:
                yield Remark.warning(
                    tier.line, f"tiers[{number}].then.wait.cancel", f"nobody has the role {role}",
                    _choose(frozenset(roster.people), "roles"),
                )  # fmt: skip
    for rule in rules_in(profile):
        for path, clause in rule.places():
            if isinstance(clause.value, People):
                yield from _enough(clause.value, clause.line, path, roster)


def _enough(people: People, line: int, path: str, roster: Names) -> Iterator[Remark]:
    for role, count in people.groups:
        have = roster.people.get(role, 0)
        if have < count:
            yield Remark.error(
                line, path, f"can never be met: {count} people of role {role} are needed, and the roster has {have}",
                _choose(frozenset(roster.people), "roles"),
            )  # fmt: skip


def _change(profile: Profile, roster: Names) -> Iterator[Remark]:
    rule = profile.change
    yield from _enough(rule.people, rule.line, "change.people", roster)
    for role in rule.nodes:
        if role not in roster.nodes:
            yield Remark.error(
                rule.line, "change.nodes", f"no node has the role {role}, so nothing can ever be loosened",
                _choose(roster.nodes, "roles"),
            )  # fmt: skip
    for role in rule.cancel:
        if role not in roster.people:
            yield Remark.warning(
                rule.line,
                "change.cancel",
                f"nobody has the role {role}",
                _choose(frozenset(roster.people), "roles"),
            )


def _choose(known: frozenset[str], what: str) -> str:
    return (
        f"write {what} of the roster: {', '.join(sorted(known))}"
        if known
        else f"the roster has no {what} yet"
    )
