"""Changes of a policy: what names one, who may agree to it or cancel it, and what it still lacks.

Pure, and the same at the node that changes and at everybody who is asked: each computes the id, the difference and
the rule from the texts themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cluster.codec import BadLetter, Letter
from cluster.policy_letters import PolicyChange, PolicyConsent
from cluster.roster import Roster
from curve import tagged_hash
from policy import Profile
from policy.profile import ChangeRule
from policy.values import People


@dataclass(frozen=True, slots=True)
class Terms:
    """What a change's id binds: wallet id, node, the digest in force, the new one, its version, when, and a nonce."""

    wallet_id: bytes
    node: bytes
    base_digest: bytes
    digest: bytes
    version: int
    since_ms: int
    nonce: bytes

    @property
    def id(self) -> bytes:
        """The 32 bytes that consents bind."""
        return tagged_hash(
            "assent/policy/change",
            self.wallet_id,
            self.node,
            self.base_digest,
            self.digest,
            self.version.to_bytes(8, "big"),
            self.since_ms.to_bytes(8, "big"),
            self.nonce,
        )


def terms_of(letter: Letter) -> Terms:
    """The terms of the change that a node announces in this letter; who signed it is checked elsewhere."""
    body, header = letter.body, letter.header
    assert isinstance(body, PolicyChange)  # the kind of the letter says so
    return Terms(
        header.wallet_id,
        header.sender,
        body.base_digest,
        body.digest,
        body.version,
        body.since_ms,
        body.nonce,
    )


@dataclass(frozen=True, slots=True)
class Consent:
    """Who agrees to which change, or cancels it."""

    who: bytes
    change_id: bytes
    yes: bool


def rule_of(profile: Profile) -> ChangeRule:
    """The rule by which a profile may be loosened: its own, and whatever its base asks beyond that."""
    rule = profile.change
    if profile.base is None:
        return rule
    below = rule_of(profile.base)
    counts = dict(below.people.groups)
    for role, count in rule.people.groups:
        counts[role] = max(count, counts.get(role, 0))
    return ChangeRule(
        tuple(sorted({*rule.nodes, *below.nodes})),
        People(tuple(sorted(counts.items()))),
        max(rule.cooldown_ms, below.cooldown_ms),
        tuple(sorted({*rule.cancel, *below.cancel})),
        rule.line,
    )


def roles_of(roster: Roster, identity: bytes) -> tuple[str, ...]:
    """The roles of a node or a person of the roster; none for anybody else."""
    node = roster.node(identity)
    if node is not None:
        return (node.role,)
    return next((person.roles for person in roster.people if person.identity == identity), ())


def may_say(rule: ChangeRule, roster: Roster, who: bytes, yes: bool) -> bool:
    """Whether somebody's yes counts; whoever must agree may cancel, and so may the roles named for it."""
    asked = set(rule.nodes) if roster.node(who) is not None else {role for role, _ in rule.people.groups}
    return bool(set(roles_of(roster, who)) & (asked if yes else asked | set(rule.cancel)))


def hopeless(rule: ChangeRule, roster: Roster) -> str:
    """What a rule asks for that the roster cannot give, in words, and "" where there is nothing.

    Under such a rule nothing could ever be loosened again, by anybody.
    """
    everybody = {entry.identity for entry in (*roster.nodes, *roster.people)}
    return "; ".join(lacking(rule, roster, everybody))


def lacking(rule: ChangeRule, roster: Roster, agreed: Collection[bytes]) -> Iterator[str]:
    """Whose consent is still missing, in words; `agreed` holds the node's own owner too."""
    nodes = {node.role for node in roster.nodes if node.identity in agreed}
    for role in rule.nodes:
        if role not in nodes:
            yield f"the owner of {role}"
    people = [person for person in roster.people if person.identity in agreed]
    for role, need in rule.people.groups:
        have = sum(role in person.roles for person in people)
        if have < need:
            yield f"{have} of {need} people of role {role}"


def consent_in(letter: Letter, roster: Roster, node: bytes) -> Consent:
    """What a signed consent says about a change at `node`; BadLetter when it is no node's or person's of this cluster.

    The letter may have come by any way: its signature was checked when it was opened, and it binds the change.
    """
    body, header = letter.body, letter.header
    if not isinstance(body, PolicyConsent) or header.cluster_id != roster.cluster_id:
        raise BadLetter("change-form", "it is no consent of this cluster's")
    if body.node != node:
        raise BadLetter("change-node", "it is about another node's policy")
    if roster.role_of(header.sender) not in {"node", "person"}:
        raise BadLetter("change-stranger", "only nodes and people agree to a policy")
    return Consent(header.sender, body.change_id, body.yes)
