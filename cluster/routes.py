"""The ways in which a wallet can be spent: who may sign together, by which leaf, and with which key.

Each wallet has one main way, "" (by the key path; in a quorum tree by the leaf of whoever signs), and one for each
recovery leaf, by name. Participants are numbered as in the charter: nodes first, then outsiders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.charter import FROST_SCHEME, Charter, LeafPlan
from cluster.outputs import leaf_quorums, participant_keys, quorum_leaf_name, quorums
from cluster.scheme import Group, Key, Known
from cluster.scheme_musig2 import Musig2Group
from cluster.scheme_single import SingleGroup
from taproot import Leaf, PublicWallet


@dataclass(frozen=True, slots=True)
class Route:
    """One way to spend a wallet.

    Attributes:
        name: "" for the main way, else the recovery leaf's.
        group: the key that signs.
        nodes: the nodes that can take part.
        least: how many participants sign at least.
        quorums: exactly who may sign together, the preferred first; None where any `least` nodes or more may.
        leaf: the recovery leaf.
        tree: for a quorum tree, the leaf of each quorum but the favourite.
    """

    name: str
    group: Group = field(repr=False)
    nodes: frozenset[int]
    least: int
    quorums: tuple[frozenset[int], ...] | None = None
    leaf: Leaf | None = field(default=None, repr=False)
    tree: Mapping[frozenset[int], Leaf] = field(default_factory=dict, repr=False)

    @property
    def approvals(self) -> int:
        """How many nodes must approve at least: as many as stand in the smallest quorum."""
        if self.quorums is None:
            return self.least
        return min(len(quorum & self.nodes) for quorum in self.quorums)

    @property
    def most(self) -> int:
        """How many nodes can sign together."""
        if self.quorums is None:
            return len(self.nodes)
        return max(len(quorum & self.nodes) for quorum in self.quorums)

    @property
    def is_fixed(self) -> bool:
        """Whether what is to be signed does not depend on who signs."""
        return not self.tree

    @property
    def outsiders(self) -> frozenset[int]:
        """The participants of this way that are no nodes."""
        return frozenset().union(*(self.quorums or ())) - self.nodes

    def admits(self, participants: frozenset[int]) -> bool:
        """Whether exactly these may sign together."""
        if self.quorums is None:
            return participants <= self.nodes and len(participants) >= self.least
        return participants in self.quorums

    def leaf_for(self, participants: frozenset[int]) -> Leaf | None:
        """By which leaf these sign; None for the key path."""
        return self.leaf if self.leaf is not None else self.tree.get(participants)


def routes_of(charter: Charter, key: Key, public: PublicWallet, known: Known) -> dict[str, Route]:
    """All ways of a wallet, by name; ValueError when a leaf names a wallet that is not known."""
    main = _main(charter, key, public)
    return {"": main} | {plan.name: _recovery(charter, plan, public, known) for plan in charter.leaves}


def _main(charter: Charter, key: Key, public: PublicWallet) -> Route:
    group = key.group({participant: participant for participant in charter.cosigners})
    nodes = frozenset(range(charter.n))
    if charter.scheme == FROST_SCHEME:
        return Route("", group, nodes, charter.t)
    leaves = {leaf.name: leaf for leaf in public.quorum_leaves}
    sets = quorums(charter)
    tree = {chosen: leaves[quorum_leaf_name(charter, chosen)] for chosen in sets[1:]}
    return Route("", group, nodes, charter.t, sets, tree=tree)


def _recovery(charter: Charter, plan: LeafPlan, public: PublicWallet, known: Known) -> Route:
    leaf = public.recovery(plan.name)
    if plan.kind == "frost":
        other = known.get(plan.wallet)
        if other is None:
            raise ValueError(f"leaf {plan.name} names a wallet that is not known here")
        return _other_wallet(charter, plan.name, leaf, other)
    keys = participant_keys(charter)
    group: Group
    if plan.kind == "musig":
        group = Musig2Group({i: keys[i].public_key for i in plan.keys})
    else:
        group = SingleGroup({i: keys[i] for i in plan.keys})
    nodes = frozenset(i for i in plan.keys if i < charter.n)
    return Route(plan.name, group, nodes, plan.needed, leaf_quorums(charter, plan), leaf)


def _other_wallet(charter: Charter, name: str, leaf: Leaf, other: Key) -> Route:
    ids = other_ids(charter, other)
    return Route(name, other.group(ids), frozenset(ids), other.threshold, leaf=leaf)


def other_ids(charter: Charter, other: Key) -> dict[int, int]:
    """Which participant of another wallet each member is; ValueError unless the members are the same."""
    identities = [member.identity for member in charter.members]
    if sorted(identities) != sorted(other.members):
        raise ValueError("a leaf names a wallet of other members")
    return {i: other.members.index(identity) for i, identity in enumerate(identities)}
