"""From a charter and its wallet key to every address: the key path, the quorum tree, and the recovery leaves.

Everything here is public and follows from the charter alone, so each party computes it for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from cluster.charter import Charter, LeafPlan, outsider_keys
from curve import tagged_hash
from musig2 import BIP328_CHAIN_CODE, AggregateKey, key_sort
from taproot import ExtendedKey, Leaf, Network, PublicWallet, WalletKey

OTHER_WALLETS_BRANCHES = (2, 3)
"""Where a leaf derives the key of another wallet, so that it shares no key with that wallet's own addresses."""


def participant_keys(charter: Charter) -> tuple[ExtendedKey, ...]:
    """The extended key of each participant: nodes with their signing keys, then the outsiders."""
    nodes = (member_key(member.signing_pubkey) for member in charter.members)
    return (*nodes, *outsider_keys(charter))


def member_key(signing_pubkey: bytes) -> ExtendedKey:
    """A node's signing key as an extended key: a master key whose chain code follows from it."""
    return ExtendedKey(signing_pubkey, tagged_hash("assent/signing-key/chain-code", signing_pubkey))


def aggregate_key(keys: tuple[ExtendedKey, ...]) -> WalletKey:
    """The MuSig2 key of these participants (BIP 390: sorted first), extended as BIP 328 has it."""
    by_key = {key.public_key: key for key in keys}
    ordered = key_sort([key.public_key for key in keys])
    aggregate = AggregateKey.of(ordered).to_bytes()
    return WalletKey(
        ExtendedKey(aggregate, BIP328_CHAIN_CODE), tuple(by_key[public_key] for public_key in ordered)
    )


def quorums(charter: Charter) -> tuple[frozenset[int], ...]:
    """The quorums of a MuSig2 wallet: the favourite first, those of nodes alone before those with outsiders."""
    sets = [frozenset(chosen) for chosen in combinations(charter.cosigners, charter.t)]
    favourite = frozenset(charter.favourite)
    return tuple(sorted(sets, key=lambda chosen: (chosen != favourite, _outside(charter, chosen))))


def leaf_quorums(charter: Charter, plan: LeafPlan) -> tuple[frozenset[int], ...]:
    """Who may sign a leaf together, those with the fewest outsiders first."""
    sets = [frozenset(chosen) for chosen in combinations(plan.keys, plan.needed)]
    return tuple(sorted(sets, key=lambda chosen: _outside(charter, chosen)))


def quorum_leaf_name(charter: Charter, quorum: frozenset[int]) -> str:
    """What the leaf of a quorum is called: `quorum` and its participants' numbers."""
    del charter
    return "quorum-" + "-".join(str(participant) for participant in sorted(quorum))


def public_wallet(charter: Charter, key: WalletKey, others: Mapping[bytes, WalletKey]) -> PublicWallet:
    """The wallet of a charter.

    Args:
        key: what stands on the key path.
        others: the keys of the FROST wallets that leaves name, by wallet id.

    Raises:
        ValueError: a leaf names a wallet that is not among them, or has another key there.
    """
    keys = participant_keys(charter)
    tree: tuple[Leaf, ...] = ()
    if charter.is_tree:
        tree = tuple(
            Leaf(quorum_leaf_name(charter, quorum), (aggregate_key(tuple(keys[i] for i in sorted(quorum))),))
            for quorum in quorums(charter)[1:]
        )
    recovery = tuple(_leaf(plan, keys, others) for plan in charter.leaves)
    return PublicWallet(Network(charter.network), key, tree, recovery)


def _leaf(plan: LeafPlan, keys: tuple[ExtendedKey, ...], others: Mapping[bytes, WalletKey]) -> Leaf:
    chosen = tuple(keys[i] for i in plan.keys)
    match plan.kind:
        case "frost":
            other = others.get(plan.wallet)
            if other is None or other.key.public_key != plan.thresh_pk:
                raise ValueError(
                    f"leaf {plan.name} names a wallet that is not known here, or with another key"
                )
            return Leaf(
                plan.name,
                (WalletKey(other.key, branches=OTHER_WALLETS_BRANCHES),),
                older=plan.older,
                after=plan.after,
            )
        case "musig":
            return Leaf(plan.name, (aggregate_key(chosen),), older=plan.older, after=plan.after)
        case _:
            single = tuple(WalletKey(key) for key in chosen)
            return Leaf(plan.name, single, plan.needed, plan.older, plan.after)


def _outside(charter: Charter, chosen: frozenset[int]) -> int:
    return sum(participant >= charter.n for participant in chosen)
