"""How rules are read: `deny` and `tiers`, their conditions, what they lead to, and what they ask of the quorum."""

from __future__ import annotations

import re

from policy.actions import Action, Ask, Wait
from policy.condition import LIMITS, WHEN
from policy.conditions import CONDITIONS
from policy.profile import Clause, Deny, Tier
from policy.quorum import MAX_DIGESTS, MAX_ROLES, MAX_SETS, NO_DEMANDS, Conditions
from policy.reading_values import (
    WHO,
    Context,
    one_or_more,
    read_bool,
    read_name,
    read_people,
    read_who,
    read_whos,
)
from policy.tree import Fields, Mapping, Node, ProfileError, Scalar, Sequence, kind_of, need_items, need_text
from policy.units import COUNT, DURATION, NODES
from policy.values import NOBODY
from policy.wording import shown

MAX_RULES = 500
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERBS = ("approve", "grant", "ask", "wait", "refuse", "freeze")


def read_denies(node: Node | None, context: Context) -> tuple[Deny, ...]:
    """The rules under `deny`."""
    found: list[Deny] = []
    seen: set[str] = set()
    for item in rules_of(node, "deny rules"):
        fields = Fields(item, ("name", "when", "unless", "then", "notify"))
        name = _once(read_name(fields.need("name", "name the rule")), item, seen)
        when = fields.need("when", "say what to refuse")
        found.append(
            Deny(
                name,
                _clauses(when, WHEN, context),
                item.line,
                _unless(fields, context),
                _freezes(fields.get("then")),
                _flag(fields, "notify"),
            )
        )
    return tuple(found)


def read_tiers(node: Node | None, context: Context) -> tuple[Tier, ...]:
    """The rules under `tiers`, in order."""
    found: list[Tier] = []
    seen: set[str] = set()
    for item in rules_of(node, "tiers"):
        fields = Fields(item, ("name", "when", "unless", "limits", "then", "quorum", "notify"))
        name = _once(read_name(fields.need("name", "name the tier")), item, seen)
        when = fields.need("when", "say which spends it is for; for all of them, `when: {pays_only: anyone}`")
        limits, quorum = fields.get("limits"), fields.get("quorum")
        found.append(
            Tier(
                name,
                _clauses(when, WHEN, context),
                () if limits is None else _clauses(limits, LIMITS, context),
                read_action(fields.need("then", f"write one of {', '.join(_VERBS)}")),
                item.line,
                _unless(fields, context),
                None if quorum is None else _quorum(quorum),
                _flag(fields, "notify"),
            )
        )
    return tuple(found)


def rules_of(node: Node | None, what: str) -> tuple[Node, ...]:
    """The items of a list of rules, bounded; none where the key is left out."""
    if node is None:
        return ()
    items = need_items(node, f"write {what} as a list, or leave the key out")
    if len(items) > MAX_RULES:
        raise ProfileError(node.line, node.path, f"{len(items)} rules; the most is {MAX_RULES}")
    return items


def _once(name: str, node: Node, seen: set[str]) -> str:
    if name in seen:
        raise ProfileError(node.line, node.path, f"`{name}` names two rules; give each its own name")
    seen.add(name)
    return name


def _flag(fields: Fields, key: str) -> bool:
    node = fields.get(key)
    return node is not None and read_bool(node)


# Conditions.


def _unless(fields: Fields, context: Context) -> tuple[Clause, ...]:
    node = fields.get("unless")
    return () if node is None else _clauses(node, WHEN, context)


_KNOWN = {
    place: tuple(key for key, condition in CONDITIONS.items() if place in condition.places)
    for place in (WHEN, LIMITS)
}


def _clauses(node: Node, place: str, context: Context) -> tuple[Clause, ...]:
    known = _KNOWN[place]
    fields = Fields(node, known)
    assert isinstance(node, Mapping)  # Fields saw to it
    if not node.entries:
        raise ProfileError(node.line, node.path, f"says nothing; write at least one of {', '.join(known)}")
    return tuple(
        Clause(entry.key, CONDITIONS[entry.key].read(entry.node, context), entry.line)
        for entry in fields.node.entries
    )


# Actions.


def _freezes(node: Node | None) -> bool:
    if node is None:
        return False
    word = need_text(node, "write refuse or freeze")
    if word not in {"refuse", "freeze"}:
        raise ProfileError(
            node.line, node.path, f"`{shown(word, 40)}`: a deny rule can only refuse or freeze"
        )
    return word == "freeze"


def read_action(node: Node) -> Action:
    """`approve`, or another word, or a group: `{ask: {...}, wait: {...}}`."""
    hint = f"write one of {', '.join(_VERBS)}, or a group such as {{ask: {{match: true}}}}"
    if isinstance(node, Mapping):
        return _detailed(node, hint)
    word = need_text(node, hint)
    if word not in _VERBS:
        raise ProfileError(node.line, node.path, f"`{shown(word, 40)}` is no action; {hint}")
    if word == "wait":
        raise ProfileError(node.line, node.path, "says not how long; write `{wait: {delay: 24h}}`")
    return Action(
        refuse=word == "refuse",
        freeze=word == "freeze",
        grant=word == "grant",
        ask=Ask() if word == "ask" else None,
    )


