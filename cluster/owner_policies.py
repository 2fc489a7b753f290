"""What the owner's commands are told of policies: what is in force, what waits to be, and what others announced."""

from __future__ import annotations

from cluster.changes import Pending
from cluster.changes_heard import Heard
from cluster.errors import StateError
from cluster.journal import PolicyKept
from cluster.messages import NO_ID
from cluster.node import Node
from cluster.profiles import Texts, Weighing
from cluster.records import NO_WALLET
from policy.diff import Diff
from policy.wording import duration, remaining

__all__ = [
    "changes_shown",
    "diff_facts",
    "find_changes",
    "kept_facts",
    "own_change",
    "policy_shown",
    "wallet_named",
    "weighed",
]

Facts = dict[str, object]


def kept_facts(kept: PolicyKept, wallet: str | None) -> Facts:
    """A profile in force, as its record has it."""
    return {
        "wallet": wallet,
        "version": kept.version,
        "digest": kept.digest.hex(),
        "since_ms": kept.policy_ms,
        "previous": None if kept.previous == NO_ID else kept.previous.hex(),
        "text": kept.text,
        "base": kept.base or None,
    }


def policy_shown(node: Node) -> list[Facts]:
    """The profiles in force, the one for all wallets first."""
    kept = node.policies.profiles.kept
    return [
        kept_facts(kept[place], _wallet(node, place)) for place in sorted(kept, key=lambda i: i != NO_WALLET)
    ]


def wallet_named(node: Node, name: str) -> bytes:
    """The id of the wallet of this name; 32 zero bytes where no name is given."""
    if not name:
        return NO_WALLET
    found = [w for w, wallet in node.keygen.wallets.items() if wallet.charter.name == name]
    if not found:
        raise StateError(f"no wallet {name} exists here")
    return found[0]


def weighed(node: Node, texts: Texts, wallet_id: bytes) -> Weighing:
    """What a profile would change; StateError when it does not load here."""
    try:
        return node.policies.profiles.weigh(texts, wallet_id)
    except ValueError as error:
        raise StateError(str(error)) from None


def diff_facts(diff: Diff, *, first: bool = False) -> Facts:
    """A difference, line by line; to begin with there is nothing to compare with."""
    shown = [
        {"direction": one.direction.value, "path": one.path, "line": one.line, "text": one.text}
        for one in diff.changes
    ]
    return (
        {"direction": "first", "changes": []}
        if first
        else {"direction": diff.direction.value, "changes": shown}
    )


def changes_shown(node: Node, now_ms: int) -> list[Facts]:
    """Every change that is pending here, then what the other nodes announced; `now_ms` is on the policy clock."""
    own = [own_change(node, one, now_ms) for one in node.policies.own.pending.values()]
    return [*own, *(_heard_change(node, one) for one in node.policies.heard.heard.values())]


def find_changes(node: Node, prefix: str, now_ms: int) -> list[Facts]:
    """The changes whose id starts so, ended ones too."""
    ended = [
        {
            "kind": "policy-change",
            "id": change_id.hex(),
            "wallet": "",
            "state": how.code,
            "lines": [],
            "own": True,
        }
        for change_id, how in node.policies.own.ended.items()
    ]
    found: list[Facts] = [*changes_shown(node, now_ms), *ended]
    return [one for one in found if str(one["id"]).startswith(prefix)]


def own_change(node: Node, pending: Pending, now_ms: int) -> Facts:
    """A change that is pending here."""
    terms, desk = pending.terms, node.policies.own
    standing = desk.standing(pending, now_ms)
    missing = [*standing.missing]
    if standing.wait_ms:
        missing.append(
            f"{remaining(standing.wait_ms)} of the cooldown of {duration(standing.rule.cooldown_ms)}"
        )
    if standing.in_doubt:
        missing.append("a clock that is sure: `assent clock confirm`")
    try:
        diff = desk.diff(pending)
    except ValueError as error:  # another version of this program wrote it
        shown: Facts = {"direction": "unreadable", "changes": []}
        lines = [f"its text no longer loads here: {error}"]
    else:
        shown = diff_facts(diff)
        lines = [f"{one.direction.value}: {one.text}" for one in diff.changes]
    return {
        **_change(node, terms.id, terms.wallet_id, "pending", terms.version, terms.digest, terms.base_digest),
        "node": node.roster.name_of(node.me),
        "own": True,
        **shown,
        "lines": lines,
        "consents": sorted(node.roster.name_of(who) for who in pending.agreed),
        "missing": missing,
        "wait_ms": standing.wait_ms,
        "can": ["cancel"],
    }


def _heard_change(node: Node, heard: Heard) -> Facts:
    terms, desk = heard.terms, node.policies.heard
    try:
        diff = diff_facts(desk.reading(heard).diff)
    except ValueError:
        diff = {"direction": "unreadable", "changes": []}
    return {
        **_change(
            node, terms.id, terms.wallet_id, heard.state, terms.version, terms.digest, terms.base_digest
        ),
        "node": node.roster.name_of(terms.node),
        "own": False,
        **diff,
        "lines": list(desk.lines(heard)),
        "announced_until_ms": heard.until_ms,
        "can": desk.rights(heard),
    }


def _change(
    node: Node, change_id: bytes, wallet_id: bytes, state: str, version: int, digest: bytes, base: bytes
) -> Facts:
    return {
        "kind": "policy-change",
        "id": change_id.hex(),
        "wallet": _wallet(node, wallet_id),
        "state": state,
        "version": version,
        "digest": digest.hex(),
        "base_digest": base.hex(),
    }


def _wallet(node: Node, wallet_id: bytes) -> str | None:
    """A wallet's name; None for the profile that holds for all, the start of the id for one unknown here."""
    if wallet_id == NO_WALLET:
        return None
    wallet = node.keygen.wallets.get(wallet_id)
    return wallet.charter.name if wallet is not None else wallet_id.hex()[:16]