def _detailed(node: Mapping, hint: str) -> Action:
    fields = Fields(node, ("grant", "ask", "wait"))
    grant, ask, wait = fields.get("grant"), fields.get("ask"), fields.get("wait")
    if not node.entries:
        raise ProfileError(node.line, node.path, f"says nothing; {hint}")
    if grant is not None and not read_bool(grant):
        raise ProfileError(grant.line, grant.path, "can only be true; leave it out otherwise")
    return Action(
        grant=grant is not None,
        ask=None if ask is None else _ask(ask),
        wait=None if wait is None else _wait(wait),
    )


def _ask(node: Node) -> Ask:
    if isinstance(node, Scalar) and node.value == "owner":
        return Ask()
    fields = Fields(node, ("owner", "people", "distinct", "within", "match"))
    if not fields.node.entries:
        raise ProfileError(node.line, node.path, "says nothing; write `ask: owner`, or whom to ask")
    owner, people, distinct = fields.get("owner"), fields.get("people"), fields.get("distinct")
    within = fields.get("within")
    asked = Ask(
        owner=read_bool(owner) if owner is not None else people is None and distinct is None,
        people=NOBODY if people is None else read_people(people),
        distinct=0 if distinct is None else COUNT.read(distinct),
        within_ms=None if within is None else DURATION.read(within),
        match=_flag(fields, "match"),
    )
    if not asked.owner and not asked.people.groups and not asked.distinct:
        raise ProfileError(node.line, node.path, "asks nobody; write `owner: true`, `people:` or `distinct:`")
    if asked.match and not asked.owner:
        raise ProfileError(node.line, node.path, "`match` is about the owner's yes; write `owner: true` too")
    return asked


def _wait(node: Node) -> Wait:
    fields = Fields(node, ("delay", "expires", "cancel"))
    delay = DURATION.read(fields.need("delay", "write how long to wait, such as `delay: 24h`"))
    expires, cancel = fields.get("expires"), fields.get("cancel")
    expires_ms = None if expires is None else DURATION.read(expires)
    if expires is not None and expires_ms is not None and expires_ms <= delay:
        raise ProfileError(expires.line, expires.path, "is over before the delay is; make it longer")
    roles = () if cancel is None else tuple(sorted(read_whos(cancel).words))
    return Wait(delay, expires_ms, roles)


# The quorum.


def _quorum(node: Node) -> Conditions:
    fields = Fields(node, ("nodes", "roles", "never_only", "policies"))
    nodes, roles = fields.get("nodes"), fields.get("roles")
    never, policies = fields.get("never_only"), fields.get("policies")
    if isinstance(nodes, Scalar) and nodes.value == 0 and not isinstance(nodes.value, bool):
        raise ProfileError(nodes.line, nodes.path, "asks nothing; leave it out, or write how many must sign")
    found = Conditions(
        0 if nodes is None else NODES.read(nodes),
        () if roles is None else tuple(sorted(read_whos(roles).words)),
        () if never is None else _never_only(never),
        () if policies is None else _policies(policies),
    )
    sets = (*found.never_only, found.roles)
    if (
        len(found.never_only) > MAX_SETS
        or len(found.policies) > MAX_SETS
        or any(len(s) > MAX_ROLES for s in sets)
    ):
        raise ProfileError(
            node.line,
            node.path,
            f"is too long: at most {MAX_SETS} sets or roles with policies, {MAX_ROLES} roles each",
        )
    if found == NO_DEMANDS:
        raise ProfileError(node.line, node.path, "asks nothing; write nodes, roles, never_only or policies")
    return found


def _never_only(node: Node) -> tuple[frozenset[str], ...]:
    """One set of roles, or a list of such sets."""
    items = need_items(node, "write roles that must not sign alone together, such as [phone, offline]")
    if all(isinstance(item, Sequence) for item in items):
        return tuple(read_whos(item).words for item in items)
    return (frozenset(read_who(item) for item in items),)


def _policies(node: Node) -> tuple[tuple[str, frozenset[bytes]], ...]:
    hint = "write roles with policy digests, such as `{home: DIGEST}`; `assent policy show` gives it"
    if not isinstance(node, Mapping) or not node.entries:
        raise ProfileError(node.line, node.path, f"is {kind_of(node)}; {hint}")
    found = []
    for entry in node.entries:
        if not WHO.fullmatch(entry.key):
            raise ProfileError(
                entry.line, f"{node.path}.{shown(entry.key, 40)}", "is not a role of the roster; " + hint
            )
        digests = set()
        for item in one_or_more(entry.node, hint):
            text = need_text(item, hint)
            if not _DIGEST.fullmatch(text):
                raise ProfileError(item.line, item.path, f"is not 64 hex digits; {hint}")
            digests.add(bytes.fromhex(text))
        if len(digests) > MAX_DIGESTS:
            raise ProfileError(
                entry.line,
                entry.node.path,
                f"{len(digests)} policies for one role; the most is {MAX_DIGESTS}",
            )
        found.append((entry.key, frozenset(digests)))
    return tuple(sorted(found))
